"""One dataset with cases annotated in different ways: what each method learns from, and what it says it leaves."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from voxseed.data.cache import PatchCache
from voxseed.data.datasets import Dataset
from voxseed.data.volumes import Volume, read_label, write_volume
from voxseed.errors import InputError
from voxseed.supervision.expansion import ExpansionSettings
from voxseed.supervision.kinds import SupervisionKind
from voxseed.training.cases import CaseSource
from voxseed.training.plan import Plan
from voxseed.types import IGNORE
from voxseed.workflows.train import train

SLICES = (5, 8, 11)
QUICK = (
    "networks.primary.width=2",
    "networks.auxiliary.width=2",
    "training.patch_shape=[16, 16, 16]",
    "training.iterations=2",
    "training.precision=fp32",
)


class Planned(Exception):
    """Stops training when the plan is there."""


@pytest.fixture
def mixed(tiny_dataset: Path, tmp_path: Path) -> Path:
    """ball_0 has points, ball_1 painted slices, ball_2 every voxel, ball_3 nothing; all have dense labels beside."""
    data = Path(shutil.copytree(tiny_dataset, tmp_path / "data"))
    folder = data / "annotations" / "points"
    folder = folder.rename(folder.with_name("mixed"))
    for number in (1, 2, 3):
        shutil.rmtree(folder / f"ball_{number}")
    label = read_label(data / "labelsTr" / "ball_1.nii.gz")
    painted = np.full(label.shape, 2, np.uint8)
    painted[:, :, SLICES] = label.array[:, :, SLICES]
    write_volume(folder / "ball_1.nii.gz", Volume(painted, label.affine))
    shutil.copy(data / "labelsTr" / "ball_2.nii.gz", folder / "ball_2.nii.gz")
    path = folder / "annotations.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "dense": ["ball_2"]}))
    return data


def plan_of(mixed: Path, tmp_path: Path, **words: object) -> Plan:
    plans: list[Plan] = []

    def stop(plan: Plan) -> None:
        plans.append(plan)
        raise Planned

    options = {"run": tmp_path / "run", "overrides": QUICK, "device": "cpu", "cache": tmp_path / "cache", **words}
    with pytest.raises(Planned):
        train(mixed, on_plan=stop, **options)  # type: ignore[arg-type]
    return plans[0]


def target(mixed: Path, tmp_path: Path, case: str, kind: SupervisionKind) -> np.ndarray:
    data = Dataset.open(mixed)
    preprocessing = plan_of(mixed, tmp_path).preprocessing
    annotations = None if kind is SupervisionKind.DENSE else data.annotations()
    source = CaseSource(data, kind, annotations, ExpansionSettings(), preprocessing, PatchCache(tmp_path / "cache"))
    return source.prepare(case).supervision.read("target")


def test_each_case_teaches_what_its_annotation_says(mixed: Path, tmp_path: Path) -> None:
    targets = {case: target(mixed, tmp_path, case, SupervisionKind.PARTIAL) for case in ("ball_0", "ball_1", "ball_2")}
    labels = {case: Dataset.open(mixed).read_label(case).array for case in targets}  # type: ignore[union-attr]
    grown = targets["ball_0"]
    assert set(np.unique(grown)) == {0, 1, IGNORE}, "points: grown, with voxels that nobody knows"
    slices = targets["ball_1"]
    assert np.flatnonzero((slices != IGNORE).any(axis=(0, 1))).tolist() == list(SLICES), "slices: these alone"
    np.testing.assert_array_equal(slices[:, :, SLICES], labels["ball_1"][:, :, SLICES])
    np.testing.assert_array_equal(targets["ball_2"], labels["ball_2"], "dense: every voxel")
    with pytest.raises(InputError, match="no annotation of case 'ball_3'"):
        target(mixed, tmp_path, "ball_3", SupervisionKind.PARTIAL)


@pytest.mark.parametrize("method", ["partial", "pa-seg"])
def test_methods_of_partial_supervision_learn_from_all_annotated_cases(
    mixed: Path, tmp_path: Path, method: str
) -> None:
    plan = plan_of(mixed, tmp_path, method=method)
    assert plan.train_cases == 3
    assert plan.unused == (
        "cases that nobody annotated: 1",
        "dense labels in labelsTr, which only dense methods read: 4",
    )
    assert ("not used", "; ".join(plan.unused)) in plan.rows()


def test_full_learns_from_dense_labels_alone(mixed: Path, tmp_path: Path) -> None:
    (mixed / "labelsTr" / "ball_0.nii.gz").unlink()
    plan = plan_of(mixed, tmp_path, method="full")
    assert plan.train_cases == 3
    assert plan.unused == (
        "cases without a dense label: 1",
        "annotation sets, since dense labels are learned from: 1",
    )


def test_folds_other_sets_and_boxes_are_said_too(mixed: Path, tmp_path: Path) -> None:
    from voxseed.workflows.simulate import simulate

    simulate(mixed, "box", out=tmp_path / "boxes")
    shutil.copy(tmp_path / "boxes/ball_0/ball.box.mrk.json", mixed / "annotations/mixed/ball_0/other.mrk.json")
    markups = mixed / "annotations/mixed/ball_0/other.mrk.json"
    markups.write_text(markups.read_text().replace('"name": "ball"', '"name": "ball#2"'))
    shutil.copytree(mixed / "annotations/mixed", mixed / "annotations/other")
    folds = [{"train": ["ball_0", "ball_1"], "val": ["ball_2"]}]
    (mixed / "splits.json").write_text(json.dumps({"version": 1, "test": [], "folds": folds}))
    plan = plan_of(mixed, tmp_path, annotations="mixed")
    assert plan.train_cases == 2
    assert plan.unused == (
        "cases that nobody annotated: 1",
        "annotated cases outside the fold: 1",
        "dense labels in labelsTr, which only dense methods read: 4",
        "other annotation sets: 1",
        "boxes, but for what lies outside them: 1",
    )


def test_nothing_is_said_where_all_is_used(mixed: Path, tmp_path: Path) -> None:
    shutil.rmtree(mixed / "labelsTr")
    (mixed / "imagesTr" / "ball_3_0000.nii.gz").unlink()
    plan = plan_of(mixed, tmp_path)
    assert plan.unused == ()
    assert "not used" not in dict(plan.rows())


@pytest.mark.parametrize(
    ("dense", "sentence"),
    [
        (["ball_2", "ball_1"], None),  # ignore voxels in a dense map are nobody's
        (["ball_0", "ball_2"], r"calls case ball_0 dense, but it has no painted map\. Add ball_0\.nii\.gz"),
        ([], r'ball_2\.nii\.gz: no voxel has the ignore value 2; .* or "dense": \["ball_2"\] if that is so in some'),
        ("ball_2", r'annotations\.json: expected dense such as \["CASE"\], found \'ball_2\''),
    ],
)
def test_dense_cases_are_listed(mixed: Path, dense: object, sentence: str | None) -> None:
    path = mixed / "annotations/mixed/annotations.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "dense": dense}))

    def read() -> list[str]:
        annotations = Dataset.open(mixed).annotations()
        return [annotations.read(case).protocol for case in annotations.cases]

    if sentence is None:
        assert read() == ["points", "dense", "dense"]
    else:
        with pytest.raises(InputError, match=sentence):
            read()


@pytest.mark.slow
def test_pa_seg_trains_on_all_of_them(mixed: Path, tmp_path: Path) -> None:
    run = train(mixed, run=tmp_path / "run", overrides=QUICK, device="cpu", cache=tmp_path / "cache")
    assert (run / "model" / "model.json").is_file()
