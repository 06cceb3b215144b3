import torch

from voxseed.networks.factory import build_network, default_arguments
from voxseed.networks.layout import placed


def test_on_a_cpu_weights_are_channels_last_and_logits_stay_what_they_were():
    torch.manual_seed(0)
    network = build_network("unet3d", 1, 2, **default_arguments("unet3d", (1.0, 1.0, 1.0), (16, 16, 16), 4)).eval()
    image = torch.randn(1, 1, 16, 16, 16)
    with torch.inference_mode():
        expected = network(image)
        found = placed(network, torch.device("cpu"))(image)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    kernels = [weights for weights in network.parameters() if weights.ndim == 5]
    assert all(weights.is_contiguous(memory_format=torch.channels_last_3d) for weights in kernels)
