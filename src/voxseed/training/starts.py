"""Networks of earlier runs to start from."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from voxseed.data.preprocessing import Preprocessing, PreprocessingSettings
from voxseed.errors import InputError
from voxseed.inference.model_files import DESCRIPTION_NAME, load_model


@dataclass(frozen=True)
class Start:
    """A trained network of another run.

    Attributes:
        arguments: of `build_network`, but for channels and classes, with "architecture".
        state: its state dict.
        preprocessing: that it was trained on.
        origin: its run's name and its own, and a digest of its weights, such as "first:primary 0f3c5a1be27d".
        oracles: what was taken from dense labels to train it, beside its supervision.
    """

    arguments: dict[str, Any]
    state: dict[str, Tensor]
    preprocessing: Preprocessing
    origin: str = ""
    oracles: tuple[str, ...] = ()


def read_starts(texts: Sequence[str], channels: tuple[str, ...], labels: dict[str, int]) -> dict[str, Start]:
    """Read "member=RUN:member" assignments; RUN is a run or a folder with a model.

    Args:
        channels, labels: of the dataset; those of the run must be the same.

    Raises:
        InputError: if a text is not of that form, the model cannot be used here, a member is there twice, or two would
            start from the same weights.
    """
    starts: dict[str, Start] = {}
    members: dict[str, str] = {}
    for text in texts:
        member = text.partition("=")[0]
        if member in starts:
            raise InputError(f"--from {text}: there is a network for {member} already. Give one for each.")
        start = _read_start(text, channels, labels)
        other = members.setdefault(start.origin.rpartition(" ")[2], member)
        if other != member:
            raise InputError(
                f"--from {text}: {other} starts from the same weights, and the two would stay the same. "
                "Start from two networks of a run, or from two runs with different seeds."
            )
        starts[member] = start
    return starts


def preprocessing_of(starts: Mapping[str, Start], wanted: PreprocessingSettings) -> Preprocessing:
    """What all networks to start from were trained on, and know: their working grid and scale of intensities.

    Args:
        starts: at least one.
        wanted: what the user chose; `auto` leaves it to the networks.

    Raises:
        InputError: if they were trained on different ones, or the user asks for another.
    """
    (member, first), *others = starts.items()
    for other, start in others:
        if start.preprocessing != first.preprocessing:
            raise InputError(
                f"--from: {member} and {other} were trained on different grids or intensities "
                f"({_described(first.preprocessing)}; {_described(start.preprocessing)}). "
                "Start from networks of one run, or of runs on the same cases with the same settings."
            )
    known = first.preprocessing
    other_grid = wanted.spacing_mm not in ("auto", known.spacing_mm)
    other_scale = any(wanted.normalisation not in ("auto", each.kind) for each in known.normalisations)
    if other_grid or other_scale:
        raise InputError(
            f"--from: {member} was trained on {_described(known)}. Leave preprocessing.spacing_mm and "
            "preprocessing.normalisation out; the network's own are taken."
        )
    return known


def _described(preprocessing: Preprocessing) -> str:
    spacing = " × ".join(f"{size:.4g}" for size in preprocessing.spacing_mm)
    scales = ", ".join(
        f"ct with mean {each.mean:.4g} and sd {each.sd:.4g}" if each.kind == "ct" else each.kind
        for each in preprocessing.normalisations
    )
    return f"{spacing} mm, {scales}"


def _read_start(text: str, channels: tuple[str, ...], labels: dict[str, int]) -> Start:
    member, equals, source = text.partition("=")
    run, colon, source_member = source.rpartition(":")
    if not (member and equals and run and colon and source_member):
        raise InputError(f"--from {text}: expected MEMBER=RUN:MEMBER, for example primary=runs/first:primary.")
    folder = Path(run) if (Path(run) / DESCRIPTION_NAME).exists() else Path(run) / "model"
    model = load_model(folder)
    found = model.description
    if source_member not in found.networks:
        raise InputError(
            f"--from {text}: {folder} has no network {source_member!r}; it has {', '.join(found.networks)}."
        )
    if found.preprocessing.channel_names != channels or found.labels != labels:
        raise InputError(
            f"--from {text}: it was trained on channels {', '.join(found.preprocessing.channel_names)} and labels "
            f"{found.labels}, the dataset has {', '.join(channels)} and {labels}. Start from a run on such data."
        )
    described = found.networks[source_member]
    arguments = {"architecture": described.architecture, **described.arguments}
    state = dict(model.networks[source_member].state_dict())
    origin = f"{_run_name(Path(run))}:{source_member} {_digest(state)}"
    return Start(arguments, state, found.preprocessing, origin, found.oracles)


def _run_name(path: Path) -> str:
    """Of a run, or of a stage of a run, without the folders that it lies in."""
    resolved = path.resolve()
    return "/".join(resolved.parts[-3:]) if resolved.parent.name == "stages" else resolved.name


def _digest(state: Mapping[str, Tensor]) -> str:
    """Of weights, whatever file they are in."""
    found = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        found.update(name.encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()[:12]
