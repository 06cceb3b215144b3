"""Every method learns: a small network, few phantoms, measured on phantoms that it has not seen."""

from pathlib import Path

import pytest

from voxseed.data.phantoms import make_dataset
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
    predict(run, [phantoms / "imagesTs"], tmp_path / "predictions")
    evaluation = evaluate(tmp_path / "predictions", phantoms / "labelsTs", tmp_path / "metrics.csv")
    assert evaluation.summaries[0].estimates["dice"].mean > dice
    assert evaluation.summaries[0].missed == 0
