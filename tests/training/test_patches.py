"""Which patch and which augmentation is a function of seed and index alone."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from voxseed.supervision.kinds import GrownObject, ObjectInPatch
from voxseed.training.patches import (
    EpochSampler,
    PatchDataset,
    PatchSettings,
    augmented,
    choose_start,
    drawn_flips,
    objects_in_patch,
    resized,
    resized_within,
    with_thin_parts,
    zoomed_shape,
)
from voxseed.training.settings import AugmentationSettings
from voxseed.types import IGNORE


@dataclass
class FakeCase:
    """A case whose image holds its own voxel numbers."""

    shape: tuple[int, int, int] = (10, 9, 8)
    seeds: tuple[np.ndarray, ...] = ()
    absent: frozenset[int] = frozenset({2})
    noise: float = 0.5
    trusted: bool = True
    objects: tuple[GrownObject, ...] = ()
    painted: np.ndarray = field(default_factory=lambda: np.empty((0, 3), int))
    target: np.ndarray | None = None
    reads: list[tuple[str, tuple[int, int, int]]] = field(default_factory=list)

    def read(self, name, start, shape, fill):
        self.reads.append((name, start))
        if name == "target" and self.target is not None:
            padded = np.pad(self.target, 50, constant_values=fill)
            return padded[tuple(slice(low + 50, low + 50 + size) for low, size in zip(start, shape, strict=True))]
        array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        return array[None] if name == "image" else np.ones(shape, dtype=np.uint8)


def _settings(**changes: object) -> PatchSettings:
    values = {
        "shape": (4, 4, 4),
        "foreground_share": 1.0,
        "class_count": 3,
        "spacing_mm": (1.0, 1.0, 2.0),
        "augmentation": AugmentationSettings(),
        "seed": (3, 0),
    }
    return PatchSettings(**{**values, **changes})


def test_a_patch_depends_on_its_index_alone():
    first, second = (PatchDataset([FakeCase(), FakeCase(), FakeCase()], _settings()) for _ in range(2))
    list(map(first.__getitem__, range(4)))  # what was read before does not matter
    for key, value in first[7].items():
        assert value == second[7][key] if key == "objects" else value.equal(second[7][key]), key
    assert not first[7]["image"].equal(first[8]["image"])


def test_every_case_is_seen_once_per_round():
    cases = [FakeCase() for _ in range(5)]
    dataset = PatchDataset(cases, _settings())
    for index in range(10):
        dataset[index]
    assert [len(case.reads) for case in cases] == [6] * 5  # two rounds of image, target and valid


def test_a_batch_has_the_documented_shapes():
    dataset = PatchDataset([FakeCase()], _settings())
    batch = dataset.collate([dataset[0], dataset[1]])
    assert batch.image.shape == (2, 1, 4, 4, 4)
    assert batch.target.shape == batch.valid.shape == (2, 1, 4, 4, 4)
    assert batch.absent.tolist() == [[False, False, True]] * 2
    assert batch.noise.tolist() == [0.5, 0.5]
    assert batch.spacing_mm == (1.0, 1.0, 2.0)


@pytest.mark.parametrize("seed_voxel", [(0, 0, 0), (9, 8, 7), (5, 4, 3)])
def test_a_foreground_patch_holds_its_seed_and_stays_in_the_case(seed_voxel):
    case = FakeCase(seeds=(np.array([seed_voxel]),))
    starts = [choose_start(case, _settings(), np.random.default_rng(n)) for n in range(50)]
    for start in starts:
        assert all(low <= voxel < low + 4 for low, voxel in zip(start, seed_voxel, strict=True))
        assert all(0 <= low <= size - 4 for low, size in zip(start, case.shape, strict=True))
    assert len(set(starts)) == (1 if seed_voxel != (5, 4, 3) else len(set(starts)))


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_patch_that_needs_no_foreground_holds_a_painted_voxel(share):
    case = FakeCase(shape=(30, 30, 30), seeds=(np.array([[3, 3, 3]]),), painted=np.array([[3, 3, 3], [20, 25, 29]]))
    settings = _settings(foreground_share=share)
    held = []
    for n in range(40):
        start = np.array(choose_start(case, settings, np.random.default_rng(n)))
        held.append([((start <= voxel) & (voxel < start + 4)).all() for voxel in case.painted])
    assert all(any(each) for each in held)
    assert any(second for _, second in held)


def test_every_patch_of_a_case_with_slices_holds_a_part_of_one():
    target = np.full((40, 36, 30), IGNORE, np.uint8)
    target[:, :, 7] = 0
    target[12:20, 10:20, 7] = 1
    case = FakeCase(target.shape, painted=np.argwhere(target != IGNORE)[::50], target=target, absent=frozenset())
    dataset = PatchDataset([case], _settings(shape=(12, 12, 12), foreground_share=0.0))
    for index in range(60):
        patch = dataset[index]["target"][0].numpy()
        annotated = np.flatnonzero((patch != IGNORE).any(axis=(0, 1)))
        # A whole slice of the patch, as far as the case reaches; two where the patch is enlarged, and no other voxel.
        assert 1 <= len(annotated) <= 2
        assert np.ptp(annotated) == len(annotated) - 1
        assert (patch[:, :, annotated] != IGNORE).all()


@pytest.mark.parametrize(
    ("source", "shrunk", "expected"),
    [
        # Of 5 voxels the middle ones of 4 parts are 0, 1, 3, 4; voxel 2 goes to the part with its centre, the third.
        ([255, 255, 1, 255, 255], [255, 255, 255, 255], [255, 255, 1, 255]),
        ([0, 255, 1, 255, 255], [0, 255, 255, 255], [0, 255, 1, 255]),
        ([255, 255, 1, 0, 255], [255, 255, 0, 255], [255, 255, 0, 255]),  # what is there stays
        ([255, 255, 255, 255, 255], [255] * 4, [255] * 4),
    ],
)
def test_thin_parts_come_back(source, shrunk, expected):
    rows = [np.array(row, np.uint8).reshape(1, -1, 1, 1) for row in (source, shrunk)]
    np.testing.assert_array_equal(resized(rows[0], (4, 1, 1), "nearest-exact"), rows[1])
    assert with_thin_parts(rows[1], rows[0]).ravel().tolist() == expected


def test_a_patch_larger_than_the_case_is_centred_on_it():
    case = FakeCase(shape=(2, 10, 7), seeds=(np.array([[1, 5, 3]]),))
    start = choose_start(case, _settings(shape=(6, 4, 8)), np.random.default_rng(0))
    assert (start[0], start[2]) == (-2, -1)


def test_a_zoomed_patch_is_read_from_more_or_fewer_voxels():
    rng = np.random.default_rng(0)
    shapes = [zoomed_shape((40, 20, 10), 0.25, rng) for _ in range(200)]
    assert min(shapes) == (32, 16, 8)
    assert max(shapes) == (50, 25, 12)
    assert zoomed_shape((40, 20, 10), 0.0, rng) == (40, 20, 10)


def test_resizing_keeps_a_ramp_and_repeats_labels():
    ramp = np.broadcast_to(np.arange(4, dtype=np.float32)[:, None, None], (1, 4, 2, 2)).copy()
    # Centres of 8 voxels in the place of 4: at -0.25, 0.25, 0.75, ...; held at the ends.
    expected = [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]
    np.testing.assert_allclose(resized(ramp, (8, 2, 2), "trilinear")[0, :, 0, 0], expected)
    labels = np.array([0, 255], np.uint8).reshape(1, 2, 1, 1)
    assert resized(labels, (4, 1, 1), "nearest-exact").ravel().tolist() == [0, 0, 255, 255]
    assert resized(labels, (2, 1, 1), "nearest-exact") is labels


@pytest.mark.parametrize("shape", [(9, 7, 5), (4, 3, 3)])
def test_what_lies_outside_does_not_darken_what_lies_inside(shape):
    inside = np.zeros((1, 6, 6, 6), bool)
    inside[:, 1:5, 2:6, :3] = True
    array = np.where(inside, 2.0, 0.0).astype(np.float32)
    found = resized_within(array, inside, shape)
    within = resized(inside.astype(np.uint8), shape, "nearest-exact") > 0
    np.testing.assert_allclose(found[within], 2.0, rtol=1e-6)
    assert resized_within(array, inside, (6, 6, 6)) is array


def test_a_zoomed_patch_has_the_patch_shape():
    dataset = PatchDataset([FakeCase()], _settings(augmentation=AugmentationSettings(zoom=0.5)))
    for index in range(5):
        sample = dataset[index]
        assert sample["image"].shape == sample["target"].shape == (1, 4, 4, 4)
        assert sample["valid"].dtype == torch.bool


def test_without_flips_or_intensity_changes_nothing_is_changed():
    settings = AugmentationSettings(flip_axes=(), intensity_scale=0, intensity_shift=0)
    image, target, valid = np.ones((1, 2, 2, 2), np.float32), np.zeros((1, 2, 2, 2)), np.ones((1, 2, 2, 2))
    for before, after in zip(
        (image, target, valid), augmented(image, target, valid, (), settings, np.random.default_rng(0)), strict=True
    ):
        np.testing.assert_array_equal(before, after)


def test_flips_move_image_and_target_together_and_leave_invalid_voxels_at_zero():
    image = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)
    valid = np.ones((1, 2, 2, 2), np.uint8)
    valid[0, 0, 0, 0] = 0
    for seed in range(8):
        settings = AugmentationSettings(intensity_scale=0, intensity_shift=0.5)
        rng = np.random.default_rng(seed)
        axes = drawn_flips(settings, rng)
        changed, target, mask = augmented(image, image.copy(), valid, axes, settings, rng)
        shifts = (changed - target)[mask.astype(bool)]
        np.testing.assert_allclose(shifts, shifts[0], rtol=1e-5)
        assert changed[mask == 0].tolist() == [0.0]


class MapCase(FakeCase):
    """A case whose probability is its image."""

    def read(self, name, start, shape, fill):
        if name == "probabilities":
            return super().read("image", start, shape, fill).astype(np.float16)
        return super().read(name, start, shape, fill)


def test_probabilities_are_zoomed_and_flipped_like_the_image():
    augmentation = AugmentationSettings(zoom=0.5, intensity_scale=0, intensity_shift=0)
    dataset = PatchDataset([MapCase()], _settings(augmentation=augmentation, probabilities=True))
    samples = [dataset[index] for index in range(12)]
    for sample in samples:
        assert sample["probabilities"].dtype == torch.float32
        torch.testing.assert_close(sample["probabilities"], sample["image"], rtol=1e-3, atol=1e-3)
    assert len({tuple(sample["image"].flatten().tolist()) for sample in samples}) > 3
    batch = dataset.collate(samples[:2])
    assert batch.probabilities.shape == (2, 1, 4, 4, 4)
    assert batch.to("cpu").probabilities.equal(batch.probabilities)


def test_other_supervision_has_no_probabilities():
    dataset = PatchDataset([FakeCase()], _settings())
    batch = dataset.collate([dataset[0]])
    assert batch.probabilities is None
    assert batch.to("cpu").probabilities is None


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_processes_share_the_indices_of_an_epoch(world_size):
    samplers = [EpochSampler(4, rank, world_size) for rank in range(world_size)]
    for sampler in samplers:
        sampler.set_epoch(2)
    indices = sorted(index for sampler in samplers for index in sampler)
    assert indices == list(range(8 * world_size, 12 * world_size))


@pytest.mark.parametrize(
    ("start", "read", "flipped_axes", "expected"),
    [
        ((0, 0, 0), (8, 8, 8), (), ((2, 1, 3), (6, 3, 8), True, (4, 2, 5))),
        ((1, 0, 2), (8, 8, 8), (), ((1, 1, 1), (5, 3, 6), True, (4, 2, 5))),
        ((0, 0, 0), (8, 8, 8), (0, 2), ((2, 1, 0), (6, 3, 5), True, (4, 2, 5))),  # 8 - 6 to 8 - 2, 8 - 8 to 8 - 3
        ((3, 0, 0), (8, 8, 8), (0,), ((5, 1, 3), (8, 3, 8), False, (4, 2, 5))),  # one voxel lies before the patch
        ((0, 0, 0), (4, 4, 8), (), ((4, 2, 3), (8, 6, 8), False, (8, 4, 5))),  # twice enlarged along two axes
        ((0, 0, 0), (16, 16, 16), (), ((1, 0, 1), (3, 1, 4), True, (2, 1, 3))),  # voxels whose centres lie in the box
        ((6, 0, 0), (8, 8, 8), (), None),
    ],
)
def test_objects_are_where_the_patch_has_them(start, read, flipped_axes, expected):
    item = GrownObject(2, (2, 1, 3), (6, 3, 8), true_voxels=20.0)
    found = objects_in_patch([item], start, read, (8, 8, 8), flipped_axes)
    if expected is None:
        assert found == ()
    else:
        assert found == (ObjectInPatch(2, *expected, true_voxels=20.0 * 512 / np.prod(read)),)


def test_the_box_of_an_object_moves_with_its_voxels():
    """Whatever zoom, place and flips: the patch of a map of the box is the box in the patch."""

    @dataclass
    class BoxCase(FakeCase):
        shape: tuple[int, int, int] = (20, 20, 20)
        objects: tuple[GrownObject, ...] = (GrownObject(1, (6, 7, 5), (13, 12, 15)),)

        def read(self, name, start, shape, fill):
            box = np.zeros((60, 60, 60), np.uint8)  # 20 voxels around the case, which a patch may reach into
            box[26:33, 27:32, 25:35] = 1
            cut = box[tuple(slice(low + 20, low + 20 + size) for low, size in zip(start, shape, strict=True))]
            return cut[None].astype(np.float32) if name == "image" else cut

    dataset = PatchDataset([BoxCase()], _settings(shape=(12, 12, 12), augmentation=AugmentationSettings(zoom=0.5)))
    wholes = set()
    for index in range(60):
        sample = dataset[index]
        drawn = torch.zeros_like(sample["target"])
        for item in sample["objects"]:
            drawn[(0, *item.slices)] = 1
            wholes.add(item.is_whole)
        assert torch.equal(drawn, sample["target"]), index
    assert wholes == {True, False}
