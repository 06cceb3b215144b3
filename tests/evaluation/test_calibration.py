"""Calibration: bins and their error by hand, and what is counted of a folder."""

import numpy as np
import pytest

from voxseed.data.datasets import Dataset
from voxseed.data.volumes import Volume, write_volume
from voxseed.errors import InputError
from voxseed.evaluation.calibration import (
    Calibration,
    calibration_path,
    measure_calibration,
    read_calibration,
    reliability_sums,
    write_calibration,
)
from voxseed.evaluation.pairing import pair_files

EMPTY = (0,) * 8
NAN = (float("nan"),) * 8


def test_sums_per_bin_by_hand():
    probability = np.array([0.05, 0.72, 0.78, 1.0, 0.7])
    found = reliability_sums(probability, np.array([False, True, False, True, True]))
    assert found[0].tolist() == [1, 0, 0, 0, 0, 0, 0, 3, 0, 1]
    np.testing.assert_allclose(found[1][[0, 7, 9]], [0.05, 2.2, 1.0])
    assert found[2].tolist() == [0, 0, 0, 0, 0, 0, 0, 2, 0, 1]


def test_the_error_is_the_mean_gap_over_voxels():
    # 30 voxels 0.1 too high, 10 voxels 0.2 too low: (3 + 2) / 40.
    calibration = Calibration("a", 2, (30, 10, *EMPTY), (0.05 + 0.1, 0.15, *NAN), (0.05, 0.35, *NAN))
    assert calibration.error == pytest.approx(0.125)


def test_what_is_written_is_read_again(tmp_path):
    written = [
        Calibration("a", 2, (30, 10, *EMPTY), (0.05, 0.15, *NAN), (0.0, 0.35, *NAN)),
        Calibration("b", 2, (0, 4, *EMPTY), (float("nan"), 0.5, *NAN), (float("nan"), 0.25, *NAN)),
    ]
    path = calibration_path(tmp_path / "metrics.csv")
    assert path.name == "metrics-calibration.csv"
    write_calibration(path, written)
    found = read_calibration(path)
    assert [vars(each) | {"mean_probability": 0, "share": 0} for each in found] == [
        vars(each) | {"mean_probability": 0, "share": 0} for each in written
    ]
    for ours, theirs in zip(written, found, strict=True):
        np.testing.assert_allclose(ours.mean_probability, theirs.mean_probability)
        np.testing.assert_allclose(ours.share, theirs.share)
    assert read_calibration(tmp_path / "other.csv") == []
    path.write_text("class,cases\na,1\n")
    with pytest.raises(InputError, match=r"metrics-calibration\.csv: damaged"):
        read_calibration(path)


@pytest.fixture
def pairing(tmp_path):
    """Case a with a cube, b without any object; probabilities are 0.75 in the left half and 0.25 in the right."""
    dataset = Dataset.create(tmp_path / "dataset", "Cubes", ["T1"], ["tumour"])
    for case in "ab":
        label = np.zeros((40, 10, 10), np.uint8)
        if case == "a":
            label[18:22, 4:6, 4:6] = 1
        dataset.write_case(case, label[None].astype(np.float32), np.eye(4), label)
        foreground = np.full(label.shape, 0.25, np.float32)
        foreground[:20] = 0.75
        write_volume(
            tmp_path / f"predictions/probabilities/{case}.nii.gz",
            Volume(np.stack([1 - foreground, foreground], axis=-1), np.eye(4)),
        )
        write_volume(tmp_path / f"predictions/{case}.nii.gz", Volume((foreground > 0.5).astype(np.uint8), np.eye(4)))
    return pair_files(tmp_path / "predictions", dataset.root / "labelsTr")


def test_voxels_near_the_objects_are_counted(pairing, tmp_path):
    (found,) = measure_calibration(pairing, tmp_path / "predictions/probabilities")
    # 10 mm around rows 18 to 21: rows 8 to 31, twelve on each side, 100 voxels each; 8 of each side are the object.
    assert (found.class_name, found.cases) == ("tumour", 1)
    assert (found.voxels[2], found.voxels[7], sum(found.voxels)) == (1200, 1200, 2400)
    assert (found.mean_probability[2], found.mean_probability[7]) == (0.25, 0.75)
    assert (found.share[2], found.share[7]) == (pytest.approx(8 / 1200), pytest.approx(8 / 1200))
    assert found.error == pytest.approx((0.25 + 0.75) / 2 - 8 / 1200)


def test_without_probabilities_nothing_is_measured(pairing, tmp_path):
    assert measure_calibration(pairing, tmp_path / "nowhere") == []


def test_probabilities_of_another_prediction_are_refused(pairing, tmp_path):
    other = np.zeros((40, 10, 10), np.uint8)
    write_volume(tmp_path / "predictions/a.nii.gz", Volume(other, np.eye(4)))
    with pytest.raises(InputError, match=r"a\.nii\.gz: not the probabilities of .*, 50% of the voxels"):
        measure_calibration(pairing, tmp_path / "predictions/probabilities")


def test_a_damaged_map_is_a_sentence(pairing, tmp_path):
    path = tmp_path / "predictions/probabilities/a.nii.gz"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InputError, match=r"a\.nii\.gz: cannot be read .*Predict again with --probabilities"):
        measure_calibration(pairing, tmp_path / "predictions/probabilities")
    write_volume(path, Volume(np.zeros((4, 4, 4), np.float32), np.eye(4)))
    with pytest.raises(InputError, match=r"its shape is \(4, 4, 4\), expected \(40, 10, 10, 2\)"):
        measure_calibration(pairing, tmp_path / "predictions/probabilities")
