from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from voxseed.data.datasets import Dataset
from voxseed.data.normalisation import Normalisation
from voxseed.data.preprocessing import Preprocessing
from voxseed.data.volumes import Volume, read_volume, write_volume
from voxseed.errors import InputError
from voxseed.inference import model_files
from voxseed.inference.model_files import ModelDescription, NetworkDescription, save_model
from voxseed.workflows.predict import predict

AFFINE = np.array([[-1.0, 0, 0, 9], [0, 0, 2.0, -4], [0, 1.5, 0, 3], [0, 0, 0, 1]])


class Positive(nn.Module):
    """Says class 1 where the sum over channels is positive."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(9.0))

    def forward(self, image: Tensor) -> Tensor:
        foreground = self.scale * image.sum(dim=1, keepdim=True)
        return torch.cat([-foreground, foreground], dim=1)


@pytest.fixture(params=[1])
def channel_count(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channel_count: int) -> Path:
    """A run with two networks for images of `channel_count` channels."""
    monkeypatch.setattr(model_files, "build_network", lambda *_, **__: Positive())
    members = ("primary", "auxiliary")
    description = ModelDescription(
        networks={name: NetworkDescription(architecture="positive", arguments={}) for name in members},
        default_member="primary",
        labels={"background": 0, "tumour": 4},
        preprocessing=Preprocessing(
            channel_names=tuple(f"MRI {index}" for index in range(channel_count)),
            spacing_mm=(1.0, 2.0, 1.5),
            normalisations=(Normalisation(kind="none"),) * channel_count,
        ),
        patch_shape=(16, 16, 16),
    )
    save_model(tmp_path / "run/model", {name: Positive().state_dict() for name in members}, description)
    return tmp_path / "run"


def image(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice([-2.0, -1.0, 1.5, 3.0], size=(9, 10, 11)).astype(np.float32)


def write(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(path, Volume(array, AFFINE))
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["scan_0000.nii.gz", "scan.nii.gz", "scan.nrrd", "scan.mha"])
def test_a_file(run: Path, tmp_path: Path, name: str) -> None:
    written = predict(run, [write(tmp_path / "in" / name, image())], tmp_path / "out", device="cpu")
    ending = name[name.index(".") :]
    assert written == [tmp_path / f"out/scan{ending}"]
    found = read_volume(written[0])
    np.testing.assert_array_equal(found.array, np.where(image() > 0, 4, 0))
    np.testing.assert_allclose(found.affine, AFFINE, atol=1e-6)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["a_0000.nii.gz", "b_0000.nii.gz"], ["a.nii.gz", "b.nii.gz"]),
        (["a.nii.gz", "b.nrrd"], ["a.nii.gz", "b.nrrd"]),
        (["p_0000.nii.gz", "p_0001.nii.gz"], ["p_0000.nii.gz", "p_0001.nii.gz"]),  # cases that happen to be numbered
    ],
)
def test_a_folder_of_single_channel_images(run: Path, tmp_path: Path, files: list[str], expected: list[str]) -> None:
    for name in files:
        write(tmp_path / "in" / name, image())
    (tmp_path / "in/notes.txt").write_text("no image")
    predict(run, [tmp_path / "in"], tmp_path / "out", device="cpu")
    assert names(tmp_path / "out") == expected


@pytest.mark.parametrize("channel_count", [2], indirect=True)
def test_several_channels_are_found_by_their_names(run: Path, tmp_path: Path) -> None:
    for case in ("a", "b"):
        for channel in range(2):
            write(tmp_path / f"in/{case}_{channel:04d}.nii.gz", image(channel))
    predict(run, [tmp_path / "in"], tmp_path / "out", device="cpu")
    assert names(tmp_path / "out") == ["a.nii.gz", "b.nii.gz"]
    expected = np.where(image(0) + image(1) > 0, 4, 0)
    np.testing.assert_array_equal(read_volume(tmp_path / "out/b.nii.gz").array, expected)
    predict(run, [tmp_path / "in/a_0000.nii.gz"], tmp_path / "one", device="cpu")
    assert names(tmp_path / "one") == ["a.nii.gz"]
    (tmp_path / "in/b_0001.nii.gz").unlink()
    with pytest.raises(InputError, match=r"b_0001.nii.gz: no such file, but the model has 2 channels"):
        predict(run, [tmp_path / "in"], tmp_path / "out", device="cpu")
    write(tmp_path / "in/c.nii.gz", image())
    with pytest.raises(
        InputError, match=r"c.nii.gz: the model has 2 channels; .* CASE_0000.nii.gz to CASE_0001.nii.gz\. .*--channels"
    ):
        predict(run, [tmp_path / "in"], tmp_path / "out", device="cpu")


@pytest.mark.parametrize(("has_test_cases", "expected"), [(True, ["t.nii.gz"]), (False, ["a.nii.gz", "b.nii.gz"])])
def test_a_dataset_means_its_test_cases(run: Path, tmp_path: Path, has_test_cases: bool, expected: list[str]) -> None:
    dataset = Dataset.create(tmp_path / "data", "data", ["MRI"], ["tumour"])
    for case in ("a", "b"):
        dataset.write_case(case, image()[None], AFFINE)
    if has_test_cases:
        dataset.write_case("t", image()[None], AFFINE, test=True)
    predict(run, [tmp_path / "data"], tmp_path / "out", device="cpu")
    assert names(tmp_path / "out") == expected


def test_probabilities_and_ensemble(run: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "in/scan.nii.gz", image())
    predict(run, [path], tmp_path / "out", probabilities=True, ensemble=True, device="cpu")
    found = nib.load(tmp_path / "out/probabilities/scan.nii.gz")
    assert found.shape == (9, 10, 11, 2)
    np.testing.assert_allclose(found.affine, AFFINE, atol=1e-6)
    np.testing.assert_allclose(found.get_fdata().sum(axis=3), 1, atol=1e-5)
    np.testing.assert_array_equal(found.get_fdata()[..., 1] > 0.5, image() > 0)


def test_predicting_again_replaces(run: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "in/scan.nii.gz", image(0))
    predict(run, [path], tmp_path / "out", device="cpu")
    write(path, image(1))
    predict(run, [path], tmp_path / "out", device="cpu")
    np.testing.assert_array_equal(read_volume(tmp_path / "out/scan.nii.gz").array > 0, image(1) > 0)
    assert names(tmp_path / "out") == ["scan.nii.gz"]


def test_a_bad_case_does_not_keep_the_others_from_being_predicted(run: Path, tmp_path: Path) -> None:
    broken = image()
    broken[0, 0, 0] = np.nan
    write(tmp_path / "in/a_nan.nii.gz", broken)
    write(tmp_path / "in/b_good.nii.gz", image())
    write(tmp_path / "in/c_constant.nii.gz", np.full((4, 4, 4), 3.0))
    (tmp_path / "in/d_truncated.nii.gz").write_bytes((tmp_path / "in/b_good.nii.gz").read_bytes()[:-50])
    with pytest.raises(InputError) as raised:
        predict(run, [tmp_path / "in"], tmp_path / "out", device="cpu")
    message = str(raised.value)
    assert message.startswith("3 of 4 cases could not be predicted, the other 1 are in")
    for part in (
        "a_nan.nii.gz: 1 voxels are NaN",
        "c_constant.nii.gz, MRI 0: all voxels",
        "d_truncated.nii.gz: truncated",
    ):
        assert part in message
    assert names(tmp_path / "out") == ["b_good.nii.gz"]


def test_a_folder_that_must_be_imported_first_gives_the_command(run: Path, tmp_path: Path, write_dicom: Any) -> None:
    dicom = tmp_path / "dicom scans"
    file = write_dicom(dicom / "anna", np.zeros((4, 4, 4), np.int16))[0]
    write(tmp_path / "deep" / "anna" / "t1.nii.gz", image())
    for path, found, command in [
        (dicom, "DICOM files, such as im00", f"'{dicom}' --out '{dicom}-dataset' --classes tumour"),
        (file, "DICOM files, such as im00", f"'{file}' --out '{file.with_suffix('')}-dataset' --classes tumour"),
        (tmp_path / "deep", "images in folders, such as t1.nii.gz", f"deep --out {tmp_path}/deep-dataset"),
    ]:
        with pytest.raises(InputError) as raised:
            predict(run, [path], tmp_path / "out", device="cpu")
        assert f"{path}: {found}" in str(raised.value)
        assert "voxseed dataset import " in str(raised.value)
        assert command in str(raised.value)


def test_nothing_starts_with_inputs_that_cannot_be_meant(run: Path, tmp_path: Path) -> None:
    first, second = write(tmp_path / "in/scan.nii.gz", image()), write(tmp_path / "more/scan.nrrd", image())
    (tmp_path / "empty").mkdir()
    (tmp_path / "page.html").write_text("")
    refused: list[tuple[list[Any], Path, str]] = [
        ([tmp_path / "nothing"], tmp_path / "out", "nothing: no such file or folder"),
        ([tmp_path / "empty"], tmp_path / "out", "empty: no images in this folder"),
        ([tmp_path / "page.html"], tmp_path / "out", "page.html: unknown kind of file"),
        ([first, second], tmp_path / "out", "duplicate case scan"),
        ([first], tmp_path / "in", "would replace its own image"),
    ]
    for inputs, out, sentence in refused:
        with pytest.raises(InputError, match=sentence):
            predict(run, inputs, out, device="cpu")
    assert not (tmp_path / "out").exists()
    assert predict(run, [first, first], tmp_path / "out", device="cpu") == [tmp_path / "out/scan.nii.gz"]
