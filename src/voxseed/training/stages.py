"""One stage of a recipe: networks in, networks out, resumable in between."""

import logging
import math
import signal
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor
from torch.utils.data import DataLoader

from voxseed.errors import InputError, InterruptedRunError
from voxseed.methods.base import Method
from voxseed.methods.extra_terms import NO_EXTRA_TERMS, ExtraTermsSettings
from voxseed.training.checkpoints import EpochCheckpoint, StageCheckpointIO, checkpoint_path, read_checkpoint
from voxseed.training.loop import TrainingModule
from voxseed.training.patches import EpochSampler, PatchDataset, patch_loader
from voxseed.training.settings import OptimiserSettings
from voxseed.training.team import ALONE, PATIENCE, Team

Weights = dict[str, dict[str, Tensor]]
"""Network → state dict."""


@dataclass(frozen=True)
class StageJob:
    """Everything that a stage needs, decided.

    Attributes:
        path: folder of the stage.
        iterations: optimiser steps, a multiple of `epoch_length`.
        seed: (run's seed, stage index).
        precision: "fp32" or "bf16".
        device: "cpu" or "cuda".
        devices: processes of all machines, one device each.
        team: those that were started together; alone, this process starts the others itself.
    """

    path: Path
    iterations: int
    epoch_length: int
    batch_size: int
    seed: tuple[int, int]
    precision: str
    device: str
    devices: int
    workers: int
    optimiser: OptimiserSettings
    extra_terms: ExtraTermsSettings = NO_EXTRA_TERMS
    team: Team = ALONE


def whole_epochs(iterations: int, epoch_length: int) -> tuple[int, int]:
    """(iterations, epoch_length) such that a stage is a whole number of epochs of equal length.

    The number of iterations is rounded up where it does not divide.
    """
    epochs = math.ceil(iterations / epoch_length)
    length = math.ceil(iterations / epochs)
    return epochs * length, length


def run_stage(
    job: StageJob, build: Callable[[], Method], dataset: PatchDataset, callbacks: Sequence[Callback] = ()
) -> Weights:
    """Train a stage to its end, from its checkpoint where there is one.

    Args:
        build: makes the method with its initial weights; called once.

    Returns:
        Weights of every network.

    Raises:
        InterruptedRunError: on Ctrl-C; the checkpoint of the last finished epoch is kept.
        InputError: if the checkpoint is damaged, or was written with another number of devices.
        LostProcessError: if a process of another machine has ended.
    """
    method = build()
    resume_from = job.team.first(lambda: _checkpoint(job))
    module = TrainingModule(method, job.optimiser, job.iterations, job.seed, job.extra_terms)
    data = StageData(dataset, job)
    trainer = _trainer(job, [EpochCheckpoint(job.path), *callbacks])
    _fit(job, trainer, module, data, resume_from)
    return job.team.first(lambda: stage_weights(job.path))


def _checkpoint(job: StageJob) -> Path | None:
    """The checkpoint to go on from. Which patches a device gets depends on how many there are."""
    path = checkpoint_path(job.path)
    if not path.exists():
        return None
    found = read_checkpoint(path)["world_size"]
    if found != job.devices:
        raise InputError(
            f"{path}: written by {found} device(s), this run has {job.devices}. Resume it with as many: "
            f"--devices {found}, or as many processes of torchrun or srun."
        )
    return path


def stage_weights(stage_path: Path) -> Weights:
    """Weights of the networks, as the last checkpoint of a stage has them."""
    weights: Weights = {}
    for key, value in read_checkpoint(checkpoint_path(stage_path))["state_dict"].items():
        kind, _, rest = key.partition(".")
        if kind == "networks":
            network, _, parameter = rest.partition(".")
            weights.setdefault(network, {})[parameter] = value
    return weights


class StageData(pl.LightningDataModule):
    """Hands every process its own patches."""

    def __init__(self, dataset: PatchDataset, job: StageJob) -> None:
        super().__init__()
        self._dataset, self._job = dataset, job

    def train_dataloader(self) -> DataLoader[Any]:
        """Lightning's hook."""
        if self.trainer is None:
            raise RuntimeError("StageData is used by a Trainer.")
        job = self._job
        sampler = EpochSampler(job.epoch_length * job.batch_size, self.trainer.global_rank, self.trainer.world_size)
        return patch_loader(self._dataset, sampler, job.batch_size, job.workers, pin_memory=job.device == "cuda")


def _trainer(job: StageJob, callbacks: list[Callback]) -> pl.Trainer:
    launch = job.team.launch
    if launch is not None:
        callbacks = [*callbacks, _TerminatesLikeCtrlC()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pl.Trainer(
            accelerator="gpu" if job.device == "cuda" else "cpu",
            devices=job.devices if launch is None else launch.per_machine,
            num_nodes=1 if launch is None else launch.machines,
            strategy=_strategy(job),
            plugins=[job.team.environment(), StageCheckpointIO(job.path)],
            precision="bf16-mixed" if job.precision == "bf16" else "32-true",
            max_epochs=job.iterations // job.epoch_length,
            callbacks=callbacks,
            default_root_dir=job.path,
            logger=False,
            enable_checkpointing=True,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
        )


def _strategy(job: StageJob) -> str | DDPStrategy:
    if job.devices == 1:
        return "auto"
    if job.team.launch is not None:
        return DDPStrategy(timeout=PATIENCE)
    # Processes are spawned, so that a run that was started from Python needs no script to start again.
    return _QuietSpawn(start_method="spawn", timeout=PATIENCE)


def _fit(job: StageJob, trainer: pl.Trainer, module: TrainingModule, data: StageData, resume_from: Path | None) -> None:
    """Fit, with Lightning's way of leaving on Ctrl-C turned into an error of ours."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        with warnings.catch_warnings():
            _ignore_advice()
            with job.team.losses_explained():
                trainer.fit(module, datamodule=data, ckpt_path=resume_from, weights_only=True)
    except SystemExit:
        _end_processes(trainer)
        raise InterruptedRunError("Interrupted. Everything up to the last finished epoch is kept.") from None
    finally:
        signal.signal(signal.SIGINT, handler)


def _end_processes(trainer: pl.Trainer) -> None:
    """End the other processes, which may wait for each other for ever; whatever they write is whole or not there."""
    if trainer.strategy.launcher is not None:
        trainer.strategy.launcher.kill(getattr(signal, "SIGKILL", signal.SIGTERM))


class _TerminatesLikeCtrlC(Callback):
    """Takes SIGTERM back from Lightning, whose handler talks to the other processes in the middle of a step."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lightning's hook, after Lightning has set its handlers; it restores earlier ones itself."""
        signal.signal(signal.SIGTERM, signal.default_int_handler)


class _QuietSpawn(DDPStrategy):
    """Spawned processes, which do not inherit what this one has been told to keep to itself."""

    def setup_environment(self) -> None:
        """Lightning's hook, the first in a new process."""
        quiet_lightning()
        _ignore_advice()
        super().setup_environment()


def _ignore_advice() -> None:
    # Strides: a channels-last kernel with one channel has two descriptions of the same memory.
    advice = ("does not have many workers", "in eval mode", "treespec", "transfer_batch_to_device", "Grad strides")
    for part in advice:
        warnings.filterwarnings("ignore", message=f".*{part}.*")


def quiet_lightning() -> None:
    """Keep Lightning's advice out of the user's way; warnings and errors still show."""
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
