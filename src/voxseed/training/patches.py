"""Patches of cached cases. Which patch and which augmentation is a function of (seed, index) alone.

That is what makes a resumed run equal to an uninterrupted one, whatever the number of workers and devices.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset, Sampler

from voxseed.data.resampling import resampled_extent
from voxseed.methods.base import Batch
from voxseed.supervision.boxes import VoxelBox
from voxseed.supervision.kinds import GrownObject, ObjectInPatch
from voxseed.training.cases import TrainingCase
from voxseed.training.rounds import Rounds
from voxseed.training.settings import AugmentationSettings
from voxseed.types import IGNORE, FloatArray, Shape3, Spacing


@dataclass(frozen=True)
class PatchSettings:
    """What a patch is.

    Attributes:
        shape: voxels of the working grid.
        foreground_share: share of patches that hold a foreground seed.
        class_count: C, background included.
        seed: (run's seed, stage index).
        probabilities: whether the cases have probability maps, which are then part of a patch.
    """

    shape: Shape3
    foreground_share: float
    class_count: int
    spacing_mm: Spacing
    augmentation: AugmentationSettings
    seed: tuple[int, int]
    probabilities: bool = False


class PatchDataset(Dataset[dict[str, Any]]):
    """Patch number `index` of a stage, for any index.

    Args:
        rounds: of a stage whose targets change.
    """

    def __init__(self, cases: list[TrainingCase], settings: PatchSettings, rounds: Rounds | None = None) -> None:
        self._cases = cases
        self._settings = settings
        self._rounds = rounds

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Image (M, I, J, K), target and valid (1, I, J, K), absent (C,), noise (), trusted (); objects.

        Also probabilities (C - 1, I, J, K), where the cases have them.
        """
        settings = self._settings
        rng = np.random.default_rng([*settings.seed, index])
        case = self._cases[self._case_number(index)]
        if self._rounds is not None:
            case = self._rounds.relabelled(case, index)
        shape = zoomed_shape(settings.shape, settings.augmentation.zoom, rng)
        start = choose_start(case, replace(settings, shape=shape), rng)
        read_valid = case.read("valid", start, shape, fill=0)[None]
        valid = resized(read_valid, settings.shape, "nearest-exact")
        image = resized_within(case.read("image", start, shape, fill=0), read_valid, settings.shape) * (valid > 0)
        read_target = case.read("target", start, shape, fill=IGNORE)[None]
        target = resized(read_target, settings.shape, "nearest-exact")
        if len(case.painted):
            target = with_thin_parts(target, read_target)
        flipped_axes = drawn_flips(settings.augmentation, rng)
        image, target, valid = augmented(image, target, valid, flipped_axes, settings.augmentation, rng)
        absent = np.isin(np.arange(settings.class_count), sorted(case.absent))
        maps = {}
        if settings.probabilities:
            probabilities = case.read("probabilities", start, shape, fill=0).astype(np.float32)
            probabilities = resized_within(probabilities, read_target != IGNORE, settings.shape)
            probabilities = flipped(probabilities, flipped_axes)
            maps["probabilities"] = torch.from_numpy(probabilities)
        return {
            **maps,
            "image": torch.from_numpy(image),
            "target": torch.from_numpy(target.astype(np.int64)),
            "valid": torch.from_numpy(valid.astype(bool)),
            "absent": torch.from_numpy(absent),
            "noise": torch.tensor(case.noise, dtype=torch.float32),
            "trusted": torch.tensor(case.trusted),
            "objects": objects_in_patch(case.objects, start, shape, settings.shape, flipped_axes),
        }

    def collate(self, samples: list[dict[str, Any]]) -> Batch:
        """Stack samples into a batch."""
        objects = tuple(sample["objects"] for sample in samples)
        stacked = {key: torch.stack([sample[key] for sample in samples]) for key in samples[0] if key != "objects"}
        return Batch(spacing_mm=self._settings.spacing_mm, objects=objects, **stacked)

    def _case_number(self, index: int) -> int:
        """Every case once per round, in an order of its own for every round."""
        round_number, position = divmod(index, len(self._cases))
        order = np.random.default_rng([*self._settings.seed, round_number, 1]).permutation(len(self._cases))
        return int(order[position])


class EpochSampler(Sampler[int]):
    """Indices of one epoch for one of several processes; Lightning calls `set_epoch`.

    Args:
        length: patches per epoch and process.
    """

    def __init__(self, length: int, rank: int, world_size: int) -> None:
        self._length, self._rank, self._world_size = length, rank, world_size
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning's hook."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[int]:
        first = self._epoch * self._length * self._world_size
        return iter(range(first + self._rank, first + self._length * self._world_size, self._world_size))


def patch_loader(
    dataset: PatchDataset, sampler: EpochSampler, batch_size: int, workers: int, pin_memory: bool
) -> DataLoader[Any]:
    """Batches of an epoch."""
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers,
        collate_fn=dataset.collate,
        pin_memory=pin_memory,
        persistent_workers=workers > 0,
    )


def choose_start(case: TrainingCase, settings: PatchSettings, rng: np.random.Generator) -> Shape3:
    """First voxel of a patch; a patch larger than the case is centred on it and padded.

    With probability `foreground_share` the patch holds a seed voxel of a random class, anywhere inside it; otherwise
    any painted voxel, if the case has some: a patch between two annotated slices would teach nothing.
    """
    shape = np.array(settings.shape)
    low = np.minimum((np.array(case.shape) - shape) // 2, 0)
    high = np.maximum(np.array(case.shape) - shape, low)
    if len(case.seeds) and rng.random() < settings.foreground_share:
        held = case.seeds[int(rng.integers(len(case.seeds)))]
    else:
        held = case.painted
    if len(held):
        seed = held[int(rng.integers(len(held)))]
        low, high = np.maximum(low, np.minimum(seed - shape + 1, high)), np.minimum(high, np.maximum(seed, low))
    start = rng.integers(low, high + 1)
    return (int(start[0]), int(start[1]), int(start[2]))


def zoomed_shape(shape: Shape3, zoom: float, rng: np.random.Generator) -> Shape3:
    """Voxels that become a patch of `shape` when it is enlarged or reduced by a random factor, up to 1 + zoom."""
    factor = (1 + zoom) ** rng.uniform(-1, 1)
    read = [max(1, round(size * factor)) for size in shape]
    return (read[0], read[1], read[2])


def resized(array: np.ndarray, shape: Shape3, mode: Literal["trilinear", "nearest-exact"]) -> np.ndarray:
    """Channels (M, i, j, k) on as many voxels as `shape` says; itself if it has them already."""
    if array.shape[1:] == shape:
        return array
    return F.interpolate(torch.from_numpy(array)[None], size=shape, mode=mode)[0].numpy()


def resized_within(array: FloatArray, inside: np.ndarray, shape: Shape3) -> FloatArray:
    """Channels (M, i, j, k), resized by linear interpolation between voxels that are `inside` (1, i, j, k) alone.

    Otherwise padding and constant background would darken the voxels beside them.
    """
    if array.shape[1:] == shape:
        return array
    weight = inside.astype(np.float32)
    share = resized(weight, shape, "trilinear")
    return resized(array * weight, shape, "trilinear") / np.where(share > 0, share, 1)


def objects_in_patch(
    objects: Sequence[GrownObject], start: Shape3, read: Shape3, shape: Shape3, flipped_axes: Sequence[int]
) -> tuple[ObjectInPatch, ...]:
    """Objects of a case, of which a patch holds a part of the box.

    Args:
        start: first voxel of the patch in the case.
        read: voxels of the case that become the patch.
        shape: voxels of the patch.
        flipped_axes: array axes that are flipped in the patch.
    """
    found = []
    for item in objects:
        lows, highs = [], []
        for axis in range(3):
            low, high = item.box_start[axis] - start[axis], item.box_stop[axis] - start[axis]
            low, high = resampled_extent(low, high, read[axis], shape[axis])
            low, high = (shape[axis] - high, shape[axis] - low) if axis in flipped_axes else (low, high)
            lows.append(low)
            highs.append(high)
        box = VoxelBox(_shape3(lows), _shape3(highs))
        inside = VoxelBox(
            _shape3([max(low, 0) for low in lows]), _shape3([min(*pair) for pair in zip(highs, shape, strict=True)])
        )
        if not inside.is_empty:
            voxels = item.true_voxels * math.prod(shape) / math.prod(read)
            found.append(ObjectInPatch(item.class_index, inside.start, inside.stop, inside == box, box.shape, voxels))
    return tuple(found)


def drawn_flips(settings: AugmentationSettings, rng: np.random.Generator) -> tuple[int, ...]:
    """Array axes that are flipped."""
    return tuple(axis for axis in settings.flip_axes if rng.random() < 0.5)


def flipped(array: np.ndarray, flipped_axes: Sequence[int]) -> np.ndarray:
    """Channels (M, I, J, K), flipped along axes of I, J, K."""
    return np.ascontiguousarray(np.flip(array, tuple(axis + 1 for axis in flipped_axes)))


def with_thin_parts(target: np.ndarray, source: np.ndarray) -> np.ndarray:
    """A target that was made smaller, with the slices and strokes that no voxel of it came from.

    An annotated voxel of the source that the resized target has no annotation for goes to the voxel that holds its
    centre; every annotated slice so remains a slice.

    Args:
        target: (1, I, J, K), the source resized to its nearest voxels.
        source: (1, i, j, k).
    """
    voxels = np.argwhere(source[0] != IGNORE)
    places = ((voxels + 0.5) * target.shape[1:] / source.shape[1:]).astype(int)
    lost = target[0][tuple(places.T)] == IGNORE
    result = target.copy()
    result[0][tuple(places[lost].T)] = source[0][tuple(voxels[lost].T)]
    return result


def augmented(
    image: np.ndarray,
    target: np.ndarray,
    valid: np.ndarray,
    flipped_axes: Sequence[int],
    settings: AugmentationSettings,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flips, and a change of contrast and brightness of every channel inside the valid region."""
    image, target, valid = (flipped(array, flipped_axes) for array in (image, target, valid))
    channels = (image.shape[0], 1, 1, 1)
    scale = 1 + rng.uniform(-settings.intensity_scale, settings.intensity_scale, channels)
    shift = rng.uniform(-settings.intensity_shift, settings.intensity_shift, channels)
    return ((image * scale + shift) * valid).astype(np.float32), target, valid


def _shape3(values: Sequence[int]) -> Shape3:
    return values[0], values[1], values[2]
