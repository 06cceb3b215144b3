"""Folders of predictions against labels."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voxseed.data.datasets import Dataset
from voxseed.data.volumes import Volume, read_label, write_volume
from voxseed.errors import InputError
from voxseed.evaluation.compare import evaluate_folder
from voxseed.metrics.pair import pair_metrics
from voxseed.progress import shown_by


def replace_prediction(tmp_path: Path, array: np.ndarray, spacing: tuple[float, float, float] = (1, 1, 2)) -> None:
    write_volume(tmp_path / "predictions" / "b.nii.gz", Volume(array, np.diag([*spacing, 1.0])))


def test_one_row_per_case_and_class(dataset: Dataset, tmp_path: Path) -> None:
    rows = evaluate_folder(tmp_path / "predictions", dataset.root / "labelsTr", tolerance_mm=1.0)
    assert [(row.case, row.class_name) for row in rows] == [
        (case, name) for case in "abc" for name in ("tumour", "cyst")
    ]
    # A 4-cube moved by one voxel shares 3 of 4 layers; a voxel has 2 mm³.
    assert {(row.dice, row.volume_ml, row.missed) for row in rows[:5]} == {(0.75, 0.128, False)}
    assert (rows[5].dice, rows[5].assd_mm, rows[5].volume_ml, rows[5].missed) == (0.0, None, 0.0, True)


def test_equals_the_metrics_of_each_pair(dataset: Dataset, tmp_path: Path) -> None:
    row = evaluate_folder(tmp_path / "predictions", dataset.root)[1]
    prediction = read_label(tmp_path / "predictions" / "a.nii.gz").array == 2
    label = read_label(dataset.root / "labelsTr" / "a.nii.gz").array == 2
    expected = pair_metrics(prediction, label, (1, 1, 2), tolerance_mm=2.0)
    assert (row.dice, row.assd_mm, row.hd95_mm, row.nsd) == (
        expected.dice,
        expected.assd_mm,
        expected.hd95_mm,
        expected.nsd,
    )


def test_progress_is_over_cases(dataset: Dataset, tmp_path: Path) -> None:
    seen: list[int | None] = []

    def display(items: Iterable[Any], description: str, total: int | None) -> Iterator[Any]:
        seen.append(total)
        return iter(items)

    with shown_by(display):
        evaluate_folder(tmp_path / "predictions", dataset.root)
    assert seen == [3]


def test_another_format_of_the_prediction(dataset: Dataset, tmp_path: Path) -> None:
    before = evaluate_folder(tmp_path / "predictions", dataset.root)
    for path in sorted((tmp_path / "predictions").iterdir()):
        write_volume(path.with_name(path.name.replace(".nii.gz", ".nrrd")), read_label(path))
        path.unlink()
    assert evaluate_folder(tmp_path / "predictions", dataset.root) == before


@pytest.mark.parametrize(
    ("array", "spacing", "sentence"),
    [
        (
            np.zeros((14, 12, 9), np.uint8),
            (1, 1, 2),
            r"b\.nii\.gz: its shape is \(14, 12, 9\), expected \(14, 12, 10\)",
        ),
        (np.zeros((14, 12, 10), np.uint8), (1, 1, 3), r"b\.nii\.gz: its affine differs from that of .*labelsTr"),
        (
            np.full((14, 12, 10), 3, np.uint8),
            (1, 1, 2),
            r"predictions/b\.nii\.gz: label values 3 are not in the labels",
        ),
        (np.full((14, 12, 10), 0.5, np.float32), (1, 1, 2), r"b\.nii\.gz: a label map has integer values"),
    ],
)
def test_predictions_that_do_not_fit(
    dataset: Dataset, tmp_path: Path, array: np.ndarray, spacing: tuple[float, float, float], sentence: str
) -> None:
    replace_prediction(tmp_path, array, spacing)
    with pytest.raises(InputError, match=sentence):
        evaluate_folder(tmp_path / "predictions", dataset.root)


def test_labels_with_unannotated_voxels(dataset: Dataset, tmp_path: Path) -> None:
    path = dataset.root / "dataset.json"
    path.write_text(path.read_text().replace('"cyst": 2', '"cyst": 2, "ignore": 3'))
    label = read_label(dataset.label_path("a"))
    label.array[0, 0, :4] = 3
    write_volume(dataset.label_path("a"), label)
    with pytest.raises(
        InputError, match=r"a\.nii\.gz: 4 voxels are unannotated \(value 3\), expected a dense label map"
    ):
        evaluate_folder(tmp_path / "predictions", dataset.root)


@pytest.mark.parametrize("tolerance_mm", [0.0, -1.0, float("nan"), float("inf")])
def test_a_tolerance_that_is_none(dataset: Dataset, tmp_path: Path, tolerance_mm: float) -> None:
    with pytest.raises(InputError, match=r"--tolerance-mm .*: expected a positive length"):
        evaluate_folder(tmp_path / "predictions", dataset.root, tolerance_mm=tolerance_mm)


def test_real_labels_agree_with_themselves(real_data: Path) -> None:
    labels = real_data / "Dataset103_LeftAtriumNative" / "labelsTr"
    rows = evaluate_folder(labels, labels)
    assert {(row.dice, row.assd_mm, row.hd95_mm, row.nsd) for row in rows} == {(1.0, 0.0, 0.0, 1.0)}
    assert all(10 < row.reference_ml < 200 for row in rows)  # a left atrium
