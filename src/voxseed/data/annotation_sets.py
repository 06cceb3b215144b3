"""Annotation sets: one person's or one protocol's annotations of a dataset, in a folder under a name.

`annotations.json` describes the set. A case has Slicer markups in CASE/ (points, boxes), a painted label map
CASE.nii.gz, or both.
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from voxseed.data.annotations import CaseAnnotation
from voxseed.data.grids import OnGrid, require_same_grid
from voxseed.data.labels import Labels
from voxseed.data.object_files import read_objects, write_objects
from voxseed.data.set_description import DESCRIPTION_NAME, SetDescription, read_set_description
from voxseed.data.volumes import SUFFIXES, Volume, read_label, suffix_of, write_volume
from voxseed.errors import InputError

DENSE = "dense"
"""Protocol of maps in which every voxel is annotated."""
NOISY_DENSE = "noisy-dense"
"""Protocol of maps in which every voxel is labelled, by any tool: nothing that they say is certain."""


class AnnotationSet:
    """Annotations of cases. Reading never writes into the folder.

    Attributes:
        path: the folder.
        labels: the labels table that painted maps are in, `ignore` included.
        cases: annotated cases, sorted.
    """

    def __init__(
        self,
        path: Path,
        description: SetDescription,
        labels: Labels,
        file_ending: str,
        grid_of: Callable[[str], OnGrid] | None,
    ) -> None:
        self.path = path
        self.labels = labels.with_ignore()
        self._description = description
        self._file_ending = file_ending
        self._grid_of = grid_of
        self.cases: tuple[str, ...] = tuple(sorted(self._annotated_cases()))

    @classmethod
    def open(
        cls,
        path: str | Path,
        labels: Labels,
        file_ending: str = ".nii.gz",
        grid_of: Callable[[str], OnGrid] | None = None,
    ) -> "AnnotationSet":
        """Open an existing set; only the folder is listed.

        Args:
            path: the folder that holds annotations.json.
            labels: the labels table of the dataset.
            file_ending: of the dataset, for painted maps that are written.
            grid_of: gives the grid of a case's image. With it, what is read is checked against the image, and
                points are resolved along the image's axes; without it, along those of the patient.

        Raises:
            InputError: if there is no set, or it was made for another labels table.
        """
        path = Path(path)
        description = read_set_description(path, labels)
        return cls(path, description, labels, file_ending, grid_of)

    @classmethod
    def create(
        cls,
        path: str | Path,
        labels: Labels,
        protocol: str,
        seed: int | None = None,
        author: str | None = None,
        file_ending: str = ".nii.gz",
        grid_of: Callable[[str], OnGrid] | None = None,
    ) -> "AnnotationSet":
        """Start a new set without annotations. Further arguments are as in `open`.

        Args:
            path: the folder to make.
            labels: the labels table of the dataset.
            protocol: the kind of annotation.
            seed: of a simulation.
            author: who annotates.
            file_ending: of painted maps.
            grid_of: gives the grid of a case's image.

        Raises:
            InputError: if a set is there already.
        """
        path = Path(path)
        if (path / DESCRIPTION_NAME).exists():
            raise InputError(f"{path}: there is an annotation set already. Remove it, or choose another name.")
        description = SetDescription(protocol, labels.with_ignore(), seed, author)
        description.write(path)
        return cls(path, description, labels, file_ending, grid_of)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def protocol(self) -> str:
        """The kind of annotation."""
        return self._description.protocol

    @property
    def seed(self) -> int | None:
        """Seed of a simulated set."""
        return self._description.seed

    @property
    def author(self) -> str | None:
        """Who annotated."""
        return self._description.author

    def read(self, case: str) -> CaseAnnotation:
        """Read everything the set says about a case.

        Raises:
            InputError: if the set has no such case, or its annotation is empty, ambiguous, contradictory, names an
                unknown class, or does not fit the image.
        """
        if case not in self.cases:
            raise InputError(f"{self.path}: no annotation of case {case!r}; annotate it, or leave it out.")
        grid = self._grid_of(case) if self._grid_of else None
        points, boxes = read_objects(self.path / case, self.labels, self.protocol, grid)
        painted = self._read_painted(case, grid)
        absent = self._description.absent.get(case, frozenset())
        protocol = DENSE if case in self._description.dense else self.protocol
        annotation = CaseAnnotation(protocol, points, boxes, painted, absent)
        self._require_sound(case, annotation)
        return annotation

    def annotated_classes(self, annotation: CaseAnnotation) -> set[str]:
        """Foreground classes with a point, a box or a painted voxel."""
        painted = annotation.painted
        return _class_names(annotation) | (set() if painted is None else self.labels.classes_in(painted.array))

    def write(self, case: str, annotation: CaseAnnotation) -> None:
        """Write the annotation of a case, in place of an earlier one.

        Raises:
            InputError: if a class is unknown, or the place is full or not writable.
        """
        for class_name in _class_names(annotation):
            self.labels.class_index(class_name)
        affine = self._grid_of(case).affine if self._grid_of else np.eye(4)
        write_objects(self.path / case, annotation.points, annotation.boxes, affine)
        self._write_painted(case, annotation.painted)
        if annotation.absent != self._description.absent.get(case, frozenset()):
            self._description = self._description.with_absent(case, annotation.absent)
            self._description.write(self.path)
        self.cases = tuple(sorted({*self.cases, case}))

    def _annotated_cases(self) -> set[str]:
        cases = set(self._description.absent)
        with os.scandir(self.path) as entries:
            for entry in entries:
                suffix = suffix_of(entry.name)
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    cases.add(entry.name)
                elif suffix is not None:
                    cases.add(entry.name[: -len(suffix)])
        return cases

    def _read_painted(self, case: str, grid: OnGrid | None) -> Volume | None:
        paths = self._painted_paths(case)
        if not paths:
            return None
        if len(paths) > 1:
            raise InputError(f"{self.path}: duplicate case, {paths[0].name} and {paths[1].name}. Remove one.")
        painted = read_label(paths[0])
        if grid is not None:
            require_same_grid(painted, paths[0], grid, Path(f"the image of {case}"))
        self.labels.require_known(painted.array, str(paths[0]))
        ignore = self.labels.next_ignore_value
        ignored = painted.array == ignore
        is_dense = self.protocol in (DENSE, NOISY_DENSE) or case in self._description.dense
        if not is_dense and not ignored.any():
            raise InputError(
                f"{paths[0]}: no voxel has the ignore value {ignore}; is it dense, or painted with 0 for unannotated? "
                f"If 0 is unannotated, repaint those voxels with {ignore}; if every voxel is annotated, write "
                f'"protocol": "{DENSE}" in {DESCRIPTION_NAME}, or "dense": ["{case}"] if that is so in some cases, '
                f'or "protocol": "{NOISY_DENSE}" if a tool made it.'
            )
        if ignored.all():
            raise InputError(
                f"{paths[0]}: empty annotation, every voxel is ignore. Annotate the case, or remove the file."
            )
        return painted

    def _write_painted(self, case: str, painted: Volume | None) -> None:
        target = self.path / f"{case}{self._file_ending}"
        if painted is not None:
            write_volume(target, painted)
        for path in self._painted_paths(case):
            if painted is None or path != target:
                path.unlink()

    def _require_sound(self, case: str, annotation: CaseAnnotation) -> None:
        if not (annotation.points or annotation.boxes or annotation.painted or annotation.absent):
            raise InputError(
                f"{self.path / case}: empty annotation, no points, no box and no painted map. Annotate the case, or "
                "remove its folder."
            )
        if annotation.protocol == DENSE and annotation.painted is None:
            raise InputError(
                f"{self.path}: {DESCRIPTION_NAME} calls case {case} dense, but it has no painted map. Add "
                f"{case}{self._file_ending}, or correct {DESCRIPTION_NAME}."
            )
        contradicted = sorted(self.annotated_classes(annotation) & annotation.absent)
        if contradicted:
            raise InputError(
                f"{self.path}: {contradicted[0]} is annotated in case {case}, and {DESCRIPTION_NAME} calls it absent "
                "there. Remove one of the two."
            )

    def _painted_paths(self, case: str) -> list[Path]:
        candidates = (self.path / f"{case}{suffix}" for suffix in SUFFIXES)
        return [path for path in candidates if path.is_file()]


def _class_names(annotation: CaseAnnotation) -> set[str]:
    """Classes of the objects."""
    return {points.class_name for points in annotation.points} | {box.class_name for box in annotation.boxes}
