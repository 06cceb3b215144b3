"""Rows and small folders of label maps."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from voxseed.data.datasets import Dataset
from voxseed.data.volumes import Volume, write_volume
from voxseed.evaluation.case_metrics import CaseMetrics

AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


@pytest.fixture
def row() -> Callable[..., CaseMetrics]:
    """A row with the given values; everything else is of a perfect prediction."""

    def make(case: str = "a", class_name: str = "tumour", **values: object) -> CaseMetrics:
        perfect: dict[str, object] = {
            "dice": 1.0,
            "assd_mm": 0.0,
            "hd95_mm": 0.0,
            "nsd": 1.0,
            "volume_ml": 1.0,
            "reference_ml": 1.0,
            "missed": False,
            "false_alarm": False,
        }
        return CaseMetrics(case=case, class_name=class_name, **{**perfect, **values})  # type: ignore[arg-type]

    return make


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Cases a, b, c with a cube of `tumour` (1) and one of `cyst` (2), and predictions that are moved by one voxel.

    In case c the cyst was missed.
    """
    dataset = Dataset.create(tmp_path / "dataset", "Cubes", ["T1"], ["tumour", "cyst"])
    for case in "abc":
        label = np.zeros((14, 12, 10), np.uint8)
        label[2:6, 2:6, 2:6] = 1
        label[8:12, 7:11, 2:6] = 2
        image = (label[None] * 40 + np.arange(14)[:, None, None]).astype(np.float32)
        dataset.write_case(case, image, AFFINE, label)
        prediction = np.roll(label, 1, axis=0)
        if case == "c":
            prediction[prediction == 2] = 0
        write_volume(tmp_path / "predictions" / f"{case}.nii.gz", Volume(prediction, AFFINE))
    return dataset
