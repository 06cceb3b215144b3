"""Training from a dataset to a model, and what can go wrong on the way."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from voxseed.data.datasets import Dataset
from voxseed.errors import InputError
from voxseed.training.run_folder import RunFolder
from voxseed.workflows.predict import predict
from voxseed.workflows.train import train

TINY = (
    "networks.primary.width=2",
    "networks.auxiliary.width=2",
    "training.iterations=6",
    "training.epoch_length=2",
    "training.patch_shape=[16, 16, 16]",
    "training.precision=fp32",
    "recipe.stage_shares=[1.0, 0.67]",
)


def _weights(run: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(run / "model" / "weights.safetensors")


@pytest.fixture(scope="module")
def trained(tiny_dataset, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "run"
    plans = []
    train(tiny_dataset, run=run, overrides=TINY, device="cpu", on_plan=plans.append)
    assert [row[0] for row in plans[0].rows()][:3] == ["dataset", "annotations", "recipe"]
    return run


def test_points_are_trained_by_both_stages_of_pa_seg(trained):
    record = RunFolder(trained).read()
    assert record.recipe == "pa-seg"
    assert [(stage.method, stage.state) for stage in record.stages] == [("stage-one", "complete"), ("scm", "complete")]
    assert {name.split("/")[0] for name in _weights(trained)} == {"primary", "auxiliary"}


def test_a_run_leaves_what_is_documented(trained):
    found = {str(path.relative_to(trained)) for path in trained.rglob("*") if path.is_file()}
    for stage in ("stages/01-stage-one", "stages/02-scm"):
        assert {f"{stage}/last.ckpt", f"{stage}/metrics.csv", f"{stage}/model/model.json"} <= found
    assert {"run.json", "settings.yaml", "provenance.json", "log.txt", "model/weights.safetensors"} <= found


def test_provenance_names_no_private_path(trained):
    text = (trained / "provenance.json").read_text()
    assert str(trained.parent) not in text
    assert len(json.loads(text)["dataset_fingerprint"]) == 64


def test_a_run_predicts_on_the_grid_of_its_input(trained, tiny_dataset, tmp_path):
    images = sorted((tiny_dataset / "imagesTr").iterdir())[:1]
    (written,) = predict(trained, images, tmp_path, device="cpu").written
    assert written.exists()
    dataset = Dataset.open(tiny_dataset)
    assert dataset.read_grid("ball_0").shape == (24, 20, 16)


def test_resuming_a_finished_run_changes_nothing(trained, tiny_dataset):
    before = (trained / "model" / "weights.safetensors").stat().st_mtime_ns
    train(tiny_dataset, run=trained, device="cpu", resume=True)
    assert (trained / "model" / "weights.safetensors").stat().st_mtime_ns == before


def test_a_second_stage_can_start_from_another_run(trained, tiny_dataset, tmp_path):
    start = trained / "stages" / "01-stage-one"
    run = train(
        tiny_dataset,
        method="scm",
        run=tmp_path / "scm",
        overrides=TINY,
        start_from=[f"primary={start}:auxiliary", f"auxiliary={start}:primary"],
        device="cpu",
    )
    description = json.loads((run / "model" / "model.json").read_text())
    assert description["networks"]["primary"]["architecture"] == "attention-unet"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "there is a run already .*--resume"),
        ({"resume": True, "overrides": (*TINY, "training.seed=5")}, r"started with training\.seed = 0, not 5"),
        (
            {"resume": True, "method": "partial", "overrides": TINY},
            r"started with recipe\.name = 'pa-seg', not 'partial'",
        ),
    ],
)
def test_another_run_in_the_folder_is_refused(trained, tiny_dataset, arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        train(tiny_dataset, run=trained, device="cpu", **arguments)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"method": "pa-segg"}, r"Unknown method 'pa-segg'.*Known: .*pa-seg"),
        ({"method": "scm"}, "scm starts from trained networks.*--from primary=RUN:primary"),
        ({"preset": "huge"}, r"Unknown preset 'huge'\. Known: default, small"),
        ({"overrides": ["networks.primary.architecture=resnet"]}, r"Unknown network 'resnet'.*Known: .*unet3d"),
        ({"overrides": ["training.iteration=5"]}, r"unknown setting 'training\.iteration'; known here: iterations"),
        ({"annotations": "scribbles"}, "scribbles"),
        ({"fold": 3}, "--fold 3"),
        ({"overrides": ["recipe.stages=5"]}, "recipe.stages = 5: pa-seg has 2, stage-one, scm"),
        ({"overrides": ["stage_one.crf.sigma_x=no"]}, "stage_one.crf.sigma_x"),
        ({"start_from": ["primary"]}, "expected MEMBER=RUN:MEMBER"),
        ({"overrides": ["training.select=dense"]}, "needs validation cases with dense labels"),
        ({"device": "gpu"}, "unknown device"),
    ],
)
def test_what_cannot_be_trained_is_a_sentence_and_leaves_nothing(tiny_dataset, tmp_path, arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        train(tiny_dataset, run=tmp_path / "run", **{"device": "cpu", **arguments})
    assert not (tmp_path / "run").exists()


def test_a_run_is_resumed_with_the_set_that_it_began_on(trained, tiny_dataset, tmp_path):
    from voxseed.workflows.simulate import simulate

    data, run = shutil.copytree(tiny_dataset, tmp_path / "data"), shutil.copytree(trained, tmp_path / "runs" / "run")
    record = RunFolder(run).read()
    assert record.annotations == "points"
    stages = (record.stages[0], replace(record.stages[1], state="running"))
    RunFolder(run).write(replace(record, state="running", stages=stages))
    simulate(data, "points", set_name="another", seed=1)
    resumed = {"run": run, "device": "cpu", "resume": True}
    with pytest.raises(InputError, match="several annotation sets, choose one of another, points"):
        train(data, run=tmp_path / "runs" / "new", overrides=TINY, device="cpu")
    with pytest.raises(InputError, match="not those that the run began on"):
        train(data, annotations="another", **resumed)
    train(data, **resumed)
    assert RunFolder(run).read() == record


def test_changed_annotations_are_noticed_on_resume(tiny_dataset, tmp_path):
    sets = tmp_path / "points"
    from voxseed.workflows.simulate import simulate

    simulate(tiny_dataset, "points", out=sets, seed=1)
    settings = (*TINY, "recipe.stages=1")
    _killed(tiny_dataset, tmp_path / "run", settings, sets)
    assert RunFolder(tmp_path / "run").read().annotations is None, "a path outside the dataset may be private"
    marks = next(iter((sets / "ball_0").glob("*.mrk.json")))
    other = next(iter((tiny_dataset / "annotations" / "points" / "ball_0").glob("*.mrk.json")))
    marks.write_bytes(other.read_bytes())
    with pytest.raises(InputError, match="not those that the run began on"):
        train(tiny_dataset, annotations=sets, run=tmp_path / "run", device="cpu", resume=True)


def _killed(dataset: Path, run: Path, settings: tuple[str, ...], annotations: Path) -> None:
    """Start a run in another process and kill it as soon as it has begun."""
    command = [sys.executable, "-m", "voxseed", "train", str(dataset), "--annotations", str(annotations)]
    command += ["--run", str(run), "--device", "cpu", *(word for s in settings for word in ("--set", s))]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (run / "run.json").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (run / "run.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("delay_seconds", [0.0, 0.4, 0.8, 1.2, 1.6])
def test_a_run_killed_at_any_moment_resumes_to_the_same_model(tiny_dataset, trained, tmp_path, delay_seconds):
    run = tmp_path / "run"
    command = [sys.executable, "-m", "voxseed", "train", str(tiny_dataset), "--run", str(run), "--device", "cpu"]
    command += [word for setting in TINY for word in ("--set", setting)]
    process = subprocess.Popen([*command, "--resume"], stdout=subprocess.DEVNULL, env={**os.environ})
    while process.poll() is None and not (run / "run.json").exists():
        time.sleep(0.01)
    time.sleep(delay_seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()
    train(tiny_dataset, run=run, device="cpu", resume=True)
    expected, found = _weights(trained), _weights(run)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_two_devices_train_on_cpu(tiny_dataset, tmp_path):
    run = train(tiny_dataset, method="partial", run=tmp_path / "run", overrides=TINY, device="cpu", devices=2)
    assert torch.load(run / "stages" / "01-partial" / "last.ckpt", weights_only=True)["world_size"] == 2


def test_dense_selection_keeps_the_best_validation(tiny_dataset, tmp_path):
    copy = tmp_path / "data"
    copy.mkdir()
    for part in ("imagesTr", "labelsTr", "annotations", "dataset.json"):
        (copy / part).symlink_to(tiny_dataset / part)
    folds = [{"train": ["ball_0", "ball_1"], "val": ["ball_2", "ball_3"]}]
    (copy / "splits.json").write_text(json.dumps({"version": 1, "test": [], "folds": folds}))
    run = train(copy, method="partial", run=tmp_path / "run", overrides=[*TINY, "training.select=dense"], device="cpu")
    best = torch.load(run / "stages" / "01-partial" / "best.ckpt", weights_only=True)
    for name, value in _weights(run).items():
        assert best["weights"]["primary"][name.removeprefix("primary/")].equal(value)


def test_a_model_knows_the_ranges_of_its_training_cases(trained):
    """Balls of 485 to 515 voxels of 3.375 mm³, that is about 1.7 ml: known from below and from above."""
    description = json.loads((trained / "model" / "model.json").read_text())
    seen = description["class_ranges"]["ball"]
    assert 0.5 < seen["lowest_ml"] < 1.7 < seen["highest_ml"] < 6
    assert (seen["most_parts"], seen["touches_border"], seen["is_absent_somewhere"]) == (1, False, False)
