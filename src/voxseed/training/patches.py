"""Patches of cached cases. Which patch and which augmentation is a function of (seed, index) alone.

That is what makes a resumed run equal to an uninterrupted one, whatever the number of workers and devices.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from voxseed.methods.base import Batch
from voxseed.training.cases import TrainingCase
from voxseed.training.settings import AugmentationSettings
from voxseed.types import IGNORE, Shape3, Spacing


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


class PatchDataset(Dataset[dict[str, Tensor]]):
    """Patch number `index` of a stage, for any index."""

    def __init__(self, cases: list[TrainingCase], settings: PatchSettings) -> None:
        self._cases = cases
        self._settings = settings

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Image (M, I, J, K), target and valid (1, I, J, K), absent (C,), noise (), probabilities (C - 1, I, J, K)."""
        settings = self._settings
        rng = np.random.default_rng([*settings.seed, index])
        case = self._cases[self._case_number(index)]
        shape = zoomed_shape(settings.shape, settings.augmentation.zoom, rng)
        start = choose_start(case, replace(settings, shape=shape), rng)
        image = resized(case.read("image", start, shape, fill=0), settings.shape, "trilinear")
        target, valid = (
            resized(case.read(name, start, shape, fill)[None], settings.shape, "nearest-exact")
            for name, fill in (("target", IGNORE), ("valid", 0))
        )
        flipped_axes = drawn_flips(settings.augmentation, rng)
        image, target, valid = augmented(image, target, valid, flipped_axes, settings.augmentation, rng)
        absent = np.isin(np.arange(settings.class_count), sorted(case.absent))
        maps = {}
        if settings.probabilities:
            probabilities = case.read("probabilities", start, shape, fill=0).astype(np.float32)
            probabilities = flipped(resized(probabilities, settings.shape, "trilinear"), flipped_axes)
            maps["probabilities"] = torch.from_numpy(probabilities)
        return {
            **maps,
            "image": torch.from_numpy(image),
            "target": torch.from_numpy(target.astype(np.int64)),
            "valid": torch.from_numpy(valid.astype(bool)),
            "absent": torch.from_numpy(absent),
            "noise": torch.tensor(case.noise, dtype=torch.float32),
        }

    def collate(self, samples: list[dict[str, Tensor]]) -> Batch:
        """Stack samples into a batch."""
        stacked = {key: torch.stack([sample[key] for sample in samples]) for key in samples[0]}
        return Batch(spacing_mm=self._settings.spacing_mm, **stacked)

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

    With probability `foreground_share` the patch holds a seed voxel of a random class, anywhere inside it.
    """
    shape = np.array(settings.shape)
    low = np.minimum((np.array(case.shape) - shape) // 2, 0)
    high = np.maximum(np.array(case.shape) - shape, low)
    if len(case.seeds) and rng.random() < settings.foreground_share:
        seeds = case.seeds[int(rng.integers(len(case.seeds)))]
        seed = seeds[int(rng.integers(len(seeds)))]
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


def drawn_flips(settings: AugmentationSettings, rng: np.random.Generator) -> tuple[int, ...]:
    """Array axes that are flipped."""
    return tuple(axis for axis in settings.flip_axes if rng.random() < 0.5)


def flipped(array: np.ndarray, flipped_axes: Sequence[int]) -> np.ndarray:
    """Channels (M, I, J, K), flipped along axes of I, J, K."""
    return np.ascontiguousarray(np.flip(array, tuple(axis + 1 for axis in flipped_axes)))


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
