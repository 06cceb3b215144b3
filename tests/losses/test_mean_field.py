import math

import pytest
import torch

from voxseed.losses.crf_window import Window
from voxseed.losses.mean_field import mean_field


def _slow(p, allowed, image, sigma_x, window, pair_weight, iterations):
    """Voxel by voxel, view by view."""
    voxels = torch.cartesian_prod(*map(torch.arange, p.shape[2:])).tolist()
    unary = {
        tuple(v): p[(0, slice(None), *v)].log().masked_fill(~allowed[(0, slice(None), *v)], -math.inf) for v in voxels
    }
    q = {v: value.softmax(dim=0) for v, value in unary.items()}
    for _ in range(iterations):
        updated = {}
        for v in q:
            heard = torch.zeros(p.shape[1], dtype=p.dtype)
            for across in range(3):
                for w in q:
                    offsets = [abs(a - b) for a, b in zip(v, w, strict=True)]
                    if w == v or offsets[across] or any(o > r for o, r in zip(offsets, window.radius, strict=True)):
                        continue
                    difference = image[(0, 0, *v)] - image[(0, 0, *w)]
                    squared = sum(o * o for o in offsets) / (2 * window.sigma_r_voxels**2)
                    heard += torch.exp(-squared - difference**2 / (2 * sigma_x**2)) * q[w]
            updated[v] = (unary[v] + pair_weight / 3 * heard).softmax(dim=0)
        q = updated
    return q


@pytest.mark.parametrize("iterations", [0, 1, 3])
def test_marginals_equal_a_loop_over_voxels_and_views(iterations):
    generator = torch.Generator().manual_seed(0)
    p = torch.randn(1, 3, 3, 4, 2, generator=generator, dtype=torch.float64).softmax(dim=1)
    image = torch.randn(1, 1, 3, 4, 2, generator=generator, dtype=torch.float64)
    allowed = torch.rand(1, 3, 3, 4, 2, generator=generator) < 0.7
    allowed[:, 0] = True
    window = Window((1, 2, 1), 2.0)
    valid = torch.ones_like(image, dtype=torch.bool)
    ours = mean_field(p, allowed, image, valid, 0.5, window, 0.8, iterations)
    for voxel, expected in _slow(p, allowed, image, 0.5, window, 0.8, iterations).items():
        torch.testing.assert_close(ours[(0, slice(None), *voxel)], expected)


def test_a_lone_voxel_gives_in_to_like_neighbours_and_stands_among_unlike_ones():
    p = torch.full((1, 2, 5, 5, 1), 0.1)
    p[:, 0] = 0.9
    p[:, :, 2, 2] = torch.tensor([0.4, 0.6]).view(1, 2, 1)
    image = torch.zeros(1, 1, 5, 5, 1)
    everything = torch.ones_like(p, dtype=torch.bool)
    for intensity, expected in ((0.0, 0), (5.0, 1)):
        image[0, 0, 2, 2] = intensity
        q = mean_field(p, everything, image, everything[:, :1], 0.3, Window((2, 2, 2), 6.0), 0.5, 5)
        assert q[0, :, 2, 2, 0].argmax().item() == expected
