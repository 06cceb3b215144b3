"""Validated settings: every room declares its own section as a subclass of `Settings`."""

import json
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from voxseed.errors import InputError
from voxseed.files import write_text

S = TypeVar("S", bound="Settings")
Location = tuple[int | str, ...]
"""Where pydantic found something: names of sections and settings, then places in the value or the type."""

_REASONS = {"missing": "a value is missing", "model_type": "input should be a section with keys"}
"""What pydantic says in words of its own."""


class Settings(BaseModel):
    """A section of settings: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def validate(kind: type[S], values: dict[str, Any], origin: str) -> S:
    """Build a settings section from plain values.

    Args:
        origin: what the values came from, for messages ("settings.yaml").

    Raises:
        InputError: names the first wrong key, what was found and what is allowed.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{origin}: {_sentence(kind, values, error)}") from None


def with_overrides(values: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """A copy of nested plain values with `section.key=value` assignments applied; values are read as YAML.

    Raises:
        InputError: if an assignment has no "=" or no key.
    """
    result = merged(values, {})
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key.strip():
            raise InputError(f"--set {override}: expected section.key=value, such as --set training.iterations=800.")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise InputError(f"--set {override}: {text!r} is not a YAML value.") from None
        nested: Any = value
        for part in reversed(key.strip().split(".")):
            nested = {part: nested}
        result = merged(result, nested)
    return result


def assignments(values: dict[str, Any], prefix: str = "") -> list[str]:
    """Nested plain values as "section.key=value", which `with_overrides` reads."""
    texts = []
    for key, value in values.items():
        if isinstance(value, dict):
            texts += assignments(value, f"{prefix}{key}.")
        else:
            texts.append(f"{prefix}{key}={json.dumps(value)}")
    return texts


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A deep copy of `base` in which nested mappings are updated by `changes` and everything else is replaced."""
    result = {key: merged(value, {}) if isinstance(value, dict) else value for key, value in base.items()}
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


def first_difference(stored: dict[str, Any], given: dict[str, Any], prefix: str = "") -> str | None:
    """The first setting in which two nested mappings differ, as "key = stored, not given"; None if they are equal."""
    for key in [*stored, *(key for key in given if key not in stored)]:
        before, after = stored.get(key), given.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            nested = first_difference(before, after, f"{prefix}{key}.")
            if nested is not None:
                return nested
        elif before != after:
            return f"{prefix}{key} = {before!r}, not {after!r}"
    return None


def read_yaml(path: Path) -> dict[str, Any]:
    """Read nested settings from a YAML file.

    Raises:
        InputError: if it is missing, not YAML, or not a mapping.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such settings file.") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected YAML, but {' '.join(str(error).split())}. Correct it.") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected sections with keys, found a {type(values).__name__}.")
    return values


def write_yaml(path: Path, settings: Settings) -> None:
    """Write settings so that `read_yaml` and `validate` give them back."""
    write_text(path, yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False))


def _sentence(kind: type[Settings], values: dict[str, Any], error: ValidationError) -> str:
    first = error.errors()[0]
    location = first["loc"]
    if first["type"] == "extra_forbidden":
        section = _annotation(kind, location[:-1])
        known = ", ".join(section.model_fields) if _is_section(section) else "see voxseed settings"
        return f"unknown setting {_dotted(location)!r}; known here: {known}."
    place = _setting(kind, location)
    if first["type"] == "missing" and place == location:
        return f"{_dotted(place)} is missing."
    # Of a value that may be of several types, pydantic says for each why it is none.
    reasons = dict.fromkeys(
        _reason(each["type"], each["msg"]) for each in error.errors() if _setting(kind, each["loc"]) == place
    )
    value = _value(values, place)
    found = "" if isinstance(value, dict) else f" = {value!r}"
    return f"{_dotted(place)}{found}: {', or '.join(reasons)}." if place else f"{', or '.join(reasons)}."


def _setting(kind: type[Settings], location: Location) -> Location:
    """The part of pydantic's location that names a setting; what follows is inside its value or its type."""
    inner = next((n for n in range(1, len(location) + 1) if _annotation(kind, location[:n]) is None), None)
    return location if inner is None else location[: inner - 1]


def _annotation(kind: type[Settings], location: Location) -> Any:
    """Type of a section or setting; None where the location leaves sections."""
    annotation: Any = kind
    for part in location:
        if _is_section(annotation) and part in annotation.model_fields:
            annotation = annotation.model_fields[str(part)].annotation
        elif get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
        else:
            return None
    return annotation


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Settings)


def _value(values: Any, location: Location) -> Any:
    for part in location:
        values = values[part]
    return values


def _reason(kind: str, message: str) -> str:
    message = _REASONS.get(kind, message.removeprefix("Value error, "))
    return f"{message[0].lower()}{message[1:]}"


def _dotted(location: Location) -> str:
    return ".".join(str(part) for part in location)
