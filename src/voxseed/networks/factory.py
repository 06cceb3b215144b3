"""Build a network from its name and plain arguments."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from voxseed.errors import InputError, ShapeError
from voxseed.networks.base import NETWORKS, Architecture, RandomBody, SlicewiseArchitecture
from voxseed.networks.instance_norm import use_fast_instance_norm
from voxseed.settings import validate
from voxseed.types import Shape3, Spacing


def build_network(architecture: str, in_channels: int, class_count: int, **arguments: Any) -> "Network":
    """A network with fresh weights that maps (B, M, I, J, K) to logits (B, C, I, J, K).

    Its `description` holds exactly these arguments, as plain JSON values.

    Args:
        architecture: a registered name, such as "unet3d".
        in_channels: M, image channels.
        class_count: C, classes with background.
        arguments: of the architecture, such as `width` and `strides`; see `default_arguments`.

    Raises:
        UnknownNameError: if the architecture is not registered.
        InputError: if an argument is unknown, missing or out of range.
    """
    return Network(architecture, _settings(architecture, arguments), in_channels, class_count)


def default_arguments(architecture: str, spacing_mm: Spacing, patch_shape: Shape3, width: int) -> dict[str, Any]:
    """Arguments for `build_network` that suit patches of this spacing and shape, as plain JSON values.

    Args:
        spacing_mm: of the patches.
        patch_shape: need not be a multiple of anything yet; see `required_divisor`.
        width: channels of the first level; they double per level.

    Raises:
        UnknownNameError: if the architecture is not registered.
        InputError: if the patch is too small or the architecture has no such width.
    """
    return NETWORKS.get(architecture).planned(spacing_mm, patch_shape, width).model_dump(mode="json")


def checked_arguments(architecture: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The same arguments as plain JSON values, with defaults filled in.

    Raises:
        UnknownNameError: if the architecture is not registered.
        InputError: if an argument is unknown, missing or out of range.
    """
    return _settings(architecture, arguments).model_dump(mode="json")


def slicewise_arguments(
    architecture: str, axis: int, spacing_mm: Spacing, patch_shape: Shape3, width: int
) -> dict[str, Any]:
    """As `default_arguments`, for a network that reads the slices across an axis of space: 0, 1 or 2.

    Raises:
        UnknownNameError: if the architecture is not registered.
        InputError: if it does not read slices, the patch is too small or the architecture has no such width.
    """
    kind = NETWORKS.get(architecture)
    if not issubclass(kind, SlicewiseArchitecture):
        known = ", ".join(name for name in NETWORKS.names() if issubclass(NETWORKS.get(name), SlicewiseArchitecture))
        raise InputError(f"network {architecture}: it does not read slices one by one; expected one of {known}.")
    return kind.planned_across(axis, spacing_mm, patch_shape, width).model_dump(mode="json")


def required_divisor(architecture: str, **arguments: Any) -> Shape3:
    """What the shape of every input must be a multiple of, per axis."""
    return _settings(architecture, arguments).divisor()


def monai_config(
    architecture: str, in_channels: int, class_count: int, arguments: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The body of a network as a component of a MONAI bundle; None if MONAI alone has no such network."""
    return _settings(architecture, dict(arguments)).monai_config(in_channels, class_count)


class Network(nn.Module):
    """A network that says what it is and refuses shapes that it cannot map to themselves.

    It does not pad: zeros at a border change the normalisation of the whole patch, so whoever cuts patches
    chooses a shape that fits.

    Attributes:
        description: the arguments of `build_network` that give this network again, as plain JSON values.
        divisor: what the shape of an input must be a multiple of, per axis.
    """

    def __init__(self, name: str, architecture: Architecture, in_channels: int, class_count: int) -> None:
        super().__init__()
        self.description: dict[str, Any] = {
            "architecture": name,
            "in_channels": in_channels,
            "class_count": class_count,
            **architecture.model_dump(mode="json"),
        }
        self.divisor = architecture.divisor()
        self.body = use_fast_instance_norm(architecture.build(in_channels, class_count))

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, C, I, J, K) of an image (B, M, I, J, K).

        Raises:
            ShapeError: if M is not what the network was built for, or I, J, K are no multiples of `divisor`, or
                a single voxel would be left at the bottleneck, which cannot be normalised.
        """
        self._require_shape(tuple(image.shape))
        logits: Tensor = self.body(image)
        return logits

    @property
    def is_random(self) -> bool:
        """Whether it can draw random numbers, by `forward_with_kl`; `forward` never does."""
        return isinstance(self.body, RandomBody)

    def forward_with_kl(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Logits that are drawn at random, and the KL divergence of what is drawn from its prior, a scalar.

        Raises:
            ShapeError: as `forward`.
            TypeError: if the network is not random.
        """
        if not isinstance(self.body, RandomBody):
            raise TypeError(f"{self.description['architecture']} draws no random numbers.")
        self._require_shape(tuple(image.shape))
        return self.body.forward_with_kl(image)

    def _require_shape(self, shape: tuple[int, ...]) -> None:
        name, channels = self.description["architecture"], self.description["in_channels"]
        if len(shape) != 5 or shape[1] != channels:
            raise ShapeError(f"{name}: expected an image (B, {channels}, I, J, K), found shape {shape}.")
        if any(n % d for n, d in zip(shape[2:], self.divisor, strict=True)):
            raise ShapeError(f"{name}: expected I, J, K to be multiples of {self.divisor}, found shape {shape}.")
        if shape[2:] == self.divisor:
            raise ShapeError(f"{name}: expected more than one voxel of {self.divisor}, found shape {shape}.")


def _settings(architecture: str, arguments: dict[str, Any]) -> Architecture:
    return validate(NETWORKS.get(architecture), arguments, f"network {architecture}")
