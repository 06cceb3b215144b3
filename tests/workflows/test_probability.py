"""From scattered points to probability maps, a probabilistic transformer, samples and their spread."""

import csv

import nibabel as nib
import numpy as np
import pytest
import torch

from voxseed.data.datasets import Dataset
from voxseed.data.volumes import read_label
from voxseed.errors import InputError
from voxseed.inference.predictor import Predictor
from voxseed.supervision.expansion import ExpansionSettings
from voxseed.supervision.probability_settings import ProbabilitySettings
from voxseed.training.checkpoints import metrics_path, read_metrics
from voxseed.workflows.evaluate import evaluate
from voxseed.workflows.expand import expand
from voxseed.workflows.predict import predict
from voxseed.workflows.report import report
from voxseed.workflows.simulate import simulate
from voxseed.workflows.train import train

TINY = (
    "networks.primary.width=2",
    "networks.primary.arguments={hidden_width: 24, heads: 3, layers: 4}",
    "training.iterations=4",
    "training.epoch_length=2",
    "training.patch_shape=[32, 32, 16]",
    "training.precision=fp32",
)


@pytest.fixture(scope="module")
def balls(tmp_path_factory):
    """Four cases of 24 × 20 × 16 voxels with a bright ball; scattered points and boxes."""
    path = tmp_path_factory.mktemp("data") / "Dataset901_Balls"
    dataset = Dataset.create(path, "Balls", ("MRI",), ("ball",))
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.arange(24), np.arange(20), np.arange(16), indexing="ij"))
    for number in range(4):
        center = np.array([12, 10, 8]) + rng.integers(-2, 3, 3)
        label = (((grid - center[:, None, None, None]) ** 2).sum(axis=0) < 25).astype(np.uint8)
        image = (100 * label + rng.normal(0, 20, label.shape)).astype(np.float32)
        dataset.write_case(f"ball_{number}", image[None], np.diag([1.5, 1.5, 1.5, 1]), label)
    simulate(path, "scattered-points", points=60)
    simulate(path, "box", margin_voxels=(1, 1))
    return path


@pytest.fixture(scope="module")
def trained(balls, tmp_path_factory):
    plans = []
    run = train(
        balls,
        annotations="scattered-points",
        run=tmp_path_factory.mktemp("runs") / "run",
        overrides=TINY,
        device="cpu",
        on_plan=plans.append,
    )
    assert (plans[0].recipe, plans[0].networks["primary"]["architecture"]) == ("pw4medseg", "probabilistic-unetr")
    return run


def test_maps_are_written_with_the_dice_of_their_most_probable_class(balls, tmp_path):
    summary = expand(balls, "scattered-points", ExpansionSettings(), tmp_path / "out", kind="probability")
    result = Dataset.open(tmp_path / "out")
    dices = []
    for case in result.cases:
        maps = np.asarray(nib.load(tmp_path / f"out/probabilities/{case}.nii.gz").dataobj)
        assert maps.shape == (24, 20, 16, 2)
        np.testing.assert_allclose(maps.sum(axis=-1), 1, atol=1e-6)
        pseudo, dense = read_label(tmp_path / f"out/labelsTr/{case}.nii.gz").array, Dataset.open(balls).read_label(case)
        np.testing.assert_array_equal(pseudo, maps.argmax(axis=-1))
        dices.append(2 * (pseudo & dense.array).sum() / (pseudo.sum() + dense.array.sum()))
    assert summary.rows()[1][5:] == (f"{np.mean(dices):.3f}", 4)
    with (tmp_path / "out" / "expansion.csv").open() as file:
        found = [float(row["dice"]) for row in csv.DictReader(file) if row["class"] == "ball"]
    np.testing.assert_allclose(found, dices, rtol=1e-5)


def test_sigma_changes_the_maps(balls, tmp_path):
    dices = []
    for sigma_mm in (1.0, 10.0):
        settings = ExpansionSettings(probability=ProbabilitySettings(sigma_mm=sigma_mm))
        summary = expand(balls, "scattered-points", settings, tmp_path / f"{sigma_mm}", kind="probability")
        dices.append(float(summary.rows()[1][5]))
    assert dices[0] != dices[1]


def test_another_kind_is_refused(balls, tmp_path):
    with pytest.raises(InputError, match="--kind soft: annotations become one of partial, probability"):
        expand(balls, "box", ExpansionSettings(), tmp_path / "out", kind="soft")


def test_boxes_alone_teach_probability_and_nothing_else(balls, tmp_path):
    assert expand(balls, "box", ExpansionSettings(), tmp_path / "out", kind="probability").rows()[1][6] == 4
    with pytest.raises(InputError, match="has no point and no painted voxel"):
        expand(balls, "box", ExpansionSettings(), tmp_path / "other")


def test_samples_and_their_spread_are_written(trained, balls, tmp_path):
    image = balls / "imagesTr" / "ball_0_0000.nii.gz"
    options = {"device": "cpu", "samples": 3, "uncertainty": True, "probabilities": True}
    predict(trained, [image], tmp_path / "out", **options)
    prediction = Predictor.load(trained, device="cpu", samples=3).predict(
        Dataset.open(balls).read_image("ball_0"), uncertainty=True
    )
    written = np.asarray(nib.load(tmp_path / "out/uncertainty/ball_0.nii.gz").dataobj)
    np.testing.assert_allclose(written, prediction.uncertainty, atol=1e-6)
    assert written.max() > 0
    lines = (tmp_path / "out" / "uncertainty.csv").read_text().splitlines()
    mean = prediction.mean_uncertainty
    assert lines == ["case,uncertainty", f"ball_0,{'' if np.isnan(mean) else f'{mean:.6g}'}"]
    # Another number of samples is another prediction; without them there is no table of their spread.
    again = predict(trained, [image], tmp_path / "out", **options, shard="1/1")
    fewer = predict(trained, [image], tmp_path / "out", **{**options, "samples": 2}, shard="1/1")
    assert (again.complete, fewer.complete) == (1, 0)
    predict(trained, [image], tmp_path / "plain", device="cpu")
    assert not (tmp_path / "plain" / "uncertainty.csv").exists()
    # Evaluation finds the probabilities, and the report draws how reliable they are.
    summary = evaluate(tmp_path / "out", balls, tmp_path / "metrics.csv")
    assert [each.class_name for each in summary.calibrations] == ["ball"]
    assert "Expected calibration error: ball " in summary.text()
    evaluate(tmp_path / "out", balls, tmp_path / "second.csv", against=tmp_path / "metrics.csv")
    page = report(tmp_path / "second.csv", tmp_path / "report.html").read_text()
    assert "<h2>Calibration</h2>" in page


def test_targets_that_are_guesses_tell_no_volumes(trained):
    assert Predictor.load(trained, device="cpu").model.description.class_ranges == {}


@pytest.mark.parametrize("method", ["dtp", "deepcut", "size-loss"])
def test_methods_that_need_boxes_refuse_scattered_points(balls, tmp_path, method):
    with pytest.raises(InputError, match="the class 'ball' has no outside points and no box"):
        train(balls, annotations="scattered-points", method=method, run=tmp_path / "run", overrides=TINY, device="cpu")


def test_parts_of_an_expansion_are_of_one_kind(balls, tmp_path):
    for number in (1, 2):
        summary = expand(balls, "box", ExpansionSettings(), tmp_path / "out", kind="probability", shard=f"{number}/2")
    assert (summary.missing, summary.header()[5:]) == (0, ("Dice", "cases"))
    with pytest.raises(InputError, match="holds parts of an expansion with other settings"):
        expand(balls, "scattered-points", ExpansionSettings(), tmp_path / "out", shard="1/2")


def test_both_terms_of_the_transformer_are_logged_and_finite(trained):
    (row, *_) = read_metrics(metrics_path(trained / "stages" / "01-pw4medseg"))
    assert all(np.isfinite(row[f"primary/{term}"]) for term in ("probability", "kl"))


def test_any_method_that_learns_from_targets_takes_scattered_points(balls, tmp_path):
    overrides = [*TINY, "networks.primary.architecture=unetr"]
    run = train(
        balls, annotations="scattered-points", method="partial", run=tmp_path / "run", overrides=overrides, device="cpu"
    )
    assert torch.isfinite(next(Predictor.load(run, device="cpu").model.networks["primary"].parameters())).all()
