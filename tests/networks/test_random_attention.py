"""Random attention against a slow explicit version: every pair of tokens by itself."""

import math

import pytest
import torch
from monai.networks.blocks.selfattention import SABlock
from torch.utils._python_dispatch import TorchDispatchMode

from voxseed.networks.random_attention import RandomAttention, gaussian_kl

WIDTH, HEADS, TOKENS, BATCH = 12, 3, 5, 2
DIM = WIDTH // HEADS


def attention(kind: str, prior_sd: float = 1.0) -> RandomAttention:
    torch.manual_seed(0)
    block = RandomAttention(SABlock(WIDTH, HEADS), kind, prior_sd)
    torch.nn.init.normal_(block.of_query.weight)
    torch.nn.init.normal_(block.of_key.weight)
    torch.nn.init.normal_(block.of_query.bias)
    return block


class Given(torch.nn.Module):
    """Queries, keys and values that are given."""

    def __init__(self, projected: torch.Tensor) -> None:
        super().__init__()
        self.projected = projected

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        return self.projected


def tokens() -> torch.Tensor:
    return torch.randn(BATCH, TOKENS, WIDTH, generator=torch.Generator().manual_seed(1))


def explicit(block: RandomAttention, x: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """One linear map of [q_i; k_j] for each pair, as the released program has it; noise (B, H, T, T)."""
    joint = torch.cat([block.of_query.weight, block.of_key.weight], dim=1)
    projected = block.qkv(x).view(BATCH, TOKENS, 3, HEADS, DIM)
    out, divergences = torch.zeros(BATCH, TOKENS, HEADS, DIM), []
    for b in range(BATCH):
        for h in range(HEADS):
            q, k, v = (projected[b, :, part, h] for part in range(3))
            logits = torch.zeros(TOKENS, TOKENS)
            for i in range(TOKENS):
                for j in range(TOKENS):
                    values = joint @ torch.cat([q[i], k[j]]) + block.of_query.bias
                    product = q[i] @ k[j] / math.sqrt(DIM)
                    mean = values[1] if block.kind == "additive" else product
                    logits[i, j] = mean + noise[b, h, i, j] * (values[0] / 2).exp()
                    s2 = block.prior_sd**2
                    divergences.append(
                        -0.5 * (1 + values[0] - math.log(s2) - ((mean - product) ** 2 + values[0].exp()) / s2)
                    )
            out[b, :, h] = logits.softmax(dim=1) @ v
    return block.out_proj(out.reshape(BATCH, TOKENS, WIDTH)), torch.stack(divergences).mean()


@pytest.mark.parametrize("kind", ["additive", "dot"])
@pytest.mark.parametrize("prior_sd", [1.0, 0.5])
def test_it_is_the_explicit_version(kind, prior_sd):
    block, x = attention(kind, prior_sd), tokens()
    torch.manual_seed(7)
    noise = torch.randn(BATCH, HEADS, TOKENS, TOKENS)
    torch.manual_seed(7)
    found, divergence = block(x, is_sampled=True)
    expected, expected_divergence = explicit(block, x, noise)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(divergence, expected_divergence)
    still, nothing = block(x, is_sampled=False)
    torch.testing.assert_close(still, explicit(block, x, torch.zeros_like(noise))[0])
    assert nothing.item() == 0


@pytest.mark.parametrize("kind", ["additive", "dot"])
def test_gradients_are_those_of_the_explicit_version(kind):
    block, x = attention(kind), tokens().requires_grad_()
    weights = torch.randn(BATCH, TOKENS, WIDTH)
    torch.manual_seed(7)
    noise = torch.randn(BATCH, HEADS, TOKENS, TOKENS)
    gradients = []
    for run in (lambda: block(x, is_sampled=True), lambda: explicit(block, x, noise)):
        block.zero_grad()
        x.grad = None
        torch.manual_seed(7)
        attended, divergence = run()
        ((attended * weights).sum() + 3 * divergence).backward()
        gradients.append([x.grad, *(p.grad for p in block.parameters())])
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["additive", "dot"])
def test_blocks_of_queries_change_nothing_but_which_numbers_are_drawn(kind):
    block, x = attention(kind), tokens()
    whole, parts = (block(x, is_sampled=False, block_queries=count)[0] for count in (TOKENS, 2))
    torch.testing.assert_close(whole, parts)
    # The divergence does not depend on what is drawn.
    divergences = [block(x, is_sampled=True, block_queries=count)[1] for count in (TOKENS, 2)]
    torch.testing.assert_close(*divergences)


def test_nothing_larger_than_a_block_of_queries_by_keys_is_made(monkeypatch):
    sizes = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            sizes.extend(each.numel() for each in torch.utils._pytree.tree_leaves(result) if torch.is_tensor(each))
            return result

    count = 64
    block = RandomAttention(SABlock(WIDTH, HEADS), "additive", 1.0)
    x = torch.randn(1, count, WIDTH, requires_grad=True)
    with Watch():
        attended, divergence = block(x, is_sampled=True, block_queries=16)
        (attended.sum() + divergence).backward()
    assert max(sizes) == HEADS * 16 * count  # and count * 3 * WIDTH is less


def test_the_mean_attention_of_additive_is_the_same_for_every_query():
    found, _ = attention("additive")(tokens(), is_sampled=False)
    torch.testing.assert_close(found, found[:, :1].expand_as(found))


@pytest.mark.parametrize("prior_sd", [1.0, 0.5])
def test_at_first_dot_attention_is_its_prior(prior_sd):
    torch.manual_seed(0)
    _, divergence = RandomAttention(SABlock(WIDTH, HEADS), "dot", prior_sd)(tokens(), is_sampled=True)
    assert divergence.item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("kind", ["additive", "dot"])
def test_logits_and_divergence_are_float32_under_autocast(kind):
    block, x = attention(kind), tokens()
    rounded = block.qkv(x).bfloat16()
    block.qkv = Given(rounded.float())
    torch.manual_seed(3)
    _, expected = block(x, is_sampled=True)
    block.qkv = Given(rounded)
    torch.manual_seed(3)
    with torch.autocast("cpu", torch.bfloat16):
        _, found = block(x, is_sampled=True)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("mean", "variance", "prior_mean", "prior_sd", "expected"),
    [
        (0.3, 1.0, 0.3, 1.0, 0.0),
        (1.0, 1.0, 0.0, 1.0, 0.5),
        (0.0, 4.0, 0.0, 1.0, 1.5 - math.log(2)),  # -1/2 (1 + ln 4 - 4)
        (2.0, 1.0, 0.0, 2.0, math.log(2) + 1 / 8),  # -1/2 (1 - ln 4 - 4/4 - 1/4)
    ],
)
def test_divergence_of_two_normal_distributions(mean, variance, prior_mean, prior_sd, expected):
    values = (torch.tensor(value) for value in (mean, math.log(variance), prior_mean))
    assert gaussian_kl(*values, prior_sd).item() == pytest.approx(expected, abs=1e-6)
