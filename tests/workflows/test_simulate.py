"""Simulating annotation sets: written whole, readable, reproducible, never over another."""

import numpy as np
import pytest

from voxseed.data.datasets import Dataset
from voxseed.errors import InputError, UnknownNameError
from voxseed.workflows.simulate import simulate

AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


def cube(start, stop, value=1):
    label = np.zeros((20, 18, 12), np.uint8)
    label[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = value
    return label


@pytest.fixture
def dataset(tmp_path):
    """Three labelled cases, one unlabelled, one of which lacks class b and has a speck."""
    data = Dataset.create(tmp_path / "data", "Cubes", ["MRI"], ["a", "b"])
    rng = np.random.default_rng(0)
    labels = {
        "case_1": cube((4, 4, 3), (9, 9, 8)) + cube((12, 4, 3), (17, 9, 8), 2),
        "case_2": cube((4, 4, 3), (9, 9, 8)) + cube((15, 15, 10), (16, 17, 11)),
        "case_3": cube((4, 4, 3), (9, 9, 8)) + cube((12, 4, 3), (17, 9, 8), 2),
        "case_4": None,
    }
    for case, label in labels.items():
        data.write_case(case, rng.normal(size=(1, 20, 18, 12)).astype(np.float32), AFFINE, label)
    return data


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_set_is_in_the_dataset_and_can_be_read(dataset):
    summary = simulate(dataset.root, "points", inside_points=2, margin_voxels=(2, 3), seed=5)
    assert summary.path == dataset.root / "annotations" / "points"
    assert summary.rows() == [("a", 3, 3, 1), ("b", 2, 2, 0)]
    assert len(summary.header()) == 4
    assert (summary.cases, summary.unlabelled) == (("case_1", "case_2", "case_3"), ("case_4",))
    found = dataset.annotations("points")
    assert (found.protocol, found.seed, found.cases) == ("points", 5, ("case_1", "case_2", "case_3"))
    annotation = found.read("case_2")
    assert annotation.absent == {"b"}
    assert [len(item.inside_mm) for item in annotation.points] == [2]
    margins = 4 - annotation.points[0].outside_mm[:, 0].min()
    assert 2 <= margins <= 3


def test_slices_are_painted_and_their_number_and_share_are_told(dataset):
    summary = simulate(dataset.root, "slices", every_slices=3, planes=["axial", "sagittal"], seed=2)
    found = dataset.annotations("slices")
    shares, slices, showing = [], 0, 0
    for case in found.cases:
        values = found.read(case).painted.array
        painted = values != 3
        axial, sagittal = painted.all(axis=(0, 1)), painted.all(axis=(1, 2))
        assert axial.sum() == 4
        expected = np.broadcast_to(axial[None, None] | sagittal[:, None, None], painted.shape)
        np.testing.assert_array_equal(painted, expected)
        shares.append(painted.mean())
        slices += axial.sum() + sagittal.sum()
        is_object = np.isin(values, (1, 2))
        showing += is_object.any(axis=(0, 1))[axial].sum() + is_object.any(axis=(1, 2))[sagittal].sum()
    assert 0 < showing < slices
    counted = f"{slices / 3:.1f} slices per case, {showing / 3:.1f} of them with an object"
    assert summary.painting() == f"{counted}, {np.mean(shares):.1%} of the voxels"


def test_other_paintings_have_a_share_and_points_have_none(dataset):
    assert simulate(dataset.root, "dense").painting() == "100.0% of the voxels"
    assert simulate(dataset.root, "points").painting() == ""


@pytest.mark.parametrize("protocol", ["points", "extreme-points", "box", "dense", "slices"])
def test_every_protocol_survives_the_disk(dataset, protocol):
    simulate(dataset.root, protocol)
    found = dataset.annotations(protocol)
    assert [found.read(case).protocol for case in found.cases] == [protocol] * 3


def test_the_same_seed_gives_the_same_files_and_another_does_not(dataset, tmp_path):
    for name, seed in (("first", 0), ("again", 0), ("other", 1)):
        simulate(dataset.root, "points", out=tmp_path / name, seed=seed)
    assert contents(tmp_path / "first") == contents(tmp_path / "again")
    assert contents(tmp_path / "first") != contents(tmp_path / "other")
    assert dataset.annotation_sets() == ()


def test_a_set_that_is_there_is_left_alone(dataset):
    simulate(dataset.root, "points")
    before = contents(dataset.root)
    with pytest.raises(InputError, match=r"annotations/points: is there already. Choose another name with --set-name"):
        simulate(dataset.root, "points", seed=1)
    assert contents(dataset.root) == before
    simulate(dataset.root, "points", set_name="points-2", seed=1)
    assert dataset.annotation_sets() == ("points", "points-2")


def test_a_place_that_cannot_be_written_to_says_where_else(dataset, monkeypatch):
    def refuse(*arguments, **keywords):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(InputError, match=r"data: cannot be written to \(Read-only file system\)\. .*--out"):
        simulate(dataset.root, "points")


def test_an_unreadable_label_leaves_nothing_behind(dataset):
    dataset.label_path("case_3").write_bytes(b"no image")
    before = contents(dataset.root)
    with pytest.raises(InputError, match=r"case_3\.nii\.gz"):
        simulate(dataset.root, "points")
    assert contents(dataset.root) == before
    assert not list(dataset.root.glob(".*"))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"protocol": "pionts"}, UnknownNameError, "Did you mean 'points'"),
        ({"protocol": "points", "margin_voxels": (5, 1)}, InputError, "1 <= least <= greatest"),
        ({"protocol": "points", "inside_points": 0}, InputError, "inside_points = 0"),
        (
            {"protocol": "slices", "planes": ["axial", "oblique"]},
            InputError,
            "simulation: planes.* = .*'sagittal', 'coronal' or 'axial'",
        ),
        ({"protocol": "slices", "planes": ["axial", "axial"]}, InputError, "expected two different planes"),
        ({"protocol": "slices", "every_slices": 1}, InputError, "every_slices = 1"),
        (
            {"protocol": "slices", "slices_per_volume": 100},
            InputError,
            r"Case case_1, shape \(\d+, \d+, \d+\): these slices would be the whole volume. Choose fewer",
        ),
        ({"protocol": "points", "set_name": "../x"}, InputError, "expected a plain name"),
    ],
)
def test_wrong_arguments(dataset, arguments, error, message):
    with pytest.raises(error, match=message):
        simulate(dataset.root, **arguments)


def test_without_any_label_there_is_nothing_to_simulate(dataset):
    for case in ("case_1", "case_2", "case_3"):
        dataset.label_path(case).unlink()
    with pytest.raises(InputError, match="no dense labels"):
        simulate(dataset.root, "points")
