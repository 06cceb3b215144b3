"""An expansion that several jobs share: what each case became, until all are complete and the folder a dataset."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from voxseed.errors import InputError
from voxseed.files import read_json_object, write_json, writing
from voxseed.supervision.quality import ClassQuality
from voxseed.workflows.shards import claimed

RECORDS_FOLDER = ".expansion"
_ORIGIN_NAME = "origin.json"
_LOCKS = "locks"


@dataclass(frozen=True)
class CaseExpansion:
    """What became of one case.

    Attributes:
        case: its name.
        annotated_share: of its voxels.
        qualities: one per class, background first; empty without a dense label.
    """

    case: str
    annotated_share: float
    qualities: tuple[ClassQuality, ...]


class ExpansionParts:
    """The records in a folder that jobs fill together.

    Args:
        out: the folder; records are in OUT/.expansion.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._folder = out / RECORDS_FOLDER

    def begin(self, origin: Mapping[str, Any]) -> None:
        """Say what is expanded, or check that the other jobs expand the same.

        Args:
            origin: settings, labels and cases, as JSON has them.

        Raises:
            InputError: if the folder holds something else, or the parts of another expansion.
        """
        path = self._folder / _ORIGIN_NAME
        # In this order, because another job may be making the folder right now.
        is_used = self._out.exists() and (not self._out.is_dir() or any(self._out.iterdir()))
        if is_used and not self._folder.is_dir():
            raise InputError(f"{self._out}: is there already and not empty. Remove it, or choose another place.")
        with writing(self._folder):
            (self._folder / _LOCKS).mkdir(parents=True, exist_ok=True)
        with self.finishing():
            if not path.is_file():
                write_json(path, dict(origin))
            elif read_json_object(path) != dict(origin):
                raise InputError(
                    f"{self._out}: holds parts of an expansion with other settings, labels or cases. "
                    "Choose another place with --out, or remove it."
                )

    @contextmanager
    def open_case(self, case: str, origin: Mapping[str, Any]) -> Iterator[bool]:
        """Hold a case; False if it is complete and would be the same again, or another job holds it."""
        with claimed(self._folder / _LOCKS, case) as is_mine:
            yield is_mine and self.read(case, origin) is None

    def complete(self, expansion: CaseExpansion, origin: Mapping[str, Any]) -> None:
        """Record a case whose files are written."""
        write_json(self._path(expansion.case), {"origin": dict(origin), **asdict(expansion)})

    def read(self, case: str, origin: Mapping[str, Any]) -> CaseExpansion | None:
        """What a case became; None if it is not complete, or would be something else now."""
        path = self._path(case)
        content = read_json_object(path) if path.is_file() else {}
        if content.get("origin") != dict(origin):
            return None
        qualities = tuple(ClassQuality(**quality) for quality in content["qualities"])
        return CaseExpansion(content["case"], content["annotated_share"], qualities)

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """Jobs take turns with what belongs to all cases."""
        with FileLock(self._folder / f"{_LOCKS}.all"):
            yield

    def _path(self, case: str) -> Path:
        return self._folder / f"case-{case}.json"
