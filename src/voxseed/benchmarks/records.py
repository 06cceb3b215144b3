"""What a row was made from, and where it is: a folder per row, seed and key, so that no other row is ever taken for it.

OUT/rows/ROW/seed-0-1a2b3c4d/
  record.json      key, everything that it follows from, state, seconds, versions
  run/             as `voxseed train` leaves it; rows that train nothing have none
  predictions/     of the measured cases
  metrics.csv      as `voxseed evaluate` leaves it
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from voxseed.errors import InputError
from voxseed.files import read_json_object, write_json
from voxseed.settings import first_difference

FORMAT_VERSION: Final = 1
RUNNING, COMPLETE = "running", "complete"
_KEY_DIGITS = 8
_REASONS = {
    "code": "Voxseed's code changed",
    "starts_from": "the row that it starts from changed",
    "settings": "other settings",
    "data": "other data",
}


@dataclass(frozen=True)
class RowKey:
    """Everything that the numbers of a row follow from.

    Attributes:
        settings: all that are read, seed included.
        data: classes and channels; trained and measured cases with their digests.
        code: digest of the source code.
        starts_from: member → training of the row whose network it starts from.
    """

    settings: dict[str, Any]
    data: dict[str, Any]
    code: str
    starts_from: dict[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 as hexadecimal digits."""
        return _sha256(asdict(self))

    @property
    def training_digest(self) -> str:
        """SHA-256 of what the training follows from: everything but the measured cases and how they are predicted."""
        settings = {section: values for section, values in self.settings.items() if section != "prediction"}
        data = {part: values for part, values in self.data.items() if part != "measured"}
        return _sha256({**asdict(self), "settings": settings, "data": data})

    def why_other(self, earlier: "RowKey") -> str:
        """Why a row of an earlier key cannot be taken for one of this key, as words after "because"."""
        if earlier.code == self.code and _measured(earlier) != _measured(self):
            return "other measured cases"
        before, now = asdict(earlier), asdict(self)
        for part, reason in _REASONS.items():
            if before[part] != now[part]:
                detail = first_difference(now[part], before[part]) if isinstance(now[part], dict) else None
                return reason if detail is None or part == "starts_from" else f"{reason}: {detail}"
        return "nothing changed"


def _measured(key: RowKey) -> list[str]:
    return sorted(key.data.get("measured", {}))


@dataclass(frozen=True)
class RowRecord:
    """The content of record.json.

    Attributes:
        row: name in its table.
        title: as the table printed it.
        seconds: of "training", over interruptions; "prediction"; "evaluation".
        cost: units of work of the training: iterations, once per network.
        provenance: of the run, or of the program where nothing is trained.
        reason: why a row of that name and seed that was there already was not taken.
    """

    row: str
    title: str
    seed: int
    key: RowKey
    state: str = RUNNING
    seconds: dict[str, float] = field(default_factory=dict)
    cost: float = 0.0
    provenance: dict[str, Any] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class RowFolder:
    """The folder of a row and seed."""

    path: Path

    @classmethod
    def of(cls, out: Path, row: str, seed: int, key: RowKey) -> "RowFolder":
        """The only folder in which a row of this key may be."""
        return cls(out / "rows" / row / f"seed-{seed}-{key.digest[:_KEY_DIGITS]}")

    @property
    def run(self) -> Path:
        """Its run."""
        return self.path / "run"

    @property
    def predictions(self) -> Path:
        """Label maps of the measured cases."""
        return self.path / "predictions"

    @property
    def metrics(self) -> Path:
        """Its metrics.csv."""
        return self.path / "metrics.csv"

    @property
    def lock(self) -> Path:
        """Held by the process that works on the row."""
        return self.path.with_name(f".{self.path.name}.lock")

    def read(self) -> RowRecord | None:
        """The record; None where there is none.

        Raises:
            InputError: if it is damaged, or of another format.
        """
        path = self.path / "record.json"
        if not path.exists():
            return None
        try:
            values = read_json_object(path)
        except InputError as error:
            raise InputError(f"{error} Or remove {self.path}, and the row is made again.") from None
        version, digest = values.pop("format_version", None), values.pop("digest", None)
        try:
            if version != FORMAT_VERSION:
                raise ValueError(f"format version {version!r}")
            record = RowRecord(**{**values, "key": RowKey(**values["key"])})
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: damaged or of another version ({error}). Remove {self.path}.") from None
        if record.key.digest != digest:
            raise InputError(f"{path}: its digest is not that of its content. Remove {self.path}.")
        return record

    def write(self, record: RowRecord) -> None:
        """Write the record, atomically."""
        content = {"format_version": FORMAT_VERSION, "digest": record.key.digest, **asdict(record)}
        write_json(self.path / "record.json", content)

    def complete(self, key: RowKey) -> RowRecord | None:
        """The record of a finished row of exactly this key; None otherwise.

        Raises:
            InputError: if the record is damaged.
        """
        record = self.read()
        finished = record is not None and record.state == COMPLETE and self.metrics.exists()
        return record if record is not None and finished and record.key == key else None

    def trained_alike(self, key: RowKey) -> "RowFolder | None":
        """The folder of another finished row, of whatever name, with the same training; None if there is none.

        Raises:
            InputError: if a record is damaged.
        """
        for path in sorted(self.path.parents[1].glob("*/seed-*/record.json")):
            folder = RowFolder(path.parent)
            if folder.path == self.path or not folder.run.exists():
                continue
            record = folder.read()
            if record is not None and record.state == COMPLETE and record.key.training_digest == key.training_digest:
                return folder
        return None

    def earlier(self) -> RowRecord | None:
        """The latest record of the same row and seed under another key; None if there is none.

        Raises:
            InputError: if a record is damaged.
        """
        prefix = self.path.name.rpartition("-")[0]
        others = [path for path in self.path.parent.glob(f"{prefix}-*/record.json") if path.parent != self.path]
        if not others:
            return None
        return RowFolder(max(others, key=lambda path: path.stat().st_mtime).parent).read()


def _sha256(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
