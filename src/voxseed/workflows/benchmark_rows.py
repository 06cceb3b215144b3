"""Make a row of a table: train, predict, measure, record. What a row has already is not made again."""

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from voxseed.benchmarks.records import COMPLETE, RUNNING, RowFolder, RowRecord
from voxseed.data.valid_region import valid_region
from voxseed.data.volumes import Volume, write_volume
from voxseed.evaluation.curves import read_curves
from voxseed.files import read_json_object
from voxseed.inference.model_files import DESCRIPTION_NAME
from voxseed.progress import track
from voxseed.supervision.build import build_supervision
from voxseed.training.plan import Plan
from voxseed.training.provenance import provenance
from voxseed.training.run_folder import RunFolder
from voxseed.types import BACKGROUND, IGNORE
from voxseed.workflows.benchmark_plan import Order, PlannedRow
from voxseed.workflows.evaluate import evaluate
from voxseed.workflows.new_folder import new_folder
from voxseed.workflows.predict import predict
from voxseed.workflows.train import train


def make_row(order: Order, planned: PlannedRow, on_plan: Callable[[Plan], None] | None = None) -> RowRecord:
    """Everything that is missing of a row; the rows that it starts from must be there.

    Args:
        on_plan: called with the plan of a training before it starts.

    Returns:
        The record of the finished row.

    Raises:
        InputError: if something cannot be used; what is there stays.
        InterruptedRunError: on Ctrl-C while training.
    """
    folder = planned.folder
    record = _begun(planned)
    folder.write(record)
    seconds = dict(record.seconds)
    if planned.trained:
        trained = _trained_alike(planned)
        if trained is None:
            _train(order, planned, on_plan)
        else:
            _copy_run(trained.run, folder.run)
        seconds["training"] = training_seconds(folder.run)
    start = time.monotonic()
    _predict(order, planned)
    seconds["prediction"] = time.monotonic() - start
    evaluate(folder.predictions, order.data.root, folder.metrics)
    seconds["evaluation"] = time.monotonic() - start - seconds["prediction"]
    finished = replace(record, state=COMPLETE, seconds=seconds, provenance=_provenance(order, planned))
    folder.write(finished)
    return finished


def training_seconds(run: Path) -> float:
    """Of all epochs of a run, over interruptions."""
    folder = RunFolder(run)
    record = folder.read()
    curves = [read_curves(folder.stage_path(index, record)) for index in range(len(record.stages))]
    return sum(curve.seconds for curve in curves if curve is not None)


def what_is_there(planned: PlannedRow) -> str:
    """What else there is of a row that is to be made, for the user; empty if there is nothing."""
    if planned.folder.complete(planned.key) is not None:
        return "made again because its run is gone"
    trained = _trained_alike(planned) if planned.trained else None
    if trained is not None:
        return f"trained already, as {trained.path.parent.name}"
    reason = why_again(planned)
    return f"made again because of {reason}" if reason else ""


def _trained_alike(planned: PlannedRow) -> RowFolder | None:
    """Another row whose run is as that of this row would be; None where this row's own was begun."""
    return None if planned.folder.run.exists() else planned.folder.trained_alike(planned.key)


def _copy_run(source: Path, target: Path) -> None:
    """A finished run is as good in two places, but for its checkpoints, which nobody needs any more."""
    remedy = "Make room there, and give the same command."
    with new_folder(target, target.parent, remedy) as working:
        for path in sorted(source.rglob("*")):  # copytree would gather a full disk into an error of its own
            if path.is_file() and path.suffix not in (".ckpt", ".lock") and path.name != ".lock":
                copy = working / path.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)


def why_again(planned: PlannedRow) -> str:
    """Why an earlier row of that name and seed is not taken; empty if there is none, or it is this one."""
    if planned.folder.read() is not None:
        return ""
    earlier = planned.folder.earlier()
    return "" if earlier is None else planned.key.why_other(earlier.key)


def _begun(planned: PlannedRow) -> RowRecord:
    """The record of a row that is being made, after one that was interrupted or a new one."""
    found = planned.folder.read()
    if found is not None:
        return replace(found, state=RUNNING)
    return RowRecord(
        row=planned.name,
        title=planned.row.title,
        seed=planned.seed,
        key=planned.key,
        cost=planned.cost,
        reason=why_again(planned),
    )


def _train(order: Order, planned: PlannedRow, on_plan: Callable[[Plan], None] | None) -> None:
    annotations = planned.annotations
    # A run that was begun keeps its settings: this folder's are the same, but for those that the row does not read.
    begun = RunFolder(planned.folder.run).exists
    train(
        order.data.root,
        annotations=None if annotations is None else annotations.annotation_set.path,
        method=planned.row.method or "auto",
        run=planned.folder.run,
        preset=None if begun else order.preset,
        overrides=() if begun else planned.overrides,
        start_from=[
            f"{member}={other.folder.run}:{network}" for member, (other, network) in planned.start_from.items()
        ],
        resume=True,
        device=order.device,
        devices=1,
        cache=order.cache,
        on_plan=on_plan,
    )


def _predict(order: Order, planned: PlannedRow) -> None:
    row, folder = planned.row, planned.folder
    if row.pseudo_label:
        _write_pseudo_labels(order, planned)
        return
    source = folder if planned.run_of is None else planned.run_of.folder
    images = [path for case in order.cases for path in order.data.image_paths(case)]
    predict(source.run, images, folder.predictions, ensemble=row.ensemble, member=row.member, device=order.device)


def _write_pseudo_labels(order: Order, planned: PlannedRow) -> None:
    """What the annotations of the measured cases grow into, unannotated voxels as background."""
    if planned.annotations is None:
        raise ValueError(f"Row {planned.name} learns from annotations and has none.")
    data = order.data
    for case in track(order.cases, "Growing", len(order.cases)):
        image = data.read_image(case)
        valid = valid_region(image.array)
        annotation = planned.annotations.read(case)
        supervision = build_supervision(annotation, image, data.labels, planned.settings.expansion, valid, case)
        classes = np.where(supervision.target == IGNORE, BACKGROUND, supervision.target)
        label = Volume(data.labels.from_class_indices(classes), supervision.affine)
        write_volume(planned.folder.predictions / f"{case}{data.file_ending}", label)


def _provenance(order: Order, planned: PlannedRow) -> dict[str, Any]:
    """That of the run and what was decided for it; of a row without one, this program's."""
    if not planned.trained:
        return provenance("", planned.seed, order.device_type)
    run = RunFolder(planned.folder.run)
    model = read_json_object(run.model_path / DESCRIPTION_NAME)
    plan = {
        "patch_shape": model["patch_shape"],
        "spacing_mm": model["preprocessing"]["spacing_mm"],
        "networks": model["networks"],
    }
    return {**read_json_object(run.provenance_path), "plan": plan}
