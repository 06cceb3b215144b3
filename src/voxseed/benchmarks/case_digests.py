"""Digests of what cases hold: images, annotations, dense labels. Every file is read once."""

import hashlib
from pathlib import Path

from voxseed.data.annotation_sets import AnnotationSet
from voxseed.data.datasets import Dataset
from voxseed.training.cases import annotation_digest

_DIGITS = 16


class CaseDigests:
    """Digests of a dataset's cases.

    Args:
        data: the dataset.
    """

    def __init__(self, data: Dataset) -> None:
        self._data = data
        self._files: dict[Path, str] = {}
        self._annotations: dict[tuple[Path, str], str] = {}

    def labelled(self, case: str) -> str:
        """Of image and dense label."""
        return self._of(case, self._file(self._data.label_path(case)))

    def annotated(self, case: str, annotations: AnnotationSet) -> str:
        """Of image and annotation.

        Raises:
            InputError: if the annotation cannot be read.
        """
        key = (annotations.path, case)
        if key not in self._annotations:
            self._annotations[key] = annotation_digest(annotations.read(case))
        return self._of(case, self._annotations[key])

    def _of(self, case: str, *further: str) -> str:
        parts = [*(self._file(path) for path in self._data.image_paths(case)), *further]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:_DIGITS]

    def _file(self, path: Path) -> str:
        if path not in self._files:
            with path.open("rb") as file:
                self._files[path] = hashlib.file_digest(file, "sha256").hexdigest()
        return self._files[path]
