import pytest
import torch

from voxseed.losses.log_barrier import log_barrier
from voxseed.losses.tightness import TightnessLoss, missing_in_bands
from voxseed.supervision.kinds import ObjectInPatch


def _slow(probability: torch.Tensor, width: int) -> list[float]:
    """Line by line."""
    found = []
    for axis in range(3):
        image = probability.max(dim=axis).values
        for lines in (image, image.T):
            for first in range(0, len(lines), width):
                band = lines[first : first + width]
                found.append(len(band) - band.sum().item())
    return found


@pytest.mark.parametrize("width", [1, 2, 3, 10])
def test_bands_lack_what_a_loop_over_lines_finds(width):
    probability = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert missing_in_bands(probability, width).tolist() == pytest.approx(_slow(probability, width))


def test_a_diagonal_touches_every_line_of_its_box():
    probability = torch.zeros(4, 4, 4)
    probability[range(4), range(4), range(4)] = 1
    assert missing_in_bands(probability, 1).tolist() == [0.0] * 24  # three projections, two directions, four lines
    assert missing_in_bands(torch.zeros(4, 4, 4), 3).tolist() == [3.0, 1.0] * 6


def test_barriers_of_whole_objects_are_summed_and_samples_averaged():
    p = torch.rand(2, 3, 8, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    first = ObjectInPatch(1, (0, 1, 2), (5, 6, 8), True, (5, 5, 6))
    second = ObjectInPatch(2, (4, 4, 4), (8, 8, 8), True, (4, 4, 4))
    cut = ObjectInPatch(1, (0, 0, 0), (3, 8, 8), False, (6, 8, 8))
    loss = TightnessLoss(band_width=4)(p, [[first, second, cut], [first]], 5.0)
    sums = []
    for sample, items in ((0, (first, second)), (1, (first,))):
        missing = [z for item in items for z in _slow(p[(sample, item.class_index, *item.slices)], 4)]
        sums.append(log_barrier(torch.tensor(missing, dtype=torch.float64), 5.0).sum().item())
    assert loss.item() == pytest.approx(sum(sums) / 2)
    assert TightnessLoss()(p, [[cut], []], 5.0).item() == 0


@pytest.mark.parametrize(("margin", "box"), [(1, (1, 5)), (2, (2, 4)), (9, (2, 4))])
def test_the_box_is_shrunk_by_its_margin_but_never_to_nothing(margin, box):
    p = torch.rand(1, 2, 6, 6, 6, generator=torch.Generator().manual_seed(2))
    whole = ObjectInPatch(1, (0, 0, 0), (6, 6, 6), True, (6, 6, 6))
    tight = ObjectInPatch(1, (box[0],) * 3, (box[1],) * 3, True, (1, 1, 1))
    shrunk = TightnessLoss(band_width=2, margin_voxels=margin)(p, [[whole]], 5.0)
    torch.testing.assert_close(shrunk, TightnessLoss(band_width=2)(p, [[tight]], 5.0))
