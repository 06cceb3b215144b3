"""Cases as the loop reads them: preprocessed once, kept in the cache, read by patch."""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from voxseed.data.annotation_sets import AnnotationSet
from voxseed.data.annotations import CaseAnnotation
from voxseed.data.cache import CachedCase, CaseContent, PatchCache
from voxseed.data.datasets import Dataset
from voxseed.data.grids import Grid
from voxseed.data.preprocessing import Preprocessing
from voxseed.data.valid_region import valid_region
from voxseed.data.volumes import Image, Volume
from voxseed.errors import InputError
from voxseed.supervision.build import build_supervision, dense_supervision
from voxseed.supervision.expansion import ExpansionSettings
from voxseed.supervision.kinds import GrownObject, Supervision, SupervisionKind
from voxseed.supervision.noise import median_step
from voxseed.supervision.probabilities import hard_target
from voxseed.types import BACKGROUND, IGNORE, LabelArray, Shape3

_MOST_DRAWN = 1000


@dataclass(frozen=True)
class TrainingCase:
    """A case in the cache, on the working grid.

    Attributes:
        seeds: per annotated foreground class, (N, 3) voxels of that class, or of its boxes where none is annotated; at
            most 1000, evenly drawn.
        objects: annotated by points or boxes, in voxels of the working grid.
        absent: class indices that do not occur in the case.
        noise: median intensity step between neighbours inside the foreground seeds; NaN where unknown.
        has_background: whether any voxel is known to be background.
        trusted: False where the labels were made by some tool and may be wrong.
        painted: (N, 3) voxels that a person painted, background included, at most 1000, evenly drawn. Every patch of
            the case holds one.
    """

    name: str
    image: CachedCase
    supervision: CachedCase
    seeds: tuple[np.ndarray, ...]
    objects: tuple[GrownObject, ...]
    absent: frozenset[int]
    noise: float
    has_background: bool
    trusted: bool
    painted: np.ndarray

    @property
    def shape(self) -> Shape3:
        """Voxels of the working grid."""
        return self.image.shape

    def read(self, name: str, start: Shape3, shape: Shape3, fill: int) -> np.ndarray:
        """A patch of "image" (M, I, J, K), "probabilities" (C - 1, I, J, K), "valid" or "target" (I, J, K).

        Voxels outside the case are `fill`. Probabilities are there if the supervision is of their kind.
        """
        source = self.supervision if name in ("target", "probabilities") else self.image
        return source.read_patch(name, start, shape, fill)


class CaseSource:
    """Brings cases of a dataset into the cache.

    Args:
        kind: of supervision; dense takes the dataset's labels, others the annotations.
        annotations: not needed for dense supervision.
        true_volumes: measure the volume of every object in the dataset's dense labels, for methods that ask for it.
    """

    def __init__(
        self,
        dataset: Dataset,
        kind: SupervisionKind,
        annotations: AnnotationSet | None,
        expansion: ExpansionSettings,
        preprocessing: Preprocessing,
        cache: PatchCache,
        true_volumes: bool = False,
    ) -> None:
        self._dataset = dataset
        self._kind = kind
        self._annotations = annotations
        self._expansion = expansion
        self._preprocessing = preprocessing
        self._cache = cache
        self._true_volumes = true_volumes

    def prepare(self, case: str) -> TrainingCase:
        """The case, from the cache where it is already there.

        Raises:
            InputError: if its files or its annotation cannot be used.
        """
        image = self._cache.case(self._image_key(case), lambda: self._image_content(case))
        supervision = self._cache.case(self._supervision_key(case), lambda: self._supervision_content(case, image))
        return TrainingCase(
            case,
            image,
            supervision,
            tuple(np.array(seeds).reshape(-1, 3) for seeds in supervision.meta["seeds"]),
            tuple(_object_from_json(item) for item in supervision.meta["objects"]),
            frozenset(supervision.meta["absent"]),
            float("nan") if supervision.meta["noise"] is None else supervision.meta["noise"],
            supervision.meta["has_background"],
            supervision.meta["trusted"],
            np.array(supervision.meta["painted"]).reshape(-1, 3),
        )

    def _supervision(self, case: str) -> Supervision:
        if self._kind is SupervisionKind.DENSE:
            return dense_supervision(self._label(case), self._dataset.labels)
        image, labels = self._dataset.read_image(case), self._dataset.labels
        supervision = build_supervision(
            self._annotation(case), image, labels, self._expansion, valid_region(image.array), case, self._kind
        )
        if not self._true_volumes:
            return supervision
        return with_true_volumes(supervision, labels.to_class_indices(self._label(case).array))

    def _label(self, case: str) -> Volume:
        label = self._dataset.read_label(case)
        if label is None:
            raise InputError(
                f"{self._dataset.label_path(case)}: no dense label of case {case!r}, which is needed here."
            )
        return label

    def _annotation(self, case: str) -> CaseAnnotation:
        if self._annotations is None:
            raise InputError(f"{self._dataset.root}: partial supervision needs an annotation set, none was given.")
        return self._annotations.read(case)

    def _image_key(self, case: str) -> str:
        return _key(self._dataset.image_paths(case), self._preprocessing.model_dump(mode="json"))

    def _supervision_key(self, case: str) -> str:
        files = list(self._dataset.image_paths(case))
        settings: dict[str, Any] = {
            "kind": self._kind,
            "preprocessing": self._preprocessing.model_dump(mode="json"),
            "labels": dict(self._dataset.labels),  # which value or name is which class index
        }
        if self._kind is SupervisionKind.DENSE:
            return _key([*files, self._dataset.label_path(case)], settings)
        settings["annotation"] = annotation_digest(self._annotation(case))
        settings["expansion"] = self._expansion.model_dump(mode="json")
        if self._true_volumes:
            self._label(case)  # says so where there is none
            files.append(self._dataset.label_path(case))
            settings["true_volumes"] = True
        return _key(files, settings)

    def _image_content(self, case: str) -> CaseContent:
        origin = str(self._dataset.image_paths(case)[0].parent / case)
        image = self._preprocessing.apply(self._dataset.read_image(case), origin)
        return {"image": image.array, "valid": image.valid.astype(np.uint8)}, {}

    def _supervision_content(self, case: str, image: CachedCase) -> CaseContent:
        supervision = self._supervision(case)
        arrays = self._arrays(supervision)
        target = arrays["target"]
        painted = np.full_like(target, IGNORE)
        if supervision.painted is not None:
            painted = self._preprocessing.apply_to_painted(Volume(supervision.painted, supervision.affine))
            arrays["target"] = target = np.where(painted == IGNORE, target, painted)
        foreground = (target != BACKGROUND) & (target != IGNORE)
        noise = median_step(image.read("image"), foreground)
        grid = Grid(supervision.target.shape, supervision.affine)
        objects = [self._on_working_grid(item, grid) for item in supervision.objects]
        meta = {
            "seeds": [_drawn(voxels) for voxels in _seed_voxels(target, objects)],
            "objects": [_object_to_json(item) for item in objects],
            "absent": sorted(supervision.absent),
            "noise": None if np.isnan(noise) else noise,
            "has_background": bool((target == BACKGROUND).any()),
            "trusted": supervision.trusted,
            "painted": _drawn(np.argwhere(painted != IGNORE)),
        }
        return arrays, meta

    def _arrays(self, supervision: Supervision) -> dict[str, np.ndarray]:
        """The target on the working grid, and the probabilities that it follows from, if there are any."""
        if supervision.probabilities is None:
            return {"target": self._preprocessing.apply_to_labels(Volume(supervision.target, supervision.affine))}
        maps = self._preprocessing.apply_to_probabilities(Image(supervision.probabilities, supervision.affine))
        # Half precision, exact to 0.0005, is half as large in the cache.
        return {"target": hard_target(maps), "probabilities": maps.astype(np.float16)}

    def _on_working_grid(self, item: GrownObject, grid: Grid) -> GrownObject:
        start, stop = self._preprocessing.apply_to_box((item.box_start, item.box_stop), grid)
        density = math.prod(self._preprocessing.working_shape(grid)) / math.prod(grid.shape)
        return GrownObject(item.class_index, start, stop, density * item.true_voxels)


def with_true_volumes(supervision: Supervision, dense: LabelArray) -> Supervision:
    """The same supervision, with the number of voxels that each object's class has in its box.

    Args:
        dense: (I, J, K) class indices of the dense label.
    """
    objects = []
    for item in supervision.objects:
        count = np.count_nonzero(dense[item.slices] == item.class_index)
        objects.append(replace(item, true_voxels=float(count)))
    return replace(supervision, objects=tuple(objects))


def annotation_digest(annotation: CaseAnnotation) -> str:
    """Digest of everything that an annotation says."""
    said: list[Any] = [annotation.protocol, sorted(annotation.absent)]
    said += [[p.class_name, p.object_number, p.inside_mm.tolist(), p.outside_mm.tolist()] for p in annotation.points]
    said += [
        [box.class_name, box.object_number, box.center_mm.tolist(), box.axes.tolist(), box.size_mm.tolist()]
        for box in annotation.boxes
    ]
    digest = hashlib.sha256(json.dumps(said).encode())
    if annotation.painted is not None:
        digest.update(repr((annotation.painted.shape, annotation.painted.affine.tolist())).encode())
        digest.update(annotation.painted.array.tobytes())
    return digest.hexdigest()


def _key(files: Iterable[Path], settings: Mapping[str, Any]) -> str:
    """Digest of the content of files, whatever their names, and of settings as JSON has them."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _seed_voxels(target: LabelArray, objects: Sequence[GrownObject]) -> Iterator[np.ndarray]:
    """Per class (N, 3): voxels that are annotated as it, or, where there are none, those of its boxes."""
    for index in sorted({*np.unique(target[target != IGNORE]).tolist()} | {item.class_index for item in objects}):
        if index == BACKGROUND:
            continue
        voxels = target == index
        if not voxels.any():
            for item in objects:
                if item.class_index == index:
                    voxels[item.slices] = True
        yield np.argwhere(voxels)


def _object_to_json(item: GrownObject) -> list[Any]:
    volume = None if math.isnan(item.true_voxels) else item.true_voxels
    return [item.class_index, item.box_start, item.box_stop, volume]


def _object_from_json(values: Sequence[Any]) -> GrownObject:
    class_index, start, stop, volume = values
    return GrownObject(class_index, tuple(start), tuple(stop), math.nan if volume is None else volume)


def _drawn(voxels: np.ndarray) -> list[list[int]]:
    """At most `_MOST_DRAWN` of the voxels, evenly spaced in their order."""
    chosen = np.linspace(0, len(voxels) - 1, min(len(voxels), _MOST_DRAWN)).round().astype(int)
    drawn: list[list[int]] = voxels[chosen].tolist()
    return drawn
