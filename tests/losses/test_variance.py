import pytest
import torch
from torch import Tensor

from voxseed.errors import ShapeError
from voxseed.losses.variance import VarianceLoss


@pytest.mark.parametrize(
    ("intensities", "foreground", "expected"),
    [
        ([1, 1, 5, 5], [1, 1, 0, 0], 0.0),  # two homogeneous classes
        ([1, 3, 5, 5], [1, 1, 0, 0], 1.0),  # foreground 1 and 3: variance 1
        ([1, 3, 5, 5], [1, 1, 1, 1], 2.75),  # background empty: contributes nothing
        ([0, 2, 0, 2], [0.5, 0.5, 0.5, 0.5], 2.0),  # each class has variance 1
    ],
)
def test_variance_of_a_row_of_four_voxels(intensities, foreground, expected):
    image = torch.tensor(intensities, dtype=torch.float32).view(1, 1, 1, 1, 4)
    p = torch.tensor(foreground, dtype=torch.float32).view(1, 1, 1, 1, 4)
    loss = VarianceLoss()(torch.cat([1 - p, p], dim=1), image, torch.ones_like(p, dtype=torch.bool))
    assert loss.item() == pytest.approx(expected)


def example(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    logits = torch.randn(2, 3, 3, 2, 4, generator=generator, dtype=torch.float64)
    image = torch.randn(2, 2, 3, 2, 4, generator=generator, dtype=torch.float64)
    return logits.to(dtype), image.to(dtype), torch.rand(2, 1, 3, 2, 4, generator=generator) > 0.3


def slow_loss(probabilities: Tensor, image: Tensor, valid: Tensor) -> Tensor:
    """Voxel by voxel, as written in the paper; the means carry their gradient."""
    total = probabilities.new_zeros(())
    for b in range(len(image)):
        voxels = [tuple(v) for v in torch.nonzero(valid[b, 0]).tolist()]
        for c in range(probabilities.shape[1]):
            mass = sum(probabilities[(b, c, *v)] for v in voxels)
            for m in range(image.shape[1]):
                mean = sum(probabilities[(b, c, *v)] * image[(b, m, *v)] for v in voxels) / mass
                spread = sum(probabilities[(b, c, *v)] * (image[(b, m, *v)] - mean) ** 2 for v in voxels)
                total = total + spread / mass
    return total / len(image)


def test_value_and_gradient_equal_the_definition():
    logits, image, valid = example()
    ours, slow = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss = VarianceLoss()(ours.softmax(dim=1), image, valid)
    expected = slow_loss(slow.softmax(dim=1), image, valid)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(ours.grad, slow.grad)


def test_gradient_passes_gradcheck():
    logits, image, valid = example()
    assert torch.autograd.gradcheck(lambda z: VarianceLoss()(z.softmax(dim=1), image, valid), logits.requires_grad_())


def test_shift_of_the_image_changes_nothing():
    logits, image, valid = example()
    p = logits.softmax(dim=1)
    assert VarianceLoss()(p, image + 50, valid).item() == pytest.approx(VarianceLoss()(p, image, valid).item())


def test_a_sample_without_valid_voxels_does_not_count():
    logits, image, valid = example()
    valid[1] = False
    logits.requires_grad_()
    loss = VarianceLoss()(logits.softmax(dim=1), image, valid)
    loss.backward()
    assert loss.item() == pytest.approx(VarianceLoss()(logits[:1].softmax(dim=1), image[:1], valid[:1]).item())
    assert (logits.grad[1] == 0).all()


def test_bfloat16_is_computed_in_float32():
    logits, image, valid = example(torch.bfloat16)
    p = logits.softmax(dim=1)
    loss = VarianceLoss()(p, image, valid)
    assert loss.dtype is torch.float32
    assert loss.item() == VarianceLoss()(p.float(), image.float(), valid).item()


def test_wrong_shapes_are_refused():
    logits, image, valid = example()
    with pytest.raises(ShapeError, match="share B, I, J, K"):
        VarianceLoss()(logits, image[:1], valid)
    with pytest.raises(ShapeError, match="valid: expected 1 channel"):
        VarianceLoss()(logits, image, valid.expand(-1, 2, -1, -1, -1))
