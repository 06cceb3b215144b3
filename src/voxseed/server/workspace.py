"""What is annotated: a dataset and the annotation set that the page writes, with the state of every case."""

import os
from enum import StrEnum
from pathlib import Path
from threading import RLock

from filelock import FileLock, Timeout

from voxseed.data.annotation_sets import DENSE, AnnotationSet
from voxseed.data.annotations import SCATTERED_POINTS
from voxseed.data.datasets import Dataset
from voxseed.data.set_description import SetDescription, read_set_description
from voxseed.data.volumes import suffix_of
from voxseed.errors import InputError
from voxseed.files import writing

DEFAULT_SET = "page"
DRAFTS = ".drafts"
"""Folder in the set: objects that lack points, which no other command reads."""

_STATES_KEY = "states"
_LOCK_NAME = ".page.lock"


class State(StrEnum):
    """How far a case is."""

    UNANNOTATED = "unannotated"
    IN_PROGRESS = "in progress"
    DONE = "done"
    FLAGGED = "flagged"


class UnknownCaseError(InputError):
    """The dataset has no such case."""


class OutsideError(InputError):
    """A file is a link to outside the dataset."""


class Workspace:
    """A dataset that is annotated into one set. Only one server at a time does that.

    Args:
        data: the dataset; its cases of imagesTr are annotated.
        place: the set's folder, made if it is not there.

    Raises:
        InputError: if the set cannot be used or written, or another server writes to it.
    """

    def __init__(self, data: Dataset, place: Path) -> None:
        self.data = data
        if not (place / "annotations.json").exists() and not (place.is_dir() and any(place.iterdir())):
            AnnotationSet.create(place, data.labels, "points", file_ending=data.file_ending)
        self.path = place.resolve()
        self._lock = RLock()
        self._process_lock = FileLock(self.path / _LOCK_NAME)
        with writing(self.path / _LOCK_NAME):
            try:
                self._process_lock.acquire(timeout=0)
            except Timeout:
                raise InputError(f"{place}: another voxseed annotate or review uses it. Stop it first.") from None
        self._description = read_set_description(self.path, data.labels)
        if self.protocol == DENSE:
            raise InputError(
                f"{place}: a set of dense labels; the page writes points, boxes and strokes. Choose another."
            )
        if self.protocol == SCATTERED_POINTS:
            raise InputError(
                f"{place}: a set of scattered points; the page asks for points outside objects too. Choose another."
            )

    def close(self) -> None:
        """Let another server write to the set."""
        self._process_lock.release()

    @property
    def protocol(self) -> str:
        """The kind of annotation."""
        return self._description.protocol

    def states(self) -> dict[str, State]:
        """The state of every case, in the order of names; only folders are listed."""
        begun = self._begun()
        said = self._said()
        return {case: said.get(case) or _state_of_files(case in begun) for case in self.data.cases}

    def state(self, case: str) -> State:
        """The state of one case."""
        return self.states()[self.require_case(case)]

    def set_state(self, case: str, state: State) -> None:
        """Say how far a case is; `unannotated` and `in progress` follow from its files."""
        self.require_case(case)
        with self._lock:
            said = {other: str(value) for other, value in self._said().items() if other != case}
            if state in (State.DONE, State.FLAGGED):
                said[case] = str(state)
            if said != self._description.extra.get(_STATES_KEY, {}):
                self._write(self._description.with_extra(_STATES_KEY, dict(sorted(said.items()))))

    def absent(self, case: str) -> frozenset[str]:
        """Classes that do not occur in a case."""
        return self._description.absent.get(self.require_case(case), frozenset())

    def set_absent(self, case: str, names: frozenset[str]) -> None:
        """Say which classes do not occur in a case.

        Raises:
            InputError: if one is no class of the dataset.
        """
        self.require_case(case)
        for name in names:
            self.data.labels.class_index(name)
        with self._lock:
            self._write(self._description.with_absent(case, names))

    def require_case(self, case: str) -> str:
        """The case, if the dataset has it in imagesTr.

        Raises:
            UnknownCaseError: if not. So no name that a request gives can be a path to elsewhere.
        """
        if case not in self.data.cases:
            raise UnknownCaseError(f"{self.data.root}: no case {case!r}.")
        return case

    def image_paths(self, case: str) -> tuple[Path, ...]:
        """The files of a case's channels.

        Raises:
            OutsideError: if one is a link to outside the dataset.
        """
        paths = self.data.image_paths(self.require_case(case))
        for path in paths:
            require_within(self.data.root, path)
        return paths

    def folder(self, case: str) -> Path:
        """Where finished objects of a case are."""
        return require_within(self.path, self.path / self.require_case(case))

    def drafts(self, case: str) -> Path:
        """Where objects of a case are that lack points."""
        return require_within(self.path, self.path / DRAFTS / self.require_case(case))

    def painted_path(self, case: str) -> Path:
        """Where the painted map of a case is, or would be."""
        return require_within(self.path, self.path / f"{self.require_case(case)}{self.data.file_ending}")

    def _said(self) -> dict[str, State]:
        found = self._description.extra.get(_STATES_KEY, {})
        known = (State.DONE, State.FLAGGED)
        return {case: State(value) for case, value in found.items() if value in known}

    def _begun(self) -> set[str]:
        """Cases with a file of any kind, or absent classes."""
        found = set(self._description.absent) | _names(self.path)
        return found | (_names(self.path / DRAFTS) if (self.path / DRAFTS).is_dir() else set())

    def _write(self, description: SetDescription) -> None:
        description.write(self.path)
        self._description = description


def set_place(data: Dataset, name: str | None) -> Path:
    """Where the set of that name is, or will be made.

    Args:
        data: the dataset.
        name: of a set in the dataset, or a path to elsewhere; None takes `DEFAULT_SET`.

    Raises:
        OutsideError: if a name in the dataset is a link to outside.
    """
    name = DEFAULT_SET if name is None else name
    if Path(name).name != name:
        return Path(name)
    return require_within(data.root, data.root / "annotations" / name)


def set_of_corrections(data: Dataset, name: str | None) -> str:
    """The set into which corrections go, so that the next training has them beside what it had.

    Args:
        data: the dataset.
        name: that was asked for; None takes the only set of the dataset, else `DEFAULT_SET`.

    Raises:
        InputError: if there are several sets, none of them `DEFAULT_SET`.
    """
    names = data.annotation_sets()
    if name is not None:
        return name
    if len(names) > 1 and DEFAULT_SET not in names:
        raise InputError(
            f"{data.root}: several annotation sets, choose the one for corrections of {', '.join(names)} with "
            "--annotations."
        )
    return names[0] if len(names) == 1 else DEFAULT_SET


def require_within(root: Path, path: Path) -> Path:
    """The path, if it lies in the folder when all links are followed.

    Raises:
        OutsideError: if not.
    """
    if not path.resolve().is_relative_to(root.resolve()):
        raise OutsideError(
            f"{path}: a link to outside {root}, which the page does not follow. Put the file itself there."
        )
    return path


def _state_of_files(has_begun: bool) -> State:
    return State.IN_PROGRESS if has_begun else State.UNANNOTATED


def _names(folder: Path) -> set[str]:
    """Folders and images of a folder, without suffixes and hidden ones."""
    names = set()
    with os.scandir(folder) as entries:
        for entry in entries:
            suffix = suffix_of(entry.name)
            if entry.name.startswith("."):
                continue
            if suffix is not None:
                names.add(entry.name[: -len(suffix)])
            elif entry.is_dir():
                names.add(entry.name)
    return names
