"""Every command as a user gives it: exit code, what is printed, what is left."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from voxseed.data.datasets import Dataset
from voxseed.data.volumes import read_volume, write_volume
from voxseed.errors import InterruptedRunError
from voxseed.training.run_folder import RunFolder


def test_help_names_every_command(voxseed):
    answer = voxseed("--help")
    assert answer.code == 0
    for name in (
        "demo",
        "dataset",
        "expand",
        "train",
        "predict",
        "evaluate",
        "report",
        "benchmark",
        "list",
        "settings",
    ):
        assert f" {name} " in answer.out


def test_the_version_is_printed(voxseed):
    from voxseed import __version__

    answer = voxseed("--version")
    assert (answer.code, answer.out, answer.err) == (0, f"voxseed {__version__}\n", "")


def test_check_tells_what_is_there(voxseed, dataset):
    answer = voxseed("dataset", "check", dataset)
    assert (answer.code, answer.err) == (0, "")
    found = dict(line.split("  ", maxsplit=1) for line in answer.out.splitlines() if "  " in line)
    assert found["cases"].strip() == "4, and 0 test cases"
    assert found["annotations points"] == "points, 4 (ball in 4)"
    assert answer.out.endswith("\nNo errors.\n")


@pytest.mark.parametrize("protocol", ["points", "extreme-points", "box", "dense"])
def test_every_protocol_of_objects_is_simulated_and_checks(voxseed, dataset, protocol):
    answer = voxseed("dataset", "simulate", dataset, "--protocol", protocol, "--set-name", "again", "--seed", 1)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[1].split() == ["ball", "4", "4", "0"]
    assert f"Annotation set: {dataset}/annotations/again" in answer.out
    assert voxseed("dataset", "check", dataset).code == 0


def test_slices_are_simulated_trained_on_and_predicted_with_uncertainty(voxseed, dataset, tmp_path, tiny):
    options = ("--protocol", "slices", "--every-slices", 6, "--planes", "axial, coronal")
    answer = voxseed("dataset", "simulate", dataset, *options)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[1].split() == ["ball", "4", "4", "0"]
    assert voxseed("dataset", "check", dataset).code == 0
    share = float(answer.out.splitlines()[-1].rpartition(", ")[2].partition("%")[0])
    assert 15 < share < 35
    widths = [word for name in ("axial", "coronal") for word in ("--set", f"networks.{name}.width=2")]
    answer = voxseed("train", dataset, "--annotations", "slices", "--run", tmp_path / "run", *tiny, *widths)
    assert answer.code == 0
    assert "planes" in answer.out
    assert "cross-teaching (2 iterations)" in answer.out
    images = dataset / "imagesTr"
    assert voxseed("predict", tmp_path / "run", images, "--out", tmp_path / "out", "--uncertainty").code == 0
    uncertainty = read_volume(tmp_path / "out" / "uncertainty" / "ball_0.nii.gz")
    assert uncertainty.shape == read_volume(tmp_path / "out" / "ball_0.nii.gz").shape


def test_a_set_outside_the_dataset_is_simulated_and_expanded(voxseed, dataset, tmp_path):
    options = ("--margin-voxels", 2, 3, "--inside-points", 3, "--out", tmp_path / "mine")
    assert voxseed("dataset", "simulate", dataset, "--protocol", "points", *options).code == 0
    answer = voxseed("expand", dataset, "--annotations", tmp_path / "mine", "--out", tmp_path / "grown")
    assert (answer.code, answer.err) == (0, "")
    name, precision, cases, recall, _ = answer.out.splitlines()[2].split()
    assert (name, cases) == ("ball", "4")
    assert float(precision) > 0.9
    assert float(recall) > 0.5
    assert voxseed("dataset", "check", tmp_path / "grown").code == 0


def test_a_grown_dataset_is_trained_on_as_the_last_line_says(voxseed, dataset, tmp_path, tiny):
    last_line = voxseed("expand", dataset, "--out", tmp_path / "grown").out.splitlines()[-1]
    words = last_line.rpartition("voxseed ")[2].split()
    answer = voxseed(*words, "--run", tmp_path / "run", *tiny)
    assert (answer.code, answer.err) == (0, "")
    assert RunFolder(tmp_path / "run").read().recipe == "full"


def test_training_prints_the_plan_first_and_then_how_to_predict(voxseed, dataset, tmp_path, tiny):
    run = tmp_path / "run"
    answer = voxseed("train", dataset, "--run", run, "--method", "partial", *tiny)
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert [line.split()[0] for line in lines[1:6]] == ["dataset", "annotations", "recipe", "cases", "classes"]
    assert lines[-1].endswith(f"voxseed predict {run} IMAGES --out PREDICTIONS")
    again = voxseed("train", dataset, "--run", run, "--resume", *tiny, "--method", "partial")
    assert (again.code, again.out.splitlines()) == (0, lines[-1:])


def test_a_run_without_a_name_gets_one(voxseed, dataset, tmp_path, tiny, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = voxseed("train", "data", "--method", "partial", *tiny)
    assert (answer.code, answer.err) == (0, "")
    assert RunFolder(tmp_path / "runs" / "data-partial").read().state == "complete"


@pytest.mark.parametrize("what", ["file", "folder", "dataset"])
def test_files_folders_and_datasets_are_predicted(voxseed, dataset, tmp_path, trained, what):
    images = dataset / "imagesTr"
    given = {"file": images / "ball_0_0000.nii.gz", "folder": images, "dataset": dataset}[what]
    answer = voxseed("predict", trained, given, "--out", tmp_path / "out", "--device", "cpu")
    assert (answer.code, answer.err) == (0, "")
    count = "1 prediction" if what == "file" else "4 predictions"
    assert answer.out.endswith(f"{count} in {tmp_path / 'out'}.\n")
    worst = [line for line in answer.out.splitlines() if line.startswith("Lowest expected Dice: ball_")]
    assert len(worst) == (0 if what == "file" else 1)
    assert read_volume(tmp_path / "out" / "ball_0.nii.gz").shape == (24, 20, 16)


def test_probabilities_of_an_ensemble_sum_to_one(voxseed, dataset, tmp_path, trained):
    import nibabel as nib

    image = dataset / "imagesTr" / "ball_0_0000.nii.gz"
    words = ("--out", tmp_path / "out", "--probabilities", "--ensemble", "--device", "cpu")
    assert voxseed("predict", trained, image, *words).code == 0
    probabilities = nib.load(tmp_path / "out" / "probabilities" / "ball_0.nii.gz").get_fdata()
    assert probabilities.shape == (24, 20, 16, 2)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, atol=1e-5)


@pytest.fixture
def predictions(dataset, tmp_path) -> Path:
    """The dense labels, of which that of ball_0 is moved by a voxel."""
    data = Dataset.open(dataset)
    for case in data.cases:
        label = data.read_label(case)
        shifted = np.roll(label.array, 1, axis=0) if case == "ball_0" else label.array
        write_volume(tmp_path / "predictions" / f"{case}.nii.gz", type(label)(shifted, label.affine))
    return tmp_path / "predictions"


def test_evaluating_prints_a_table_and_writes_a_row_per_case(voxseed, dataset, tmp_path, predictions):
    answer = voxseed("evaluate", predictions, dataset, "--out", tmp_path / "metrics.csv")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[1].split()[:2] == ["ball", "4"]
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["case"] for row in rows] == ["ball_0", "ball_1", "ball_2", "ball_3"]
    assert 0.5 < float(rows[0]["dice"]) < 1
    assert {row["dice"] for row in rows[1:]} == {"1"}


def test_predictions_do_not_differ_from_themselves(voxseed, dataset, tmp_path, predictions):
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    voxseed("evaluate", predictions, dataset, "--out", first)
    answer = voxseed("evaluate", predictions, dataset / "labelsTr", "--out", second, "--against", first)
    assert (answer.code, answer.err) == (0, "")
    comparison = answer.out[answer.out.index("difference") :].splitlines()[1:]
    assert len(comparison) == 4
    assert all("+0.00" in line and "[+0.00" in line for line in comparison)


def test_what_was_not_evaluated_is_said(voxseed, dataset, tmp_path, predictions):
    (predictions / "ball_3.nii.gz").unlink()
    answer = voxseed("evaluate", predictions, dataset, "--out", tmp_path / "metrics.csv")
    assert answer.code == 0
    assert answer.out.splitlines()[-1].endswith("have no prediction and were not evaluated: ball_3.")


def test_a_report_is_one_page_that_loads_nothing(voxseed, dataset, tmp_path, run, predictions):
    voxseed("evaluate", predictions, dataset, "--out", run / "metrics.csv")
    answer = voxseed("report", run, "--out", tmp_path / "report.html")
    assert (answer.code, answer.out, answer.err) == (0, f"Report: {tmp_path / 'report.html'}\n", "")
    page = (tmp_path / "report.html").read_text()
    assert "stage-one" in page
    assert "ball_0" in page
    assert 'src="http' not in page


@pytest.mark.parametrize(
    ("kind", "some"),
    [
        ("methods", {"pa-seg", "stage-one", "scm", "partial", "full"}),
        ("networks", {"unet2.5d", "unet3d", "attention-unet", "vnet", "dynunet"}),
        ("losses", {"partial", "crf", "variance", "distillation"}),
        ("protocols", {"points", "extreme-points", "box", "dense"}),
        ("presets", {"default", "small", "paper-vs", "paper-glioma", "released"}),
    ],
)
def test_names_are_listed_with_what_they_are(voxseed, kind, some):
    answer = voxseed("list", kind)
    assert (answer.code, answer.err) == (0, "")
    lines = [line.split(maxsplit=1) for line in answer.out.splitlines()[1:]]
    assert some <= {line[0] for line in lines}
    assert all(len(line) == 2 for line in lines)


def test_what_can_be_listed_is_listed_and_each_line_is_a_command(voxseed):
    answer = voxseed("list")
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()[1:]
    kinds = ("methods", "networks", "losses", "protocols", "presets", "tables")
    assert lines == [f"voxseed list {kind}" for kind in kinds]
    assert all(voxseed(*line.split()[1:]).code == 0 for line in lines)


def test_settings_show_values_and_meanings(voxseed):
    answer = voxseed("settings", "--method", "scm", "--preset", "small")
    assert (answer.code, answer.err) == (0, "")
    values = {line.split()[0]: line.split()[1] for line in answer.out.splitlines()}
    assert values["training.iterations"] == "400"
    assert "scm.temperature" in values
    assert not [key for key in values if key.startswith("stage_one.")]


@pytest.mark.parametrize("place", [0, 4])
def test_progress_is_shown_on_terminals_and_not_with_quiet(voxseed, dataset, tmp_path, trained, monkeypatch, place):
    words = ["predict", trained, dataset, "--out", tmp_path / "out", "--device", "cpu"]
    assert "Predicting" not in voxseed(*words).err
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "Predicting" in voxseed(*words).err
    assert voxseed(*words[:place], "--quiet", *words[place:]).err == ""


def test_debug_shows_where_an_error_is_from(tmp_path):
    from voxseed.cli.main import main
    from voxseed.errors import InputError

    with pytest.raises(InputError, match="no such dataset folder"):
        main(["dataset", "check", str(tmp_path / "none"), "--debug"])


def test_ctrl_c_elsewhere_is_one_word(voxseed, dataset, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("voxseed.data.checks.check_dataset", interrupt)
    answer = voxseed("dataset", "check", dataset)
    assert (answer.code, answer.out, answer.err) == (130, "", "voxseed: Interrupted.\n")


def test_ctrl_c_in_the_demo_says_how_to_go_on_with_it(voxseed, tmp_path, monkeypatch):
    def interrupt(*_: object, **__: object) -> None:
        raise InterruptedRunError("Go on with --run.")

    monkeypatch.setattr("voxseed.workflows.demo.train", interrupt)
    monkeypatch.setattr("voxseed.workflows.demo._dataset", lambda out, seed, say: out)
    answer = voxseed("demo", "--out", tmp_path)
    assert answer.code == 3
    assert answer.err.endswith("is kept. Go on with the same command.\n")


@pytest.mark.parametrize("devices", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_ctrl_c_ends_training_with_one_sentence_and_resuming_finishes_it(
    voxseed, tiny_dataset, tmp_path, tiny, devices
):
    run = tmp_path / "run"
    longer = ("--set", "training.iterations=60", "--set", "recipe.stages=1", "--devices", devices)
    words = [str(word) for word in ("train", tiny_dataset, "--run", run, *tiny, *longer)]
    process = subprocess.Popen(
        [sys.executable, "-m", "voxseed", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests run in a shell's background, processes inherit that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while process.poll() is None and not (run / "stages" / "01-stage-one" / "last.ckpt").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "Trained" not in out
    assert err.splitlines() == [
        "voxseed: Interrupted; everything up to the last finished epoch is kept. "
        f"Go on with the same command and --run {run} --resume."
    ]
    assert RunFolder(run).read().state == "running"
    assert voxseed(*words, "--resume").code == 0
    assert RunFolder(run).read().state == "complete"


def test_a_table_is_made_and_printed(voxseed, dataset, tmp_path):
    splits = {"version": 1, "test": ["ball_3"], "folds": [{"train": ["ball_0", "ball_1"], "val": ["ball_2"]}]}
    (dataset / "splits.json").write_text(json.dumps(splits))
    words = ("--data", dataset, "--out", tmp_path / "out", "--rows", "expansion", "--device", "cpu")
    answer = voxseed("benchmark", "losses", *words)
    assert (answer.code, answer.err) == (0, "")
    assert "0 rows are there, 1 are missing\n[1 of 1] expansion, seed 0\n" in answer.out
    assert "\nexpansion itself  0." in answer.out
    assert answer.out.endswith(f"\nPage: {tmp_path / 'out' / 'losses.html'}\n")


def test_a_curve_over_the_growth_trains_nothing(voxseed, dataset, tmp_path):
    splits = {"version": 1, "test": [], "folds": [{"train": ["ball_0", "ball_1"], "val": ["ball_2", "ball_3"]}]}
    (dataset / "splits.json").write_text(json.dumps(splits))
    answer = voxseed("benchmark", "epsilon", "--data", dataset, "--out", tmp_path / "out", "--device", "cpu")
    assert (answer.code, answer.err) == (0, "")
    with (tmp_path / "out" / "epsilon.csv").open() as file:
        rows = list(csv.DictReader(file))
    recalls = [float(row["recall_mean"]) for row in rows]
    assert len(recalls) == 9
    assert recalls == sorted(recalls)  # the further points grow, the more of the object they cover
    assert recalls[-1] > 2 * recalls[0]
    precisions = [float(row["precision_mean"]) for row in rows if row["precision_mean"]]
    assert precisions[0] == 1
    assert precisions[-1] < 1
    assert not (tmp_path / "out" / "cache").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("los",), "Unknown table 'los'. Known: architectures, "),
        (("losses", "--rows", "scm"), "--rows scm: unknown row. Known: full, expansion, partial"),
        (("losses", "--baseline", "scm"), "--baseline scm: unknown row. Known: full, expansion, partial"),
        (("losses", "--on", "train"), "--on train: expected one of test, validation."),
    ],
)
def test_what_is_no_table_is_a_sentence(voxseed, dataset, tmp_path, words, sentence):
    answer = voxseed("benchmark", *words, "--data", dataset, "--out", tmp_path / "out", "--device", "cpu")
    assert answer.code == 2
    assert sentence in answer.err
    assert not (tmp_path / "out").exists()


def test_tables_are_listed(voxseed):
    answer = voxseed("list", "tables")
    assert answer.code == 0
    assert ["losses", "Loss", "terms", "of", "stage", "one"] in [line.split() for line in answer.out.splitlines()]
