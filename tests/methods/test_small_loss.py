import pytest
import torch

from voxseed.methods.small_loss import kept_share, small_loss_voxels


@pytest.mark.parametrize(
    ("fraction", "ramp_fraction", "expected"),
    [(0.0, 0.1, 1.0), (0.05, 0.1, 0.9), (0.1, 0.1, 0.8), (0.9, 0.1, 0.8), (0.0, 0.0, 0.8)],
)
def test_the_kept_share_falls_linearly_and_stays(fraction, ramp_fraction, expected):
    assert kept_share(fraction, 0.2, ramp_fraction) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (1.0, [True, True, True, True, False, False]),
        (0.75, [True, True, False, True, False, False]),
        (0.5, [True, False, False, True, False, False]),
        (0.0, [False] * 6),
    ],
)
def test_the_smallest_losses_among_the_candidates_are_kept(share, expected):
    # probability of the label: 0.9, 0.6, 0.2, 0.8, then 0.99 which is no candidate, and no label
    foreground = torch.tensor([0.9, 0.6, 0.2, 0.2, 0.99, 0.5]).view(1, 1, 1, 1, 6)
    label = torch.tensor([1, 1, 1, 0, 1, 255]).view(1, 1, 1, 1, 6)
    candidates = torch.tensor([True, True, True, True, False, False]).view(1, 1, 1, 1, 6)
    logits = torch.cat([1 - foreground, foreground], dim=1).log()
    assert small_loss_voxels(logits, label, candidates, share).flatten().tolist() == expected


def test_each_sample_keeps_its_own_share():
    logits = torch.randn(3, 2, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    candidates = torch.ones(3, 1, 4, 4, 4, dtype=torch.bool)
    candidates[2] = False
    kept = small_loss_voxels(logits, torch.zeros(3, 1, 4, 4, 4, dtype=torch.long), candidates, 0.25)
    assert kept.flatten(1).sum(dim=1).tolist() == [16, 16, 0]
