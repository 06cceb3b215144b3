"""A 2D network on the slices of a volume: which slices, each by itself, whatever the chunk."""

import pytest
import torch
from torch import nn

from voxseed.errors import InputError, ShapeError, UnknownNameError
from voxseed.networks.factory import build_network, default_arguments, required_divisor, slicewise_arguments
from voxseed.networks.unet2d import Slicewise

SPACING = (1.0, 1.0, 3.0)


def arguments(axis: int, chunk: int = 16, width: int = 3) -> dict[str, object]:
    return {**slicewise_arguments("unet2d", axis, SPACING, (16, 16, 16), width), "chunk": chunk}


def same_networks(axis: int, chunks: list[int]) -> list[nn.Module]:
    networks = [build_network("unet2d", 1, 3, **arguments(axis, chunk)).double() for chunk in chunks]
    for network in networks[1:]:
        network.load_state_dict(networks[0].state_dict())
    return networks


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_each_slice_is_read_by_itself(axis):
    (network,) = same_networks(axis, [4])
    image = torch.randn(2, 1, 16, 16, 16, dtype=torch.float64)
    changed = image.clone()
    changed.select(axis + 2, 5)[1] += torch.randn(16, 16, dtype=torch.float64)
    with torch.no_grad():
        difference = (network(changed) - network(image)).abs().amax(dim=1)
    other_axes = [other + 1 for other in range(3) if other != axis]
    touched = difference.amax(dim=other_axes) > 1e-9
    assert touched.nonzero().tolist() == [[1, 5]]
    assert (difference[1].select(axis, 5) > 0).float().mean() > 0.9  # the whole slice, not a neighbourhood alone


def test_a_slice_is_turned_into_a_picture_and_back_without_being_mixed_up():
    network = Slicewise(nn.Conv2d(2, 3, 1, bias=False), axis=1, chunk=4, stride=(2, 2))
    image = torch.randn(2, 2, 4, 5, 6)
    expected = torch.einsum("cm,bmijk->bcijk", network.body.weight[:, :, 0, 0], image)
    torch.testing.assert_close(network(image), expected)


def test_result_and_gradients_do_not_depend_on_the_chunk():
    networks = same_networks(2, [64, 5, 1])
    image = torch.randn(1, 1, 16, 16, 7, dtype=torch.float64)
    weights = torch.randn(1, 3, 16, 16, 7, dtype=torch.float64)
    results = []
    for network in networks:
        logits = network(image)
        (logits * weights).sum().backward()
        results.append([logits, *(parameter.grad for parameter in network.parameters())])
    for other in results[1:]:
        for found, expected in zip(other, results[0], strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("patch_shape", "axis", "expected"),
    [
        ((64, 48, 32), 2, 85),
        ((96, 80, 48), 1, 56),
        ((176, 176, 96), 2, 8),
        ((176, 176, 96), 1, 15),
        ((1024, 1024, 8), 2, 1),
    ],
)
def test_as_many_slices_at_a_time_as_have_a_quarter_of_a_million_pixels(patch_shape, axis, expected):
    assert slicewise_arguments("unet2d", axis, SPACING, patch_shape, 3)["chunk"] == expected


def test_features_of_a_chunk_are_computed_again_instead_of_kept():
    kept = []
    for chunk in (64, 4):
        (network,) = same_networks(2, [chunk])
        image = torch.randn(1, 1, 16, 16, 16, dtype=torch.float64)
        sizes: dict[int, int] = {}

        def pack(tensor, sizes=sizes):
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            network(image)
        kept.append(sum(sizes.values()))
    assert kept[1] < kept[0] / 5


@pytest.mark.parametrize(
    ("axis", "expected"), [(0, (1, 4, 4)), (1, (4, 1, 4)), (2, (4, 4, 1))], ids=["sagittal", "coronal", "axial"]
)
def test_only_the_plane_is_downsampled(axis, expected):
    assert required_divisor("unet2d", **arguments(axis)) == expected


def test_without_a_plane_slices_are_those_across_the_largest_spacing():
    assert default_arguments("unet2d", (1.0, 3.0, 1.0), (32, 16, 32), 4)["axis"] == 1
    assert default_arguments("unet2d", (1.0, 1.0, 1.0), (32, 32, 16), 4)["axis"] == 2


def test_a_slice_of_one_pixel_at_the_deepest_level_is_refused():
    network = build_network("unet2d", 1, 2, **arguments(2))
    with pytest.raises(
        ShapeError, match=r"unet2d: expected slices larger than \(4, 4\), found shape \(1, 1, 4, 4, 9\)"
    ):
        network(torch.zeros(1, 1, 4, 4, 9))


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [
        ("unet3d", InputError, "network unet3d: it does not read slices one by one; expected one of unet2d"),
        ("unet", UnknownNameError, "Unknown network 'unet'"),
    ],
)
def test_networks_that_read_no_slices_are_refused(name, error, sentence):
    with pytest.raises(error, match=sentence):
        slicewise_arguments(name, 0, SPACING, (16, 16, 16), 4)
