"""Weights chosen on dense labels of validation cases, only where that is asked for.

Most users of sparse annotations have no such labels; then the last weights are kept.
"""

import logging
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import nn

from voxseed.errors import InputError
from voxseed.files import atomic_path
from voxseed.inference.sliding_window import sliding_window
from voxseed.metrics.overlap import dice
from voxseed.training.cases import TrainingCase
from voxseed.training.stages import Weights
from voxseed.types import IGNORE, Shape3

_EVALUATIONS = 10
_log = logging.getLogger(__name__)


class BestOnDense(Callback):
    """Keeps the weights of the first network's best mean Dice, looked at ten times per stage and at its end."""

    def __init__(self, stage_path: Path, cases: list[TrainingCase], patch_shape: Shape3, overlap: float) -> None:
        self._path = best_path(stage_path)
        self._cases, self._patch_shape, self._overlap = cases, patch_shape, overlap

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lightning's hook."""
        epochs = trainer.max_epochs or 1
        epoch = trainer.current_epoch + 1
        if trainer.is_global_zero and (epoch == epochs or epoch % max(epochs // _EVALUATIONS, 1) == 0):
            self._look(pl_module.networks, epoch)  # type: ignore[arg-type]

    def _look(self, networks: nn.ModuleDict, epoch: int) -> None:
        score = self._mean_dice(next(iter(networks.values())))
        _log.info("validation on dense labels after epoch %d: mean Dice %.4f", epoch, score)
        if self._path.exists() and _read(self._path)["dice"] >= score:
            return
        weights = {name: network.state_dict() for name, network in networks.items()}
        with atomic_path(self._path) as temporary:
            torch.save({"dice": score, "epoch": epoch, "weights": weights}, temporary)

    @torch.no_grad()
    def _mean_dice(self, network: nn.Module) -> float:
        network.eval()
        device = next(network.parameters()).device
        scores = []
        for case in self._cases:
            image = torch.from_numpy(case.image.read("image")).to(device)
            probabilities = sliding_window(
                lambda patch: network(patch).float().softmax(dim=1), image, self._patch_shape, self._overlap
            )
            predicted = probabilities.argmax(dim=0).cpu().numpy() * case.image.read("valid")
            truth = case.supervision.read("target")
            known = truth != IGNORE
            scores += [dice((predicted == index) & known, truth == index) for index in range(1, probabilities.shape[0])]
        network.train()
        return float(np.mean(scores))


def best_path(stage_path: Path) -> Path:
    """best.ckpt of a stage."""
    return stage_path / "best.ckpt"


def best_weights(stage_path: Path) -> Weights:
    """Weights of the best validation.

    Raises:
        InputError: if the file is damaged.
    """
    weights: Weights = _read(best_path(stage_path))["weights"]
    return weights


def _read(path: Path) -> dict[str, Any]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError):
        raise InputError(f"{path}: damaged. Delete it and last.ckpt beside it to start this stage again.") from None
