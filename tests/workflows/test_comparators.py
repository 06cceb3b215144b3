"""Methods that PA-Seg is compared with, from a dataset to a model: what they start from, resume, refuse and record."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from voxseed.data.annotation_sets import AnnotationSet
from voxseed.data.annotations import CaseAnnotation
from voxseed.data.datasets import Dataset
from voxseed.data.volumes import Volume
from voxseed.errors import InputError
from voxseed.training.checkpoints import EpochCheckpoint
from voxseed.training.run_folder import RunFolder
from voxseed.workflows.simulate import simulate
from voxseed.workflows.train import train

TINY = (
    *(f"networks.{member}.architecture=residual-unet" for member in ("primary", "auxiliary", "second", "third")),
    *(f"networks.{member}.width=2" for member in ("primary", "auxiliary", "second", "third")),
    "training.iterations=6",
    "training.epoch_length=2",
    "training.patch_shape=[16, 16, 16]",
    "training.precision=fp32",
)
SECOND_STAGES = {
    "scm": ("primary", "auxiliary"),
    "cps": ("primary", "auxiliary"),
    "co-teaching": ("primary", "auxiliary"),
    "mutual": ("primary", "auxiliary"),
    "self-ensembling": ("primary",),
    "triple": ("primary", "second", "third"),
}


def _weights(run: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(run / "model" / "weights.safetensors")


def _starts(run: Path, members: tuple[str, ...]) -> list[str]:
    sources = (f"{run}:primary", f"{run}:auxiliary", f"{run.with_name('other')}:primary")
    return [f"{member}={source}" for member, source in zip(members, sources, strict=False)]


@pytest.fixture(scope="module")
def first_stage(tiny_dataset, tmp_path_factory) -> Path:
    """And beside it `other`, of another seed."""
    run = tmp_path_factory.mktemp("first") / "run"
    settings = [*TINY, "recipe.stages=1"]
    train(
        tiny_dataset,
        method="pa-seg",
        run=run.with_name("other"),
        overrides=[*settings, "training.seed=1"],
        device="cpu",
    )
    return train(tiny_dataset, method="pa-seg", run=run, overrides=settings, device="cpu")


@pytest.mark.parametrize("method", SECOND_STAGES)
def test_a_second_stage_starts_from_networks_of_the_first(method, tiny_dataset, first_stage, tmp_path):
    members = SECOND_STAGES[method]
    starts = _starts(first_stage, members)
    run = train(tiny_dataset, method=method, run=tmp_path / "run", overrides=TINY, start_from=starts, device="cpu")
    assert {name.split("/")[0] for name in _weights(run)} == set(members)
    metrics = (run / "stages" / f"01-{method}" / "metrics.csv").read_text().splitlines()
    assert all(np.isfinite([float(value) for value in row.split(",")]).all() for row in metrics[1:])


@pytest.mark.parametrize("method", [name for name in SECOND_STAGES if name != "cps"])
def test_a_second_stage_refuses_random_weights(method, tiny_dataset, tmp_path):
    with pytest.raises(InputError, match=f"{method} starts from trained networks.*--from primary=RUN:primary"):
        train(tiny_dataset, method=method, run=tmp_path / "run", overrides=TINY, device="cpu")


class Killed(Exception):
    """Instead of a kill of the process."""


@pytest.mark.parametrize("method", ["deepcut", "self-ensembling"])
@pytest.mark.parametrize("epochs", [1, 2])
def test_a_killed_run_resumes_to_the_same_weights(method, epochs, tiny_dataset, first_stage, tmp_path, monkeypatch):
    """DeepCut's targets of the next round are written then, and the checkpoint is not."""
    settings = (*TINY, "deepcut.rounds=3", "deepcut.crf.radius_voxels=[1, 1, 1]", "self_ensembling.history=3")
    starts = _starts(first_stage, ("primary",))
    arguments = {"method": method, "overrides": settings, "start_from": starts, "device": "cpu"}
    whole = train(tiny_dataset, run=tmp_path / "whole", **arguments)

    write = EpochCheckpoint.on_train_epoch_end

    def killed(self, trainer, module):
        if trainer.current_epoch + 1 == epochs:
            raise Killed
        write(self, trainer, module)

    with monkeypatch.context() as patch:
        patch.setattr(EpochCheckpoint, "on_train_epoch_end", killed)
        with pytest.raises(Killed):
            train(tiny_dataset, run=tmp_path / "run", **arguments)
    resumed = train(tiny_dataset, run=tmp_path / "run", resume=True, **arguments)
    expected = _weights(whole)
    for name, value in _weights(resumed).items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-6)


def test_deepcut_leaves_the_targets_of_its_rounds(tiny_dataset, tmp_path):
    settings = (*TINY, "deepcut.rounds=2", "deepcut.crf.radius_voxels=[1, 1, 1]")
    run = train(tiny_dataset, method="deepcut", run=tmp_path / "run", overrides=settings, device="cpu")
    targets = run / "stages" / "01-deepcut" / "targets"
    assert [path.name for path in targets.iterdir()] == ["round-2"]
    assert len(list(targets.glob("round-2/*/*/target.b2nd"))) == 4


@pytest.mark.parametrize(("source", "expected"), [("box", []), ("label", ["true volume"])])
@pytest.mark.parametrize("method", ["size-loss", "dtp"])
def test_the_run_names_its_oracle(method, source, expected, tiny_dataset, tmp_path):
    plans = []
    setting = f"{method.replace('-', '_')}.volume.source={source}"
    run = train(
        tiny_dataset,
        method=method,
        run=tmp_path / "run",
        overrides=[*TINY, setting],
        device="cpu",
        on_plan=plans.append,
    )
    assert json.loads((run / "run.json").read_text())["oracles"] == expected
    assert RunFolder(run).read().oracles == tuple(expected)
    assert dict(plans[0].rows()).get("oracle") == ("true volume, from dense labels" if expected else None)


def test_a_run_names_the_oracle_of_the_networks_that_it_starts_from(tiny_dataset, tmp_path):
    settings = [*TINY, "size_loss.volume.source=label"]
    first = train(tiny_dataset, method="size-loss", run=tmp_path / "first", overrides=settings, device="cpu")
    starts = [f"primary={first}:primary"]
    run = train(
        tiny_dataset, method="self-ensembling", run=tmp_path / "run", overrides=TINY, start_from=starts, device="cpu"
    )
    assert RunFolder(run).read().oracles == ("true volume",)
    third = train(
        tiny_dataset,
        method="partial",
        run=tmp_path / "third",
        overrides=TINY,
        start_from=[f"primary={run}:primary"],
        device="cpu",
    )
    assert RunFolder(third).read().oracles == ("true volume",)


def test_a_run_names_what_it_starts_from_and_resumes_from_nothing_else(tiny_dataset, first_stage, tmp_path):
    def start(run: Path, **arguments: Any) -> Path:
        starts = _starts(run, ("primary", "auxiliary"))
        return train(
            tiny_dataset,
            method="cps",
            run=tmp_path / "run",
            overrides=TINY,
            start_from=starts,
            device="cpu",
            **arguments,
        )

    found = RunFolder(start(first_stage)).read().starts
    assert {member: origin.split(" ")[0] for member, origin in found.items()} == {
        "primary": "run:primary",
        "auxiliary": "run:auxiliary",
    }
    start(first_stage / "stages" / "01-stage-one", resume=True)  # the same weights, in another folder
    with pytest.raises(InputError, match=r"started from primary=run:primary .*, found primary=other:primary"):
        start(first_stage.with_name("other"), resume=True)


@pytest.mark.parametrize(
    ("starts", "sentence"),
    [
        (("primary=RUN:primary", "primary=RUN:auxiliary"), "there is a network for primary already"),
        (("primary=RUN:primary", "auxiliary=RUN:primary"), "primary starts from the same weights"),
    ],
)
def test_networks_to_start_from_are_one_for_each_member(tiny_dataset, first_stage, tmp_path, starts, sentence):
    given = [text.replace("RUN", str(first_stage)) for text in starts]
    with pytest.raises(InputError, match=sentence):
        train(tiny_dataset, method="cps", run=tmp_path / "run", overrides=TINY, start_from=given, device="cpu")


@pytest.mark.parametrize("method", ["size-loss", "dtp"])
def test_boxes_of_extreme_points_have_no_margin(method, tiny_dataset, tmp_path):
    points = simulate(tiny_dataset, "extreme-points", out=tmp_path / "extremes").path
    name = f"{method.replace('-', '_')}.margin_voxels"
    arguments = {"annotations": points, "method": method, "run": tmp_path / "run", "device": "cpu"}
    with pytest.raises(InputError, match=f"lie on the object.*{name} = 2. Give --set {name}=0"):
        train(tiny_dataset, overrides=TINY, **arguments)
    train(tiny_dataset, overrides=[*TINY, f"{name}=0"], **arguments)


def test_cps_needs_something_to_learn(tiny_dataset, tmp_path):
    settings = [*TINY, "cps.supervised_weight=0", "cps.cross_weight=0"]
    with pytest.raises(InputError, match="both 0, so nothing would be learned"):
        train(tiny_dataset, method="cps", run=tmp_path / "run", overrides=settings, device="cpu")


@pytest.fixture(scope="module")
def boxes(tiny_dataset, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("sets") / "boxes"
    simulate(tiny_dataset, "box", out=out)
    return out


@pytest.mark.parametrize("method", ["dtp", "deepcut", "size-loss"])
def test_boxes_alone_can_be_learned_from(method, tiny_dataset, boxes, tmp_path):
    run = train(tiny_dataset, annotations=boxes, method=method, run=tmp_path / "run", overrides=TINY, device="cpu")
    assert RunFolder(run).read().state == "complete"


def _painted(dataset: Path, out: Path, protocol: str) -> Path:
    """Maps of every case in which the object is a slice too far."""
    data = Dataset.open(dataset)
    made = AnnotationSet.create(out, data.labels, protocol)
    for case in data.cases:
        label = data.read_label(case)
        array = np.roll(label.array, 1, axis=0)
        if protocol != "noisy-dense":
            array[0] = data.labels.next_ignore_value
        made.write(case, CaseAnnotation(protocol, painted=Volume(array, label.affine)))
    return out


@pytest.mark.parametrize(
    ("protocol", "recipe", "with_boxes"),
    [("scribbles", "gated-crf", False), ("scribbles", "partial", True), ("noisy-dense", "pa-seg", False)],
)
def test_the_method_follows_from_what_was_painted(protocol, recipe, with_boxes, tiny_dataset, boxes, tmp_path):
    plans = []
    painted = _painted(tiny_dataset, tmp_path / "set", protocol)
    if with_boxes:
        shutil.copytree(boxes, painted, dirs_exist_ok=True, ignore=shutil.ignore_patterns("annotations.json"))
    train(
        tiny_dataset,
        annotations=painted,
        run=tmp_path / "run",
        overrides=TINY,
        device="cpu",
        on_plan=plans.append,
    )
    assert plans[0].recipe == recipe


@pytest.mark.parametrize("method", ["size-loss", "dtp", "deepcut"])
def test_what_needs_boxes_refuses_painted_maps(method, tiny_dataset, tmp_path):
    painted = _painted(tiny_dataset, tmp_path / "strokes", "scribbles")
    with pytest.raises(InputError, match="the class 'ball' has no outside points and no box in the 4 cases"):
        train(tiny_dataset, annotations=painted, method=method, run=tmp_path / "run", overrides=TINY, device="cpu")
    assert not (tmp_path / "run").exists()


def test_labels_of_a_tool_are_trained_by_both_stages(tiny_dataset, tmp_path):
    noisy = _painted(tiny_dataset, tmp_path / "tool", "noisy-dense")
    settings = (*TINY, "recipe.stage_shares=[1.0, 0.5]")
    run = train(tiny_dataset, annotations=noisy, run=tmp_path / "run", overrides=settings, device="cpu")
    assert [stage.method for stage in RunFolder(run).read().stages] == ["stage-one", "scm"]
