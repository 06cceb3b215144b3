"""Run folders: where a recipe leaves its state, settings, checkpoints, model and log.

RUN/
  run.json            format version, state, recipe with the state of every stage
  settings.yaml       replayable with `voxseed train --config`
  provenance.json     versions, dataset fingerprint, seed, command
  log.txt
  stages/01-stage-one/{last.ckpt, metrics.csv, model/}
  model/              what `predict` reads
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from voxseed.errors import InputError
from voxseed.files import read_json, read_json_object, write_json, writing

FORMAT_VERSION = 1
RUNNING, COMPLETE = "running", "complete"


@dataclass(frozen=True)
class StageRecord:
    """A stage as run.json has it."""

    name: str
    method: str
    members: tuple[str, ...]
    iterations: int
    state: str = RUNNING


@dataclass(frozen=True)
class RunRecord:
    """The content of run.json.

    Attributes:
        oracles: what was taken from dense labels beside the supervision, here or for the networks that it starts from;
            named in every table of the run.
        annotations: name of the annotation set; None without one, or if it lies outside the dataset.
        starts: member → where its first weights are from, as `Start.origin`.
    """

    recipe: str
    dataset: str
    device: str
    stages: tuple[StageRecord, ...]
    oracles: tuple[str, ...] = ()
    annotations: str | None = None
    starts: dict[str, str] = field(default_factory=dict)
    state: str = RUNNING
    format_version: int = FORMAT_VERSION


class RunFolder:
    """One run on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def record_path(self) -> Path:
        """run.json."""
        return self.path / "run.json"

    @property
    def settings_path(self) -> Path:
        """settings.yaml."""
        return self.path / "settings.yaml"

    @property
    def provenance_path(self) -> Path:
        """provenance.json."""
        return self.path / "provenance.json"

    @property
    def log_path(self) -> Path:
        """log.txt."""
        return self.path / "log.txt"

    @property
    def model_path(self) -> Path:
        """Folder of the model that `predict` reads."""
        return self.path / "model"

    def stage_path(self, index: int, record: RunRecord) -> Path:
        """Folder of a stage, counted from 0: stages/01-stage-one."""
        return self.path / "stages" / f"{index + 1:02d}-{record.stages[index].name}"

    @property
    def exists(self) -> bool:
        """Whether a run was started here."""
        return self.record_path.exists()

    def require_free(self) -> None:
        """Check that a run can be started in the folder, which is there.

        Raises:
            InputError: if the folder has files that are no run's.
        """
        strangers = sorted(entry.name for entry in self.path.iterdir() if entry.name not in _OWN_NAMES)
        if strangers:
            raise InputError(
                f"{self.path}: expected an empty or new folder for the run, found {strangers[0]!r}. "
                "Choose another folder with --run."
            )

    def start(self, record: RunRecord, provenance: dict[str, Any]) -> None:
        """Write the state of a new run."""
        write_json(self.provenance_path, provenance)
        self.write(record)

    def read(self) -> RunRecord:
        """Read run.json.

        Raises:
            InputError: if it is damaged or of another format version.
        """
        values = read_json(self.record_path)
        version = values.get("format_version") if isinstance(values, dict) else None
        if version != FORMAT_VERSION:
            raise InputError(
                f"{self.record_path}: expected format version {FORMAT_VERSION}, found {version!r}. "
                "The run was made by another version of Voxseed; train again or use that version."
            )
        try:
            stages = tuple(
                StageRecord(**{**stage, "members": tuple(stage["members"])}) for stage in values.pop("stages")
            )
            return RunRecord(stages=stages, oracles=tuple(values.pop("oracles", ())), **values)
        except (KeyError, TypeError) as error:
            raise InputError(f"{self.record_path}: damaged ({error}); train again in another folder.") from None

    def require_same_data(self, fingerprint: str) -> None:
        """Compare the data with those that the run began on.

        Raises:
            InputError: if images, annotations or their preprocessing have changed.
        """
        found = read_json_object(self.provenance_path).get("dataset_fingerprint")
        if found != fingerprint:
            raise InputError(
                f"{self.path}: the images or annotations are not those that the run began on. "
                "Restore them, or choose another folder with --run."
            )

    def write(self, record: RunRecord) -> None:
        """Write run.json."""
        write_json(self.record_path, asdict(record))

    def complete_stage(self, index: int) -> None:
        """Mark a stage as complete, and the run when it was the last."""
        record = self.read()
        stages = list(record.stages)
        stages[index] = replace(stages[index], state=COMPLETE)
        state = COMPLETE if all(stage.state == COMPLETE for stage in stages) else RUNNING
        self.write(replace(record, stages=tuple(stages), state=state))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run against a second process.

        Raises:
            InputError: if another process trains in it, or it cannot be written to.
        """
        lock = FileLock(self.path / ".lock")
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                raise InputError(
                    f"{self.path}: another process is training in this run. Wait for it or choose another --run."
                ) from None
        try:
            yield
        finally:
            lock.release()
            if not self.exists:
                self._remove_if_empty()

    def _remove_if_empty(self) -> None:
        """Leave nothing behind where a run did not even begin."""
        (self.path / ".lock").unlink(missing_ok=True)
        with suppress(OSError):
            self.path.rmdir()


_OWN_NAMES = {".lock", "log.txt", "settings.yaml", "provenance.json", "run.json", "stages", "model"}
