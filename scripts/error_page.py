"""Write docs/errors.md: what a user can give wrong, and the sentence that each gets, as the tests saw it.

Run it in the environment of `make test`: python scripts/error_page.py
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "errors.md"
TESTS = ROOT / "tests" / "cli" / "test_bad_input.py"
HEAD = """# What is refused, and in which words

Made by `python scripts/error_page.py` from the tests of bad input. Everything here leaves with exit code 2, writes one
message to standard error, and leaves nothing half-written.

`data` is the dataset, `run` a run. In commands, DATA and RUN are these two, NEW, NONE and EMPTY places that are free,
missing and empty, TEXT is some text file, and TINY stands for settings that make training quick.
"""
# Test function → heading and name of its first column.
PARTS = {
    "test_bad_data_is_a_sentence": ("Datasets and annotations", "what is wrong: command"),
    "test_wrong_words_are_a_sentence": ("Arguments and settings", "command"),
    "test_a_damaged_checkpoint_is_a_sentence_and_runs_no_code": ("Checkpoints", "what is wrong"),
    "test_a_damaged_run_is_a_sentence": ("Runs", "what is wrong"),
    "test_a_damaged_model_is_a_sentence_and_runs_no_code": ("Models", "what is wrong"),
    "test_damaged_metrics_are_a_sentence": ("Metrics", "what is wrong"),
    "test_predictions_that_cannot_be_evaluated_are_a_sentence": ("Predictions", "what is wrong"),
    "test_a_full_disk_is_a_sentence": ("Full disks", "command"),
}
_LISTED = "there are errors, listed above"
_PLACE = re.compile(r"/[^\s'\"]*?pytest-of-[^/]+/pytest-\d+/[^/]+/")
_CACHE = re.compile(r"/[^\s'\"]*?pytest-of-[^/]+/pytest-\d+/")


def main() -> None:
    """Run the tests, and write the page."""
    with tempfile.TemporaryDirectory() as folder:
        records = Path(folder) / "records.jsonl"
        environment = {**os.environ, "VOXSEED_RECORD_ERRORS": str(records)}
        command = [sys.executable, "-m", "pytest", "-q", str(TESTS), "-k", " or ".join(PARTS)]
        if subprocess.run(command, env=environment, cwd=ROOT).returncode:
            sys.exit("The tests of bad input fail; correct that first.")
        lines = records.read_text(encoding="utf-8").splitlines()
    TARGET.write_text(page([json.loads(line) for line in lines]), encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)} written.")


def page(records: list) -> str:
    """The page of what was refused, in the order of the tests."""
    parts = [HEAD]
    for function, (heading, column) in PARTS.items():
        rows = {}
        for record in records:
            name, _, case = record["test"].removesuffix("]").partition("[")
            if name == function and _LISTED not in record["said"]:
                rows.setdefault(case, sentence(record["said"]))
        listed = [f"| {escaped(case)} | {escaped(said)} |" for case, said in rows.items()]
        parts.append("\n".join([f"## {heading}\n", f"| {column} | message |", "|---|---|", *listed]) + "\n")
    return "\n".join(parts)


def sentence(said: str) -> str:
    """A message without the program's name and the folders of the test."""
    return _CACHE.sub("", _PLACE.sub("", said.strip().removeprefix("voxseed: "))).replace("\n", " ")


def escaped(text: str) -> str:
    """Text for a cell of a table."""
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    main()
