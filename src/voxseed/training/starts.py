"""Networks of earlier runs to start from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    """

    arguments: dict[str, Any]
    state: dict[str, Tensor]
    preprocessing: Preprocessing


def read_starts(texts: Sequence[str], channels: tuple[str, ...], labels: dict[str, int]) -> dict[str, Start]:
    """Read "member=RUN:member" assignments; RUN is a run or a folder with a model.

    Args:
        channels, labels: of the dataset; those of the run must be the same.

    Raises:
        InputError: if a text is not of that form, or the model cannot be used here.
    """
    return {text.partition("=")[0]: _read_start(text, channels, labels) for text in texts}


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
    return Start(arguments, dict(model.networks[source_member].state_dict()), found.preprocessing)
