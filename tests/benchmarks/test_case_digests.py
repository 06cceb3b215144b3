"""Digests of cases change with what is in their files."""

import shutil
from pathlib import Path

import pytest

from voxseed.benchmarks.case_digests import CaseDigests
from voxseed.data.datasets import Dataset


@pytest.mark.parametrize(
    ("part", "labelled", "annotated"),
    [
        ("imagesTr/ball_0_0000.nii.gz", True, True),
        ("labelsTr/ball_0.nii.gz", True, False),
        ("annotations/points/ball_0", False, True),
        ("imagesTr/ball_1_0000.nii.gz", False, False),
        ("annotations/points/ball_1", False, False),
    ],
)
def test_what_changes_with_what(tiny_dataset: Path, tmp_path: Path, part: str, labelled: bool, annotated: bool) -> None:
    before = digests(tiny_dataset)
    copy = Path(shutil.copytree(tiny_dataset, tmp_path / "data"))
    assert digests(copy) == before
    target = copy / part
    if target.is_dir():
        shutil.rmtree(target)
        shutil.copytree(copy / "annotations" / "points" / "ball_2", target)
    else:
        shutil.copyfile(target.with_name(target.name.replace("ball_0", "ball_3").replace("ball_1", "ball_3")), target)
    after = digests(copy)
    assert (after[0] != before[0], after[1] != before[1]) == (labelled, annotated)


def digests(path: Path) -> tuple[str, str]:
    data = Dataset.open(path)
    cases = CaseDigests(data)
    return cases.labelled("ball_0"), cases.annotated("ball_0", data.annotations("points"))
