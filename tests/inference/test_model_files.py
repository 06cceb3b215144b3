import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from voxseed.data.normalisation import Normalisation
from voxseed.data.preprocessing import Preprocessing
from voxseed.errors import InputError
from voxseed.inference.model_files import ModelDescription, NetworkDescription, load_model, save_model
from voxseed.networks.factory import build_network, default_arguments

ARGUMENTS = default_arguments("unet3d", (1, 1, 1), (16, 16, 16), 2)


def description(**changes: Any) -> ModelDescription:
    values: dict[str, Any] = {
        "networks": {
            "primary": NetworkDescription(architecture="unet3d", arguments=ARGUMENTS),
            "auxiliary": NetworkDescription(architecture="unet3d", arguments=ARGUMENTS),
        },
        "default_member": "primary",
        "labels": {"background": 0, "tumour": 3},
        "preprocessing": Preprocessing(
            channel_names=("MRI",), spacing_mm=(1, 1, 2), normalisations=(Normalisation(kind="zscore"),)
        ),
        "patch_shape": (16, 16, 16),
        "provenance": {"voxseed": "0.1", "seed": 3},
    }
    return ModelDescription(**{**values, **changes})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    states = {name: build_network("unet3d", 1, 2, **ARGUMENTS).state_dict() for name in ("primary", "auxiliary")}
    save_model(tmp_path, states, description())
    return tmp_path


def change_description(folder: Path, **changes: Any) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_model_comes_back(tmp_path: Path) -> None:
    networks = {name: build_network("unet3d", 1, 2, **ARGUMENTS).eval() for name in ("primary", "auxiliary")}
    save_model(tmp_path, {name: network.state_dict() for name, network in networks.items()}, description())
    model = load_model(tmp_path)
    assert model.description == description()
    assert model.labels["tumour"] == 3
    image = torch.randn(1, 1, 16, 16, 16)
    with torch.inference_mode():
        for name, network in networks.items():
            assert not model.networks[name].training
            torch.testing.assert_close(model.networks[name](image), network(image), atol=0, rtol=0)


def test_a_model_is_replaced_and_nothing_else_is_left(folder: Path) -> None:
    save_model(
        folder, {name: network.state_dict() for name, network in load_model(folder).networks.items()}, description()
    )
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "weights.safetensors"]


def test_weights_and_description_must_name_the_same_members(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="weights are given of"):
        save_model(tmp_path, {"primary": {}}, description())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(InputError, match=rf"{name}: (no such file|cannot be read: No such file)"):
        load_model(folder)


def test_truncated_weights_are_refused(folder: Path) -> None:
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"weights.safetensors: damaged, or not the weights that model.json describes"):
        load_model(folder)


def test_weights_of_another_model_are_refused(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    states = {name: build_network("unet3d", 1, 2, **ARGUMENTS).state_dict() for name in ("primary", "auxiliary")}
    save_model(other, states, description())
    (folder / "weights.safetensors").write_bytes((other / "weights.safetensors").read_bytes())
    with pytest.raises(InputError, match="damaged, or not the weights"):
        load_model(folder)


def test_a_pickle_is_never_run(folder: Path, tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "executed",)

    content = pickle.dumps(Malicious())
    (folder / "weights.safetensors").write_bytes(content)
    import hashlib

    change_description(folder, weights_sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(InputError, match=r"weights.safetensors: not a safetensors file"):
        load_model(folder)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"format_version": 99}, "written in model format 99, this Voxseed reads format 1"),
        ({"default_member": "third"}, "expected one of the networks primary, auxiliary"),
        ({"patch_shape": [16, 16]}, "patch_shape"),
        ({"surprise": 1}, "unknown setting 'surprise'"),
        ({"labels": {"tumour": 1}}, 'expected the label "background" with value 0'),
        ({"labels": {"background": 0, "a": 1, "b": 2}}, "do not fit its description"),
        ({"networks": {}}, "networks"),
        (
            {"preprocessing": {"channel_names": ["A"], "spacing_mm": [1, 1, 1], "normalisations": []}},
            "1 channels, found 0",
        ),
    ],
)
def test_a_description_that_does_not_fit_is_refused(folder: Path, changes: dict[str, Any], sentence: str) -> None:
    change_description(folder, **changes)
    with pytest.raises(InputError) as raised:
        load_model(folder)
    assert sentence in str(raised.value)
    assert str(folder) in str(raised.value)


@pytest.mark.parametrize(
    ("architecture", "arguments", "sentence"),
    [
        ("transformer9", ARGUMENTS, "network primary: Unknown network 'transformer9'"),
        ("unet3d", {**ARGUMENTS, "os.system": "x"}, "network primary"),
        ("unet3d", {**ARGUMENTS, "in_channels": 3}, "network primary"),
        ("unet3d", {**ARGUMENTS, "width": 4}, "tensors do not fit its description"),
    ],
)
def test_a_network_that_cannot_be_built_is_refused(folder, architecture, arguments, sentence) -> None:
    network = {"architecture": architecture, "arguments": arguments}
    change_description(folder, networks={"primary": network}, default_member="primary")
    with pytest.raises(InputError) as raised:
        load_model(folder)
    assert sentence in str(raised.value)


@pytest.mark.parametrize("text", ["[]", "{}", '{"weights": 1}'])
def test_another_json_is_refused(folder: Path, text: str) -> None:
    (folder / "model.json").write_text(text)
    with pytest.raises(InputError, match=r"model.json: expected the description of a Voxseed model"):
        load_model(folder)


def test_missing_and_surplus_tensors_are_named(folder: Path) -> None:
    network = build_network("unet3d", 1, 2, **ARGUMENTS)
    state = network.state_dict()
    del state[next(iter(state))]
    save_model(folder, {"primary": state, "auxiliary": network.state_dict()}, description())
    with pytest.raises(InputError, match=r"network primary: 1 tensors do not fit.*found nothing, expected \("):
        load_model(folder)
    extra = {**network.state_dict(), "extra": torch.zeros(2)}
    save_model(folder, {"primary": network.state_dict(), "auxiliary": extra}, description())
    with pytest.raises(InputError, match=r"network auxiliary.*extra: found \(2,\), expected nothing"):
        load_model(folder)


def test_tensors_are_named_by_member_and_parameter(folder: Path) -> None:
    names = safetensors.torch.load_file(folder / "weights.safetensors")
    assert {name.split("/")[0] for name in names} == {"primary", "auxiliary"}
