import pytest

from voxseed.errors import InputError
from voxseed.networks.factory import default_arguments
from voxseed.networks.planning import Plan, plan_levels, total_stride


@pytest.mark.parametrize(
    ("spacing_mm", "patch_shape", "expected"),
    [
        # Isotropic: five levels at most.
        ((1, 1, 1), (128, 128, 128), Plan(((2, 2, 2),) * 4, ((3, 3, 3),) * 5)),
        # Isotropic but small: 32 -> 16 -> 8 -> 4.
        ((1, 1, 1), (32, 32, 32), Plan(((2, 2, 2),) * 3, ((3, 3, 3),) * 4)),
        # An axis stops at 4 voxels while the others go on.
        ((1, 1, 1), (64, 64, 16), Plan(((2, 2, 2), (2, 2, 2), (2, 2, 1), (2, 2, 1)), ((3, 3, 3),) * 5)),
        # Thick slices: 3 mm waits until 0.5 mm has become 2 mm; it is convolved from there on.
        (
            (0.5, 0.5, 3.0),
            (128, 128, 32),
            Plan(
                ((2, 2, 1), (2, 2, 1), (2, 2, 2), (2, 2, 2)),
                ((3, 3, 1), (3, 3, 1), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
            ),
        ),
        # Twice the finest is not too coarse.
        ((1.0, 2.0, 1.0), (32, 16, 32), Plan(((2, 2, 2), (2, 2, 2), (2, 1, 2)), ((3, 3, 3),) * 4)),
        # The coarse axis may be any.
        (
            (6.0, 1.0, 1.0),
            (8, 32, 32),
            Plan(((1, 2, 2), (1, 2, 2), (2, 2, 2)), ((1, 3, 3), (1, 3, 3), (3, 3, 3), (3, 3, 3))),
        ),
    ],
)
def test_levels_follow_spacing_and_shape(spacing_mm, patch_shape, expected):
    assert plan_levels(spacing_mm, patch_shape) == expected


def test_patch_that_is_too_small_is_refused():
    with pytest.raises(InputError, match=r"Patch shape \(8, 8, 8\) is too small.*at least 16 voxels along an axis"):
        plan_levels((1, 1, 1), (8, 8, 8))


def test_total_stride_is_the_product_per_axis():
    assert total_stride([(2, 2, 1), (2, 1, 2)]) == (4, 2, 2)


@pytest.mark.parametrize(
    ("spacing_mm", "patch_shape", "through"),
    [
        ((0.5, 0.5, 1.5), (128, 128, 48), 2),
        ((3.0, 1.0, 1.0), (48, 128, 128), 0),
        ((1.0, 1.0, 1.0), (64, 64, 32), 2),  # equal spacing: the axis with fewest voxels
    ],
)
def test_25d_network_works_within_slices_at_its_two_finest_levels(spacing_mm, patch_shape, through):
    arguments = default_arguments("unet2.5d", spacing_mm, patch_shape, 16)
    assert [kernel[through] for kernel in arguments["kernels"]] == [1, 1, 3, 3, 3]
    assert [stride[through] for stride in arguments["strides"]][:2] == [1, 1]
    assert arguments["strides"][2][through] == 2
    assert all(kernel[axis] == 3 for kernel in arguments["kernels"] for axis in range(3) if axis != through)
