"""UNETR, plain and probabilistic."""

import pytest
import torch
from monai.networks.nets import UNETR as MonaiUNETR

from voxseed.errors import InputError
from voxseed.networks.factory import build_network, default_arguments

TINY = {"width": 2, "hidden_width": 24, "heads": 3, "layers": 4, "patch_shape": [32, 32, 16]}
KINDS = ["additive", "dot"]


def tiny(attention: str, **changes):
    torch.manual_seed(0)
    network = build_network("probabilistic-unetr", 1, 2, **{**TINY, "attention": attention, **changes})
    for block in network.body.parts.vit.blocks:  # large enough that what is drawn shows
        torch.nn.init.constant_(block.attn.of_query.bias, 1.0)
        torch.nn.init.normal_(block.attn.qkv.weight)
    return network


def image(*shape: int) -> torch.Tensor:
    return torch.randn(1, 1, *(shape or (32, 32, 16)), generator=torch.Generator().manual_seed(0))


def test_of_twelve_layers_it_is_monai_s():
    ours = build_network("unetr", 2, 3, **{**TINY, "layers": 12})
    theirs = MonaiUNETR(2, 3, (32, 32, 16), feature_size=2, hidden_size=24, mlp_dim=96, num_heads=3)
    state = ours.body.parts.state_dict()
    missing, unexpected = theirs.load_state_dict(state, strict=False)
    assert unexpected == []
    assert all("norm_cross_attn" in key for key in missing)
    x = torch.randn(2, 2, 32, 32, 16)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["unetr", "probabilistic-unetr"])
@pytest.mark.parametrize("shape", [(32, 32, 16), (48, 16, 32)])
def test_any_shape_that_sixteen_divides(name, shape):
    network = build_network(name, 1, 2, **TINY)
    assert network.divisor == (16, 16, 16)
    with torch.no_grad():
        assert network(image(*shape)).shape == (1, 2, *shape)


def test_planned_is_the_published_one_at_width_sixteen():
    arguments = default_arguments("probabilistic-unetr", (1, 1, 1), (96, 90, 40), 16)
    assert arguments == {
        "width": 16,
        "hidden_width": 768,
        "layers": 12,
        "heads": 12,
        "patch_shape": [96, 96, 48],
        "attention": "dot",
        "prior_sd": 1.0,
    }


@pytest.mark.parametrize("kind", KINDS)
def test_forward_draws_nothing_and_forward_with_kl_does(kind):
    network, x = tiny(kind).eval(), image()
    with torch.no_grad():
        assert torch.equal(network(x), network(x))
        torch.manual_seed(1)
        (first, divergence), (second, _) = network.forward_with_kl(x), network.forward_with_kl(x)
        torch.manual_seed(1)
        again, _ = network.forward_with_kl(x)
    assert torch.equal(first, again)
    assert not torch.allclose(first, second)
    assert divergence > 0


def test_the_divergence_is_summed_over_the_layers():
    network = tiny("dot")
    for block in network.body.parts.vit.blocks:
        torch.nn.init.zeros_(block.attn.of_query.weight)
        torch.nn.init.zeros_(block.attn.of_key.weight)
    _, divergence = network.forward_with_kl(image())
    # Of variance e in each of four: -1/2 (1 + 1 - e).
    assert divergence.item() == pytest.approx(4 * 0.5 * (torch.e - 2), rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_reaches_every_weight(kind):
    network = tiny(kind)
    logits, divergence = network.forward_with_kl(image())
    ((logits * torch.randn_like(logits)).sum() + divergence).backward()
    dead = [key for key, p in network.named_parameters() if p.grad is None or (p.ndim > 1 and not p.grad.any())]
    assert dead == []


@pytest.mark.parametrize("kind", KINDS)
def test_bf16_is_near_float32(kind):
    torch.manual_seed(0)
    network, x = build_network("probabilistic-unetr", 1, 2, **{**TINY, "attention": kind}).eval(), image()
    with torch.no_grad():
        exact = network(x)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(x)
            sampled, divergence = network.forward_with_kl(x)
    assert sampled.isfinite().all()
    assert divergence.dtype == torch.float32
    assert (rough.float() - exact).abs().mean() < 0.1 * exact.abs().mean()


def test_a_network_that_is_not_random_says_so():
    network = build_network("unetr", 1, 2, **TINY)
    assert not network.is_random
    with pytest.raises(TypeError, match="unetr draws no random numbers"):
        network.forward_with_kl(image())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 5}, "hidden_width 24 is no multiple of 5 heads"),
        ({"patch_shape": [32, 24, 16]}, r"patch_shape \(32, 24, 16\) must be multiples of 16"),
        ({"layers": 3}, "layers = 3"),
        ({"attention": "plain"}, "network probabilistic-unetr: attention = 'plain'"),
    ],
)
def test_wrong_arguments_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        build_network("probabilistic-unetr", 1, 2, **{**TINY, **changes})
