"""The one training loop, as Lightning has it: it serves every method and knows none."""

import math
import time
from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from voxseed.methods.base import Batch, Method, Progress, Terms
from voxseed.methods.extra_terms import ExtraTerms, ExtraTermsSettings
from voxseed.training.seeds import mixed_seed
from voxseed.training.settings import OptimiserSettings


class TrainingModule(pl.LightningModule):
    """A method in Lightning's terms.

    One optimiser with one parameter group per network, clipped per network: because targets from other networks are
    detached, this equals one optimiser each.

    Args:
        iterations: optimiser steps of the stage, for schedules.
        seed: (run's seed, stage index); random numbers that a network draws depend on it and the step alone.
        extra_terms: weights of loss terms beside the method's own.
    """

    def __init__(
        self,
        method: Method,
        optimiser: OptimiserSettings,
        iterations: int,
        seed: tuple[int, int],
        extra_terms: ExtraTermsSettings,
    ) -> None:
        super().__init__()
        self.method = method
        self.networks = method.networks
        self.teachers = method.teachers
        self._optimiser = optimiser
        self._iterations = iterations
        self._seed = seed
        self._extra_terms = ExtraTerms(method.networks, extra_terms)
        self._sums: dict[str, Tensor] = {}
        self._epoch_start_seconds = 0.0

    @property
    def progress(self) -> Progress:
        """How far the stage is."""
        return Progress(self.global_step, self.current_epoch, min(self.global_step / self._iterations, 1.0))

    def configure_optimizers(self) -> Any:
        """Lightning's hook."""
        groups = [{"params": list(network.parameters()), "name": name} for name, network in self.networks.items()]
        optimiser = build_optimiser(groups, self._optimiser)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: rate_factor(step, self._iterations, self._optimiser)
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        """Lightning's hook: clips each network on its own."""
        clip_each(self.networks, self._optimiser.clip_norm)

    def on_train_epoch_start(self) -> None:
        """Lightning's hook."""
        self.networks.train()
        self.teachers.eval()
        self._sums = {}
        self._epoch_start_seconds = time.monotonic()

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Lightning's hook."""
        return batch.to(device)

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Lightning's hook."""
        # Seeded at every step, because a data loader draws from the same generator when an epoch begins or resumes.
        torch.manual_seed(mixed_seed(*self._seed, self.global_step, self.global_rank))
        terms = self.method.losses(batch, self.progress)
        self._extra_terms.add_to(terms, batch, self.progress)
        # Sums stay on the device, so that no step waits for it.
        for name, value in _flat(terms):
            self._sums[name] = self._sums.get(name, 0.0) + value.detach()
        return total_loss(terms)

    def on_train_batch_end(self, *_: Any, **__: Any) -> None:
        """Lightning's hook."""
        self.method.after_step(self.progress)

    def epoch_means(self) -> dict[str, float]:
        """Mean of every loss term over the epoch's steps on this device, and the seconds that it took."""
        steps = max(self.trainer.num_training_batches, 1)
        means = {name: float(value) / steps for name, value in self._sums.items()}
        return {"seconds": time.monotonic() - self._epoch_start_seconds, **means}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Lightning's hook."""
        checkpoint["method_state"] = self.method.state()
        checkpoint["world_size"] = self.trainer.world_size

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Lightning's hook."""
        self.method.load_state(checkpoint["method_state"])


def total_loss(terms: Terms) -> Tensor:
    """Sum over networks and terms."""
    return torch.stack([value for _, value in _flat(terms)]).sum()


def rate_factor(step: int, iterations: int, settings: OptimiserSettings) -> float:
    """What the learning rate of a step is multiplied by, in [0, 1].

    Linear from 0 in the warm-up, whose first step already moves; then polynomial in the fraction of the whole stage, or
    a cosine from 1 to 0 over what is left of it.

    Args:
        step: optimiser steps done.
        iterations: of the stage.
        settings: schedule, power and warm-up.
    """
    warmup = settings.warmup_fraction * iterations
    if step < warmup:
        return min((step + 1) / warmup, 1.0)
    if settings.schedule == "cosine":
        return (1 + math.cos(math.pi * min((step - warmup) / (iterations - warmup), 1.0))) / 2
    return max(1 - step / iterations, 0.0) ** settings.polynomial_power


def build_optimiser(groups: list[dict[str, Any]], settings: OptimiserSettings) -> torch.optim.Optimizer:
    """The optimiser that the settings name."""
    if settings.name != "sgd":
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.name]
        return kind(groups, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)
    return torch.optim.SGD(
        groups,
        lr=settings.learning_rate,
        momentum=settings.momentum,
        nesterov=settings.momentum > 0,
        weight_decay=settings.weight_decay,
        fused=True,
    )


def clip_each(networks: nn.ModuleDict, max_norm: float) -> None:
    """Scale each network's gradients to at most `max_norm`, independently of the others."""
    for network in networks.values():
        nn.utils.clip_grad_norm_(network.parameters(), max_norm)


def _flat(terms: Terms) -> Iterator[tuple[str, Tensor]]:
    for network, named in terms.items():
        for name, value in named.items():
            yield f"{network}/{name}", value
