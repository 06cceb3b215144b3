"""Probabilistic UNETR: the same with random attention, the network of PW4MedSeg."""

import torch
from pydantic import Field
from torch import Tensor, nn

from voxseed.networks.base import RandomBody, register_network
from voxseed.networks.random_attention import Kind, RandomAttention
from voxseed.networks.unetr import UNETRArguments, UNETRBody


@register_network("probabilistic-unetr")
class ProbabilisticUNETR(UNETRArguments):
    """Jiang et al. 2024 (PW4MedSeg): a UNETR whose attention logits are drawn from normal distributions."""

    attention: Kind = Field("dot", description="Mean of a logit: dot, of query and key; additive: linear, as released.")
    prior_sd: float = Field(1.0, gt=0, description="Standard deviation of the prior, whose mean is the dot product.")

    def build(self, in_channels: int, class_count: int) -> nn.Module:
        return ProbabilisticBody(self, in_channels, class_count)


class ProbabilisticBody(UNETRBody, RandomBody):
    """A UNETR with random attention in every block."""

    def __init__(self, arguments: ProbabilisticUNETR, in_channels: int, class_count: int) -> None:
        super().__init__(arguments, in_channels, class_count)
        for block in self.parts.vit.blocks:
            block.attn = RandomAttention(block.attn, arguments.attention, arguments.prior_sd)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, C, I, J, K) with the mean attention; nothing is drawn."""
        return self._attended(image, is_sampled=False)[0]

    def forward_with_kl(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Logits with an attention that is drawn, and the KL divergence from the prior, summed over the layers."""
        return self._attended(image, is_sampled=True)

    def _attended(self, image: Tensor, is_sampled: bool) -> tuple[Tensor, Tensor]:
        tokens, states, divergences = self.tokens(image), [], []
        for block in self.parts.vit.blocks:
            attended, divergence = block.attn(block.norm1(tokens), is_sampled)
            tokens = tokens + attended
            tokens = tokens + block.mlp(block.norm2(tokens))
            states.append(tokens)
            divergences.append(divergence)
        return self.decoded(image, states), torch.stack(divergences).sum()
