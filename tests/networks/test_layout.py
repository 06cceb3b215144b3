import torch
from torch import nn

from voxseed.networks.factory import build_network, default_arguments
from voxseed.networks.layout import placed


def test_convolutions_are_channels_last_on_a_cpu():
    network = nn.Sequential(nn.Conv3d(4, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(4, 4))
    before = [parameter.clone() for parameter in network.parameters()]
    assert placed(network, torch.device("cpu")) is network
    assert network[0].weight.is_contiguous(memory_format=torch.channels_last_3d)
    assert network[1].weight.is_contiguous(memory_format=torch.channels_last)
    assert all(torch.equal(*pair) for pair in zip(before, network.parameters(), strict=True))


def test_logits_stay_what_they_were():
    torch.manual_seed(0)
    network = build_network("unet3d", 1, 2, **default_arguments("unet3d", (1.0, 1.0, 1.0), (16, 16, 16), 4)).eval()
    image = torch.randn(1, 1, 16, 16, 16)
    with torch.inference_mode():
        expected = network(image)
        found = placed(network, torch.device("cpu"))(image)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
