"""Shows and logs how far a stage is."""

import logging
from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from voxseed.progress import track
from voxseed.training.loop import TrainingModule

_log = logging.getLogger(__name__)


class StageDisplay(Callback):
    """A progress bar over the stage's iterations, and a line in the log per epoch."""

    def __init__(self, name: str, iterations: int) -> None:
        self._name, self._iterations = name, iterations
        self._bar: Iterator[int] | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lightning's hook."""
        left = range(trainer.global_step, self._iterations)
        self._bar = iter(track(left, self._name, len(left))) if trainer.is_global_zero else iter(left)
        next(self._bar, None)

    def on_train_batch_end(self, *_: Any, **__: Any) -> None:
        """Lightning's hook."""
        if self._bar is not None:
            next(self._bar, None)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lightning's hook."""
        if isinstance(pl_module, TrainingModule) and trainer.is_global_zero:
            means = ", ".join(f"{name} {value:.4g}" for name, value in pl_module.epoch_means().items())
            _log.info("%s: iteration %d of %d: %s", self._name, trainer.global_step, self._iterations, means)

    def on_exception(self, *_: Any, **__: Any) -> None:
        """Lightning's hook: takes the bar down."""
        self._bar = None

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Lightning's hook."""
        self._bar = None
