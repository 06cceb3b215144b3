import pytest
import torch
from torch import nn

from voxseed.networks.instance_norm import InstanceNorm3d, use_fast_instance_norm

LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last_3d}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("batch", [1, 3])
def test_it_is_pytorchs_value_and_gradient_in_the_layout_that_it_got(batch, affine, layout):
    torch.manual_seed(0)
    expected_norm = nn.InstanceNorm3d(4, affine=affine).double()
    norm = InstanceNorm3d(4, affine=affine).double()
    if affine:
        nn.init.normal_(expected_norm.weight)
        nn.init.normal_(expected_norm.bias)
    norm.load_state_dict(expected_norm.state_dict())
    features = torch.randn(batch, 4, 5, 6, 7, dtype=torch.float64)
    expected_features = features.clone().requires_grad_()
    features = features.to(memory_format=LAYOUTS[layout]).requires_grad_()
    outer = torch.randn(batch, 4, 5, 6, 7, dtype=torch.float64)

    expected = expected_norm(expected_features)
    expected.backward(outer)
    found = norm(features)
    found.backward(outer)

    assert found.is_contiguous(memory_format=LAYOUTS[layout])
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(features.grad, expected_features.grad)
    for own, other in zip(norm.parameters(), expected_norm.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad)


def test_replacing_keeps_the_weights_and_their_names():
    network = nn.Sequential(nn.Conv3d(1, 4, 3), nn.Sequential(nn.InstanceNorm3d(4, affine=True), nn.ReLU()))
    nn.init.normal_(network[1][0].weight)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    replaced = use_fast_instance_norm(network)
    assert isinstance(replaced[1][0], InstanceNorm3d)
    after = replaced.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], value) for name, value in before.items())
