import sys
from pathlib import Path

import numpy as np
import pytest

from voxseed.data.datasets import Dataset
from voxseed.errors import InputError
from voxseed.workflows.converters import monai_datalist, torchio_subjects

AFFINE = np.diag([1.0, 2.0, 3.0, 1.0])


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    data = Dataset.create(tmp_path / "data", "data", ["T1", "T2"], ["tumour"])
    image = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype(np.float32)
    data.write_case("anna", image, AFFINE, np.ones((5, 4, 3), np.uint8))
    data.write_case("bert", image, AFFINE)
    data.write_case("dora", image, AFFINE, test=True)
    return data.root


def test_monai_s_transforms_load_the_data_list(dataset: Path) -> None:
    from monai.transforms import LoadImaged

    anna, bert = monai_datalist(dataset)
    assert (anna["case"], bert["case"], "label" in bert) == ("anna", "bert", False)
    loaded = LoadImaged(("image", "label"), ensure_channel_first=True)(anna)
    assert (tuple(loaded["image"].shape), tuple(loaded["label"].shape)) == ((2, 5, 4, 3), (1, 5, 4, 3))
    np.testing.assert_allclose(loaded["image"], Dataset.open(dataset).read_image("anna").array, atol=1e-6)
    assert [item["case"] for item in monai_datalist(dataset, test=True)] == ["dora"]


def test_torchio_reads_the_subjects(dataset: Path) -> None:
    torchio = pytest.importorskip("torchio")
    anna, bert = torchio_subjects(dataset)
    assert isinstance(anna, torchio.Subject)
    assert (anna["case"], sorted(anna.get_images_names()), list(bert.get_images_names())) == (
        "anna",
        ["T1", "T2", "label"],
        ["T1", "T2"],
    )
    image = Dataset.open(dataset).read_image("anna")
    np.testing.assert_allclose(anna["T2"].numpy()[0], image.array[1], atol=1e-6)
    np.testing.assert_allclose(anna["T2"].affine, AFFINE, atol=1e-6)


def test_what_torchio_would_be_given(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Recorder:
        def __init__(self, *arguments: object, **parts: object) -> None:
            self.arguments, self.parts = arguments, parts

    class Stand:
        ScalarImage, LabelMap, Subject = (
            type(name, (Recorder,), {}) for name in ("ScalarImage", "LabelMap", "Subject")
        )

    monkeypatch.setitem(sys.modules, "torchio", Stand)  # type: ignore[arg-type]
    anna, bert = (subject.parts for subject in torchio_subjects(dataset))
    assert {name: type(part).__name__ for name, part in anna.items()} == {
        "case": "str",
        "T1": "ScalarImage",
        "T2": "ScalarImage",
        "label": "LabelMap",
    }
    assert anna["T2"].arguments == (str(dataset / "imagesTr/anna_0001.nii.gz"),)
    assert list(bert) == ["case", "T1", "T2"]


def test_what_is_in_the_way_is_a_sentence(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchio", None)
    with pytest.raises(InputError, match=r"TorchIO is not installed\. Install it"):
        torchio_subjects(dataset)
    monkeypatch.setitem(sys.modules, "torchio", object())  # type: ignore[arg-type]
    other = Dataset.create(tmp_path / "other", "other", ["label"], ["tumour"])
    other.write_case("a", np.zeros((1, 2, 2, 2), np.float32), AFFINE)
    with pytest.raises(InputError, match="a channel is called 'label', as a part of every subject is"):
        torchio_subjects(other.root)
