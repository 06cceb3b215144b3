import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
import torch
from pydicom.uid import EnhancedCTImageStorage
from torch import Tensor, nn

from voxseed.data.datasets import Dataset
from voxseed.data.normalisation import Normalisation
from voxseed.data.preprocessing import Preprocessing
from voxseed.data.volumes import Volume, read_volume, write_volume
from voxseed.errors import InputError, InterruptedRunError
from voxseed.inference import model_files
from voxseed.inference.model_files import ModelDescription, NetworkDescription, save_model
from voxseed.workflows import predict as predict_module
from voxseed.workflows.predict import predict
from voxseed.workflows.prediction_inputs import find_inputs
from voxseed.workflows.prediction_records import read_record

AFFINE = np.array([[-1.0, 0, 0, 9], [0, 0, 2.0, -4], [0, 1.5, 0, 3], [0, 0, 0, 1]])


RANGE = {
    "lowest_ml": 0.2,
    "highest_ml": 1.0,
    "most_parts": 1,
    "touches_border": False,
    "is_absent_somewhere": False,
}


def edit_model(run: Path, **changes: Any) -> None:
    path = run / "model/model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


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
    """Of the label maps."""
    return sorted(path.name for path in folder.iterdir() if path.is_file() and path.suffix != ".csv")


@pytest.mark.parametrize("name", ["scan_0000.nii.gz", "scan.nii.gz", "scan.nrrd", "scan.mha"])
def test_a_file(run: Path, tmp_path: Path, name: str) -> None:
    written = predict(run, [write(tmp_path / "in" / name, image())], tmp_path / "out", device="cpu").written
    ending = name[name.index(".") :]
    assert written == (tmp_path / f"out/scan{ending}",)
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


def test_one_network_of_several(run: Path, tmp_path: Path) -> None:
    negative = {"scale": torch.tensor(-9.0)}
    description = model_files.load_model(run / "model").description
    save_model(run / "model", {"primary": Positive().state_dict(), "auxiliary": negative}, description)
    path = write(tmp_path / "in/scan.nii.gz", image())
    predict(run, [path], tmp_path / "out", member="auxiliary", device="cpu")
    np.testing.assert_array_equal(read_volume(tmp_path / "out/scan.nii.gz").array, np.where(image() < 0, 4, 0))


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


def test_a_folder_that_must_be_imported_first_gives_the_command(run: Path, tmp_path: Path) -> None:
    deep = tmp_path / "deep scans"
    write(deep / "anna" / "t1.nii.gz", image())
    with pytest.raises(InputError) as raised:
        predict(run, [deep], tmp_path / "out", device="cpu")
    message = str(raised.value)
    assert message.startswith(f"{deep}: images in folders, such as t1.nii.gz; expected images, or a dataset. Make one")
    assert f"voxseed dataset import '{deep}' --out '{deep}-dataset' --classes tumour and predict that." in message


@pytest.fixture
def dicom(tmp_path: Path, write_dicom: Any) -> Path:
    """Two studies: anna, an oblique series and a scout of other slices; bert, one multi-frame file."""
    turned = {"orientation": (0.8, 0.6, 0, 0, 0, -1), "spacing_mm": (0.7, 0.8, 2.6), "FrameOfReferenceUID": "1.2.3"}
    array = (10 * image(0)).astype(np.int16)
    write_dicom(tmp_path / "dicom/anna", array, **turned, PatientID="anna 1")
    enhanced = {"SOPClassUID": EnhancedCTImageStorage, "StudyInstanceUID": "1.2.9", "PatientID": "bert"}
    write_dicom(tmp_path / "dicom/bert", array, multi_frame=True, **turned, **enhanced)
    return tmp_path / "dicom"


def test_dicom_series_are_predicted_as_they_are(run: Path, dicom: Path, tmp_path: Path) -> None:
    predict(run, [dicom], tmp_path / "out", device="cpu")
    assert names(tmp_path / "out") == ["anna-1.nii.gz", "bert.nii.gz"]
    (case,) = find_inputs([dicom / "anna"], ["MRI 0"])
    volume = case.channels[0].read()
    write_volume(tmp_path / "in.nii.gz", volume)
    predict(run, [tmp_path / "in.nii.gz"], tmp_path / "same", device="cpu")
    found, expected = read_volume(tmp_path / "out/anna-1.nii.gz"), read_volume(tmp_path / "same/in.nii.gz")
    np.testing.assert_allclose(found.affine, volume.affine, atol=1e-4)
    np.testing.assert_array_equal(found.array, expected.array)
    assert 0 < (found.array == 4).sum() < found.array.size
    predict(run, [dicom / "bert" / "frames.dcm"], tmp_path / "one", device="cpu")
    assert names(tmp_path / "one") == ["bert.nii.gz"]


def test_dicom_segmentations_are_written_for_dicom_series_only(run: Path, dicom: Path, tmp_path: Path) -> None:
    pytest.importorskip("highdicom")
    summary = predict(run, [dicom], tmp_path / "out", format="dicom-seg", device="cpu")
    assert summary.written == (tmp_path / "out/anna-1.dcm", tmp_path / "out/bert.dcm")
    predict(run, [dicom], tmp_path / "nifti", device="cpu")
    for case in ("anna-1", "bert"):
        count = (read_volume(tmp_path / f"nifti/{case}.nii.gz").array == 4).sum()
        assert pydicom.dcmread(tmp_path / f"out/{case}.dcm").pixel_array.sum() == count > 0
    for file in (dicom / "anna").iterdir():
        header = pydicom.dcmread(file)
        del header.FrameOfReferenceUID
        header.save_as(file)
    with pytest.raises(InputError, match=r"1 of 2 cases could not be predicted, .*\n.*without FrameOfReferenceUID"):
        predict(run, [dicom], tmp_path / "again", format="dicom-seg", device="cpu")
    assert names(tmp_path / "again") == ["bert.dcm"]
    path = write(tmp_path / "in/scan.nii.gz", image())
    with pytest.raises(InputError, match=r"scan\.nii\.gz: no DICOM series, so a DICOM Segmentation has no slices"):
        predict(run, [dicom, path], tmp_path / "more", format="dicom-seg", device="cpu")
    assert not (tmp_path / "more").exists()


def test_a_series_is_chosen_by_its_description(run: Path, dicom: Path, tmp_path: Path, write_dicom: Any) -> None:
    write_dicom(dicom / "more", np.zeros((4, 4, 4), np.int16), SeriesDescription="scout", PatientID="anna 1")
    with pytest.raises(InputError, match=r"case anna 1 has 2 series, .*Choose by description with --series REGEX"):
        predict(run, [dicom], tmp_path / "out", device="cpu")
    predict(run, [dicom], tmp_path / "out", series="axial", device="cpu")
    assert names(tmp_path / "out") == ["anna-1.nii.gz", "bert.nii.gz"]
    with pytest.raises(InputError, match=r"--series \[: no regular expression"):
        predict(run, [dicom], tmp_path / "out", series="[", device="cpu")


def test_an_irregular_series_is_refused_before_anything_is_predicted(run: Path, dicom: Path, tmp_path: Path) -> None:
    sorted((dicom / "anna").iterdir())[3].unlink()
    with pytest.raises(InputError, match=r"anna, series T1 axial: 1 slice missing of 11 every 2\.60 mm"):
        predict(run, [dicom], tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("wanted", "ending"), [("nifti", ".nii.gz"), ("nrrd", ".nrrd")])
def test_another_format_holds_the_same_voxels(run: Path, tmp_path: Path, wanted: str, ending: str) -> None:
    path = write(tmp_path / "in/scan.mha", image())
    (written,) = predict(run, [path], tmp_path / "out", format=wanted, device="cpu").written
    assert written.name == f"scan{ending}"
    found = read_volume(written)
    np.testing.assert_array_equal(found.array, np.where(image() > 0, 4, 0))
    np.testing.assert_allclose(found.affine, AFFINE, atol=1e-6)
    with pytest.raises(InputError, match=r"--format dicom: unknown format\. Known: nifti, nrrd, dicom-seg\."):
        predict(run, [path], tmp_path / "out", format="dicom", device="cpu")


def rows(path: Path) -> list[list[str]]:
    return [line.split(",") for line in path.read_text().splitlines()]


def test_volumes_of_classes_and_objects_and_doubts_lie_beside_the_predictions(run: Path, tmp_path: Path) -> None:
    """Two boxes of 27 and 8 voxels of 3 mm³, one of them at the border."""
    array = np.full((12, 12, 12), -1.0, np.float32)
    array[0, 0, 0] = -2.0
    array[2:5, 2:5, 2:5], array[8:10, 8:10, 10:12] = 3.0, 3.0
    summary = predict(run, [write(tmp_path / "in/scan.nii.gz", array)], tmp_path / "out", device="cpu")
    assert rows(tmp_path / "out/volumes.csv") == [
        ["case", "class", "object", "volume_ml"],
        ["scan", "tumour", "all", "0.105"],
        ["scan", "tumour", "1", "0.081"],
        ["scan", "tumour", "2", "0.024"],
    ]
    assert rows(tmp_path / "out/distrust.csv") == [["case", "class", "rule", "reason"]], "no ranges in this model"
    edit_model(run, class_ranges={"tumour": RANGE})
    summary = predict(run, [tmp_path / "in"], tmp_path / "out", device="cpu")
    assert [row[:3] for row in rows(tmp_path / "out/distrust.csv")[1:]] == [
        ["scan", "tumour", "border"],
        ["scan", "tumour", "parts"],
        ["scan", "tumour", "volume"],
    ]
    assert [row[:3] for row in summary.rows()] == [("scan", "tumour", rule) for rule in ("border", "parts", "volume")]


def test_an_empty_prediction_has_a_volume_of_0_and_is_doubted(run: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "in/scan.nii.gz", -np.abs(image()))
    predict(run, [path], tmp_path / "out", device="cpu")
    assert rows(tmp_path / "out/volumes.csv")[1:] == [["scan", "tumour", "all", "0"]]
    assert rows(tmp_path / "out/distrust.csv")[1][:3] == ["scan", "tumour", "empty"]
    assert rows(tmp_path / "out/quality.csv")[1:] == [["scan", "tumour", "0.0000"]]
    edit_model(run, class_ranges={"tumour": {**RANGE, "is_absent_somewhere": True}})
    predict(run, [path], tmp_path / "out", device="cpu")
    assert rows(tmp_path / "out/quality.csv")[1:] == [["scan", "tumour", "1.0000"]]


def test_expected_dice_of_every_case_lies_beside_the_predictions(run: Path, tmp_path: Path) -> None:
    """The network's logits are 9 times the intensity and minus that: for 1.5 and 3 no doubt, for 0.1 a probability
    of 1 / (1 + exp(-1.8)) = 0.858, sharpened 1 / (1 + exp(-3.6))."""
    doubtful = np.full((12, 12, 12), -1.0, np.float32)
    doubtful[0, 0, 0], doubtful[2:5, 2:5, 2:5] = -2.0, 0.1
    write(tmp_path / "in/b.nii.gz", image())
    write(tmp_path / "in/a.nii.gz", doubtful)
    summary = predict(run, [tmp_path / "in"], tmp_path / "out", device="cpu")
    assert [case for case, _ in summary.ranking] == ["a", "b"]
    header, first, second = rows(tmp_path / "out/quality.csv")
    assert header == ["case", "class", "expected_dice"]
    sure = 1 / (1 + np.exp(-3.6))
    assert first[:2] == ["a", "tumour"]
    assert float(first[2]) == pytest.approx(2 * sure / (1 + sure), abs=1e-3)
    assert second == ["b", "tumour", "1.0000"]
    record = read_record(tmp_path / "out", "a")
    assert record is not None
    assert record.mean_expected_dice == pytest.approx(2 * sure / (1 + sure), abs=1e-3)


def test_a_record_names_the_oracle_of_its_model(run: Path, tmp_path: Path) -> None:
    edit_model(run, oracles=["true volume"])
    predict(run, [write(tmp_path / "in/a.nii.gz", image())], tmp_path / "out", device="cpu")
    record = read_record(tmp_path / "out", "a")
    assert record is not None
    assert record.oracles == ("true volume",)


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
    assert predict(run, [first, first], tmp_path / "out", device="cpu").written == (tmp_path / "out/scan.nii.gz",)


def changed(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.nii.gz")}


def test_a_shard_leaves_what_is_complete_and_replaces_what_would_be_another(run: Path, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path / f"in/{name}.nii.gz", image())
    out = tmp_path / "out"
    first = predict(run, [tmp_path / "in"], out, shard="1/2", device="cpu")
    assert [path.name for path in first.written] == ["a.nii.gz", "c.nii.gz"]
    before = changed(out)
    again = predict(run, [tmp_path / "in"], out, shard="1/1", device="cpu")
    assert ([path.name for path in again.written], again.complete, again.elsewhere) == (["b.nii.gz"], 2, 0)
    assert {name: changed(out)[name] for name in before} == before
    assert len(rows(out / "volumes.csv")) > 3

    def written(**options: Any) -> list[str]:
        return [
            path.name for path in predict(run, [tmp_path / "in"], out, shard="1/1", device="cpu", **options).written
        ]

    assert written() == []
    write(tmp_path / "in/b.nii.gz", image(seed=1))
    assert written() == ["b.nii.gz"], "another image"
    (out / "c.nii.gz").unlink()
    assert written() == ["c.nii.gz"], "gone"
    assert len(written(ensemble=True)) == 3, "other options"
    edit_model(run, overlap=0.25)
    assert len(written(ensemble=True)) == 3, "another model"
    assert written(ensemble=True) == []
    assert len(predict(run, [tmp_path / "in"], out, ensemble=True, device="cpu").written) == 3, "not divided"


def test_a_damaged_record_is_a_sentence(run: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "in/a.nii.gz", image())
    predict(run, [path], tmp_path / "out", shard="1/1", device="cpu")
    record = tmp_path / "out/records/a.json"
    content = json.loads(record.read_text())
    for damaged, sentence in [
        ({**content, "version": 9}, r"a\.json: expected the record of a prediction, version 2\. Remove it"),
        ({"version": 2}, r"a\.json: damaged \('case'\)\. Remove it"),
        ({**content, "expected_dice": [0.9]}, r"a\.json: damaged \(.*mapping.*\)\. Remove it"),
        ({**content, "doubts": [{"colour": "red"}]}, r"a\.json: damaged \(.*colour.*\)\. Remove it"),
    ]:
        record.write_text(json.dumps(damaged))
        with pytest.raises(InputError, match=sentence):
            predict(run, [path], tmp_path / "out", shard="1/1", device="cpu")


def test_ctrl_c_in_a_shard_says_how_to_go_on(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"in/{name}.nii.gz", image())
    original = predict_module.write_volume

    def interrupted(path: Path, volume: Volume) -> None:
        if path.name == "b.nii.gz":
            raise KeyboardInterrupt
        original(path, volume)

    monkeypatch.setattr(predict_module, "write_volume", interrupted)
    with pytest.raises(InterruptedRunError, match=r"complete cases are kept in .*out\. Go on with the same command\."):
        predict(run, [tmp_path / "in"], tmp_path / "out", shard="1/1", device="cpu")
    with pytest.raises(KeyboardInterrupt):
        predict(run, [tmp_path / "in"], tmp_path / "new", device="cpu")
    monkeypatch.undo()
    monkeypatch.setattr(model_files, "build_network", lambda *_, **__: Positive())
    found = predict(run, [tmp_path / "in"], tmp_path / "out", shard="1/1", device="cpu")
    assert ([path.name for path in found.written], found.complete) == (["b.nii.gz"], 1)
