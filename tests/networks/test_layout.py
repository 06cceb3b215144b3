import torch
from torch import nn

from voxseed.networks.layout import in_layout_of


def test_convolutions_are_channels_last_on_cpu_and_contiguous_on_cuda():
    for device, is_last in (("cpu", True), ("cuda", False)):
        network = nn.Sequential(nn.Conv3d(4, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(4, 4))
        before = [parameter.clone() for parameter in network.parameters()]
        assert in_layout_of(torch.device(device), network) is network
        assert network[0].weight.is_contiguous(memory_format=torch.channels_last_3d) is is_last
        assert network[1].weight.is_contiguous(memory_format=torch.channels_last) is is_last
        assert all(torch.equal(*pair) for pair in zip(before, network.parameters(), strict=True))
        assert network[0].weight.device.type == "cpu"  # nothing is moved
