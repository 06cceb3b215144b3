"""nnU-Net as a row of a table: the PyPI package nnunetv2, trained on the grown dataset for as many iterations.

    python -m benchmarks.nnunet weak --data DATASET --out OUT --set training.iterations=800

Arguments are those of `voxseed benchmark`, whose OUT it adds to; the next `voxseed benchmark` shows the row. What is
grown, which cases are trained on and measured, the number of iterations, and the spacing if the table's settings fix
one, are the table's. Patch, batch, augmentation, network and learning rate are nnU-Net's own, planned for a GPU of
`--memory-gb`; what was planned first is kept. Where the table's rows compute in bfloat16 on a CPU, so does it, instead
of float32. Predictions are the last weights', without mirroring. A training that was interrupted goes on. Needs
nnunetv2 beside Voxseed (`pip install nnunetv2`).
"""

import argparse
import os
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from nibabel.orientations import io_orientation
from torch import Tensor, nn

from voxseed.benchmarks.records import COMPLETE, RowRecord
from voxseed.data.volumes import read_grid
from voxseed.devices import best_precision
from voxseed.files import read_json_object, write_json
from voxseed.training.provenance import provenance
from voxseed.workflows.benchmark import table_planners
from voxseed.workflows.benchmark_plan import Order, PlannedRow, Planner
from voxseed.workflows.evaluate import evaluate
from voxseed.workflows.expand import expand

ROW = "nnunet"
DATASET_ID, DATASET_NAME = 900, "Dataset900_Grown"
CONFIGURATION = "3d_fullres"
_SHOWN_OF_PLAN = ("patch_size", "batch_size", "spacing")


def main() -> None:
    """Expand, plan, train, predict, measure, record; a row that is there is left alone."""
    chosen = _arguments()
    planner = _planner(chosen)
    planned = planner.plan(ROW, chosen.seed)
    if planned.folder.complete(planned.key) is not None:
        print(f"{planned.folder.path}: is there.")
        return
    folders = _folders(planned.folder.path / "nnunet")
    _expand(planned, Path(folders["nnUNet_raw"]))
    trainer = _train(planner.order, planned, folders, chosen)
    seconds = {"training": _training_seconds(trainer)}
    start = time.monotonic()
    _predict(planner.order, planned, trainer)
    seconds["prediction"] = time.monotonic() - start
    evaluate(planned.folder.predictions, planner.order.data.root, planned.folder.metrics)
    seconds["evaluation"] = time.monotonic() - start - seconds["prediction"]
    origin = provenance("", chosen.seed, planner.order.device_type)
    origin["packages"]["nnunetv2"] = version("nnunetv2")
    origin["plan"] = {name: trainer.configuration_manager.configuration[name] for name in _SHOWN_OF_PLAN}
    origin["plan"]["precision"] = best_precision(trainer.device) if trainer.device.type == "cpu" else "nnU-Net's own"
    planned.folder.write(
        RowRecord(ROW, planned.row.title, chosen.seed, planned.key, COMPLETE, seconds, provenance=origin)
    )
    print(f"{planned.folder.metrics}: written. Show it with voxseed benchmark {chosen.table}.")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--protocol")
    parser.add_argument("--annotations")
    parser.add_argument("--inside-points", type=int)
    parser.add_argument("--on", choices=("test", "validation"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--epoch-length", type=int, default=50, help="at most so many iterations between weights that are kept"
    )
    parser.add_argument("--memory-gb", type=float, default=8, help="of the GPU that nnU-Net plans its patch for")
    return parser.parse_args()


def _planner(chosen: argparse.Namespace) -> Planner:
    """Of the one table that the row is to stand in."""
    planners = table_planners(
        chosen.table,
        chosen.data,
        chosen.out,
        preset=chosen.preset,
        overrides=chosen.set,
        protocol=chosen.protocol,
        annotations=chosen.annotations,
        inside_points=chosen.inside_points,
        measured_on=chosen.on,
        device=chosen.device,
    )
    if len(planners) > 1:
        raise SystemExit(f"{chosen.table}: expected one table. The row is in all of them once it is in one.")
    (planner,) = planners.values()
    if ROW not in planner.table.rows:
        raise SystemExit(f"{chosen.table}: this table has no row {ROW}. Choose weak or scribbles, or add it to yours.")
    return planner


def _folders(root: Path) -> dict[str, str]:
    """nnU-Net's three folders, which it reads from the environment when it is imported."""
    folders = {name: str((root / name).resolve()) for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
    for folder in folders.values():
        Path(folder).mkdir(parents=True, exist_ok=True)
    os.environ.update(folders)
    return folders


def _expand(planned: PlannedRow, raw: Path) -> None:
    if planned.annotations is None:
        raise SystemExit(f"{ROW} needs annotations.")
    target = raw / DATASET_NAME
    if not target.exists():
        annotation_set = planned.annotations.annotation_set
        expand(planned.annotations.data.root, annotation_set.path, planned.settings.expansion, target)


def _prepare(order: Order, planned: PlannedRow, preprocessed: Path, memory_gb: float) -> None:
    """nnU-Net's fingerprint, plans and preprocessed cases."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments, preprocess

    if (preprocessed / "splits_final.json").exists():
        return
    extract_fingerprints([DATASET_ID], num_processes=1)
    plan_experiments(
        [DATASET_ID],
        gpu_memory_target_in_gb=memory_gb,
        overwrite_target_spacing=_target_spacing(order, planned),
    )
    preprocess([DATASET_ID], configurations=[CONFIGURATION], num_processes=[1])
    trained = list(planned.key.data["trained"])
    # What it computes on validation cases during training is looked at by nobody, but it asks for some.
    write_json(preprocessed / "splits_final.json", [{"train": trained, "val": trained[:1]}])


def _target_spacing(order: Order, planned: PlannedRow) -> list[float] | None:
    """The table's spacing along nnU-Net's axes, which are those of the files, last first; None if it is nnU-Net's."""
    spacing_mm = planned.key.settings["spacing_mm"]
    if spacing_mm == "auto":
        return None
    grids = [read_grid(order.data.image_paths(case)[0]) for case in planned.key.data["trained"]]
    axes_of_files = [io_orientation(grid.affine)[:, 0].astype(int) for grid in grids]
    found = {tuple(spacing_mm[axis] for axis in axes) for axes in axes_of_files}
    if len(found) > 1:
        raise SystemExit(
            f"{order.data.root}: the axes of its files are in different orders, but nnU-Net has one spacing for all, "
            f"so it cannot follow preprocessing.spacing_mm={spacing_mm}. Give the same spacing for all axes."
        )
    return list(found.pop())[::-1]


def _train(order: Order, planned: PlannedRow, folders: dict[str, str], chosen: argparse.Namespace) -> Any:
    """nnU-Net's own preparation and trainer, of a fixed number of iterations, without its final validation."""
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    preprocessed = Path(folders["nnUNet_preprocessed"]) / DATASET_NAME
    _prepare(order, planned, preprocessed, chosen.memory_gb)
    torch.manual_seed(planned.seed)
    iterations = planned.key.settings["iterations"]
    trainer = nnUNetTrainer(
        plans={**read_json_object(preprocessed / "nnUNetPlans.json"), "continue_training": False},
        configuration=CONFIGURATION,
        fold=0,
        dataset_json=read_json_object(preprocessed / "dataset.json"),
        device=torch.device(order.device_type),
    )
    trainer.num_iterations_per_epoch = _whole_epochs(iterations, chosen.epoch_length)
    trainer.num_epochs = iterations // trainer.num_iterations_per_epoch
    trainer.num_val_iterations_per_epoch = 1
    trainer.save_every = 1
    trainer.initialize()
    if trainer.device.type == "cpu" and best_precision(trainer.device) == "bf16":
        _compute_in_bfloat16(trainer.network)
    finished, latest = (Path(trainer.output_folder) / f"checkpoint_{name}.pth" for name in ("final", "latest"))
    if finished.exists():  # and what came after it was interrupted
        trainer.load_checkpoint(str(finished))
        return trainer
    if latest.exists():
        trainer.load_checkpoint(str(latest))
    trainer.run_training()
    return trainer


def _compute_in_bfloat16(network: nn.Module) -> None:
    """Outputs stay float32, for the loss. nnU-Net's own mixed precision is of CUDA alone."""
    forward = network.forward

    def mixed_forward(image: Tensor) -> Tensor | list[Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            output = forward(image)
        return output.float() if isinstance(output, Tensor) else [each.float() for each in output]

    network.forward = mixed_forward


def _training_seconds(trainer: Any) -> float:
    """Of all epochs, also where the training was finished earlier."""
    log = trainer.logger.get_checkpoint()
    return sum(log["epoch_end_timestamps"]) - sum(log["epoch_start_timestamps"])


def _whole_epochs(iterations: int, at_most: int) -> int:
    """The longest epoch of which the training has a whole number, so that it is as long as the table's rows."""
    return next(length for length in range(min(at_most, iterations), 0, -1) if iterations % length == 0)


def _predict(order: Order, planned: PlannedRow, trainer: Any) -> None:
    """The last weights, on the measured cases."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    device = torch.device(order.device_type)
    predictor = nnUNetPredictor(
        use_mirroring=False, perform_everything_on_device=device.type == "cuda", device=device, verbose=False
    )
    trainer.set_deep_supervision_enabled(False)
    network = getattr(trainer.network, "_orig_mod", trainer.network)  # as it was before torch.compile
    network.eval()
    predictor.manual_initialization(
        network,
        trainer.plans_manager,
        trainer.configuration_manager,
        [network.state_dict()],
        trainer.dataset_json,
        type(trainer).__name__,
        trainer.inference_allowed_mirroring_axes,
    )
    planned.folder.predictions.mkdir(parents=True, exist_ok=True)
    predictor.predict_from_files_sequential(
        [[str(path) for path in order.data.image_paths(case)] for case in order.cases],
        [str(planned.folder.predictions / case) for case in order.cases],
    )


if __name__ == "__main__":
    main()
