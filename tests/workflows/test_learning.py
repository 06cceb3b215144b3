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
@pytest.mark.parametrize(("method", "dice"), [("full", 0.7), ("partial", 0.6), ("stage-one", 0.6), ("pa-seg", 0.6)])
def test_it_learns_a_phantom(phantoms, tmp_path, method, dice):
    annotations = None if method == "full" else "points"
    run = train(phantoms, annotations=annotations, method=method, run=tmp_path / "run", overrides=SETTINGS)
    predict(run, [phantoms / "imagesTs"], tmp_path / "predictions")
    evaluation = evaluate(tmp_path / "predictions", phantoms / "labelsTs", tmp_path / "metrics.csv")
    assert evaluation.summaries[0].estimates["dice"].mean > dice
    assert evaluation.summaries[0].missed == 0


@pytest.mark.slow
@pytest.mark.parametrize("planes", [("axial", "coronal"), ("axial",)], ids=["two planes", "one plane"])
def test_cross_teaching_learns_a_phantom_from_slices(phantoms, tmp_path, planes):
    slices = simulate(phantoms, "slices", out=tmp_path / "slices", every_slices=6, planes=planes).path
    networks = ("networks.axial.width=8", "networks.coronal.width=8")
    run = train(
        phantoms, annotations=slices, method="cross-teaching", run=tmp_path / "run", overrides=(*SETTINGS, *networks)
    )
    predict(run, [phantoms / "imagesTs"], tmp_path / "predictions")
    evaluation = evaluate(tmp_path / "predictions", phantoms / "labelsTs", tmp_path / "metrics.csv")
    assert evaluation.summaries[0].estimates["dice"].mean > 0.6
    assert evaluation.summaries[0].missed == 0
