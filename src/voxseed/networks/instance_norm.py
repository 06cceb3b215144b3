"""Instance normalisation that keeps the channels-last layout, in which CPUs convolve fastest."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def use_fast_instance_norm(network: nn.Module) -> nn.Module:
    """Replace every nn.InstanceNorm3d by `InstanceNorm3d`, in place, and return the network."""
    for name, child in network.named_children():
        if type(child) is nn.InstanceNorm3d:
            fast = InstanceNorm3d(child.num_features, eps=child.eps, affine=child.affine)
            fast.load_state_dict(child.state_dict())
            setattr(network, name, fast)
        else:
            use_fast_instance_norm(child)
    return network


class InstanceNorm3d(nn.InstanceNorm3d):
    """nn.InstanceNorm3d without running statistics, which copies no channels-last tensor to another layout and back."""

    def forward(self, features: Tensor) -> Tensor:
        """(B, F, I, J, K) → the same shape and layout."""
        if features.is_contiguous() or not features.is_contiguous(memory_format=torch.channels_last_3d):
            return super().forward(features)
        if len(features) == 1:  # the statistics of the only sample are those of the batch
            return functional.batch_norm(
                features, None, None, self.weight, self.bias, training=True, momentum=0.0, eps=self.eps
            )
        result: Tensor = _PerSample.apply(features, self.weight, self.bias, self.eps)
        return result


class _PerSample(torch.autograd.Function):
    """Batch normalisation of each sample, written into one result; slices in autograd fill whole batches with 0."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
        result = torch.empty_like(features)
        ctx.statistics = []
        for sample, normalised in zip(features.split(1), result.split(1), strict=True):
            values, mean, scale = torch.native_batch_norm(sample, weight, bias, None, None, True, 0.0, eps)
            normalised.copy_(values)
            ctx.statistics.append((mean, scale))
        ctx.save_for_backward(features, weight)
        ctx.eps = eps
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        features, weight = ctx.saved_tensors
        gradient = gradients[0].contiguous(memory_format=torch.channels_last_3d)
        of_features = torch.empty_like(features)
        of_affine = []
        samples = zip(features.split(1), gradient.split(1), of_features.split(1), ctx.statistics, strict=True)
        for sample, outer, inner, (mean, scale) in samples:
            values, *affine = torch.ops.aten.native_batch_norm_backward(
                outer, sample, weight, None, None, mean, scale, True, ctx.eps, [True, weight is not None, True]
            )
            inner.copy_(values)
            of_affine.append(affine)
        if weight is None:
            return of_features, None, None, None
        of_weight, of_bias = (torch.stack(each).sum(dim=0) for each in zip(*of_affine, strict=True))
        return of_features, of_weight, of_bias, None
