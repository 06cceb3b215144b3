"""The guide's way from a DICOM folder to a DICOM Segmentation: its commands as they are, on series made here."""

import re
import shlex
from pathlib import Path

import numpy as np
import pydicom
import pytest

GUIDE = Path(__file__).resolve().parents[1] / "docs" / "own-data.md"
SHAPE = (24, 24, 20)
SPACING_MM = (1.5, 1.5, 1.5)
ORIENTATION = (1, 0, 0, 0, 0.96, -0.28)
"""Rows along the patient's left, columns oblique."""
QUICK = (
    "networks.primary.width=4",
    "networks.auxiliary.width=2",
    "training.iterations=30",
    "training.epoch_length=15",
    "training.patch_shape=[16, 16, 16]",
    "training.precision=fp32",
    "recipe.stages=1",
)


def commands() -> list[list[str]]:
    """The first block of commands in the guide."""
    section = GUIDE.read_text(encoding="utf-8").split("## In short: ")[1].split("\n## ")[0]
    return [shlex.split(line) for line in re.findall(r"^    voxseed (.*)$", section, re.MULTILINE)]


def ball(centre: tuple[int, int, int]) -> np.ndarray:
    grid = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"))
    return ((grid - np.reshape(centre, (3, 1, 1, 1))) ** 2).sum(axis=0) < 30


def write_series(write_dicom, folder: Path, patient: str, centre: tuple[int, int, int]) -> None:
    intensities = 300 * ball(centre) + np.random.default_rng(len(patient)).normal(100, 20, SHAPE)
    write_dicom(
        folder,
        intensities.astype(np.int16),
        orientation=ORIENTATION,
        spacing_mm=SPACING_MM,
        PatientID=patient,
        StudyInstanceUID=f"1.2.{len(patient)}",
        FrameOfReferenceUID="1.2.3",
        Modality="MR",
        SOPClassUID=pydicom.uid.MRImageStorage,
    )


def points_of(patient: str, centre: tuple[int, int, int]) -> list[str]:
    """Rows of the table: inside at the centre, outside seven voxels away along each axis of the image, RAS mm."""
    along, down = np.reshape(ORIENTATION, (2, 3))
    steps = np.stack([along, down, np.cross(along, down)], axis=1) * SPACING_MM
    offsets = [
        (0, 0, 0),
        *(tuple(sign * 7 * (axis == other) for other in range(3)) for axis in range(3) for sign in (-1, 1)),
    ]
    rows = []
    for offset in offsets:
        lps = np.array([-10, 20, 30]) + steps @ (np.array(centre) + offset)
        rows.append(f"{patient},1,,{-lps[0]:.3f},{-lps[1]:.3f},{lps[2]:.3f}")
    return rows


@pytest.mark.slow
def test_from_a_dicom_folder_to_a_dicom_segmentation(write_dicom, tmp_path, monkeypatch):
    pytest.importorskip("highdicom")
    from voxseed.cli.main import main

    monkeypatch.chdir(tmp_path)
    patients = {"anna": (12, 12, 10), "bertha": (11, 13, 10), "c": (13, 11, 9)}
    rows = ["case,object,role,x,y,z"]
    for patient, centre in patients.items():
        write_series(write_dicom, tmp_path / "dicom" / patient, patient, centre)
        rows += points_of(patient, centre)
    (tmp_path / "points.csv").write_text("\n".join(rows) + "\n")
    write_series(write_dicom, tmp_path / "new_dicom", "dorothea", (12, 12, 10))

    found = commands()
    assert [words[0] for words in found] == ["dataset", "dataset", "dataset", "train", "predict"]
    for words in found:
        quick = [each for setting in QUICK for each in ("--set", setting)] if words[0] == "train" else []
        device = ["--device", "cpu"] if words[0] in ("train", "predict") else []
        with pytest.raises(SystemExit) as left:
            main([*words, *quick, *device])
        assert not left.value.code, words
    segmentation = pydicom.dcmread(tmp_path / "predictions" / "dorothea.dcm")
    assert (segmentation.Modality, segmentation.PatientID) == ("SEG", "dorothea")
    assert segmentation.SegmentSequence[0].SegmentLabel == "tumour"
    count = int(segmentation.pixel_array.sum())
    volume_ml = float((tmp_path / "predictions/volumes.csv").read_text().splitlines()[1].split(",")[3])
    assert volume_ml == pytest.approx(count * np.prod(SPACING_MM) / 1000, rel=1e-4)
    assert (tmp_path / "predictions" / "distrust.csv").is_file()


def test_the_guide_says_what_is_needed_for_it():
    assert len(commands()) == 5
    assert commands()[-1][-2:] == ["--format", "dicom-seg"]
