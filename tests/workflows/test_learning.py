"""Every method learns: a small network, few phantoms, measured on phantoms that it has not seen."""

from pathlib import Path

import pytest

from voxseed.data.phantoms import make_dataset
from voxseed.methods.base import METHODS
from voxseed.workflows.evaluate import evaluate
from voxseed.workflows.predict import predict
from voxseed.workflows.simulate import simulate
from voxseed.workflows.train import train

MEMBERS = ("primary", "auxiliary", "second", "third")
SETTINGS = (
    "training.iterations=400",
    "training.epoch_length=200",
    "training.patch_shape=[32, 32, 24]",
    "training.precision=fp32",
    "augmentation.zoom=0",
    *(f"networks.{member}.architecture=residual-unet" for member in MEMBERS),
    *(f"networks.{member}.width=8" for member in MEMBERS),
)
SHORT = ("training.iterations=100", "training.epoch_length=20")
"""Of a second stage."""

FROM_ANNOTATIONS = {
    "full": 0.7,
    "partial": 0.6,
    "stage-one": 0.6,
    "pa-seg": 0.6,
    "entropy-min": 0.6,
    "total-variation": 0.6,
    "mumford-shah": 0.6,
    "gated-crf": 0.6,
    "size-loss": 0.6,
    "dtp": 0.4,
    "deepcut": 0.5,
    "cps": 0.6,
}
"""Method or recipe → mean Dice that it must exceed."""
SECOND_STAGES = {"scm": 0.6, "cps": 0.6, "co-teaching": 0.6, "self-ensembling": 0.6, "triple": 0.6, "mutual": 0.6}


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("phantoms") / "data"
    make_dataset(root, kind="two-channel", train=8, test=4, seed=7)
    simulate(root, "points")
    simulate(root, "extreme-points")
    return root


@pytest.fixture(scope="module")
def first_stage(phantoms, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "first"
    settings = (*SETTINGS, "recipe.stages=1", "training.iterations=200", "training.epoch_length=50")
    return train(phantoms, annotations="points", method="pa-seg", run=run, overrides=settings)


def _require_dice(phantoms: Path, run: Path, least: float) -> None:
    """That the run finds the object in phantoms that it has not seen."""
    predict(run, [phantoms / "imagesTs"], run / "predictions")
    evaluation = evaluate(run / "predictions", phantoms / "labelsTs", run / "metrics.csv")
    assert evaluation.summaries[0].estimates["dice"].mean > least
    assert evaluation.summaries[0].missed == 0


@pytest.mark.slow
@pytest.mark.parametrize("method", FROM_ANNOTATIONS)
def test_it_learns_a_phantom(phantoms, tmp_path, method):
    annotations = None if method == "full" else "points"
    run = train(phantoms, annotations=annotations, method=method, run=tmp_path / "run", overrides=SETTINGS)
    _require_dice(phantoms, run, FROM_ANNOTATIONS[method])


@pytest.mark.slow
@pytest.mark.parametrize("method", SECOND_STAGES)
def test_it_keeps_what_a_first_stage_learned(phantoms, first_stage, tmp_path, method):
    sources = dict(zip(METHODS.get(method).members, ("primary", "auxiliary", "primary"), strict=False))
    starts = [f"{member}={first_stage}:{source}" for member, source in sources.items()]
    settings = (*SETTINGS, *SHORT, "cps.ramp_fraction=0", "cps.supervised_weight=0")
    run = train(
        phantoms, annotations="points", method=method, run=tmp_path / "run", overrides=settings, start_from=starts
    )
    _require_dice(phantoms, run, SECOND_STAGES[method])


@pytest.mark.slow
def test_extreme_points_are_learned_by_pa_seg(phantoms, tmp_path):
    run = train(phantoms, annotations="extreme-points", run=tmp_path / "run", overrides=SETTINGS)
    _require_dice(phantoms, run, 0.6)


def test_no_method_is_left_out():
    assert set(METHODS.names()) <= FROM_ANNOTATIONS.keys() | SECOND_STAGES.keys()
