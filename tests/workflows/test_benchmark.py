"""A table of methods: what is made, taken and said; trainings and pictures are stubs but in the last test."""

import json
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock

from voxseed.benchmarks.records import COMPLETE, RowRecord
from voxseed.data.datasets import Dataset
from voxseed.data.volumes import Volume, read_label, write_volume
from voxseed.devices import best_precision
from voxseed.errors import InputError, InterruptedRunError, UnknownNameError
from voxseed.files import write_json
from voxseed.methods.recipes import get_recipe
from voxseed.training.planning import plan_stages
from voxseed.training.run_folder import RunFolder, RunRecord, StageRecord
from voxseed.training.settings import load_run_settings
from voxseed.workflows import benchmark_plan, benchmark_results, benchmark_rows, benchmark_work
from voxseed.workflows.benchmark import benchmark, table_planners
from voxseed.workflows.benchmark_plan import network_modules

TABLE = """
title: <b>Mine</b>
source: Zhai et al. 2023
baseline: partial
rows:
  full:
  expansion:
  partial:
  stage-one:
  scm:
  scm-ensemble:
"""
ROWS = ["full", "expansion", "partial", "stage-one", "scm", "scm-ensemble"]
TRAINED = ["full", "partial", "stage-one", "scm"]
Benchmark = Callable[..., list[str]]


@pytest.fixture
def dataset(tiny_dataset: Path, tmp_path: Path) -> Path:
    """The balls, two to train on, one to validate on and one to test on."""
    path = Path(shutil.copytree(tiny_dataset, tmp_path / "data"))
    folds = [{"train": ["ball_0", "ball_1"], "val": ["ball_2"]}]
    (path / "splits.json").write_text(json.dumps({"version": 1, "test": ["ball_3"], "folds": folds}))
    return path


class Trainings:
    """Stands in for `train`: leaves what a training leaves, in no time."""

    def __init__(self) -> None:
        self.calls: list[SimpleNamespace] = []
        self.problems: dict[str, BaseException] = {}

    def __call__(self, dataset: Path, **arguments: Any) -> Path:
        run = Path(arguments["run"])
        name = run.parents[1].name
        self.calls.append(SimpleNamespace(name=name, dataset=dataset, **arguments))
        arguments["on_plan"](SimpleNamespace(seconds=60.0))
        if name in self.problems:
            raise self.problems[name]
        stage = StageRecord(name, arguments["method"], ("primary",), 4, "complete")
        record = RunRecord(arguments["method"], "Balls", "cpu", (stage,), "complete")
        folder = RunFolder(run)
        folder.start(record, {"voxseed": "0.1.0", "packages": {"torch": "2.0"}, "device": "cpu"})
        path = folder.stage_path(0, record)
        path.mkdir(parents=True, exist_ok=True)
        (path / "metrics.csv").write_text("epoch,step,seconds,primary/loss\n1,4,30,0.5\n")
        model = {"patch_shape": [8, 8, 8], "preprocessing": {"spacing_mm": [1, 1, 1]}, "networks": {}}
        write_json(folder.model_path / "model.json", model)
        return run

    def names(self) -> list[str]:
        """Rows that were trained since the last call."""
        names = [call.name for call in self.calls]
        self.calls.clear()
        return names


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch, dataset: Path) -> Trainings:
    """Training and prediction are stubs: a prediction is the true label, moved by a voxel, more in earlier rows."""
    stub = Trainings()
    monkeypatch.setattr(benchmark_rows, "train", stub)

    def predict(run: Path, images: list[Path], out: Path, *, ensemble: bool, member: str | None, device: str) -> None:
        assert RunFolder(run).exists
        for image in images:
            case = image.name.removesuffix("_0000.nii.gz")
            label = read_label(dataset / "labelsTr" / f"{case}.nii.gz")
            name = out.parents[1].name
            moved = np.roll(label.array, 5 - ROWS.index(name) if name in ROWS else 0, axis=0)
            write_volume(out / f"{case}.nii.gz", Volume(moved, label.affine))

    monkeypatch.setattr(benchmark_rows, "predict", predict)
    for name in ("overlay_rows_png", "intervals_png"):
        monkeypatch.setattr(benchmark_results, name, lambda *arguments: b"\x89PNG")
    return stub


@pytest.fixture
def run(dataset: Path, tmp_path: Path) -> Benchmark:
    """Run the benchmark and return what it said."""
    table = tmp_path / "mine.yaml"
    table.write_text(TABLE)

    def call(out: Path = tmp_path / "out", **arguments: Any) -> list[str]:
        said: list[str] = []
        arguments = {"overrides": ("training.iterations=4",), "device": "cpu", "say": said.append, **arguments}
        benchmark(str(table), dataset, out, **arguments)
        return said

    return call


def records(out: Path, row: str) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(out.glob(f"rows/{row}/seed-*/record.json"))]


def cells(out: Path) -> dict[str, list[str]]:
    """First cell → cells of the Markdown table."""
    lines = [line for line in (out / "mine.md").read_text().splitlines() if line.startswith("| ")]
    return {line.split(" | ")[0].removeprefix("| "): line.split(" | ")[1:] for line in lines[2:]}


def test_everything_is_made_once(run: Benchmark, trainings: Trainings, tmp_path: Path) -> None:
    said = run()
    assert trainings.names() == TRAINED
    assert said[1] == "0 rows are there, 6 are missing"
    assert said[2] == "[1 of 6] full, seed 0"
    assert said[3].endswith("for all rows")
    assert said[5].startswith("[3 of 6] partial, seed 0; about ")
    assert said[5].endswith(" left")
    for ending in ("txt", "md", "csv", "json", "html", "png"):
        assert (tmp_path / "out" / f"mine.{ending}").stat().st_size > 0
    assert {path.name for path in (tmp_path / "out").glob("mine-*.png")} == {"mine-median.png", "mine-hard.png"}
    assert run()[1:] == ["6 rows are there, 0 are missing"]
    assert trainings.names() == []


def test_what_the_table_says(run: Benchmark, trainings: Trainings, tmp_path: Path) -> None:
    run()
    found = cells(tmp_path / "out")
    assert len(found) == 6
    expected = dice_of_moved(5 - ROWS.index("scm"))
    assert found["SCM (λ = 0.5)"][0] == f"{expected:.3f}"
    assert found["SCM (λ = 0.5)"][3:6] == ["1", "1", "0 of 1"]
    assert found["full supervision (dense labels)"][9] == "0.5"  # 30 seconds of training
    assert found["expansion itself"][9] == ""
    text = (tmp_path / "out" / "mine.txt").read_text()
    assert "Growth of all rows that grow points: growth two-sided, foreground_threshold 0.55" in text
    assert "Weights that are kept: the last ones." in text
    page = (tmp_path / "out" / "mine.html").read_text()
    assert "<b>Mine" not in page
    assert "&lt;b&gt;Mine" in page
    assert page.count("data:image/png") == 4


def dice_of_moved(voxels: int) -> float:
    grid = np.stack(np.meshgrid(*(np.arange(-9, 10),) * 3, indexing="ij"))
    ball = (grid**2).sum(axis=0) < 25
    return 2 * (ball & np.roll(ball, voxels, axis=0)).sum() / (2 * ball.sum())


def test_the_expansion_is_measured_on_the_measured_cases(run: Benchmark, trainings: Trainings, tmp_path: Path) -> None:
    run()
    (folder,) = (tmp_path / "out" / "rows" / "expansion").glob("seed-*")
    grown = read_label(folder / "predictions" / "ball_3.nii.gz").array
    truth = read_label(tmp_path / "data" / "labelsTr" / "ball_3.nii.gz").array
    assert set(np.unique(grown)) == {0, 1}
    dice = 2 * (grown * truth).sum() / (grown.sum() + truth.sum())
    assert 0.3 < dice < 1
    assert cells(tmp_path / "out")["expansion itself"][0] == f"{dice:.3f}"


def test_second_stages_share_one_first_stage(run: Benchmark, trainings: Trainings, tmp_path: Path) -> None:
    run(seeds=2)
    assert len(records(tmp_path / "out", "expansion")) == 1  # the same with every seed
    for seed, call in enumerate(call for call in trainings.calls if call.name == "scm"):
        (first,) = (tmp_path / "out" / "rows" / "stage-one").glob(f"seed-{seed}-*")
        assert call.start_from == [f"{member}={first / 'run'}:{member}" for member in ("primary", "auxiliary")]
        assert f"training.seed={seed}" in call.overrides
        assert "recipe.stage_shares=[0.3333333333333333]" in call.overrides  # as long as the paper's second stage


def test_more_seeds_are_added(run: Benchmark, trainings: Trainings, tmp_path: Path) -> None:
    run()
    trainings.names()
    run(seeds=2, rows=("partial",))
    assert trainings.names() == ["partial"]
    found = cells(tmp_path / "out")
    assert found["L_psup"][3:6] == ["1", "2", "0 of 2"]
    assert found["SCM (λ = 0.5)"][4] == "1"
    run(rows=("partial",))
    assert cells(tmp_path / "out")["L_psup"][4] == "2"  # all seeds that are there


def test_a_run_that_is_gone_is_made_again_only_where_a_row_needs_it(
    run: Benchmark, trainings: Trainings, tmp_path: Path
) -> None:
    run()
    for folder in (tmp_path / "out" / "rows").glob("*/seed-*/run"):
        shutil.rmtree(folder)
    trainings.names()
    assert run()[1:] == ["6 rows are there, 0 are missing"]  # records and metrics are enough for a table
    said = run(overrides=("training.iterations=4", "scm.temperature=2"))
    assert trainings.names() == ["stage-one", "scm"]
    assert any("stage-one, seed 0; made again because its run is gone" in sentence for sentence in said)
    shutil.rmtree(next((tmp_path / "out" / "rows" / "scm-ensemble").glob("seed-*")))
    for folder in (tmp_path / "out" / "rows").glob("*/seed-*/run"):
        shutil.rmtree(folder)
    run()
    run(overrides=("training.iterations=4", "scm.temperature=2"))
    assert trainings.names() == ["stage-one", "scm"]  # through a finished row whose run is needed, too


@pytest.mark.parametrize(
    ("setting", "again"),
    [
        ("optimiser.learning_rate=0.01", TRAINED),
        ("stage_one.crf_weight=0.5", ["stage-one", "scm"]),
        ("scm.temperature=2", ["scm"]),
        ("expansion.smoothing=0.2", ["partial", "stage-one", "scm"]),
        ("networks.auxiliary.width=8", ["stage-one", "scm"]),
        ("training.workers=1", []),  # changes no number
    ],
)
def test_a_row_is_made_again_if_a_setting_changed_that_it_reads(
    run: Benchmark, trainings: Trainings, tmp_path: Path, setting: str, again: list[str]
) -> None:
    run()
    trainings.names()
    said = run(overrides=("training.iterations=4", setting))
    assert trainings.names() == again
    reasons = [sentence for sentence in said if "made again because of other settings" in sentence]
    assert bool(reasons) == bool(again)
    if again:
        assert setting.split("=")[0].split(".")[-1] in reasons[0]
    said = run()
    assert trainings.names() == []  # those of the first settings are still there
    assert not any("made again because" in sentence for sentence in said)


@pytest.mark.parametrize(
    ("row", "setting", "changes"),
    [
        ("cross-teaching", "networks.axial.width=4", True),
        ("cross-teaching", "networks.coronal.arguments={kernel: 5}", True),
        ("cross-teaching", "networks.second.width=4", False),
        ("cross-teaching", "training.precision=fp32", best_precision(torch.device("cpu")) != "fp32"),
        ("cross-teaching", "training.precision=bf16", best_precision(torch.device("cpu")) != "bf16"),
        ("partial-slices", "networks.axial.width=4", False),
        ("partial-slices", "extra_terms.entropy=0.1", True),
        ("partial-slices", "extra_terms.ramp_fraction=0.1", False),
    ],
)
def test_the_key_of_a_row_holds_what_it_is_trained_with(
    dataset: Path, tmp_path: Path, row: str, setting: str, changes: bool
) -> None:
    keys = set()
    for overrides in ((), (setting,)):
        planners = table_planners("cross-teaching", dataset, tmp_path, overrides=overrides, device="cpu")
        keys.add(planners["cross-teaching"].plan(row, seed=0).key.digest)
    assert len(keys) == 1 + changes


def test_the_key_of_a_row_holds_the_code_of_what_auto_is() -> None:
    settings = load_run_settings(None, None, [])
    assert network_modules(plan_stages(get_recipe("pw4medseg"), settings, "cpu"), settings) == {
        "voxseed.networks.probabilistic_unetr"
    }


@pytest.mark.parametrize(
    ("part", "missing", "again"),
    [
        ("labelsTr/ball_3.nii.gz", 6, []),  # measured
        ("imagesTr/ball_3_0000.nii.gz", 6, []),
        ("annotations/points/ball_0", 4, ["partial", "stage-one", "scm"]),
        ("labelsTr/ball_0.nii.gz", 1, ["full"]),
        ("imagesTr/ball_2_0000.nii.gz", 0, []),  # validation
    ],
)
def test_a_row_is_made_again_if_data_changed_that_it_reads(
    run: Benchmark, trainings: Trainings, dataset: Path, part: str, missing: int, again: list[str]
) -> None:
    run()
    trainings.names()
    case = part.split("/")[-1][:6] if "/points/" not in part else "ball_0"
    source = dataset / part.replace(case, "ball_1")
    target = dataset / part
    if target.is_dir():
        shutil.rmtree(target)
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)
    said = run()
    assert said[1] == f"{6 - missing} rows are there, {missing} are missing"
    assert trainings.names() == again
    if again:
        assert any(f"because of other data: trained.{case}" in sentence for sentence in said)


def test_a_row_is_made_again_if_the_code_changed(
    run: Benchmark, trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    trainings.names()
    real = benchmark_plan.code_digest
    changed = lambda modules: f"new{real(modules)}" if "voxseed.methods.scm" in modules else real(modules)  # noqa: E731
    monkeypatch.setattr(benchmark_plan, "code_digest", changed)
    said = run()
    assert trainings.names() == ["scm"]
    assert any("scm, seed 0; made again because of Voxseed's code changed" in s for s in said)
    assert any("scm-ensemble, seed 0; made again because of the row that it starts from changed" in s for s in said)


@pytest.mark.parametrize("module", ["voxseed.data.valid_region", "voxseed.data.protocols.points"])
def test_grown_points_are_made_again_if_their_code_changed(
    run: Benchmark, trainings: Trainings, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(rows=["expansion"], inside_points=1)
    real = benchmark_plan.code_digest
    changed = lambda modules: f"new{real(modules)}" if module in modules else real(modules)  # noqa: E731
    monkeypatch.setattr(benchmark_plan, "code_digest", changed)
    said = run(rows=["expansion"], inside_points=1)
    assert any("expansion, seed 0; made again because of Voxseed's code changed" in s for s in said)


@pytest.mark.parametrize("kind", [KeyboardInterrupt(), InterruptedRunError("Interrupted.")])
def test_an_interrupted_table_goes_on(
    run: Benchmark, trainings: Trainings, tmp_path: Path, kind: BaseException
) -> None:
    trainings.problems["stage-one"] = kind
    with pytest.raises(InterruptedRunError, match="Go on with the same command"):
        run()
    assert trainings.names() == ["full", "partial", "stage-one"]
    assert len(cells(tmp_path / "out")) == 3  # what is there is shown
    del trainings.problems["stage-one"]
    said = run()
    assert said[1] == "3 rows are there, 3 are missing"
    assert not any("made again because" in sentence for sentence in said)
    assert [call.resume for call in trainings.calls] == [True, True]
    assert trainings.names() == ["stage-one", "scm"]


def _kill_before_measuring(run: Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves the row `full` trained and not measured."""

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(benchmark_rows, "evaluate", killed)
        with pytest.raises(InterruptedRunError):
            run(rows=("full",))


def test_a_training_that_was_killed_before_it_was_measured_is_not_repeated(
    run: Benchmark, trainings: Trainings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _kill_before_measuring(run, monkeypatch)
    (record,) = records(tmp_path / "out", "full")
    assert record["state"] == "running"
    trainings.names()
    run(rows=("full",))
    assert [call.resume for call in trainings.calls] == [True]  # in the same folder, where nothing is left to train
    assert [record["state"] for record in records(tmp_path / "out", "full")] == [COMPLETE]


def test_a_training_goes_on_though_a_setting_changed_that_it_does_not_read(
    run: Benchmark, trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _kill_before_measuring(run, monkeypatch)
    run(rows=("full",), overrides=("training.iterations=4", "cps.cross_weight=3"))
    begun, resumed = trainings.calls
    assert "training.iterations=4" in begun.overrides
    assert (resumed.run, resumed.preset, resumed.overrides) == (begun.run, None, ())  # those that it was begun with


def test_a_row_that_cannot_be_made_does_not_keep_the_others_from_it(
    run: Benchmark, trainings: Trainings, tmp_path: Path
) -> None:
    trainings.problems["stage-one"] = InputError("no.")
    said: list[str] = []
    with pytest.raises(InputError) as raised:
        run(say=said.append)
    assert "stage-one, seed 0: no." in said  # at once, not only in the end
    assert str(raised.value).splitlines()[1:] == [
        "stage-one, seed 0: no.",
        "scm, seed 0: it needs stage-one, which could not be made.",
        "scm-ensemble, seed 0: it needs scm, which could not be made.",
    ]
    text = (tmp_path / "out" / "mine.txt").read_text()
    assert "Not there yet: stage-one, scm, scm-ensemble." in text


def test_rows_that_were_made_elsewhere_are_taken(run: Benchmark, trainings: Trainings, tmp_path: Path) -> None:
    run(out=tmp_path / "elsewhere", rows=("scm",))
    assert trainings.names() == ["stage-one", "scm"]  # and what it starts from
    shutil.copytree(tmp_path / "elsewhere" / "rows", tmp_path / "out" / "rows")
    said = run()
    assert trainings.names() == ["full", "partial"]
    assert said[1] == "2 rows are there, 4 are missing"


def test_a_row_of_a_damaged_record_is_refused(run: Benchmark, trainings: Trainings, tmp_path: Path) -> None:
    run(rows=("partial",))
    (path,) = (tmp_path / "out" / "rows" / "partial").glob("seed-*/record.json")
    path.write_text(path.read_text().replace('"seconds": 30', '"seconds": 31').replace("ball_0", "ball_9"))
    with pytest.raises(InputError, match="its digest is not that of its content"):
        run()


def test_two_processes_share_the_rows(
    run: Benchmark, trainings: Trainings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first row is held by another process; the others are made, then it is waited for."""
    run(rows=("full",))
    trainings.names()
    (full,) = (tmp_path / "out" / "rows" / "full").glob("seed-*")
    done = (full / "record.json").read_text()
    (full / "record.json").unlink()
    monkeypatch.setattr(benchmark_work, "_POLL_SECONDS", 0.01)
    lock = FileLock(full.with_name(f".{full.name}.lock"), thread_local=False)
    lock.acquire()

    def other_process() -> None:
        while not list(tmp_path.glob("out/rows/scm-ensemble/*/metrics.csv")):
            time.sleep(0.01)
        time.sleep(0.3)
        (full / "record.json").write_text(done)
        lock.release(force=True)

    thread = threading.Thread(target=other_process)
    thread.start()
    said = run()
    thread.join()
    assert trainings.names() == ["partial", "stage-one", "scm"]
    assert "The other rows are being made by other processes; waiting for them" in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"rows": ("scmm",)}, "--rows scmm: unknown row. Known: full, expansion"),
        ({"baseline": "scmm"}, "--baseline scmm: unknown row"),
        ({"protocol": "scratches"}, "Unknown protocol 'scratches'"),
        ({"measured_on": "train"}, "--on train: expected one of test, validation"),
        ({"preset": "huge"}, "Unknown preset 'huge'"),
        ({"overrides": ("training.iteration=5",)}, "unknown setting 'training.iteration'"),
        ({"overrides": ("networks.primary.architecture=resnet",)}, "Unknown network 'resnet'"),
        ({"annotations": "mine"}, "mine: no such annotation set"),
        ({"annotations": "points", "inside_points": 3}, "--inside-points is for points that are simulated"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_made(
    run: Benchmark, trainings: Trainings, tmp_path: Path, arguments: dict, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        run(**arguments)
    assert not (tmp_path / "out").exists()


def test_an_unknown_method_is_said_before_anything_is_made(
    run: Benchmark, trainings: Trainings, tmp_path: Path, dataset: Path
) -> None:
    (tmp_path / "mine.yaml").write_text(TABLE + "  new: {title: new, method: not-yet}\n")
    with pytest.raises(UnknownNameError, match="Unknown method 'not-yet'"):
        run()
    assert trainings.names() == []
    assert not (tmp_path / "out").exists()
    run(rows=("partial",))  # a row that was not asked for may be unknown
    assert trainings.names() == ["partial"]
    assert "new" in (tmp_path / "out" / "mine.txt").read_text().splitlines()[-1]


def test_without_test_cases_nothing_can_be_measured(run: Benchmark, trainings: Trainings, dataset: Path) -> None:
    (dataset / "splits.json").unlink()
    with pytest.raises(InputError, match=r"found no test cases with dense labels .* List some under test"):
        run()


def test_validation_cases_are_other_rows(run: Benchmark, trainings: Trainings, tmp_path: Path) -> None:
    run(rows=("partial",))
    run(rows=("partial",), measured_on="validation")
    (folder,) = {path.parent for path in (tmp_path / "out" / "rows").glob("partial/*/predictions/ball_2.nii.gz")}
    assert [path.name for path in folder.iterdir()] == ["ball_2.nii.gz"]
    assert "1 validation cases" in (tmp_path / "out" / "mine.txt").read_text()


def test_what_is_trained_already_is_measured_on_other_cases_and_under_other_names(
    run: Benchmark, trainings: Trainings, tmp_path: Path
) -> None:
    run(rows=("scm",))
    assert trainings.names() == ["stage-one", "scm"]
    for stage in (tmp_path / "out" / "rows").glob("*/*/run/stages/*"):
        (stage / "last.ckpt").touch()
    said = run(rows=("scm", "partial"), measured_on="validation")
    assert trainings.names() == ["partial"]
    assert said[2].startswith("[1 of 3] partial, seed 0")
    assert said[4].startswith("[2 of 3] stage-one, seed 0; trained already, as stage-one; about ")
    assert said[5].startswith("[3 of 3] scm, seed 0; trained already, as scm; about ")
    for validated in (tmp_path / "out" / "rows").glob("scm/*/predictions/ball_2.nii.gz"):
        assert list(validated.parents[1].glob("run/stages/*/metrics.csv"))
        assert not list(validated.parents[1].glob("run/stages/*/last.ckpt"))
    (tmp_path / "mine.yaml").write_text(TABLE + "  the-same:\n    title: Same\n    method: partial\n")
    said = run(rows=("the-same",))
    assert trainings.names() == []
    assert said[2].startswith("[1 of 1] the-same, seed 0; trained already, as partial")
    assert {record["seconds"]["training"] for record in records(tmp_path / "out", "the-same")} == {30.0}


def test_missing_sets_are_simulated_once(run: Benchmark, trainings: Trainings, tmp_path: Path, dataset: Path) -> None:
    extreme = "  extreme: {title: extreme, method: partial, protocol: extreme-points}\n"
    (tmp_path / "mine.yaml").write_text(TABLE + extreme)
    run(rows=("partial", "extreme"))
    sets = {call.name: Path(call.annotations) for call in trainings.calls}
    assert sets["partial"] == dataset / "annotations" / "points"
    assert sets["extreme"].parent == tmp_path / "out" / "annotations"
    assert Dataset.open(dataset).annotations(sets["extreme"]).protocol == "extreme-points"
    text = (tmp_path / "out" / "mine.txt").read_text()
    assert "annotations: points." in text
    assert "Not learned from points: extreme from extreme-points." in text
    trainings.names()
    run(rows=("partial", "extreme"))
    assert trainings.names() == []
    run(rows=("partial",), inside_points=3)  # the dataset's own points have one inside
    (call,) = trainings.calls
    points = Dataset.open(dataset).annotations(call.annotations).read("ball_0").points
    assert len(points[0].inside_mm) == 3
    trainings.names()
    shutil.copyfile(dataset / "labelsTr" / "ball_1.nii.gz", dataset / "labelsTr" / "ball_0.nii.gz")
    run(rows=("extreme",))
    (call,) = trainings.calls
    assert Path(call.annotations) != sets["extreme"]  # of the labels that there are now


def test_a_row_may_have_annotations_of_its_own(
    run: Benchmark, trainings: Trainings, tmp_path: Path, dataset: Path
) -> None:
    many = "  many: {title: many, method: partial, simulated: {inside_points: 3}}\n"
    figure = "figure:\n  panels: [{axis: x, lines: {one: {partial: 1, many: 3}}}]\n"
    (tmp_path / "mine.yaml").write_text(TABLE + many + figure)
    run(rows=("partial", "many"))
    sets = {call.name: Dataset.open(dataset).annotations(call.annotations) for call in trainings.calls}
    assert [len(sets[row].read("ball_0").points[0].inside_mm) for row in ("partial", "many")] == [1, 3]
    for other in ({"annotations": "points"}, {"protocol": "extreme-points"}):
        with pytest.raises(InputError, match=r"Row many simulates its own points, and cannot.* Give --rows .*partial"):
            run(rows=("many",), **other)
    text = (tmp_path / "out" / "mine.txt").read_text()
    assert "With annotations of their own, simulated: many, inside_points 3." in text
    assert "Not in the figure, because their annotations are the dataset's own: L_psup." in text
    (tmp_path / "mine.yaml").write_text(TABLE + many.replace("3", "none"))
    with pytest.raises(InputError, match="simulation of points"):
        run(rows=("many",))


def test_a_missed_object_is_counted(
    run: Benchmark, trainings: Trainings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = benchmark_rows.predict

    def predict(run_folder: Path, images: list[Path], out: Path, **further: Any) -> None:
        real(run_folder, images, out, **further)
        if out.parents[1].name == "partial":
            for path in out.iterdir():
                label = read_label(path)
                write_volume(path, Volume(np.zeros_like(label.array), label.affine))

    monkeypatch.setattr(benchmark_rows, "predict", predict)
    run(rows=("partial", "full"))
    found = cells(tmp_path / "out")["L_psup"]
    assert (found[0], found[1], found[5]) == ("0.000", "–", "1 of 1")


def test_a_figure_over_a_parameter_and_rows_made_elsewhere(
    run: Benchmark, trainings: Trainings, tmp_path: Path
) -> None:
    (tmp_path / "mine.yaml").write_text(
        TABLE + "  nnunet:\nfigure:\n  panels: [{axis: x, lines: {one: {partial: 0, full: 1, scm: 2}}}]\n"
    )
    run(rows=("partial", "full"))
    assert (tmp_path / "out" / "mine.png").read_bytes().startswith(b"\x89PNG")
    assert "nnunet (python -m benchmarks.nnunet)" in (tmp_path / "out" / "mine.txt").read_text()


def test_a_row_that_was_made_elsewhere_for_other_settings_says_so(
    run: Benchmark, trainings: Trainings, tmp_path: Path, dataset: Path
) -> None:
    table = tmp_path / "mine.yaml"
    table.write_text(TABLE + "  nnunet:\n")
    (planner,) = table_planners(str(table), dataset, tmp_path / "out", overrides=("training.iterations=8",)).values()
    planned = planner.plan("nnunet", 0)
    planned.folder.write(RowRecord("nnunet", "nnU-Net", 0, planned.key, COMPLETE))
    planned.folder.metrics.touch()
    run(rows=("full",))
    last = (tmp_path / "out" / "mine.txt").read_text().splitlines()[-1]
    assert last.endswith(
        "nnunet (python -m benchmarks.nnunet; again because of other settings: iterations = 4, not 8)."
    )


def test_an_oracle_is_named_wherever_its_row_is_shown(
    run: Benchmark, trainings: Trainings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    drawn: dict[str, Any] = {}

    def draws(name: str) -> Callable[..., bytes]:
        def draw(*arguments: Any) -> bytes:
            drawn[name] = arguments
            return b"\x89PNG"

        return draw

    for name in ("overlay_rows_png", "intervals_png", "sweep_png"):
        monkeypatch.setattr(benchmark_results, name, draws(name))
    table = TABLE + "  knows: {title: Knows, method: partial, oracle: the truth}\n"
    (tmp_path / "mine.yaml").write_text(table)
    run(rows=("partial", "knows"))
    assert list(drawn["intervals_png"][0]) == ["L_psup", "Knows (oracle)"]
    assert [caption.split(":")[0] for caption in drawn["overlay_rows_png"][1]] == ["L_psup", "Knows (oracle)"]
    assert "Knows uses the truth, which a user would not have." in (tmp_path / "out" / "mine.txt").read_text()
    lines = "lines: {one: {partial: 0}, other: {knows: 1}}"
    (tmp_path / "mine.yaml").write_text(f"{table}figure:\n  panels: [{{axis: x, {lines}}}]\n")
    run(rows=("partial", "knows"))
    panels, axis, _ = drawn["sweep_png"]
    assert [curve.name for curve in panels["x"]] == ["one", "other (oracle)"]
    assert axis == "Dice"


def test_pictures_have_the_dice_of_the_seed_that_is_drawn(
    run: Benchmark, trainings: Trainings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    captions: list[list[str]] = []
    monkeypatch.setattr(
        benchmark_results, "overlay_rows_png", lambda image, drawn, label: captions.append(list(drawn)) or b"\x89PNG"
    )
    run(rows=("partial",), seeds=2)
    (second,) = tmp_path.glob("out/rows/partial/seed-1-*/metrics.csv")
    lines = second.read_text().splitlines()
    measured = lines[1].split(",")
    measured[lines[0].split(",").index("dice")] = "0.5"
    second.write_text("\n".join([lines[0], ",".join(measured)]) + "\n")
    run(rows=("partial",), seeds=2)
    first = dice_of_moved(5 - ROWS.index("partial"))
    assert cells(tmp_path / "out")["L_psup"][0].startswith(f"{(first + 0.5) / 2:.3f}")
    assert captions[-1] == [f"L_psup: {first:.3f}"]


def test_an_oracle_is_marked_though_the_table_does_not_say_so_and_in_what_starts_from_it(
    run: Benchmark, trainings: Trainings, tmp_path: Path
) -> None:
    label = "{size_loss: {volume: {source: label}}}"
    (tmp_path / "mine.yaml").write_text(
        "title: Mine\nbaseline: partial\nrows:\n  partial:\n"
        f"  knows: {{title: Knows, method: size-loss, settings: {label}}}\n"
        "  heir: {title: Heir, method: self-ensembling, starts_from: {primary: 'knows:primary'}}\n"
        "  both: {title: Both, run_of: heir}\n"
    )
    run()
    assert list(cells(tmp_path / "out")) == ["L_psup", "Knows (oracle)", "Heir (oracle)", "Both (oracle)"]
    assert "Heir uses the true volume, which a user would not have." in (tmp_path / "out" / "mine.txt").read_text()


@pytest.mark.slow
def test_a_table_is_trained_predicted_and_measured(dataset: Path, tmp_path: Path) -> None:
    """Without stubs: two tiny trainings, of which the second starts from the first."""
    (tmp_path / "mine.yaml").write_text(TABLE)
    settings = (
        *("networks.primary.width=2", "networks.auxiliary.width=2", "training.iterations=2"),
        *("training.epoch_length=2", "training.patch_shape=[16, 16, 16]", "training.precision=fp32"),
    )
    arguments: dict[str, Any] = {"rows": ("scm-ensemble",), "overrides": settings, "device": "cpu"}
    (written,) = benchmark(str(tmp_path / "mine.yaml"), dataset, tmp_path / "out", **arguments)
    assert [line.split("  ")[0] for line in written.text.splitlines()[3:6]] == [
        "stage one (L_psup + mCRF + VM)",
        "SCM (λ = 0.5)",
        "SCM-E (λ = 0.5)",
    ]
    (record,) = records(tmp_path / "out", "scm")
    assert record["key"]["settings"]["stages"] == [["scm", "primary", "auxiliary", 1]]
    assert record["provenance"]["packages"]["torch"]
    assert record["provenance"]["plan"]["patch_shape"] == [16, 16, 16]
    assert set(record["provenance"]["plan"]["networks"]) == {"primary", "auxiliary"}
    assert set(record["seconds"]) == {"training", "prediction", "evaluation"}
    assert record["cost"] == pytest.approx(2 * 4 / 3)
    said: list[str] = []
    benchmark(str(tmp_path / "mine.yaml"), dataset, tmp_path / "out", say=said.append, **arguments)
    assert said[1] == "3 rows are there, 0 are missing"
