"""`python -m benchmarks [NAME...]` runs the measurements and prints their rows; without a name, all of them."""

import argparse
import importlib
from dataclasses import asdict, is_dataclass

NAMES = (
    "crf",
    "geodesic",
    "metrics",
    "regularisers",
    "memory",
    "loop",
    "reading",
    "step",
    "inference",
    "large_volume",
    "slices",
    "many_cases",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(NAMES)}")
    names = parser.parse_args().names or NAMES
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        parser.error(f"unknown measurement {unknown[0]!r}; known: {', '.join(NAMES)}")
    for name in names:
        for row in importlib.import_module(f"benchmarks.{name}").run():
            values = asdict(row) if is_dataclass(row) and not isinstance(row, type) else row
            print(name + ": " + ", ".join(f"{key} {_text(value)}" for key, value in values.items()), flush=True)


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
