"""Every method learns: a small network, few phantoms, measured on phantoms that it has not seen."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from voxseed.data.annotation_sets import AnnotationSet
from voxseed.data.annotations import CaseAnnotation
from voxseed.data.datasets import Dataset
from voxseed.data.phantoms import make_dataset
from voxseed.data.volumes import Volume
from voxseed.evaluation.statistics import ClassSummary
from voxseed.methods.base import METHODS
from voxseed.metrics.overlap import dice
from voxseed.workflows.evaluate import evaluate
from voxseed.workflows.predict import predict
from voxseed.workflows.simulate import simulate
from voxseed.workflows.train import train

SETTINGS = (
    "training.iterations=400",
    "training.epoch_length=200",
    "training.patch_shape=[32, 32, 24]",
    "training.precision=fp32",
    "augmentation.zoom=0",
    "networks.primary.architecture=residual-unet",
    "networks.primary.width=8",
    "networks.auxiliary.architecture=residual-unet",
    "networks.auxiliary.width=8",
)


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("phantoms") / "data"
    make_dataset(root, kind="two-channel", train=8, test=4, seed=7)
    simulate(root, "points")
    return root


@pytest.mark.slow
@pytest.mark.parametrize("annotations", ["scattered-points", "points"])
def test_the_loss_on_probabilities_teaches_a_phantom(phantoms, tmp_path, annotations):
    """With scattered points, and with seven whose growth is the probability."""
    if annotations == "scattered-points":
        simulate(phantoms, annotations, points=50)
    run = train(phantoms, annotations=annotations, method="pw4medseg", run=tmp_path / "run", overrides=SETTINGS)
    predict(run, [phantoms / "imagesTs"], tmp_path / "predictions")
    evaluation = evaluate(tmp_path / "predictions", phantoms / "labelsTs", tmp_path / "metrics.csv")
    assert evaluation.summaries[0].estimates["dice"].mean > 0.6


@pytest.mark.slow
@pytest.mark.parametrize(("method", "dice"), [("full", 0.7), ("partial", 0.6), ("stage-one", 0.6), ("pa-seg", 0.6)])
def test_it_learns_a_phantom(phantoms, tmp_path, method, dice):
    annotations = None if method == "full" else "points"
    run = train(phantoms, annotations=annotations, method=method, run=tmp_path / "run", overrides=SETTINGS)
    _require_dice(phantoms, run, dice)


def _require_dice(data: Path, run: Path, least: float, **options: Any) -> None:
    """That a run finds the objects of every class in cases that it has not seen."""
    for summary in _measured(data, run, **options):
        assert summary.missed == 0
        assert summary.estimates["dice"].mean > least, summary.class_name


def _measured(data: Path, run: Path, **options: Any) -> Sequence[ClassSummary]:
    with TemporaryDirectory(dir=run) as predictions:
        predict(run, [data / "imagesTs"], predictions, **options)
        return evaluate(predictions, data / "labelsTs", run / "metrics.csv").summaries


def _dice(data: Path, run: Path, **options: Any) -> float:
    """Of the first class."""
    return _measured(data, run, **options)[0].estimates["dice"].mean


MEMBERS = ("primary", "auxiliary", "second", "third")
SMALL = (
    "training.epoch_length=20",
    "training.patch_shape=[24, 24, 24]",
    "training.precision=fp32",
    "augmentation.zoom=0",
    "optimiser.learning_rate=0.005",
    *(f"networks.{member}.architecture=residual-unet" for member in MEMBERS),
    *(f"networks.{member}.width=4" for member in MEMBERS),
    "cps.ramp_fraction=0.5",
    "dtp.margin_voxels=3",
)
FROM_ANNOTATIONS = {
    "partial": 0.8,
    "entropy-min": 0.8,
    "total-variation": 0.8,
    "mumford-shah": 0.8,
    "gated-crf": 0.8,
    "size-loss": 0.8,
    "dtp": 0.6,
    "deepcut": 0.7,
    "cps": 0.8,
}
"""Method → mean Dice that it must exceed on balls."""
SECOND_STAGES = ("scm", "cps", "co-teaching", "self-ensembling", "triple", "mutual")


@pytest.fixture(scope="module", params=[1, 2], ids=["one class", "two classes"])
def balls(request, tmp_path_factory) -> Path:
    """Ellipsoids in noise, which even boxes say enough about: six cases to train on and three unseen ones.

    A case has a bright one, and beside it a dark one if there are two classes.
    """
    root = tmp_path_factory.mktemp("balls") / "data"
    dataset = Dataset.create(root, "Balls", ("MRI",), ("bright", "dark")[: request.param])
    rng = np.random.default_rng(0)
    shape = (28, 26, 24)
    grid = np.indices(shape).reshape(3, -1)
    for number in range(9):
        parts = []
        for value in range(1, request.param + 1):
            center, radii = rng.uniform((11, 10, 9), (17, 16, 15)), rng.uniform(4, 7, 3)
            inside = (((grid - center[:, None]) / radii[:, None]) ** 2).sum(axis=0) < 1
            parts.append(value * inside.reshape(shape).astype(np.uint8))
        label = np.concatenate(parts)
        image = (np.array((0, 100, -100))[label] + rng.normal(0, 25, label.shape)).astype(np.float32)
        dataset.write_case(f"ball_{number}", image[None], np.diag([1.5, 1.5, 1.5, 1]), label, test=number >= 6)
    for protocol in ("points", "extreme-points", "box"):
        simulate(root, protocol)
    return root


def _settings(balls: Path, iterations_per_class: int = 120) -> tuple[str, ...]:
    return (*SMALL, f"training.iterations={iterations_per_class * _class_count(balls)}")


def _class_count(balls: Path) -> int:
    return len(Dataset.open(balls).labels.foreground)


@pytest.fixture(scope="module")
def poor_stages(balls, tmp_path_factory) -> list[Path]:
    """Two first stages that were too short to learn much."""
    runs = [tmp_path_factory.mktemp("runs") / f"first-{seed}" for seed in (0, 1)]
    for seed, run in enumerate(runs):
        settings = (*_settings(balls, 12), "recipe.stages=1", f"training.seed={seed}")
        train(balls, annotations="points", method="pa-seg", run=run, overrides=settings)
        assert _dice(balls, run) < 0.6
    return runs


@pytest.mark.slow
@pytest.mark.parametrize("method", FROM_ANNOTATIONS)
def test_it_learns_balls_from_annotations(balls, tmp_path, method):
    if method == "dtp" and _class_count(balls) > 1:
        pytest.skip("its weights suit one object per patch; several classes are tested in tests/methods/test_dtp.py")
    annotations = "box" if method in ("dtp", "deepcut") else "points"
    run = train(balls, annotations=annotations, method=method, run=tmp_path / "run", overrides=_settings(balls))
    _require_dice(balls, run, FROM_ANNOTATIONS[method])


@pytest.mark.slow
@pytest.mark.parametrize("method", SECOND_STAGES)
def test_a_second_stage_learns_what_a_poor_first_one_left(balls, poor_stages, tmp_path, method):
    first, other = poor_stages
    sources = (f"{first}:primary", f"{first}:auxiliary", f"{other}:primary")
    run = train(
        balls,
        annotations="points",
        method=method,
        run=tmp_path / "run",
        overrides=(*_settings(balls, 60 * _class_count(balls)), "cps.ramp_fraction=0"),
        start_from=[f"{member}={each}" for member, each in zip(METHODS.get(method).members, sources, strict=False)],
    )
    _require_dice(balls, run, 0.9 if _class_count(balls) == 1 else 0.8)


@pytest.mark.slow
def test_networks_of_different_architecture_monitor_each_other(balls, tmp_path):
    """The primary one alone, and both together (SCM-E)."""
    settings = (*_settings(balls, 200), "networks.auxiliary.architecture=unet3d", "recipe.stage_shares=[1.0, 0.5]")
    run = train(balls, annotations="points", run=tmp_path / "run", overrides=settings)
    _require_dice(balls, run, 0.8)
    _require_dice(balls, run, 0.8, ensemble=True)


@pytest.mark.slow
def test_a_poor_network_learns_from_the_other_alone(balls, poor_stages, tmp_path):
    """SCM with lambda = 1, teachers that stay, and no label that anybody gave."""
    good = train(balls, annotations="points", method="partial", run=tmp_path / "good", overrides=_settings(balls))
    run = train(
        balls,
        annotations="points",
        method="scm",
        run=tmp_path / "run",
        overrides=(*_settings(balls), "scm.cross_weight=1", "scm.refreshes=1", "scm.keep_annotated=false"),
        start_from=[f"primary={good}:primary", f"auxiliary={poor_stages[0]}:primary"],
    )
    _require_dice(balls, run, 0.8, member="auxiliary")


@pytest.mark.slow
def test_pa_seg_is_better_than_the_labels_of_a_tool_that_it_learns_from(balls, tmp_path):
    data, rng = Dataset.open(balls), np.random.default_rng(1)
    noisy = AnnotationSet.create(tmp_path / "tool", data.labels, "noisy-dense")
    dice_of_tool = []
    for case in data.cases:
        label = data.read_label(case)
        is_wrong = rng.random(label.shape) < np.where(label.array > 0, 0.3, 0.04)
        anything = rng.integers(0, _class_count(balls) + 1, label.shape, dtype=np.uint8)
        painted = np.where(is_wrong, anything, label.array)
        noisy.write(case, CaseAnnotation("noisy-dense", painted=Volume(painted, label.affine)))
        dice_of_tool.append(dice(painted == 1, label.array == 1))
    assert np.mean(dice_of_tool) < 0.8
    run = train(balls, annotations=tmp_path / "tool", run=tmp_path / "run", overrides=_settings(balls, 240))
    _require_dice(balls, run, 0.85)


@pytest.mark.slow
def test_extreme_points_are_learned_by_pa_seg(balls, tmp_path):
    run = train(balls, annotations="extreme-points", run=tmp_path / "run", overrides=_settings(balls))
    _require_dice(balls, run, 0.8)


@pytest.mark.slow
@pytest.mark.parametrize("planes", [("axial", "coronal"), ("axial",)], ids=["two planes", "one plane"])
def test_cross_teaching_learns_a_phantom_from_slices(phantoms, tmp_path, planes):
    slices = simulate(phantoms, "slices", out=tmp_path / "slices", every_slices=6, planes=planes).path
    networks = ("networks.axial.width=8", "networks.coronal.width=8")
    run = train(
        phantoms, annotations=slices, method="cross-teaching", run=tmp_path / "run", overrides=(*SETTINGS, *networks)
    )
    _require_dice(phantoms, run, 0.6)
