"""Checkpoints and metrics of a stage: written atomically at the end of an epoch, loaded without unpickling code."""

import csv
import io
import pickle
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from voxseed.errors import InputError
from voxseed.files import move_into_place, write_text, writing
from voxseed.training.loop import TrainingModule

_KEYS = {
    "epoch",
    "global_step",
    "state_dict",
    "optimizer_states",
    "method_state",
    "world_size",
    "pytorch-lightning_version",
}


class EpochCheckpoint(Checkpoint):
    """Writes last.ckpt and a line of metrics.csv after every epoch.

    It derives from Lightning's Checkpoint because such callbacks run last, after the method refreshed its teachers.
    """

    def __init__(self, stage_path: Path) -> None:
        self._checkpoint_path = checkpoint_path(stage_path)
        self._metrics_path = metrics_path(stage_path)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lightning's hook."""
        if not isinstance(pl_module, TrainingModule):
            raise TypeError("EpochCheckpoint works with a TrainingModule.")
        row = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step, **pl_module.epoch_means()}
        if trainer.is_global_zero:
            append_metrics(self._metrics_path, row)
        # Collective: every process calls it, the first one writes.
        temporary = self._checkpoint_path.with_name("unfinished.ckpt")
        try:
            with writing(self._checkpoint_path):
                trainer.save_checkpoint(temporary, weights_only=False)
                if trainer.is_global_zero:
                    move_into_place(temporary, self._checkpoint_path)
        finally:
            if trainer.is_global_zero:
                temporary.unlink(missing_ok=True)
        trainer.strategy.barrier()


class StageCheckpointIO(TorchCheckpointIO):
    """Checkpoints of one stage, written in its folder and nowhere else; `EpochCheckpoint` moves them into place.

    Lightning's own goes through the folder of temporary files, which may be too small. It also hands the weights of
    spawned processes over through a file there, which nobody needs: the stage's checkpoint has them.
    """

    def __init__(self, stage_path: Path) -> None:
        self._folder = stage_path

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Lightning's hook."""
        if self._is_of_stage(path):
            buffer = io.BytesIO()
            torch.save(checkpoint, buffer)
            Path(path).write_bytes(buffer.getbuffer())

    def load_checkpoint(self, path: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Lightning's hook."""
        return super().load_checkpoint(path, *arguments, **options) if self._is_of_stage(path) else {}

    def _is_of_stage(self, path: Any) -> bool:
        return Path(path).parent == self._folder


def checkpoint_path(stage_path: Path) -> Path:
    """last.ckpt of a stage."""
    return stage_path / "last.ckpt"


def metrics_path(stage_path: Path) -> Path:
    """metrics.csv of a stage: epoch, step, seconds, one column per loss term."""
    return stage_path / "metrics.csv"


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Load a checkpoint with `weights_only`, so that a malicious file cannot run code.

    Raises:
        InputError: if it is damaged or holds anything but tensors and plain values.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice about how a foreign file was pickled
            checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError):
        raise InputError(
            f"{path}: expected a checkpoint of Voxseed, found a damaged or foreign file. "
            "Delete it to start this stage again."
        ) from None
    if not isinstance(checkpoint, dict) or not checkpoint.keys() >= _KEYS:
        raise InputError(
            f"{path}: expected a checkpoint of Voxseed, found another one. Delete it to start this stage again."
        )
    return checkpoint


def append_metrics(path: Path, row: dict[str, float]) -> None:
    """Add an epoch; rows of the same or a later epoch, left by a run that was killed, are replaced."""
    rows: list[dict[str, float]] = (
        [old for old in read_metrics(path) if old["epoch"] < row["epoch"]] if path.exists() else []
    )
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(row), lineterminator="\n")
    writer.writeheader()
    writer.writerows([*rows, row])
    write_text(path, text.getvalue())


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Rows of metrics.csv.

    Raises:
        InputError: if it is damaged.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    except (TypeError, ValueError):
        rows = [{}]
    if not all("epoch" in row for row in rows):
        raise InputError(
            f"{path}: expected numbers in columns of which one is epoch, found something else. "
            "Delete it; training goes on from last.ckpt beside it."
        )
    return rows
