from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from voxseed.data.normalisation import Normalisation
from voxseed.data.preprocessing import Preprocessing
from voxseed.data.volumes import Image
from voxseed.errors import InputError
from voxseed.inference import model_files
from voxseed.inference.model_files import Model, ModelDescription, NetworkDescription, save_model
from voxseed.inference.predictor import Predictor, class_confidence, spread

CPU = torch.device("cpu")
FLIPPED = np.array([[0, 0, -2.0, 30], [0, 1.0, 0, 0], [1.0, 0, 0, 0], [0, 0, 0, 1]])


class Threshold(nn.Module):
    """Says class 1 where the first channel is above `level`, with logits of plus or minus `sharpness`."""

    def __init__(self, level: float = 0.0, sharpness: float = 5.0) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.tensor(float(level)))
        self.sharpness = sharpness

    def forward(self, image: Tensor) -> Tensor:
        foreground = self.sharpness * torch.sign(image[:, :1] - self.level)
        return torch.cat([-foreground, foreground], dim=1)


def model(members: dict[str, nn.Module], spacing_mm=(1.0, 1.0, 1.0), channels: int = 1, **changes: Any) -> Model:
    preprocessing = Preprocessing(
        channel_names=tuple("ABC"[:channels]),
        spacing_mm=spacing_mm,
        normalisations=(Normalisation(kind="none"),) * channels,
    )
    values: dict[str, Any] = {
        "networks": {name: NetworkDescription(architecture="threshold", arguments={}) for name in members},
        "default_member": next(iter(members)),
        "labels": {"background": 0, "tumour": 7},
        "preprocessing": preprocessing,
        "patch_shape": (16, 16, 16),
    }
    return Model(ModelDescription(**{**values, **changes}), members)


def box_image(shape: tuple[int, int, int]) -> np.ndarray:
    image = np.random.default_rng(0).uniform(-2, -1, size=shape).astype(np.float32)
    image[tuple(slice(n // 4, n // 2) for n in shape)] *= -1
    return image


@pytest.mark.parametrize("shape", [(40, 30, 20), (9, 20, 7), (5, 4, 3)])
def test_output_lies_on_the_case_s_own_grid_in_its_label_values(shape: tuple[int, int, int]) -> None:
    image = box_image(shape)
    prediction = Predictor(model({"primary": Threshold()}, (2.0, 1.0, 1.0)), CPU).predict(Image(image[None], FLIPPED))
    np.testing.assert_array_equal(prediction.labels.array, np.where(image > 0, 7, 0))
    np.testing.assert_array_equal(prediction.labels.affine, FLIPPED)
    assert prediction.probabilities is None


def test_a_finer_grid_than_was_trained_on() -> None:
    image = box_image((48, 40, 32))
    prediction = Predictor(model({"primary": Threshold()}, (2.0, 2.0, 2.0)), CPU).predict(Image(image[None], np.eye(4)))
    assert prediction.labels.shape == (48, 40, 32)
    found, truth = prediction.labels.array == 7, image > 0
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.95


def test_probabilities_are_the_softmax() -> None:
    image = box_image((20, 18, 16))
    prediction = Predictor(model({"primary": Threshold(sharpness=1.0)}), CPU).predict(
        Image(image[None], np.eye(4)), probabilities=True
    )
    sure = 1 / (1 + np.exp(-2))
    expected = np.where(image > 0, sure, 1 - sure)
    np.testing.assert_allclose(prediction.probabilities, np.stack([1 - expected, expected]), atol=1e-5)


def test_confidence_is_the_mean_probability_of_the_voxels_of_a_class():
    """Voxels of (0.2, 0.8, 0), (0.3, 0.6, 0.1), (0.9, 0.1, 0) and (0.5, 0.5, 0), where the first class wins."""
    probabilities = np.array([[0.2, 0.3, 0.9, 0.5], [0.8, 0.6, 0.1, 0.5], [0.0, 0.1, 0.0, 0.0]]).reshape(3, 2, 2, 1)
    first, second = class_confidence(probabilities, np.ones((2, 2, 1), bool))
    assert first == pytest.approx(0.7)
    assert np.isnan(second)
    valid = np.array([True, False, True, True]).reshape(2, 2, 1)
    assert class_confidence(probabilities, valid)[0] == pytest.approx(0.8)


def test_a_prediction_says_how_sure_it_is():
    image = box_image((20, 18, 16))
    found = Predictor(model({"primary": Threshold(sharpness=1.0)}), CPU).predict(Image(image[None], np.eye(4)))
    sure = 1 / (1 + np.exp(-2))
    assert found.confidence == pytest.approx([sure], abs=1e-5)
    foreground, count = (image > 0).sum(), image.size
    sharp = 1 / (1 + np.exp(-4))
    expected = 2 * sharp * foreground / (foreground + sharp * foreground + (1 - sharp) * (count - foreground))
    assert found.expected_dice == pytest.approx([expected], abs=1e-4)


def test_an_ensemble_averages_probabilities() -> None:
    members = {"primary": Threshold(sharpness=0.5), "auxiliary": Threshold(level=100, sharpness=2.0)}
    image = Image(box_image((20, 18, 16))[None], np.eye(4))
    each = [
        Predictor(model(members), CPU, members=[name]).predict(image, probabilities=True).probabilities
        for name in members
    ]
    both = Predictor(model(members), CPU, members=list(members)).predict(image, probabilities=True)
    np.testing.assert_allclose(both.probabilities, (each[0] + each[1]) / 2, atol=1e-6)
    default = Predictor(model(members), CPU).predict(image, probabilities=True)
    np.testing.assert_array_equal(default.probabilities, each[0])


def test_padding_is_background_whatever_the_network_says() -> None:
    image = np.zeros((24, 24, 24), dtype=np.float32)
    image[8:16, 8:16, 8:16] = np.random.default_rng(0).uniform(1, 2, size=(8, 8, 8))
    found = Predictor(model({"primary": Threshold(level=-1)}), CPU).predict(Image(image[None], np.eye(4)))
    np.testing.assert_array_equal(found.labels.array, np.where(image > 0, 7, 0))


def test_bf16_is_close_to_fp32() -> None:
    torch.manual_seed(0)
    network = nn.Conv3d(1, 2, 3, padding=1)
    image = Image(box_image((20, 18, 16))[None], np.eye(4))
    single, half = (
        Predictor(model({"primary": network}), CPU, precision).predict(image, probabilities=True).probabilities
        for precision in ("fp32", "bf16")
    )
    assert 0 < np.abs(single - half).max() < 0.02
    np.testing.assert_allclose(half.sum(axis=0), 1, atol=1e-5)


def test_wrong_channels_are_an_error() -> None:
    predictor = Predictor(model({"primary": Threshold()}, channels=2), CPU)
    with pytest.raises(InputError, match=r"scan.nii.gz: found 1 channels, expected 2: A, B"):
        predictor.predict(Image(box_image((8, 8, 8))[None], np.eye(4)), "scan.nii.gz")


def test_an_unknown_member_is_an_error() -> None:
    with pytest.raises(InputError, match="no network 'third'"):
        Predictor(model({"primary": Threshold()}), CPU, members=["third"])


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder with a model of two networks that the factory does not know."""
    monkeypatch.setattr(model_files, "build_network", lambda *_, **__: Threshold())
    members = {"primary": Threshold(), "auxiliary": Threshold(0.5)}
    states = {name: network.state_dict() for name, network in members.items()}
    save_model(tmp_path / "run/model", states, model(members).description)
    return tmp_path / "run"


def test_a_run_or_its_model_is_loaded(run: Path) -> None:
    for folder in (run, str(run / "model")):
        predictor = Predictor.load(folder, device="cpu")
        assert predictor.members == ("primary",)
    assert Predictor.load(run, device="cpu", ensemble=True).members == ("primary", "auxiliary")
    assert Predictor.load(run, device="cpu", members=["auxiliary"]).members == ("auxiliary",)


def test_an_ensemble_of_one_is_an_error(tmp_path: Path, run: Path) -> None:
    members = {"primary": Threshold()}
    save_model(tmp_path / "single", {"primary": members["primary"].state_dict()}, model(members).description)
    with pytest.raises(InputError, match=r"an ensemble needs several networks, this model has one, primary"):
        Predictor.load(tmp_path / "single", device="cpu", ensemble=True)


def test_a_folder_without_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no model in it .*voxseed train --resume"):
        Predictor.load(tmp_path, device="cpu")
    with pytest.raises(InputError, match="no such folder"):
        Predictor.load(tmp_path / "nothing", device="cpu")


def test_uncertainty_is_the_spread_of_all_networks_whichever_give_the_labels() -> None:
    members = {name: Threshold(level, sharpness=1.0) for name, level in (("a", 0.0), ("b", 0.0), ("c", 100.0))}
    image = box_image((20, 18, 16))
    sure = 1 / (1 + np.exp(-2))
    # Foreground: probabilities sure, sure, 1 - sure. Elsewhere all three say 1 - sure.
    expected = np.where(image > 0, np.std([sure, sure, 1 - sure]), 0.0)
    for chosen in (["a"], ["a", "b", "c"]):
        found = Predictor(model(members, (2.0, 1.0, 1.0)), CPU, members=chosen).predict(
            Image(image[None], FLIPPED), probabilities=True, uncertainty=True
        )
        np.testing.assert_allclose(found.uncertainty, expected, atol=1e-5)
        alone = Predictor(model(members, (2.0, 1.0, 1.0)), CPU, members=chosen).predict(
            Image(image[None], FLIPPED), probabilities=True
        )
        np.testing.assert_array_equal(found.labels.array, alone.labels.array)
        np.testing.assert_allclose(found.probabilities, alone.probabilities, atol=1e-6)
        assert alone.uncertainty is None


def test_nothing_is_uncertain_outside_the_valid_region() -> None:
    image = np.pad(box_image((20, 18, 16)), 6)
    members = {"a": Threshold(0.0), "b": Threshold(-100.0)}
    found = Predictor(model(members, (2.0, 2.0, 2.0)), CPU).predict(Image(image[None], np.eye(4)), uncertainty=True)
    assert found.uncertainty.shape == image.shape
    assert not found.uncertainty[image == 0].any()
    assert found.uncertainty[image != 0].max() == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize(
    ("opinions", "expected"),
    [
        ([[1, 0, 0], [1, 0, 0]], 0.0),
        ([[1, 0, 0], [0, 1, 0]], 0.5),
        ([[1, 0, 0], [0, 1, 0], [0, 0, 1]], np.sqrt(1 / 3)),  # each variance is 2/9
        ([[0.5, 0.5, 0], [0.5, 0, 0.5]], 0.25),
    ],
)
def test_spread_of_three_classes(opinions: list[list[float]], expected: float) -> None:
    stacked = torch.tensor(opinions, dtype=torch.float32).view(len(opinions), 1, 3, 1, 1, 1)
    assert spread(stacked).item() == pytest.approx(expected)


def test_one_network_has_no_uncertainty() -> None:
    with pytest.raises(InputError, match=r"there is one, of network 'primary'\. Predict without --uncertainty"):
        Predictor(model({"primary": Threshold()}), CPU).predict(
            Image(box_image((9, 9, 9))[None], np.eye(4)), uncertainty=True
        )
