"""Samples of a random network: their mean, their spread, and that both can be repeated."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from voxseed.data.normalisation import Normalisation
from voxseed.data.preprocessing import Preprocessing
from voxseed.data.volumes import Image
from voxseed.errors import InputError
from voxseed.inference.model_files import Model, ModelDescription, NetworkDescription
from voxseed.inference.predictor import Predictor, spread
from voxseed.networks.base import RandomBody
from voxseed.networks.factory import build_network

CPU = torch.device("cpu")
SIZES = {"width": 1, "hidden_width": 12, "heads": 3, "layers": 4, "patch_shape": [32, 32, 16]}


class Coin(RandomBody):
    """Certain of foreground everywhere with probability one half; undecided when nothing is drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(50.0))

    def forward(self, image: Tensor) -> Tensor:
        return torch.cat([0 * image, 0 * image], dim=1)

    def forward_with_kl(self, image: Tensor) -> tuple[Tensor, Tensor]:
        sign = torch.randint(0, 2, ()) * 2 - 1
        return torch.cat([-sign * self.scale + 0 * image, sign * self.scale + 0 * image], dim=1), torch.zeros(())


class Sure(nn.Module):
    """Certain of foreground where the image is above `level`."""

    def __init__(self, level: float) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.tensor(level))

    def forward(self, image: Tensor) -> Tensor:
        foreground = 30 * torch.sign(image - self.level)
        return torch.cat([-foreground, foreground], dim=1)


def model(networks: dict[str, nn.Module]) -> Model:
    description = ModelDescription(
        networks={name: NetworkDescription(architecture="unetr", arguments={}) for name in networks},
        default_member=next(iter(networks)),
        labels={"background": 0, "tumour": 7},
        preprocessing=Preprocessing(
            channel_names=("MRI",), spacing_mm=(1.0, 1.0, 1.0), normalisations=(Normalisation(kind="none"),)
        ),
        patch_shape=(16, 16, 16),
    )
    return Model(description, networks)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.fixture
def coin() -> nn.Module:
    network = build_network("unetr", 1, 2, **SIZES)
    network.body, network.divisor = Coin(), (1, 1, 1)
    return network


@pytest.mark.parametrize(
    ("opinions", "expected"),
    [
        ([0.3, 0.3], 0.0),
        ([0.0, 1.0], 0.5),
        ([0.2, 0.6], 0.2),  # the standard deviation
        ([0.0, 0.0, 0.9], 0.9 * 2**0.5 / 3),
    ],
)
def test_the_spread_of_two_classes_is_the_standard_deviation(opinions, expected):
    foreground = torch.tensor(opinions).view(-1, 1, 1, 1, 1, 1)
    found = spread(torch.cat([1 - foreground, foreground], dim=2))
    assert found.shape == (1, 1, 1, 1, 1)
    assert found.item() == pytest.approx(expected, abs=1e-6)


def test_the_mean_and_spread_of_samples(coin):
    image = Image(noise(12, 11, 10)[None], np.eye(4))
    found = Predictor(model({"primary": coin}), CPU, samples=6).predict(image, probabilities=True, uncertainty=True)
    torch.manual_seed(0)
    draws = [int(torch.randint(0, 2, ())) for _ in range(6)]  # one window holds the whole case
    assert np.mean(draws) > 0.5  # so that there is an object whose uncertainty has a mean
    np.testing.assert_allclose(found.probabilities[1], np.mean(draws), atol=1e-5)
    np.testing.assert_allclose(found.uncertainty, np.std(draws), atol=1e-5)
    assert found.mean_uncertainty == pytest.approx(np.std(draws), abs=1e-5)


def test_without_samples_nothing_is_drawn(coin):
    image = Image(noise(12, 11, 10)[None], np.eye(4))
    found = Predictor(model({"primary": coin}), CPU).predict(image, probabilities=True)
    np.testing.assert_allclose(found.probabilities, 0.5)
    assert found.uncertainty is None
    assert np.isnan(found.mean_uncertainty)


def test_a_prediction_can_be_repeated_and_leaves_the_generator_alone(coin):
    image = Image(noise(40, 36, 30)[None], np.eye(4))  # several windows
    predictor = Predictor(model({"primary": coin}), CPU, samples=3)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = predictor.predict(image, probabilities=True).probabilities
    assert torch.get_rng_state().equal(before)
    torch.manual_seed(6)
    np.testing.assert_array_equal(first, predictor.predict(image, probabilities=True).probabilities)
    assert len(np.unique(first.round(3))) > 2


def test_networks_of_a_model_differ_where_there_are_no_samples():
    image = noise(20, 18, 16)
    networks = {"primary": Sure(0.0), "auxiliary": Sure(99.0)}
    found = Predictor(model(networks), CPU).predict(Image(image[None], np.eye(4)), uncertainty=True)
    np.testing.assert_array_equal(found.labels.array, np.where(image > 0, 7, 0))
    np.testing.assert_allclose(found.uncertainty, np.where(image > 0, 0.5, 0), atol=1e-5)
    assert found.mean_uncertainty == pytest.approx(0.5)


def test_samples_of_a_network_that_is_not_random_are_refused():
    with pytest.raises(InputError, match=r"Network 'primary' of the model draws no random numbers.*without --samples"):
        Predictor(model({"primary": Sure(0.0)}), CPU, samples=6)


@pytest.mark.parametrize("samples", [0, 1])
def test_the_uncertainty_of_a_single_opinion_is_refused(coin, samples):
    predictor = Predictor(model({"primary": coin}), CPU, samples=samples)
    with pytest.raises(InputError, match=r"there is one, of network 'primary'.*--samples 6"):
        predictor.predict(Image(noise(12, 11, 10)[None], np.eye(4)), uncertainty=True)


def test_only_random_networks_are_random(coin):
    assert Predictor(model({"a": coin}), CPU).is_random
    assert not Predictor(model({"a": Sure(0.0)}), CPU).is_random
    both = model({"a": coin, "b": Sure(0.0)})
    assert not Predictor(both, CPU, members=("a", "b")).is_random
