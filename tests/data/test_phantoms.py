"""Phantoms: what each kind is made of, and that neither a threshold nor the expansion alone solves the demo's."""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from voxseed.data.datasets import Dataset
from voxseed.data.labels import Labels
from voxseed.data.phantoms import KINDS, make_case, make_dataset
from voxseed.data.phantoms.anatomy import Tissue, make_head
from voxseed.data.phantoms.fields import Frame, largest_component, noise_field
from voxseed.data.phantoms.head import FRAME
from voxseed.data.phantoms.lesions import GAP_MM, VOLUME_ML, box_share, grow_lesion, look_alikes
from voxseed.data.protocols.base import SimulationSettings
from voxseed.data.protocols.points import simulate_points
from voxseed.errors import InputError, UnknownNameError
from voxseed.supervision.boxes import box_of_points
from voxseed.supervision.expansion import ExpansionSettings, grow_object
from voxseed.types import BoolArray, FloatArray

TOO_EASY = 0.75
SEEDS = (0, 1, 2)
FEW, DEMO = 6, 32
CUTS = np.linspace(0.01, 0.99, 99)


@cache
def cases_of(kind: str) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    return [make_case(kind, np.random.default_rng([0, index])) for index in range(2)]


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("kind", KINDS)
def test_case_is_a_scan_with_a_label_on_its_grid(kind: str, index: int) -> None:
    image, label, affine = cases_of(kind)[index]
    phantom = KINDS[kind]
    assert image.dtype == np.float32
    assert label.dtype == np.uint8
    assert image.shape == (len(phantom.channel_names), *label.shape)
    assert np.isfinite(image).all()
    assert affine.shape == (4, 4)
    assert set(np.unique(label)) == set(range(len(phantom.label_names) + 1))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_generator_state_gives_the_same_case(kind: str) -> None:
    image, label, affine = cases_of(kind)[0]
    again = make_case(kind, np.random.default_rng([0, 0]))
    np.testing.assert_array_equal(again[0], image)
    np.testing.assert_array_equal(again[1], label)
    np.testing.assert_array_equal(again[2], affine)
    assert (cases_of(kind)[1][1] != label).any()


@pytest.mark.parametrize(
    ("kind", "spacing_mm", "orientation"),
    [
        ("head", (3, 3, 3), "RAS"),
        ("two-channel", (3, 3, 3), "RAS"),
        ("multi-class", (3, 3, 3), "RAS"),
        ("ct", (3, 3, 3), "RAS"),
        ("anisotropic", (2.5, 2.5, 10), "LAS"),
    ],
)
def test_grid(kind: str, spacing_mm: tuple[float, ...], orientation: str) -> None:
    image, _, affine = cases_of(kind)[0]
    np.testing.assert_allclose(np.linalg.norm(affine[:3, :3], axis=0), spacing_mm)
    assert "".join(nib.aff2axcodes(affine)) == orientation
    middle = (np.array(image.shape[1:]) - 1) / 2
    np.testing.assert_allclose(affine @ [*middle, 1], [0, 0, 0, 1], atol=1e-9)


def test_anisotropic_is_oblique() -> None:
    directions = KINDS["anisotropic"].affine[:3, :3] / [2.5, 2.5, 10]
    np.testing.assert_allclose(directions @ directions.T, np.eye(3), atol=1e-12)
    assert abs(directions[1, 2]) == pytest.approx(np.sin(np.deg2rad(12)))


@pytest.mark.parametrize(
    ("kind", "index"), [(kind, index) for kind in ("head", "two-channel", "ct") for index in (0, 1)]
)
def test_one_lesion_in_one_piece(kind: str, index: int) -> None:
    label = cases_of(kind)[index][1]
    assert ndimage.label(label)[1] == 1
    assert 300 <= label.sum() <= 2500


@pytest.mark.parametrize("index", [0, 1])
def test_air_of_ct_is_minus_1000_and_units_are_hounsfields(index: int) -> None:
    image, label, _ = cases_of("ct")[index]
    head = image[0] > -1000
    assert not head[[0, -1]].any()
    assert not head[:, [0, -1]].any()
    assert np.median(image[0][label == 1]) == pytest.approx(65, abs=12)
    assert np.percentile(image, 99) > 500
    np.testing.assert_array_equal(image, np.round(image))


@pytest.mark.parametrize("index", [0, 1])
def test_mr_has_noise_in_the_air_and_no_negative_values(index: int) -> None:
    image, _, _ = cases_of("head")[index]
    air = image[0, :3, :3, :]
    assert air.min() >= 0
    assert len(np.unique(air)) > 50
    # Rayleigh noise: mean / standard deviation = 1.91
    assert air.mean() / air.std() == pytest.approx(1.91, abs=0.25)


@pytest.mark.parametrize("index", [0, 1])
def test_classes_touch_and_have_several_objects(index: int) -> None:
    label = cases_of("multi-class")[index][1]
    tumour, oedema = label == 1, label == 2
    assert (ndimage.binary_dilation(tumour) & oedema).sum() > 50
    assert ndimage.label(tumour)[1] == 2
    assert ndimage.label(label == 3)[1] >= 2


def test_two_channels_have_look_alikes_of_their_own() -> None:
    image, label, _ = cases_of("two-channel")[0]
    bright = [channel > np.median(channel[label == 1]) for channel in image]
    assert (bright[0] & ~bright[1] & (label == 0)).sum() > 500
    assert (bright[1] & ~bright[0] & (label == 0)).sum() > 500


def test_tissues_lie_inside_each_other() -> None:
    head = make_head(FRAME, np.random.default_rng(3))
    shells = [head.tissue > Tissue.AIR, head.tissue > Tissue.SCALP, head.brain]
    for outer, inner in pairwise(shells):
        assert not (inner & ~outer).any()
        assert inner.sum() < outer.sum()
    assert not (head.ventricles & ~head.brain).any()
    assert set(np.unique(head.tissue[head.brain])) == {Tissue.FLUID, Tissue.GREY, Tissue.WHITE}


@pytest.mark.parametrize("volume_ml", [VOLUME_ML[0], 35.0])
def test_lesion_has_its_volume_within_the_brain(volume_ml: float) -> None:
    rng = np.random.default_rng(1)
    head = make_head(FRAME, rng)
    lesion = grow_lesion(head, rng, volume_ml)
    # 7 % tolerance, and a little less where attempts failed for lack of room
    assert 0.8 * volume_ml < lesion.sum() * FRAME.voxel_ml < 1.08 * volume_ml
    assert not (lesion & ~head.brain).any()
    assert not (lesion & head.ventricles).any()


def test_lesion_keeps_out() -> None:
    rng = np.random.default_rng(1)
    head = make_head(FRAME, rng)
    right = FRAME.positions_mm[0] > 0
    assert not (grow_lesion(head, rng, 15.0, keep_out=right) & right).any()


def test_no_room_for_a_lesion() -> None:
    rng = np.random.default_rng(1)
    head = make_head(FRAME, rng)
    with pytest.raises(RuntimeError, match="No room for a lesion of 15 ml in the brain"):
        grow_lesion(head, rng, 15.0, keep_out=FRAME.positions_mm[0] < 40)


def test_look_alikes_keep_their_distance() -> None:
    rng = np.random.default_rng(1)
    head = make_head(FRAME, rng)
    lesion = grow_lesion(head, rng, 30.0)
    others = look_alikes(head, rng, lesion)
    assert others.sum() > lesion.sum()
    assert FRAME.distance_mm(lesion)[others].min() > GAP_MM


def test_box_share_of_half_a_box() -> None:
    mask = np.zeros((6, 6, 6), dtype=bool)
    mask[1, 1:5, 1:5] = mask[2, 1, 1] = True
    assert box_share(mask) == 17 / 32


def test_largest_component() -> None:
    mask = np.array([1, 0, 1, 1, 0, 0], dtype=bool).reshape(6, 1, 1)
    np.testing.assert_array_equal(np.flatnonzero(largest_component(mask)), [2, 3])
    assert not largest_component(np.zeros_like(mask)).any()


def test_frame_knows_where_its_voxels_are() -> None:
    frame = Frame((3, 5, 2), (2.0, 1.0, 4.0))
    np.testing.assert_allclose(frame.positions_mm[:, 0, 0, 0], [-2, -2, -2])
    np.testing.assert_allclose(frame.affine @ [2, 4, 1, 1], [2, 2, 2, 1])
    assert frame.voxel_ml == pytest.approx(0.008)
    assert [int(axis[0]) for axis in frame.indices(np.array([[0.9, -9.0, 2.0]]))] == [1, 0, 1]


def test_noise_field_is_standardised() -> None:
    field = noise_field(Frame((10, 12, 14), (1.0, 1.0, 2.0)), np.random.default_rng(0), sigma_mm=2)
    assert field.mean() == pytest.approx(0, abs=1e-12)
    assert field.std() == pytest.approx(1)


@pytest.mark.parametrize("kind", ["multi-class", "two-channel"])
def test_dataset(tmp_path: Path, kind: str) -> None:
    dataset = make_dataset(tmp_path / "new" / "phantoms", kind, train=1, test=1, seed=0)
    assert dataset.cases == (f"{kind}_001",)
    assert dataset.test_cases == (f"{kind}_002",)
    assert dataset.channel_names == KINDS[kind].channel_names
    assert dataset.labels.foreground == KINDS[kind].label_names
    image, label, affine = cases_of(kind)[1]
    written = dataset.read_image(f"{kind}_002")
    np.testing.assert_array_equal(written.array, image)
    np.testing.assert_allclose(written.affine, affine, atol=1e-4)
    read_label = Dataset.open(dataset.root).read_label(f"{kind}_002")
    assert read_label is not None
    np.testing.assert_array_equal(read_label.array, label)
    assert dataset.has_label(f"{kind}_001")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["phantoms"]


def test_an_interrupted_dataset_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dataset, "write_case", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        make_dataset(tmp_path / "phantoms", train=1, test=0)
    assert not (tmp_path / "phantoms").exists()
    monkeypatch.undo()
    assert make_dataset(tmp_path / "phantoms", train=1, test=0).cases == ("head_001",)


def test_an_existing_folder_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"exists already\. Remove it, or choose another folder"):
        make_dataset(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_unknown_kind_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"'heart'\. Known: anisotropic, ct, head, multi-class, two-channel"):
        make_dataset(tmp_path / "phantoms", "heart")


# The demo's phantom is no toy: what a threshold and the expansion reach inside the box of seven simulated points.


@dataclass(frozen=True)
class Boxed:
    """One case's lesion and scores within its box; small scores are meant to be lesion."""

    lesion: BoolArray
    intensity: FloatArray
    ratios: dict[tuple[str, float], FloatArray]


def boxed(seed: int, index: int) -> Boxed:
    image, label, affine = make_case("head", np.random.default_rng([seed, index]))
    rng = np.random.default_rng([seed, index, 1])
    simulation = simulate_points(label, affine, Labels.of_foreground(["lesion"]), rng, SimulationSettings())
    (points,) = simulation.annotation.points
    inside, outside = (
        np.rint(nib.affines.apply_affine(np.linalg.inv(affine), mm)).astype(int)
        for mm in (points.inside_mm, points.outside_mm)
    )
    box = box_of_points(outside, label.shape, faces_inside=False)
    valid = np.ones(label.shape, dtype=bool)
    ratios = {}
    for growth in ("one-sided", "two-sided"):
        for weight in (0.5, 0.8, 1.0):
            settings = ExpansionSettings(growth=growth, gradient_weight=weight)
            ratios[growth, weight] = grow_object(image, valid, (3.0, 3.0, 3.0), box, inside, outside, settings)
    return Boxed(label[box.slices] == 1, image[0][box.slices], ratios)


@cache
def boxed_cases(seed: int, count: int) -> list[Boxed]:
    return [boxed(seed, index) for index in range(count)]


def dice_of_every_cut(score: FloatArray, lesion: BoolArray) -> FloatArray:
    """Dice of {score <= t} for t = each voxel's own score."""
    hits = np.cumsum(lesion.ravel()[np.argsort(score, axis=None)])
    return 2 * hits / (np.arange(1, lesion.size + 1) + lesion.sum())


def best_threshold(case: Boxed) -> float:
    return max(dice_of_every_cut(sign * case.intensity, case.lesion).max() for sign in (1, -1))


def best_common_cut(cases: list[Boxed], growth: tuple[str, float]) -> float:
    """Mean Dice at the one cut that is best for all cases together."""
    dice = [
        [
            2 * (grown & case.lesion).sum() / (grown.sum() + case.lesion.sum())
            for cut in CUTS
            for grown in [case.ratios[growth] < cut]
        ]
        for case in cases
    ]
    return float(np.mean(dice, axis=0).max())


def test_dice_of_every_cut_by_hand() -> None:
    score, lesion = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1, 0, 1, 0], dtype=bool)
    np.testing.assert_allclose(dice_of_every_cut(score, lesion), [2 / 3, 2 / 4, 4 / 5, 4 / 6])


def few_cases() -> list[Boxed]:
    return [case for seed in SEEDS for case in boxed_cases(seed, FEW)]


def test_no_threshold_solves_the_head() -> None:
    """Even with the best threshold of each case, chosen on the truth."""
    assert np.mean([best_threshold(case) for case in few_cases()]) < TOO_EASY


@pytest.mark.parametrize("gradient_weight", [0.5, 0.8, 1.0])
def test_no_expansion_solves_the_head(gradient_weight: float) -> None:
    """Even at the ε that is best for these cases, chosen on the truth."""
    assert best_common_cut(few_cases(), ("one-sided", gradient_weight)) < TOO_EASY


def test_a_gaussian_filter_shows_the_lesion_of_the_head() -> None:
    """Not hopeless either: apart from its look-alikes, the lesion stands out once the noise is averaged away."""
    for case in few_cases():
        near = ndimage.binary_dilation(case.lesion, iterations=2)
        smooth = ndimage.gaussian_filter(case.intensity, 0.8)
        assert dice_of_every_cut(-smooth[near], case.lesion[near]).max() > 0.8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "threshold", "one_sided", "two_sided"),
    [
        # best threshold of each case; expansion at its best ε or ρ for λ = 0.5, 0.8, 1
        (0, 0.638, (0.606, 0.661, 0.674), (0.627, 0.736, 0.773)),
        (1, 0.632, (0.606, 0.667, 0.684), (0.651, 0.763, 0.800)),
        (2, 0.644, (0.613, 0.703, 0.717), (0.641, 0.755, 0.792)),
    ],
)
def test_the_whole_demo_dataset(
    seed: int, threshold: float, one_sided: tuple[float, ...], two_sided: tuple[float, ...]
) -> None:
    cases = boxed_cases(seed, DEMO)
    assert np.mean([best_threshold(case) for case in cases]) == pytest.approx(threshold, abs=0.01)
    for growth, expected in (("one-sided", one_sided), ("two-sided", two_sided)):
        found = [best_common_cut(cases, (growth, weight)) for weight in (0.5, 0.8, 1.0)]
        assert found == pytest.approx(expected, abs=0.01)
