"""Model files: everything that prediction needs, and nothing that can run code.

A model is a folder with `weights.safetensors`, whose tensors are named "member/parameter", and `model.json`. Networks
are built by name from plain arguments; nothing is unpickled. Both files are written atomically, and the description
holds the checksum of its weights, so that the two always belong together.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from pydantic import Field, PositiveInt, ValidationInfo, field_validator
from safetensors import SafetensorError
from torch import Tensor, nn

from voxseed.data.labels import Labels
from voxseed.data.preprocessing import Preprocessing
from voxseed.errors import InputError
from voxseed.files import atomic_path, read_json, write_json
from voxseed.inference.class_ranges import ClassRange
from voxseed.networks.factory import build_network
from voxseed.settings import Settings, validate

FORMAT_VERSION = 1
"""Raise it when a model of an older Voxseed can no longer be read."""

WEIGHTS_NAME = "weights.safetensors"
DESCRIPTION_NAME = "model.json"
_AGAIN = "Copy it again from where it was trained, or train it again."


class NetworkDescription(Settings):
    """How `build_network` makes a network, but for the channels and classes, which the model knows."""

    architecture: str
    arguments: dict[str, Any]


class ModelDescription(Settings):
    """What is in model.json.

    Attributes:
        networks: by member name.
        default_member: the network that predicts unless another is asked for.
        labels: name → value in label maps.
        preprocessing: how a case is brought to the networks' grid; names the channels.
        patch_shape: voxels of a window.
        overlap: share of a window that the next one covers again.
        class_ranges: of the training cases, by class name; empty in models of older versions.
        oracles: what was taken from dense labels to train it, beside its supervision.
        provenance: where the model is from; for people.
    """

    networks: dict[str, NetworkDescription] = Field(min_length=1)
    default_member: str
    labels: dict[str, int]
    preprocessing: Preprocessing
    patch_shape: tuple[PositiveInt, PositiveInt, PositiveInt]
    overlap: float = Field(0.5, ge=0, lt=1)
    class_ranges: dict[str, ClassRange] = Field(default_factory=dict)
    oracles: tuple[str, ...] = ()
    provenance: dict[str, Any] = Field(default_factory=dict)

    @field_validator("networks")
    @classmethod
    def _names_without_slash(cls, networks: dict[str, NetworkDescription]) -> dict[str, NetworkDescription]:
        if any("/" in name for name in networks):
            raise ValueError("expected names without a slash")
        return networks

    @field_validator("default_member")
    @classmethod
    def _one_of_the_networks(cls, member: str, info: ValidationInfo) -> str:
        networks = info.data.get("networks", {})
        if networks and member not in networks:
            raise ValueError(f"expected one of the networks {', '.join(networks)}")
        return member


@dataclass(frozen=True)
class Model:
    """A model in memory: networks on the CPU, in evaluation mode."""

    description: ModelDescription
    networks: dict[str, nn.Module]

    @property
    def labels(self) -> Labels:
        """Class names, their values on disk and indices in memory."""
        return Labels(self.description.labels)


def save_model(folder: Path, states: Mapping[str, Mapping[str, Tensor]], description: ModelDescription) -> None:
    """Write a model, or replace it.

    Args:
        folder: made if missing.
        states: state dict of each member.
        description: of the same members.
    """
    if set(states) != set(description.networks):
        raise ValueError(f"Described are {sorted(description.networks)}, but weights are given of {sorted(states)}.")
    tensors = {
        f"{member}/{name}": tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for member, state in states.items()
        for name, tensor in state.items()
    }
    weights = safetensors.torch.save(tensors)
    with atomic_path(folder / WEIGHTS_NAME) as temporary:
        temporary.write_bytes(weights)
    values = description.model_dump(mode="json")
    write_json(
        folder / DESCRIPTION_NAME, {"format_version": FORMAT_VERSION, "weights_sha256": _digest(weights), **values}
    )


def load_model(folder: Path) -> Model:
    """Read a model.

    Raises:
        InputError: if it is missing or damaged, was written in another format version, or its weights do not fit the
            networks that it describes.
    """
    path = folder / DESCRIPTION_NAME
    values = read_json(path)
    if not isinstance(values, dict) or "format_version" not in values:
        raise InputError(f"{path}: expected the description of a Voxseed model. {_AGAIN}")
    version, digest = values.pop("format_version"), values.pop("weights_sha256", None)
    if version != FORMAT_VERSION:
        raise InputError(
            f"{path}: written in model format {version}, this Voxseed reads format {FORMAT_VERSION}. "
            "Use the Voxseed version in its provenance, or train the model again."
        )
    description = validate(ModelDescription, values, str(path))
    labels = Labels(description.labels, str(path))
    tensors = _read_weights(folder / WEIGHTS_NAME, digest)
    networks: dict[str, nn.Module] = {}
    for member, described in description.networks.items():
        try:
            network = build_network(
                described.architecture,
                len(description.preprocessing.channel_names),
                labels.class_count,
                **described.arguments,
            )
        except (InputError, TypeError) as error:
            raise InputError(f"{path}: network {member}: {error}") from None
        state = {
            name.removeprefix(f"{member}/"): tensor for name, tensor in tensors.items() if name.startswith(f"{member}/")
        }
        _require_fit(network, state, f"{folder / WEIGHTS_NAME}: network {member}")
        network.load_state_dict(state)
        networks[member] = network.eval()
    return Model(description, networks)


def _read_weights(path: Path, digest: str | None) -> dict[str, Tensor]:
    try:
        weights = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}. {_AGAIN}") from None
    if _digest(weights) != digest:
        raise InputError(f"{path}: damaged, or not the weights that {DESCRIPTION_NAME} describes. {_AGAIN}")
    try:
        return safetensors.torch.load(weights)
    except SafetensorError as error:
        raise InputError(f"{path}: not a safetensors file ({error}). {_AGAIN}") from None


def _require_fit(network: nn.Module, state: Mapping[str, Tensor], origin: str) -> None:
    expected = network.state_dict()
    wrong = sorted(
        name
        for name in expected.keys() | state.keys()
        if name not in expected or name not in state or expected[name].shape != state[name].shape
    )
    if wrong:
        found, wanted = (tuple(each[wrong[0]].shape) if wrong[0] in each else "nothing" for each in (state, expected))
        raise InputError(
            f"{origin}: {len(wrong)} tensors do not fit its description, the first is {wrong[0]}: "
            f"found {found}, expected {wanted}. {_AGAIN}"
        )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
