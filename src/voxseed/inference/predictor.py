"""Prediction of cases with a trained model, on their own grids."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from voxseed.data.preprocessing import PreprocessedImage
from voxseed.data.volumes import Image, Volume
from voxseed.devices import Precision, best_precision, resolve_device
from voxseed.errors import InputError
from voxseed.inference.expected_dice import expected_dice
from voxseed.inference.model_files import DESCRIPTION_NAME, Model, load_model
from voxseed.inference.sliding_window import sliding_window
from voxseed.networks.factory import Network
from voxseed.networks.layout import placed
from voxseed.types import BACKGROUND, BoolArray, FloatArray

_BATCH_SIZES = {"cpu": 1, "cuda": 4}
_DEVICE_MEMORY_SHARE = 0.5
"""Share of the free device memory that whole volumes may take; the rest is the networks'."""

_MOST_FLOAT32_BYTES = 2**31
"""Probabilities of larger volumes are kept in half precision, exact to 0.0005."""

_SEED = 0
"""Of samples: a prediction can be repeated."""


@dataclass(frozen=True)
class Prediction:
    """What a model says about a case, on the case's own grid.

    Attributes:
        labels: in the dataset's label values.
        confidence: per foreground class, mean probability of the voxels where it is the most probable, on the working
            grid; NaN where there is none.
        expected_dice: per foreground class, an estimate in [0, 1] that needs no dense label, see `expected_dice`.
        probabilities: (C, I, J, K) float32, background first; None unless asked for.
        uncertainty: (I, J, K) float32, see `spread`; None unless asked for.
    """

    labels: Volume
    confidence: tuple[float, ...] = ()
    expected_dice: tuple[float, ...] = ()
    probabilities: FloatArray | None = None
    uncertainty: FloatArray | None = None

    @property
    def mean_uncertainty(self) -> float:
        """Of the voxels that are predicted to be an object; NaN if there are none, or no uncertainty."""
        is_object = self.labels.array != BACKGROUND
        if self.uncertainty is None or not is_object.any():
            return float("nan")
        return float(self.uncertainty[is_object].mean(dtype=np.float64))


class Predictor:
    """Predicts with one network of a model, or with the mean of the probabilities of several.

    Args:
        model: its networks are moved to the device.
        device: where windows are predicted.
        precision: bf16 or fp32 inside the networks; probabilities are averaged in fp32.
        members: names of the networks; the model's default one if not given.
        samples: passes of each network with random numbers drawn, whose mean is predicted; 0: one pass without any.

    Raises:
        InputError: if the model has no such network, or samples are asked of one that is not random.
    """

    def __init__(
        self,
        model: Model,
        device: torch.device,
        precision: Precision = "fp32",
        members: Sequence[str] | None = None,
        samples: int = 0,
    ) -> None:
        self.model = model
        self.members = tuple(members or [model.description.default_member])
        unknown = [name for name in self.members if name not in model.networks]
        if unknown:
            raise InputError(f"The model has no network {unknown[0]!r}. Known: {', '.join(model.networks)}.")
        self._device = device
        self._precision = precision
        self.samples = samples
        self._networks = {name: placed(network, device).eval() for name, network in model.networks.items()}
        if samples:
            self._require_random()

    @classmethod
    def load(
        cls,
        folder: str | Path,
        device: str = "auto",
        precision: Precision | None = None,
        members: Sequence[str] | None = None,
        ensemble: bool = False,
        samples: int = 0,
    ) -> "Predictor":
        """Load the model of a run.

        Args:
            folder: a run, or a model folder itself.
            device: auto, cpu or cuda.
            precision: what is best on the device, if not given.
            members: networks to take; the default one if not given.
            ensemble: take all networks.
            samples: random passes of each network; 0: one pass with nothing drawn.

        Raises:
            InputError: if there is no model or it cannot be used, the device cannot be used, an ensemble is asked
                of a model with one network, or samples of a network that is not random.
        """
        model = load_model(model_folder(Path(folder)))
        if ensemble:
            members = tuple(model.networks)
            if len(members) < 2:
                raise InputError(
                    f"{folder}: an ensemble needs several networks, this model has one, {members[0]}. "
                    "Predict without --ensemble."
                )
        resolved = resolve_device(device)
        return cls(model, resolved, precision or best_precision(resolved), members, samples)

    def predict(
        self, image: Image, name: str = "image", probabilities: bool = False, uncertainty: bool = False
    ) -> Prediction:
        """Segment a case. What is drawn at random is the same for the same case and model.

        Args:
            image: all channels of the case.
            name: case or file, for messages.
            probabilities: keep them too; they take 4 bytes per voxel and class.
            uncertainty: measure how far the samples differ; without samples, all networks of the model, whichever of
                them give the labels.

        Raises:
            InputError: if the channels are not the model's, one of them is constant, or an uncertainty is asked of a
                single opinion.
        """
        if uncertainty:
            self.require_uncertainty()
        case = self.model.description.preprocessing.apply(image, name)
        maps = self._working_maps(case, uncertainty).numpy()
        working = maps[: self.model.labels.class_count]
        labels = self.model.labels.from_class_indices(case.native_labels(working))
        return Prediction(
            Volume(labels, image.affine),
            confidence=class_confidence(working, case.valid),
            expected_dice=expected_dice(working, case.valid, self._may_be_absent()),
            probabilities=case.native_probabilities(working) if probabilities else None,
            uncertainty=case.native_values(maps[-1]) if uncertainty else None,
        )

    @property
    def is_random(self) -> bool:
        """Whether samples of the members differ."""
        return all(_is_random(self._networks[name]) for name in self.members)

    def require_uncertainty(self) -> None:
        """Check that there are several opinions, which can differ.

        Raises:
            InputError: if there is one: a single sample, or no samples of a model with one network.
        """
        if self.samples * len(self.members) < 2 and (self.samples or len(self._networks) < 2):
            first = next(iter(self._networks))
            raise InputError(
                f"An uncertainty is how far opinions differ, and there is one, of network {first!r}. "
                "Predict without --uncertainty, or with --samples 6 if the network is random."
            )

    def working_probabilities(self, case: PreprocessedImage) -> Tensor:
        """Probabilities (C, I, J, K) on the working grid, in CPU memory."""
        return self._working_maps(case, uncertainty=False)

    def _working_maps(self, case: PreprocessedImage, uncertainty: bool) -> Tensor:
        """Probabilities on the working grid, in CPU memory, and the uncertainty as one more channel."""
        description = self.model.description
        image, valid = torch.from_numpy(case.array), torch.from_numpy(case.valid)
        if self._fits_device(image):
            image, valid = image.to(self._device), valid.to(self._device)
        with _seeded(self._device):
            return sliding_window(
                self._with_uncertainty if uncertainty else self._probabilities,
                image,
                description.patch_shape,
                description.overlap,
                _BATCH_SIZES[self._device.type],
                valid,
                self._device,
                torch.float16 if self._result_bytes(image) > _MOST_FLOAT32_BYTES else torch.float32,
            ).cpu()

    def _probabilities(self, patches: Tensor) -> Tensor:
        return self._of_networks(self.members, patches).mean(dim=0)

    def _with_uncertainty(self, patches: Tensor) -> Tensor:
        """Probabilities of the members, and as one more channel the spread of their samples, or of all networks."""
        if self.samples:
            opinions = self._of_networks(self.members, patches)
            return torch.cat([opinions.mean(dim=0), spread(opinions)], dim=1)
        everyone = tuple(self._networks)
        opinions = self._of_networks(everyone, patches)
        asked = opinions[[everyone.index(name) for name in self.members]]
        return torch.cat([asked.mean(dim=0), spread(opinions)], dim=1)

    def _of_networks(self, names: Sequence[str], patches: Tensor) -> Tensor:
        """Probabilities (N, B, C, I, J, K) of N networks, or of every sample of each."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._precision == "bf16"):
            logits = [each for name in names for each in self._opinions(self._networks[name], patches)]
        return torch.stack([each.float().softmax(dim=1) for each in logits])

    def _opinions(self, network: nn.Module, patches: Tensor) -> Iterator[Tensor]:
        """Logits (B, C, I, J, K) of every sample; of one pass with nothing drawn, if no samples are asked for."""
        if not self.samples:
            yield network(patches)
        elif isinstance(network, Network):
            for _ in range(self.samples):
                yield network.forward_with_kl(patches)[0]

    def _require_random(self) -> None:
        for name in self.members:
            if not _is_random(self._networks[name]):
                raise InputError(
                    f"Network {name!r} of the model draws no random numbers, so that all samples would be the same. "
                    "Predict without --samples."
                )

    def _may_be_absent(self) -> tuple[bool, ...]:
        """Of each foreground class, whether a training case is known to be without it."""
        ranges = self.model.description.class_ranges
        return tuple(name in ranges and ranges[name].is_absent_somewhere for name in self.model.labels.foreground)

    def _result_bytes(self, image: Tensor) -> int:
        """Of the probabilities of the whole volume in float32."""
        return 4 * image[0].numel() * self.model.labels.class_count

    def _fits_device(self, image: Tensor) -> bool:
        """Whether image, probabilities and weights of the whole volume leave the networks enough device memory."""
        if self._device.type != "cuda":
            return True
        free, _ = torch.cuda.mem_get_info(self._device)
        needed = 4 * image[0].numel() * (len(image) + 2) + 2 * self._result_bytes(image)
        return needed < _DEVICE_MEMORY_SHARE * free


def _is_random(network: nn.Module) -> bool:
    return isinstance(network, Network) and network.is_random


def spread(opinions: Tensor) -> Tensor:
    """How far several opinions are from their mean: sqrt(1/2 sum_c mean_n (p_nc - mean_n p_nc)^2).

    With two classes, the standard deviation of the foreground probability.

    Args:
        opinions: (N, B, C, I, J, K), probabilities of N networks, or of N samples of one.

    Returns:
        (B, 1, I, J, K); 0 where all agree, 0.5 where two of two are certain of different classes.
    """
    variance = opinions.var(dim=0, correction=0)
    return (variance.sum(dim=1, keepdim=True) / 2).sqrt()


@contextmanager
def _seeded(device: torch.device) -> Iterator[None]:
    """The same random numbers every time, and for others as if none had been drawn."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(_SEED)
        yield


def class_confidence(probabilities: FloatArray, valid: BoolArray) -> tuple[float, ...]:
    """Mean probability of each foreground class over the voxels where it is the most probable.

    Args:
        probabilities: (C, I, J, K), background first.
        valid: (I, J, K); what lies outside is background in a prediction.

    Returns:
        C - 1 numbers in [1 / C, 1]; NaN where a class is nowhere the most probable.
    """
    class_count = len(probabilities)
    sums, counts = np.zeros(class_count), np.zeros(class_count)
    for row in range(probabilities.shape[1]):  # row by row, so that it takes no second volume
        values = probabilities[:, row][:, valid[row]]
        winners, largest = values.argmax(axis=0), values.max(axis=0)
        sums += np.bincount(winners, weights=largest, minlength=class_count)
        counts += np.bincount(winners, minlength=class_count)
    return tuple(
        float(total / count) if count else float("nan") for total, count in zip(sums[1:], counts[1:], strict=True)
    )


def model_digest(folder: Path) -> str:
    """SHA-256 of the model's description, which holds the checksum of its weights."""
    return hashlib.sha256((model_folder(folder) / DESCRIPTION_NAME).read_bytes()).hexdigest()


def model_folder(folder: Path) -> Path:
    """The model inside a run, or the folder itself if it is a model.

    Raises:
        InputError: if it is neither.
    """
    for candidate in (folder, folder / "model"):
        if (candidate / DESCRIPTION_NAME).is_file():
            return candidate
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder. Give the folder of a run, or of a model.")
    raise InputError(
        f"{folder}: no model in it (expected model/{DESCRIPTION_NAME}). If it is a run that is not finished, "
        "continue it with voxseed train --resume."
    )
