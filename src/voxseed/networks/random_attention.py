"""Self-attention whose logits are random: the probabilistic multi-head attention of PW4MedSeg.

The logit of query i for key j is A_ij = mu_ij + eps sigma_ij, eps ~ N(0, 1), and the attention is its softmax over j.
log sigma^2 is one linear map of [q_i; k_j], and so is mu in the released program. Both are sums of a part of the query
and a part of the key, so that nothing larger than (T, T) per head is ever made, and that only for a block of queries
at a time: what the backward pass needs of a block is computed again.
"""

import math
from typing import Final, Literal

import torch
from monai.networks.blocks.selfattention import SABlock
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

Kind = Literal["additive", "dot"]

BLOCK_QUERIES: Final = 256
"""Queries of a block; 216 tokens are those of a patch of 96 voxels along each axis."""


class RandomAttention(nn.Module):
    """Multi-head self-attention with random logits, and how far their distribution is from a prior.

    Jiang et al. 2024 (PW4MedSeg). "additive": mu is linear in [q_i; k_j], as released; its part of the query cancels in
    the softmax, so that the mean attention is the same for every query. "dot": mu is q_i k_j / sqrt(d), as in plain
    attention. The prior is N(q_i k_j / sqrt(d), prior_sd^2).

    Args:
        plain: MONAI's block, of which the maps to queries, keys and values and of the output are taken over.
        kind: how the mean is made.
        prior_sd: standard deviation of the prior.
    """

    def __init__(self, plain: SABlock, kind: Kind, prior_sd: float) -> None:
        super().__init__()
        self.qkv, self.out_proj = plain.qkv, plain.out_proj
        self.num_heads, self.scale = plain.num_heads, plain.scale
        self.kind = kind
        self.prior_sd = prior_sd
        per_side = 2 if kind == "additive" else 1  # log variance, and the mean where it is linear
        self.of_query = nn.Linear(plain.dim_head, per_side)
        self.of_key = nn.Linear(plain.dim_head, per_side, bias=False)
        # At first as the prior has it: variance prior_sd^2 everywhere.
        nn.init.zeros_(self.of_query.bias)
        with torch.no_grad():
            self.of_query.weight[0] = self.of_key.weight[0] = 0
            self.of_query.bias[0] = 2 * math.log(prior_sd)

    def forward(self, tokens: Tensor, is_sampled: bool, block_queries: int = BLOCK_QUERIES) -> tuple[Tensor, Tensor]:
        """Attended tokens, and the divergence from the prior.

        Args:
            tokens: (B, T, D).
            is_sampled: draw eps from PyTorch's generator; otherwise it is 0.
            block_queries: queries that are looked at together.

        Returns:
            (B, T, D), and the mean over heads, queries and keys of the KL divergence, a scalar; 0 unless sampled.
        """
        batch, count, _ = tokens.shape
        queries, keys, values = self.qkv(tokens).view(batch, count, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        with _without_autocast(tokens):
            of_keys = self.of_key(_precise(keys)).transpose(-1, -2)  # (B, H, 1 or 2, T)
        attended, divergence = [], tokens.new_zeros((), dtype=torch.float32)
        for block in queries.split(block_queries, dim=2):
            arguments = (block, keys, values, of_keys, is_sampled)
            if torch.is_grad_enabled():
                part, sum_of_kl = checkpoint(self._block, *arguments, use_reentrant=False)
            else:
                part, sum_of_kl = self._block(*arguments)
            attended.append(part)
            divergence = divergence + sum_of_kl
        merged = torch.cat(attended, dim=2).transpose(1, 2).reshape(batch, count, -1)
        return self.out_proj(merged), divergence / (batch * self.num_heads * count * count)

    def _block(
        self, queries: Tensor, keys: Tensor, values: Tensor, of_keys: Tensor, is_sampled: bool
    ) -> tuple[Tensor, Tensor]:
        """Attended values (B, H, Q, d) of some queries, and the sum of their KL divergences."""
        with _without_autocast(queries):
            of_queries = self.of_query(_precise(queries))
            mean = prior_mean = (_precise(queries) @ _precise(keys).transpose(-1, -2)) * self.scale
        if self.kind == "additive":
            mean = of_queries[..., 1:] + of_keys[:, :, 1:]
        logits, divergence = mean, mean.new_zeros(())
        if is_sampled:
            log_variance = of_queries[..., :1] + of_keys[:, :, :1]
            logits = mean + torch.randn_like(mean) * (log_variance / 2).exp()
            divergence = gaussian_kl(mean, log_variance, prior_mean, self.prior_sd).sum()
        return logits.softmax(dim=-1).to(values.dtype) @ values, divergence


def _without_autocast(tensor: Tensor) -> torch.autocast:
    """Logits of about 30, rounded to bfloat16, would be off by as much as a prior's standard deviation is small."""
    return torch.autocast(tensor.device.type, enabled=False)


def _precise(tensor: Tensor) -> Tensor:
    """In float32, or better if it is better."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def gaussian_kl(mean: Tensor, log_variance: Tensor, prior_mean: Tensor, prior_sd: float) -> Tensor:
    """KL(N(mean, variance) || N(prior_mean, prior_sd^2)), per element.

    -1/2 (1 + log variance - log prior_sd^2 - ((mean - prior_mean)^2 + variance) / prior_sd^2), natural logarithms.

    Args:
        mean, log_variance, prior_mean: of any shapes that broadcast.
        prior_sd: > 0.
    """
    log_ratio = log_variance - 2 * math.log(prior_sd)
    return -0.5 * (1 + log_ratio - (mean - prior_mean).square() / prior_sd**2 - log_ratio.exp())
