"""New targets between the rounds of a stage: every case is predicted, and its method says what that means."""

from collections.abc import Iterator

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from voxseed.inference.sliding_window import sliding_window
from voxseed.methods.base import Batch
from voxseed.supervision.kinds import ObjectInPatch
from voxseed.training.cases import TrainingCase
from voxseed.training.loop import TrainingModule
from voxseed.training.patches import PatchSettings
from voxseed.training.rounds import Rounds
from voxseed.types import LabelArray


class Relabelling(Callback):
    """Writes the targets of a round when the one before it is done, before its checkpoint.

    Args:
        patches: what the stage trains on.
        overlap: of the sliding window.
    """

    def __init__(self, rounds: Rounds, cases: list[TrainingCase], patches: PatchSettings, overlap: float) -> None:
        self._rounds, self._cases, self._patches, self._overlap = rounds, cases, patches, overlap

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lightning's hook."""
        epochs_done = trainer.current_epoch + 1
        if not isinstance(pl_module, TrainingModule) or not self._rounds.begins(epochs_done):
            return
        if trainer.is_global_zero:
            pl_module.networks.eval()
            self._rounds.keep(self._targets(pl_module), epochs_done)
            pl_module.networks.train()
        trainer.strategy.barrier()

    def _targets(self, module: TrainingModule) -> Iterator[tuple[str, LabelArray]]:
        for case in self._cases:
            batch = whole_case(case, self._patches).to(module.device)
            target = module.method.relabel(batch, self._probabilities(module, batch.image))
            yield case.name, target[0, 0].cpu().numpy().astype(np.uint8)

    @torch.no_grad()
    def _probabilities(self, module: TrainingModule, image: Tensor) -> Tensor:
        """(1, C, I, J, K), of the first network."""
        network = next(iter(module.networks.values()))
        return sliding_window(
            lambda patch: network(patch).float().softmax(dim=1), image[0], self._patches.shape, self._overlap
        )[None]


def whole_case(case: TrainingCase, settings: PatchSettings) -> Batch:
    """A case as a batch of one, as it is, with its first target."""
    target, valid = case.supervision.read("target"), case.image.read("valid")
    absent = np.isin(np.arange(settings.class_count), sorted(case.absent))
    objects = tuple(
        ObjectInPatch(item.class_index, item.box_start, item.box_stop, True, item.box_shape, item.true_voxels)
        for item in case.objects
    )
    return Batch(
        image=torch.from_numpy(case.image.read("image"))[None],
        target=torch.from_numpy(target.astype(np.int64))[None, None],
        valid=torch.from_numpy(valid.astype(bool))[None, None],
        absent=torch.from_numpy(absent)[None],
        noise=torch.tensor([case.noise], dtype=torch.float32),
        spacing_mm=settings.spacing_mm,
        trusted=torch.tensor([case.trusted]),
        objects=(objects,),
    )
