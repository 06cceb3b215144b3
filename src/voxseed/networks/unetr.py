"""UNETR: a transformer reads cubes of 16 x 16 x 16 voxels, and convolutions bring its features back to every voxel."""

from collections.abc import Sequence
from typing import Final, Self

import torch.nn.functional as F
from monai.networks.nets import UNETR as MonaiUNETR
from pydantic import Field, model_validator
from torch import Tensor, nn

from voxseed.networks.base import Architecture, register_network
from voxseed.types import Shape3, Spacing

CUBE: Final = 16
"""Voxels per token and axis; the decoder doubles the resolution four times."""
_TAPS: Final = (1 / 3, 7 / 12, 10 / 12)
"""After which shares of the layers features go to the decoder: 4, 7 and 10 of 12, as in MONAI."""
_LAYERS: Final = 12
_HIDDEN_PER_WIDTH: Final = 48


class UNETRArguments(Architecture):
    """Arguments of a UNETR. As published: width 16, hidden width 768, 12 layers, 12 heads."""

    width: int = Field(ge=1, description="Channels of the decoder's finest level; they double per level.")
    hidden_width: int = Field(ge=2, description="Numbers per token.")
    layers: int = Field(ge=4, le=_LAYERS, description="Transformer blocks.")
    heads: int = Field(ge=1, description="Of each block's attention; they divide hidden_width.")
    patch_shape: Shape3 = Field(description="Voxels that tokens have positions for; of other inputs these are resized.")

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.hidden_width % self.heads:
            raise ValueError(f"hidden_width {self.hidden_width} is no multiple of {self.heads} heads")
        if any(size < CUBE or size % CUBE for size in self.patch_shape):
            raise ValueError(f"patch_shape {self.patch_shape} must be multiples of {CUBE}")
        return self

    @classmethod
    def planned(cls, spacing_mm: Spacing, patch_shape: Shape3, width: int) -> Self:
        shape = tuple(max(2, -(-size // CUBE)) * CUBE for size in patch_shape)
        return cls(
            width=width,
            hidden_width=_HIDDEN_PER_WIDTH * width,
            layers=_LAYERS,
            heads=_LAYERS,
            patch_shape=shape,
        )

    def divisor(self) -> Shape3:
        return CUBE, CUBE, CUBE


@register_network("unetr")
class UNETR(UNETRArguments):
    """Hatamizadeh et al. 2022, MONAI's, for inputs of any shape that 16 divides."""

    def build(self, in_channels: int, class_count: int) -> nn.Module:
        return UNETRBody(self, in_channels, class_count)


class UNETRBody(nn.Module):
    """MONAI's UNETR with fewer layers on request, and positions that are resized to the input.

    Args:
        arguments: sizes.
        in_channels: M.
        class_count: C.
    """

    def __init__(self, arguments: UNETRArguments, in_channels: int, class_count: int) -> None:
        super().__init__()
        self.parts = MonaiUNETR(
            in_channels=in_channels,
            out_channels=class_count,
            img_size=arguments.patch_shape,
            feature_size=arguments.width,
            hidden_size=arguments.hidden_width,
            mlp_dim=4 * arguments.hidden_width,
            num_heads=arguments.heads,
        )
        self.parts.vit.blocks = self.parts.vit.blocks[: arguments.layers]
        for block in self.parts.vit.blocks:
            block.norm_cross_attn = nn.Identity()  # without cross-attention nothing would ever train it
        self._taps = [round(share * arguments.layers) - 1 for share in _TAPS]
        self._grid = tuple(size // CUBE for size in arguments.patch_shape)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, C, I, J, K) of an image (B, M, I, J, K)."""
        tokens, states = self.tokens(image), []
        for block in self.parts.vit.blocks:
            tokens = block(tokens)
            states.append(tokens)
        return self.decoded(image, states)

    def tokens(self, image: Tensor) -> Tensor:
        """Cubes of an image with their positions: (B, T, D)."""
        embedding = self.parts.vit.patch_embedding
        cubes = embedding.patch_embeddings(image)
        positions = embedding.position_embeddings.transpose(1, 2).unflatten(2, self._grid)
        if cubes.shape[2:] != positions.shape[2:]:
            positions = F.interpolate(positions, size=cubes.shape[2:], mode="trilinear")
        return (cubes + positions).flatten(2).transpose(1, 2)

    def decoded(self, image: Tensor, states: Sequence[Tensor]) -> Tensor:
        """Logits from the image and the tokens (B, T, D) after every layer."""
        parts, grid = self.parts, [size // CUBE for size in image.shape[2:]]
        finer, fine, coarse = (self._features(states[tap], grid) for tap in self._taps)
        features = self._features(parts.vit.norm(states[-1]), grid)
        features = parts.decoder5(features, parts.encoder4(coarse))
        features = parts.decoder4(features, parts.encoder3(fine))
        features = parts.decoder3(features, parts.encoder2(finer))
        logits: Tensor = parts.out(parts.decoder2(features, parts.encoder1(image)))
        return logits

    def _features(self, tokens: Tensor, grid: Sequence[int]) -> Tensor:
        """(B, T, D) -> (B, D, *grid)."""
        return tokens.transpose(1, 2).unflatten(2, tuple(grid)).contiguous()
