"""What can be chosen by name, and what every setting means."""

import inspect
from collections.abc import Callable
from typing import Any

from voxseed.benchmarks.catalogue import get_table, table_names
from voxseed.data.protocols.base import PROTOCOLS
from voxseed.errors import UnknownNameError
from voxseed.losses.base import LOSSES
from voxseed.methods.base import METHODS
from voxseed.methods.recipes import RECIPES, get_recipe
from voxseed.networks.base import NETWORKS
from voxseed.settings import Settings
from voxseed.training.presets import PRESETS
from voxseed.training.settings import load_run_settings, section_name


def list_names(kind: str) -> list[tuple[str, str]]:
    """Names of one kind, each with one line of what it is.

    Raises:
        UnknownNameError: if there is no such kind.
    """
    listings = _listings()
    if kind not in listings:
        raise UnknownNameError(f"Unknown list {kind!r}. Known: {', '.join(listings)}.")
    return listings[kind]()


def list_kinds() -> list[str]:
    """What `list_names` lists."""
    return list(_listings())


def _listings() -> dict[str, Callable[[], list[tuple[str, str]]]]:
    return {
        "methods": lambda: (
            [(name, recipe.summary) for name, recipe in RECIPES.items()]
            + [(name, METHODS.get(name).summary) for name in METHODS.names()]
        ),
        "networks": lambda: [(name, _first_line(NETWORKS.get(name))) for name in NETWORKS.names()],
        "losses": lambda: [(name, _first_line(LOSSES.get(name))) for name in LOSSES.names()],
        "protocols": lambda: [(name, _first_line(PROTOCOLS.get(name))) for name in PROTOCOLS.names()],
        "presets": lambda: [(name, preset.summary) for name, preset in PRESETS.items()],
        "tables": lambda: [(name, get_table(name).title) for name in table_names()],
    }


def describe_settings(method: str | None = None, preset: str | None = None) -> list[tuple[str, str, str]]:
    """Every setting as (section.key, value, meaning).

    Args:
        method: only the sections that this recipe or method reads.
        preset: values of this preset instead of the defaults.

    Raises:
        UnknownNameError: if the method or preset is not known.
    """
    settings = load_run_settings(preset)
    hidden: set[str] = set()
    if method is not None:
        read = {section_name(stage.method) for stage in get_recipe(method).stages}
        hidden = {section_name(name) for name in METHODS.names()} - read
    return [row for row in _rows(settings, "") if row[0].split(".")[0] not in hidden]


def _rows(section: Settings, prefix: str) -> list[tuple[str, str, str]]:
    rows = []
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        if isinstance(value, Settings):
            rows += _rows(value, f"{prefix}{key}.")
        elif isinstance(value, dict) and any(isinstance(nested, Settings) for nested in value.values()):
            for name, nested in value.items():
                rows += _rows(nested, f"{prefix}{key}.{name}.")
        else:
            rows.append((f"{prefix}{key}", _plain(value), field.description or ""))
    return rows


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_plain(item) for item in value) + "]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _first_line(thing: object) -> str:
    return (inspect.getdoc(thing) or "").splitlines()[0]
