"""Prediction of cases with a trained model, on their own grids."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from voxseed.data.preprocessing import PreprocessedImage
from voxseed.data.volumes import Image, Volume
from voxseed.devices import Precision, best_precision, resolve_device
from voxseed.errors import InputError
from voxseed.inference.model_files import DESCRIPTION_NAME, Model, load_model
from voxseed.inference.sliding_window import sliding_window
from voxseed.networks.layout import placed
from voxseed.types import FloatArray

_BATCH_SIZES = {"cpu": 1, "cuda": 4}
_DEVICE_MEMORY_SHARE = 0.5
"""Share of the free device memory that whole volumes may take; the rest is the networks'."""

_MOST_FLOAT32_BYTES = 2**31
"""Probabilities of larger volumes are kept in half precision, exact to 0.0005."""


@dataclass(frozen=True)
class Prediction:
    """What a model says about a case, on the case's own grid.

    Attributes:
        labels: in the dataset's label values.
        confidence: per foreground class, mean probability of the voxels where it is the most probable, on the working
            grid; NaN where there is none.
        probabilities: (C, I, J, K) float32, background first; None unless asked for.
        uncertainty: (I, J, K) float32, see `spread`; None unless asked for.
    """

    labels: Volume
    confidence: tuple[float, ...] = ()
    probabilities: FloatArray | None = None
    uncertainty: FloatArray | None = None


class Predictor:
    """Predicts with one network of a model, or with the mean of the probabilities of several.

    Args:
        model: its networks are moved to the device.
        device: where windows are predicted.
        precision: bf16 or fp32 inside the networks; probabilities are averaged in fp32.
        members: names of the networks; the model's default one if not given.

    Raises:
        InputError: if the model has no such network.
    """

    def __init__(
        self,
        model: Model,
        device: torch.device,
        precision: Precision = "fp32",
        members: Sequence[str] | None = None,
    ) -> None:
        self.model = model
        self.members = tuple(members or [model.description.default_member])
        unknown = [name for name in self.members if name not in model.networks]
        if unknown:
            raise InputError(f"The model has no network {unknown[0]!r}. Known: {', '.join(model.networks)}.")
        self._device = device
        self._precision = precision
        self._networks = {name: placed(network, device).eval() for name, network in model.networks.items()}

    @classmethod
    def load(
        cls,
        folder: str | Path,
        device: str = "auto",
        precision: Precision | None = None,
        members: Sequence[str] | None = None,
        ensemble: bool = False,
    ) -> "Predictor":
        """Load the model of a run.

        Args:
            folder: a run, or a model folder itself.
            device: auto, cpu or cuda.
            precision: what is best on the device, if not given.
            members: networks to take; the default one if not given.
            ensemble: take all networks.

        Raises:
            InputError: if there is no model or it cannot be used, the device cannot be used, or an ensemble is asked
                of a model with one network.
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
        return cls(model, resolved, precision or best_precision(resolved), members)

    def predict(
        self, image: Image, name: str = "image", probabilities: bool = False, uncertainty: bool = False
    ) -> Prediction:
        """Segment a case.

        Args:
            image: all channels of the case.
            name: case or file, for messages.
            probabilities: keep them too; they take 4 bytes per voxel and class.
            uncertainty: measure how far all networks of the model disagree, whichever of them give the labels.

        Raises:
            InputError: if the channels are not the model's, one of them is constant, or an uncertainty is asked of a
                model with one network.
        """
        if uncertainty:
            self.require_uncertainty()
        case = self.model.description.preprocessing.apply(image, name)
        maps = self._working_maps(case, uncertainty).numpy()
        working = maps[: self.model.labels.class_count]
        labels = self.model.labels.from_class_indices(case.native_labels(working))
        return Prediction(
            Volume(labels, image.affine),
            confidence=class_confidence(working),
            probabilities=case.native_probabilities(working) if probabilities else None,
            uncertainty=case.native_values(maps[-1]) if uncertainty else None,
        )

    def require_uncertainty(self) -> None:
        """Check that the model has several networks, which can disagree.

        Raises:
            InputError: if it has one.
        """
        if len(self._networks) < 2:
            raise InputError(
                f"An uncertainty is how far networks disagree, and this model has one, {next(iter(self._networks))}. "
                "Predict without --uncertainty."
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
        """Probabilities of the members, and as one more channel the spread of all networks."""
        everyone = tuple(self._networks)
        opinions = self._of_networks(everyone, patches)
        asked = opinions[[everyone.index(name) for name in self.members]]
        return torch.cat([asked.mean(dim=0), spread(opinions)], dim=1)

    def _of_networks(self, names: Sequence[str], patches: Tensor) -> Tensor:
        """Probabilities (N, B, C, I, J, K) of N networks."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._precision == "bf16"):
            logits = [self._networks[name](patches) for name in names]
        return torch.stack([each.float().softmax(dim=1) for each in logits])

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


def class_confidence(probabilities: FloatArray) -> tuple[float, ...]:
    """Mean probability of each foreground class over the voxels where it is the most probable.

    Args:
        probabilities: (C, I, J, K), background first.

    Returns:
        C - 1 numbers in [1 / C, 1]; NaN where a class is nowhere the most probable.
    """
    class_count = len(probabilities)
    sums, counts = np.zeros(class_count), np.zeros(class_count)
    for row in range(probabilities.shape[1]):  # row by row, so that it takes no second volume
        values = probabilities[:, row].reshape(class_count, -1)
        winners, largest = values.argmax(axis=0), values.max(axis=0)
        sums += np.bincount(winners, weights=largest, minlength=class_count)
        counts += np.bincount(winners, minlength=class_count)
    return tuple(
        float(total / count) if count else float("nan") for total, count in zip(sums[1:], counts[1:], strict=True)
    )


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
