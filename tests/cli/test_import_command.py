"""`voxseed dataset import` as a user gives it, from a DICOM folder to a dataset that checks."""

import shlex

import numpy as np
import pytest

from voxseed.data.datasets import Dataset

ARRAY = np.arange(480, dtype=np.int16).reshape(10, 8, 6)


@pytest.fixture
def dicom(write_dicom, tmp_path):
    """Two patients, two series each."""
    for patient in ("sally", "tom"):
        for description in ("T1 axial", "FLAIR axial"):
            folder = tmp_path / "scans" / patient / description
            elements = {"PatientID": patient, "StudyInstanceUID": "1.2.3" if patient == "tom" else "1.2.4"}
            write_dicom(folder, ARRAY, SeriesDescription=description, **elements)
    return tmp_path / "scans"


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_the_table_comes_first_and_a_dry_run_stops_there(voxseed, dicom, tmp_path):
    before = names(tmp_path)
    words = ("dataset", "import", dicom, "--out", tmp_path / "data", "--classes", "tumour,cyst", "--series", "t1")
    answer = voxseed(*words, "--dry-run")
    assert (answer.code, answer.err) == (0, "")
    lines = [" ".join(line.split()) for line in answer.out.splitlines()]
    assert lines[:3] == [
        "case source shape spacing mm label will be called",
        "sally T1 axial (6 slices) 10 × 8 × 6 0.5 × 0.75 × 2.5 no sally",
        "tom T1 axial (6 slices) 10 × 8 × 6 0.5 × 0.75 × 2.5 no tom",
    ]
    assert lines[-2] == "Channels: CT. Labels: {'background': 0, 'tumour': 1, 'cyst': 2}. Files: *.nii.gz."
    assert lines[-1].startswith("Nothing was written. Only headers were read: damage further on is found when")
    assert names(tmp_path) == before
    answer = voxseed(*words)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[-1].endswith(f"voxseed dataset check {tmp_path / 'data'}")
    assert Dataset.open(tmp_path / "data").cases == ("sally", "tom")
    assert voxseed("dataset", "check", tmp_path / "data").code == 0


def test_channels_and_pseudonyms(voxseed, dicom, tmp_path):
    words = ("--classes", "a", "--channels", "FLAIR,T1", "--pseudonymise")
    answer = voxseed("dataset", "import", dicom, "--out", tmp_path / "data", *words)
    assert (answer.code, answer.err) == (0, "")
    assert not any(name in answer.out.removeprefix(str(tmp_path)) for name in ("sally", "tom ", "axial"))
    assert answer.out.splitlines()[-1].startswith(f"Which case is which: {tmp_path / 'data'}-key.csv")
    dataset = Dataset.open(tmp_path / "data")
    assert (dataset.cases, dataset.channel_names) == (("case_001", "case_002"), ("FLAIR", "T1"))


def test_what_cannot_be_imported_is_in_the_table_and_then_in_sentences(voxseed, dicom, tmp_path):
    next(iter(sorted((dicom / "tom" / "T1 axial").iterdir())[2:3])).unlink()
    before = names(tmp_path)
    words = ("dataset", "import", dicom, "--out", tmp_path / "data", "--classes", "a")
    answer = voxseed(*words, "--series", "T1")
    assert answer.code == 2
    assert "cannot be imported" in answer.out
    assert "tom/T1 axial, series T1 axial: 1 slice missing of 6 every 2.50 mm: 1 between slice 3" in answer.err
    answer = voxseed(*words)
    assert answer.code == 2
    assert "2 cases cannot be imported, so nothing was." in answer.err
    assert answer.out == "", "a table of no case"
    assert "case sally has 2 series, of which 0 mention the channel CT" in answer.err
    assert names(tmp_path) == before


def test_the_next_command_works_with_a_space_in_the_path(voxseed, dicom, tmp_path):
    words = ("--out", tmp_path / "my data", "--classes", "a", "--series", "T1")
    answer = voxseed("dataset", "import", dicom, *words)
    following = shlex.split(answer.out.splitlines()[-1].partition("Check it: ")[2])
    assert following == ["voxseed", "dataset", "check", str(tmp_path / "my data")]
    answer = voxseed(*following[1:])
    assert answer.code == 0
    assert f"voxseed annotate '{tmp_path / 'my data'}'" in answer.out


def test_the_command_that_check_gives_works(voxseed, dicom):
    message = voxseed("dataset", "check", dicom).err
    words = message.partition("run voxseed ")[2].partition(" (with your classes)")[0].split()
    answer = voxseed(*words, "--series", "T1")
    assert (answer.code, answer.err) == (0, "")
    assert Dataset.open(f"{dicom}-dataset").cases == ("sally", "tom")
