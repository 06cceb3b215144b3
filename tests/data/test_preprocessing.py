import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from pydantic import ValidationError

from voxseed.data.grids import Grid
from voxseed.data.normalisation import Normalisation
from voxseed.data.preprocessing import Preprocessing, PreprocessingSettings, canonical_spacing
from voxseed.data.volumes import Image, Volume
from voxseed.errors import InputError
from voxseed.types import IGNORE

OBLIQUE = np.array([[-0.9, 0.2, 0.1, 20], [0.3, 0.1, 2.4, -15], [0.05, 1.4, -0.2, 4], [0, 0, 0, 1.0]])


def zscore(spacing_mm: tuple[float, float, float], channels: int = 1) -> Preprocessing:
    return Preprocessing(
        channel_names=tuple(f"MRI {index}" for index in range(channels)),
        spacing_mm=spacing_mm,
        normalisations=(Normalisation(kind="zscore"),) * channels,
    )


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@dataclass
class Cases:
    """Cases in memory, with the interface of a dataset."""

    channel_names: tuple[str, ...]
    images: dict[str, Image]

    def read_grid(self, case: str) -> Grid:
        return Grid(self.images[case].shape, self.images[case].affine)

    def read_image(self, case: str) -> Image:
        return self.images[case]


def signed_permutations() -> list[np.ndarray]:
    rows = [np.eye(3)[list(order)] for order in itertools.permutations(range(3))]
    return [row * signs for row in rows for signs in itertools.product((1, -1), repeat=3)]


def test_spacing_is_the_median_along_axes_of_space() -> None:
    flipped = np.array([[0, 0, -1.0, 0], [0, 2.0, 0, 0], [5.0, 0, 0, 0], [0, 0, 0, 1]])  # K is left, I superior
    images = {
        "a": Image(noise((1, 4, 4, 4)), np.diag([1.0, 2.0, 3.0, 1])),
        "b": Image(noise((1, 4, 4, 4)), flipped),
        "c": Image(noise((1, 4, 4, 4)), np.diag([9.0, 9.0, 9.0, 1])),
    }
    assert canonical_spacing(Grid((4, 4, 4), flipped)) == (1.0, 2.0, 5.0)
    found = Preprocessing.fit(Cases(("MRI",), images), ["a", "b", "c"], PreprocessingSettings())
    assert found.spacing_mm == (1.0, 2.0, 5.0)


@pytest.mark.parametrize(
    ("names", "chosen", "expected"),
    [
        (("MRI", "T2"), "auto", ["zscore", "zscore"]),
        (("CT", "PET"), "auto", ["ct", "zscore"]),
        (("ct", "noNorm"), "auto", ["ct", "none"]),
        (("CT", "PET"), "none", ["none", "none"]),
        (("CT", "PET"), "zscore", ["zscore", "zscore"]),
        (("X", "Y"), "ct", ["ct", "ct"]),
    ],
)
def test_normalisation_follows_from_the_channel_s_name(names, chosen, expected) -> None:
    cases = Cases(names, {"a": Image(noise((2, 6, 6, 6)), np.eye(4))})
    found = Preprocessing.fit(cases, ["a"], PreprocessingSettings(normalisation=chosen))
    assert [each.kind for each in found.normalisations] == expected


def test_the_window_of_ct_is_of_the_annotated_boxes() -> None:
    array = np.full((1, 20, 20, 20), -1000.0, dtype=np.float32) + noise((1, 20, 20, 20))
    array[:, 5:10, 5:10, 5:10] = 60 + noise((1, 5, 5, 5))
    cases = Cases(("CT",), {"a": Image(array, np.eye(4)), "b": Image(array + 5000, np.eye(4))})
    settings = PreprocessingSettings()
    boxes = {"a": [((5, 5, 5), (10, 10, 10))], "b": []}
    in_boxes = Preprocessing.fit(cases, ["a", "b"], settings, boxes).normalisations[0]
    assert (in_boxes.mean, in_boxes.sd) == pytest.approx((60, 1), abs=0.2)
    everywhere = Preprocessing.fit(cases, ["a"], settings).normalisations[0]
    assert everywhere.mean < -900


def test_fit_is_reproducible_and_survives_json() -> None:
    cases = Cases(("CT",), {"a": Image(noise((1, 40, 40, 40)), np.eye(4))})
    first, second = (Preprocessing.fit(cases, ["a"], PreprocessingSettings()) for _ in range(2))
    assert first == second
    assert Preprocessing.model_validate_json(first.model_dump_json()) == first


def test_settings_are_checked() -> None:
    assert PreprocessingSettings(spacing_mm=[1, 1, 2.5]).spacing_mm == (1.0, 1.0, 2.5)
    with pytest.raises(ValidationError):
        PreprocessingSettings(spacing_mm=[1, 1, 0])


def test_no_cases_is_an_error() -> None:
    with pytest.raises(InputError, match="no cases to train on"):
        Preprocessing.fit(Cases(("MRI",), {}), [], PreprocessingSettings())


@pytest.mark.parametrize("axes", signed_permutations())
def test_every_orientation_gives_the_same_working_image_and_comes_back(axes: np.ndarray) -> None:
    """48 orientations of one scan: what the network sees is the same, what comes back lies on the file's own voxels."""
    upright = noise((6, 5, 4), seed=3)
    affine = np.diag([1.0, 1.5, 2.0, 1.0])
    order = np.abs(axes).argmax(axis=0)  # array axis n runs along order[n] of space
    array = np.flip(upright.transpose(order), [n for n in range(3) if axes[order[n], n] < 0])
    own = np.eye(4)
    for n in range(3):
        own[:3, n] = affine[:3, order[n]] * axes[order[n], n]
        if axes[order[n], n] < 0:
            own[:3, 3] += affine[:3, order[n]] * (array.shape[n] - 1)
    preprocessing = zscore((1.0, 1.5, 2.0))
    case = preprocessing.apply(Image(array[None], own), "case")
    np.testing.assert_allclose(case.affine, affine, atol=1e-9)
    np.testing.assert_array_equal(case.array, preprocessing.apply(Image(upright[None], affine), "case").array)
    truth = (upright > 0).astype(np.float32)
    own_truth = (array > 0).astype(np.uint8)
    np.testing.assert_array_equal(case.native_labels(np.stack([1 - truth, truth])), own_truth)
    np.testing.assert_array_equal(preprocessing.apply_to_labels(Volume(own_truth, own)), truth)
    np.testing.assert_array_equal(case.native_probabilities(np.stack([1 - truth, truth]))[1], own_truth)


def test_another_spacing_covers_the_same_place_and_comes_back() -> None:
    shape = (20, 16, 12)
    image = Image(noise((2, *shape)), OBLIQUE)
    labels = np.zeros(shape, dtype=np.uint8)
    labels[4:14, 3:12, 3:9] = 1
    preprocessing = zscore((0.7, 1.8, 2.2), channels=2)
    case = preprocessing.apply(image, "case")
    assert case.shape == preprocessing.working_shape(image) == case.valid.shape
    assert case.spacing_mm == pytest.approx((0.7, 1.8, 2.2), rel=0.1)
    assert case.array.dtype == np.float32
    middle_own = OBLIQUE @ [*(np.array(shape) / 2 - 0.5), 1]
    middle_working = case.affine @ [*(np.array(case.shape) / 2 - 0.5), 1]
    np.testing.assert_allclose(middle_own, middle_working, atol=1e-9)
    target = preprocessing.apply_to_labels(Volume(labels, OBLIQUE))
    restored = case.native_labels(np.stack([target == 0, target == 1]).astype(np.float32))
    assert restored.shape == shape
    assert 2 * (restored & labels).sum() / (restored.sum() + labels.sum()) > 0.9


def test_an_object_s_centre_of_mass_does_not_move() -> None:
    shape = (24, 24, 24)
    positions = np.indices(shape) - np.array([14.0, 9.0, 12.0]).reshape(3, 1, 1, 1)
    labels = ((positions**2).sum(axis=0) < 36).astype(np.uint8)
    preprocessing = zscore((1.7, 0.8, 2.3))
    case = preprocessing.apply(Image(noise((1, *shape)), np.eye(4)), "case")
    target = preprocessing.apply_to_labels(Volume(labels, np.eye(4)))
    found = case.affine @ [*np.argwhere(target == 1).mean(axis=0), 1]
    np.testing.assert_allclose(found[:3], [14, 9, 12], atol=0.25)  # voxels are 1.7, 0.8, 2.3 mm


def test_unannotated_stays_unannotated() -> None:
    labels = np.full((8, 8, 8), IGNORE, dtype=np.uint8)
    labels[:4] = 1
    found = zscore((2.0, 2.0, 2.0)).apply_to_labels(Volume(labels, np.eye(4)))
    assert (found[:2] == 1).all()
    assert (found[2:] == IGNORE).all()


def test_padding_is_zero_invalid_and_leaves_no_dark_rim() -> None:
    array = np.full((1, 33, 32, 32), -500.0, dtype=np.float32)
    array[:, 9:24, 8:24, 8:24] = 1000 + noise((1, 15, 16, 16))
    case = zscore((2.0, 2.0, 2.0)).apply(Image(array, np.eye(4)), "case")
    assert (case.array[0][~case.valid] == 0).all()
    assert 0.08 < case.valid.mean() < 0.15
    # A voxel that is half padding would otherwise be far from the body's own range of about 3 standard deviations.
    assert np.abs(case.array[0][case.valid]).max() < 3.5


def test_outside_the_valid_region_is_background() -> None:
    array = np.zeros((1, 24, 24, 24), dtype=np.float32)
    array[:, 8:16, 8:16, 8:16] = 1000 + noise((1, 8, 8, 8))
    case = zscore((1.0, 1.0, 1.0)).apply(Image(array, np.eye(4)), "case")
    foreground = np.stack([np.zeros(case.shape), np.ones(case.shape)]).astype(np.float32)
    expected = array[0] > 0
    np.testing.assert_array_equal(case.native_labels(foreground), expected)
    np.testing.assert_array_equal(case.native_probabilities(foreground), np.stack([~expected, expected]))


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (noise((2, 4, 4, 4)), "scan.nii.gz: found 2 channels, expected 1: MRI 0, as the training cases have."),
        (np.full((1, 4, 4, 4), 3.0), "scan.nii.gz, MRI 0: all voxels have intensity 3, expected an image."),
    ],
)
def test_a_case_that_cannot_be_used_is_named(array: np.ndarray, sentence: str) -> None:
    with pytest.raises(InputError) as raised:
        zscore((1.0, 1.0, 1.0)).apply(Image(array, np.eye(4)), "scan.nii.gz")
    assert str(raised.value).startswith(sentence)


@pytest.mark.parametrize("axes", signed_permutations())
@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.5, 1.0, 0.25)])
def test_a_box_moves_as_its_voxels_do(axes: np.ndarray, spacing_mm) -> None:
    affine = np.eye(4)
    affine[:3, :3] = axes
    box = ((1, 2, 0), (4, 5, 3))
    label = np.zeros((6, 7, 5), np.uint8)
    label[1:4, 2:5, 0:3] = 1
    preprocessing = zscore(spacing_mm)
    drawn = np.zeros(preprocessing.working_shape(Grid(label.shape, affine)), np.uint8)
    start, stop = preprocessing.apply_to_box(box, Grid(label.shape, affine))
    drawn[tuple(slice(low, high) for low, high in zip(start, stop, strict=True))] = 1
    np.testing.assert_array_equal(drawn, preprocessing.apply_to_labels(Volume(label, affine)))
