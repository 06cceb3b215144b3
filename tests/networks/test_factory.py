import json

import pytest
import torch

from voxseed.errors import InputError, ShapeError, UnknownNameError
from voxseed.networks.base import NETWORKS
from voxseed.networks.factory import build_network, default_arguments, required_divisor

NAMES = [
    "attention-unet",
    "dynunet",
    "probabilistic-unetr",
    "residual-unet",
    "unet2.5d",
    "unet2d",
    "unet3d",
    "unetr",
    "vnet",
]
WIDTH = {"vnet": 16}
SMALL = {"unet3d": {"width": 4, "strides": [[2, 2, 2], [2, 2, 1]], "kernels": [[3, 3, 3], [3, 3, 3], [3, 3, 3]]}}


def small_arguments(name: str) -> dict[str, object]:
    return default_arguments(name, (1.0, 1.0, 3.0), (16, 16, 8), WIDTH.get(name, 4))


def smallest_image(name: str, batch: int = 1) -> torch.Tensor:
    divisor = required_divisor(name, **small_arguments(name))
    return torch.randn(batch, 1, 2 * divisor[0], rows(name, divisor), divisor[2])


def rows(name: str, divisor: tuple[int, int, int]) -> int:
    """A slice alone must have more than one pixel at the deepest level."""
    return 2 * divisor[1] if name == "unet2d" else divisor[1]


def test_all_networks_are_registered():
    assert NETWORKS.names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_logits_have_the_shape_of_the_image(name):
    arguments = small_arguments(name)
    divisor = required_divisor(name, **arguments)
    shape = divisor[0] * 2, rows(name, divisor), divisor[2] * 3
    network = build_network(name, 2, 4, **arguments)
    with torch.no_grad():
        logits = network(torch.randn(2, 2, *shape))
    assert logits.shape == (2, 4, *shape)


@pytest.mark.parametrize("name", NAMES)
def test_description_through_json_gives_the_same_network(name):
    network = build_network(name, 1, 3, **small_arguments(name)).eval()
    again = build_network(**json.loads(json.dumps(network.description))).eval()
    again.load_state_dict(network.state_dict())
    image = smallest_image(name)
    with torch.no_grad():
        assert torch.equal(network(image), again(image))
    assert again.description == network.description


@pytest.mark.parametrize("name", ["attention-unet", "residual-unet", "unet3d"])
def test_seed_gives_the_same_weights(name):
    arguments = small_arguments(name)
    weights = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        weights.append(torch.cat([p.flatten() for p in build_network(name, 1, 2, **arguments).parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("name", NAMES)
def test_training_and_prediction_answer_alike_whatever_else_is_in_the_batch(name):
    """No dropout and no statistics of the batch: resuming is exact and a patch is judged on its own."""
    network = build_network(name, 1, 2, **small_arguments(name)).double()
    image = smallest_image(name, batch=2).double()
    with torch.no_grad():
        training = network(image)
        alone = network.eval()(image[:1])
    torch.testing.assert_close(training[:1], alone, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "probabilistic-unetr"])  # see test_unetr.py
def test_gradient_reaches_every_weight(name):
    network = build_network(name, 1, 2, **small_arguments(name))
    logits = network(smallest_image(name))
    (logits * torch.randn_like(logits)).sum().backward()
    # Biases in front of a normalisation have a gradient of zero; weights must not.
    dead = [key for key, p in network.named_parameters() if p.grad is None or (p.ndim > 1 and not p.grad.any())]
    assert dead == []


def test_shape_that_does_not_fit_is_refused():
    network = build_network("unet3d", 1, 2, **SMALL["unet3d"])
    assert network.divisor == (4, 4, 2)
    with pytest.raises(ShapeError, match=r"unet3d: expected I, J, K to be multiples of \(4, 4, 2\), found shape .*10"):
        network(torch.zeros(1, 1, 8, 10, 2))
    with pytest.raises(ShapeError, match=r"expected an image \(B, 1, I, J, K\), found shape \(1, 2, 8, 8, 2\)"):
        network(torch.zeros(1, 2, 8, 8, 2))
    with pytest.raises(ShapeError, match=r"expected more than one voxel of \(4, 4, 2\)"):
        network(torch.zeros(1, 1, 4, 4, 2))


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("unet3d", {"widht": 8}, "network unet3d: unknown setting 'widht'; known here: width, strides, kernels"),
        ("unet3d", {"width": 0}, "network unet3d: width = 0: input should be greater than or equal to 1"),
        ("unet3d", {"kernels": [[3, 3, 3]] * 4}, "2 strides need one kernel more, found 4"),
        ("unet3d", {"strides": [[2, 2, 2]]}, "network unet3d: strides"),
        ("vnet", {"width": 8}, "network vnet: width = 8: input should be 16"),
    ],
)
def test_wrong_arguments_are_refused(name, changes, message):
    arguments = {**SMALL.get(name, {}), **changes}
    with pytest.raises(InputError, match=message):
        build_network(name, 1, 2, **arguments)


def test_vnet_takes_only_image_channels_that_divide_its_width():
    with pytest.raises(InputError, match="network vnet: 3 image channels do not divide 16"):
        build_network("vnet", 3, 2)


def test_unknown_network_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"Unknown network 'unet'.*attention-unet, dynunet.*vnet"):
        build_network("unet", 1, 2)
