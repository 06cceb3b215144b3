import torch

from voxseed.networks.factory import build_network, default_arguments
from voxseed.networks.layout import placed


def test_on_a_cpu_large_features_are_channels_last_and_the_logits_stay_what_they_were():
    torch.manual_seed(0)
    network = build_network("unet3d", 1, 2, **default_arguments("unet3d", (1.0, 1.0, 1.0), (16, 16, 16), 4)).eval()
    image = torch.randn(1, 1, 16, 16, 16)
    with torch.inference_mode():
        expected = network(image)
        normalised = []
        placed(network, torch.device("cpu"))
        for module in network.modules():
            if isinstance(module, torch.nn.InstanceNorm3d):
                module.register_forward_hook(lambda _, inputs, __: normalised.append(inputs[0]))
        found = network(image)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    finest = [features for features in normalised if features.shape[2:] == (16, 16, 16)]
    assert len(finest) == 4
    assert all(features.is_contiguous(memory_format=torch.channels_last_3d) for features in finest)
