"""From slices to a model of 3D and 2D networks, and to predictions with uncertainty."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from voxseed.data.datasets import Dataset
from voxseed.data.volumes import read_volume
from voxseed.errors import InputError
from voxseed.workflows.predict import predict
from voxseed.workflows.simulate import simulate
from voxseed.workflows.train import train

TINY = (
    "networks.primary.width=2",
    "networks.axial.width=2",
    "networks.coronal.width=2",
    "networks.sagittal.width=2",
    "training.iterations=2",
    "training.epoch_length=2",
    "training.patch_shape=[16, 16, 16]",
    "training.precision=fp32",
)


@pytest.fixture(scope="module")
def sliced(tiny_dataset, tmp_path_factory) -> Path:
    """A dataset whose only annotation set is of slices."""
    root = Path(shutil.copytree(tiny_dataset, tmp_path_factory.mktemp("sliced") / "data"))
    shutil.rmtree(root / "annotations")
    simulate(root, "slices", every_slices=6, seed=1)
    return root


@pytest.fixture(scope="module")
def trained(sliced, tmp_path_factory) -> Path:
    plans = []
    run = train(sliced, run=tmp_path_factory.mktemp("runs") / "run", overrides=TINY, device="cpu", on_plan=plans.append)
    rows = dict(plans[0].rows())
    assert rows["recipe"] == "cross-teaching: cross-teaching (2 iterations)"  # follows from the protocol
    assert rows["planes"] == "coronal, axial"
    return run


def description(run: Path) -> dict:
    return json.loads((run / "model" / "model.json").read_text())


def test_the_model_holds_every_network_and_says_which_slices_it_reads(trained):
    found = description(trained)
    assert found["default_member"] == "primary"
    axes = {name: network["arguments"].get("axis") for name, network in found["networks"].items()}
    assert axes == {"primary": None, "axial": 2, "coronal": 1}


def test_networks_predict_alone_together_and_disagree(trained, sliced, tmp_path):
    images = sorted((sliced / "imagesTr").iterdir())[:1]
    maps = {}
    for name, ensemble in (("alone", False), ("together", True)):
        out = tmp_path / name
        predict(trained, images, out, probabilities=True, ensemble=ensemble, uncertainty=True, device="cpu")
        maps[name] = [read_volume(out / folder / "ball_0.nii.gz") for folder in ("uncertainty",)]
        maps[name].append((out / "probabilities" / "ball_0.nii.gz").read_bytes())
    alone, together = maps["alone"][0], maps["together"][0]
    grid = Dataset.open(sliced).read_grid("ball_0")
    assert alone.shape == grid.shape
    np.testing.assert_allclose(alone.affine, grid.affine)
    np.testing.assert_array_equal(alone.array, together.array)  # of all networks, whichever give the labels
    assert 0 < alone.array.max() <= 0.5
    assert maps["alone"][1] != maps["together"][1]


def test_one_plane_trains_one_2d_network_and_is_said_to_be_less(sliced, tmp_path):
    found = simulate(sliced, "slices", out=tmp_path / "axial", planes=["axial"], every_slices=5)
    plans = []
    run = train(
        sliced,
        annotations=found.path,
        run=tmp_path / "run",
        overrides=TINY,
        device="cpu",
        on_plan=plans.append,
    )
    assert dict(plans[0].rows())["planes"] == "axial alone; two teach more"
    assert list(description(run)["networks"]) == ["primary", "axial"]


@pytest.mark.parametrize("method", ["mean-teacher", "uncertainty-aware-mean-teacher", "partial"])
def test_other_methods_learn_from_the_same_slices(sliced, tmp_path, method):
    run = train(sliced, method=method, run=tmp_path / "run", overrides=TINY, device="cpu")
    assert list(description(run)["networks"]) == ["primary"]


def test_an_uncertainty_needs_networks_that_can_disagree(sliced, tmp_path):
    run = train(sliced, method="partial", run=tmp_path / "run", overrides=TINY, device="cpu")
    with pytest.raises(
        InputError, match="An uncertainty is how far opinions differ, and there is one, of network 'primary'"
    ):
        predict(run, [sliced / "imagesTr"], tmp_path / "out", uncertainty=True, device="cpu")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"method": "cross-teaching", "annotations": "points"}, "expected a painted map with annotated slices"),
        (
            {"overrides": [*TINY, "networks.axial.architecture=unet3d"], "annotations": "slices"},
            "network unet3d: it does not read slices one by one; expected one of unet2d",
        ),
        (
            {"overrides": ["cross_teaching.quality=kappa"], "annotations": "slices"},
            "cross_teaching.quality = 'kappa': input should be 'accuracy' or 'dice'",
        ),
    ],
)
def test_what_cannot_be_trained_is_a_sentence_and_leaves_nothing(tiny_dataset, tmp_path, arguments, sentence):
    root = Path(shutil.copytree(tiny_dataset, tmp_path / "data"))
    simulate(root, "slices", every_slices=6)
    with pytest.raises(InputError, match=sentence):
        train(root, run=tmp_path / "run", **{"device": "cpu", **arguments})
    assert not (tmp_path / "run").exists()
