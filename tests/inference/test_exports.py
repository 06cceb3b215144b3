"""Exported models, opened by those they are for: MONAI without Voxseed, ONNX Runtime."""

import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import Tensor

from voxseed.data.normalisation import Normalisation
from voxseed.data.preprocessing import Preprocessing
from voxseed.data.volumes import Volume, write_volume
from voxseed.errors import InputError
from voxseed.inference.export_bundle import write_bundle
from voxseed.inference.model_files import Model, ModelDescription, NetworkDescription
from voxseed.inference.predictor import Predictor
from voxseed.inference.sliding_window import sliding_window
from voxseed.networks.factory import build_network, default_arguments

PATCH = (16, 16, 16)
SPACING = (1.5, 1.5, 1.5)
FLIPPED = np.array([[0, -1.5, 0, 30], [0, 0, 1.5, -7], [1.5, 0, 0, 2], [0, 0, 0, 1.0]])
"""The axes in another order and direction, on the working grid's spacing."""
CT = Normalisation(kind="ct", lower=-100.0, upper=250.0, mean=40.0, sd=55.0)
ZSCORE = Normalisation(kind="zscore")
PLAIN = ["unet3d", "unet2.5d", "dynunet", "residual-unet"]


def model(architecture: str, normalisations: tuple[Normalisation, ...] = (ZSCORE,)) -> Model:
    """A network with random weights that are far from uncertain, and labels that are not 0, 1, 2."""
    torch.manual_seed(1)
    arguments = default_arguments(architecture, SPACING, PATCH, 16 if architecture == "vnet" else 2)
    network = build_network(architecture, len(normalisations), 3, **arguments).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.5)
    description = ModelDescription(
        networks={"primary": NetworkDescription(architecture=architecture, arguments=arguments)},
        default_member="primary",
        labels={"background": 0, "tumour": 3, "cyst": 7},
        preprocessing=Preprocessing(
            channel_names=tuple(f"channel {index}" for index in range(len(normalisations))),
            spacing_mm=SPACING,
            normalisations=normalisations,
        ),
        patch_shape=PATCH,
        overlap=0.25,
    )
    return Model(description, {"primary": network})


def write_images(folder: Path, channel_count: int, shape: tuple[int, int, int] = (22, 18, 13)) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = []
    for channel in range(channel_count):
        suffix = f"_{channel:04d}" if channel_count > 1 else ""
        paths.append(folder / f"anna{suffix}.nii.gz")
        write_volume(paths[-1], Volume(rng.normal(40, 120, shape).astype(np.float32), FLIPPED))
    return paths


def working(exported: Model, paths: list[Path]):
    from voxseed.data.images import read_image

    image = read_image(paths)
    predictor = Predictor(exported, torch.device("cpu"))
    return image, predictor, exported.description.preprocessing.apply(image, "anna")


@pytest.mark.parametrize("normalisations", [(ZSCORE,), (CT, ZSCORE)], ids=["one channel", "CT and another"])
def test_monai_runs_a_bundle_to_the_same_probabilities(tmp_path, normalisations):
    from monai.bundle import ConfigParser

    exported = model("unet3d", normalisations)
    write_bundle(tmp_path / "bundle", exported, "primary")
    paths = write_images(tmp_path / "images", len(normalisations))
    parser = ConfigParser()
    parser.read_config(tmp_path / "bundle/configs/inference.json")
    parser["bundle_root"], parser["dataset_dir"] = str(tmp_path / "bundle"), str(tmp_path / "images")
    parser["output_dir"] = str(tmp_path / "out")
    with torch.no_grad():
        parser.get_parsed_content("initialize")
        (case,) = parser.get_parsed_content("dataset")
        found = parser.get_parsed_content("predicted")(case)["pred"].numpy()
    _, predictor, expected_input = working(exported, paths)
    np.testing.assert_allclose(case["image"].numpy(), expected_input.array, atol=1e-4)
    expected = predictor.working_probabilities(expected_input).numpy()
    assert expected.max() - expected.min() > 0.5, "or everything would agree"
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.slow
def test_a_bundle_runs_as_its_readme_says_and_without_voxseed(tmp_path):
    exported = model("unet3d")
    write_bundle(tmp_path / "bundle", exported, "primary")
    paths = write_images(tmp_path / "images", 1)
    code = (
        "import sys; sys.modules['voxseed'] = None\n"
        "from monai.bundle import run\n"
        f"run(config_file='configs/inference.json', dataset_dir={str(tmp_path / 'images')!r}, output_dir='out')"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "bundle", check=True, capture_output=True)
    found = nib.load(tmp_path / "bundle/out/anna.nii.gz")
    image, predictor, _ = working(exported, paths)
    expected = predictor.predict(image).labels
    np.testing.assert_allclose(found.affine, FLIPPED, atol=1e-5)
    assert set(np.unique(expected.array)) <= {0, 3, 7}
    assert (np.asarray(found.dataobj) == expected.array).mean() > 0.999, "ties between classes may fall either way"


@pytest.mark.parametrize("architecture", PLAIN)
def test_weights_of_every_network_of_monai_fit(tmp_path, architecture):
    from monai.bundle import ConfigParser

    exported = model(architecture)
    write_bundle(tmp_path, exported, "primary")
    parser = ConfigParser()
    parser.read_config(tmp_path / "configs/inference.json")
    parser["bundle_root"] = str(tmp_path)
    parser.get_parsed_content("initialize")
    network = parser.get_parsed_content("network")
    assert not any(type(module).__module__.startswith("voxseed") for module in network.modules())
    patch = torch.randn(1, 1, *PATCH)
    with torch.no_grad():
        expected = exported.networks["primary"](patch).softmax(dim=1)
        torch.testing.assert_close(network(patch), expected, atol=1e-5, rtol=0)
    torch.set_grad_enabled(True)


@pytest.mark.parametrize("architecture", ["attention-unet", "vnet"])
def test_a_network_that_monai_does_not_have_is_a_sentence(tmp_path, architecture):
    with pytest.raises(
        InputError, match=f"primary is {architecture}, which MONAI does not have as it is.*--format onnx"
    ):
        write_bundle(tmp_path / "bundle", model(architecture), "primary")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["unet3d", "attention-unet"])
def test_onnx_runtime_gives_the_same_probabilities(tmp_path, architecture):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from voxseed.inference.export_onnx import write_onnx

    exported = model(architecture)
    write_onnx(tmp_path, exported, "primary")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])

    def run(patches: Tensor) -> Tensor:
        (found,) = session.run(["probabilities"], {"image": patches.numpy()})
        return torch.from_numpy(found)

    _, predictor, case = working(exported, write_images(tmp_path / "images", 1))
    expected = predictor.working_probabilities(case)
    for batch_size in (1, 3):
        found = sliding_window(run, torch.from_numpy(case.array), PATCH, 0.25, batch_size)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert expected.max() - expected.min() > 0.5


def test_missing_packages_are_a_sentence(tmp_path, monkeypatch):
    from voxseed.inference.export_onnx import write_onnx

    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(InputError, match=r"--format onnx: needs the package onnx.*pip install 'voxseed\[onnx\]'"):
        write_onnx(tmp_path, model("unet3d"), "primary")
