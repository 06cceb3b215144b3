"""What a review knows: which predictions are of this model and these images, in which order, and what was said."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from voxseed.data.datasets import Dataset
from voxseed.data.labels import Labels
from voxseed.data.volumes import Volume, write_volume
from voxseed.errors import InputError
from voxseed.inference import predictor
from voxseed.inference.doubts import Doubt
from voxseed.workflows.prediction_inputs import files_status
from voxseed.workflows.prediction_records import PredictionRecord, write_record
from voxseed.workflows.review import NotPredictedError, Review, ReviewedModel, review_folder
from voxseed.workflows.verdicts import Verdict

AFFINE = np.diag([1.0, 2.0, 3.0, 1.0])
SHAPE = (4, 3, 2)
MODEL = ReviewedModel(Path("runs/first"), "digest", Labels({"background": 0, "cyst": 1, "kidney": 4}), ("CT",), {})

Predicted = Callable[..., PredictionRecord]


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """Three cases; the classes in another order than the model has them."""
    data = Dataset.create(tmp_path / "data", "Kidneys", ["CT"], ["kidney", "cyst"])
    for name in ("anna", "bert", "carl"):
        data.write_case(name, np.zeros((1, *SHAPE), np.float32), AFFINE)
    return data


@pytest.fixture
def review(data: Dataset, tmp_path: Path) -> Iterator[Review]:
    review = Review(data, MODEL, tmp_path / "out")
    yield review
    review.close()


@pytest.fixture
def predicted(data: Dataset, tmp_path: Path) -> Predicted:
    """Write a prediction: class 1 at the first voxel, class 4 at the second."""

    def write(case: str, dice: float = 0.5, model: str = "digest", uncertainty: bool = True) -> PredictionRecord:
        out = tmp_path / "out"
        array = np.zeros(SHAPE, np.uint8)
        array[:2, 0, 0] = 1, 4
        write_volume(out / f"{case}.nii.gz", Volume(array, AFFINE))
        files = [f"{case}.nii.gz"]
        if uncertainty:
            files.append(f"uncertainty/{case}.nii.gz")
            write_volume(out / files[-1], Volume(np.full(SHAPE, 0.25, np.float32), AFFINE))
        origin = {"model": model, "uncertainty": uncertainty, **files_status(data.image_paths(case))}
        record = PredictionRecord(
            case,
            origin,
            tuple(files),
            (),
            (Doubt("cyst", "parts", "2 parts"),),
            {"cyst": dice, "kidney": dice},
            0.1,
        )
        write_record(out, record)
        return record

    return write


def test_worst_first_and_what_is_not_predicted_last(review: Review, predicted: Predicted) -> None:
    predicted("anna", 0.9)
    predicted("carl", 0.3)
    assert [(each.case, each.record is not None) for each in review.cases()] == [
        ("carl", True),
        ("anna", True),
        ("bert", False),
    ]
    assert review.missing() == list(review.data.image_paths("bert"))
    predicted("carl", 0.95)  # written again while it is shown
    assert [each.case for each in review.cases()] == ["anna", "carl", "bert"]


@pytest.mark.parametrize("how", ["model", "image", "map", "record"])
def test_another_model_or_image_or_a_missing_file_is_no_prediction(
    review: Review, predicted: Predicted, how: str
) -> None:
    predicted("anna", model="another" if how == "model" else "digest")
    if how == "image":
        os.utime(review.data.image_paths("anna")[0], ns=(1, 1))
    if how == "map":
        (review.out / "anna.nii.gz").unlink()
    if how == "record":
        (review.out / "records/anna.json").unlink()
    assert review.case("anna").record is None
    assert review.case("anna").prediction == ""
    assert len(review.missing()) == 3


def test_maps_have_the_class_indices_of_the_dataset(review: Review, predicted: Predicted) -> None:
    predicted("anna")
    prediction = review.case("anna").prediction
    labels = review.labels("anna", prediction)
    assert labels.array[:3, 0, 0].tolist() == [2, 1, 0]  # cyst, kidney, background
    np.testing.assert_allclose(labels.affine, AFFINE)
    assert (review.uncertainty("anna", prediction).array == 0.25).all()


def test_a_verdict_is_on_the_prediction_that_was_seen(review: Review, predicted: Predicted) -> None:
    predicted("anna")
    seen = review.case("anna").prediction
    review.say("anna", seen, Verdict.ACCEPTED)
    assert review.case("anna").verdict == Verdict.ACCEPTED
    predicted("anna", uncertainty=False)  # with other options: another prediction
    assert review.case("anna").prediction != seen
    assert review.case("anna").verdict == Verdict.UNDECIDED
    with pytest.raises(NotPredictedError, match=r"anna: predicted anew meanwhile"):
        review.say("anna", seen, Verdict.FLAGGED)
    with pytest.raises(NotPredictedError, match=r"bert: not predicted yet"):
        review.say("bert", seen, Verdict.FLAGGED)


def test_cases_with_the_same_files_have_predictions_of_their_own(review: Review, predicted: Predicted) -> None:
    for case in ("anna", "bert"):
        os.utime(review.data.image_paths(case)[0], ns=(5, 5))
        predicted(case)
    assert review.case("anna").prediction != review.case("bert").prediction


def test_without_an_uncertainty(review: Review, predicted: Predicted) -> None:
    predicted("anna", uncertainty=False)
    each = review.case("anna")
    assert not each.has_uncertainty
    with pytest.raises(NotPredictedError, match="has no uncertainty"):
        review.uncertainty("anna", each.prediction)


def test_a_file_outside_the_folder_is_not_read(review: Review, predicted: Predicted, tmp_path: Path) -> None:
    predicted("anna")
    (review.out / "anna.nii.gz").rename(tmp_path / "elsewhere.nii.gz")
    (review.out / "anna.nii.gz").symlink_to(tmp_path / "elsewhere.nii.gz")
    with pytest.raises(InputError, match=r"anna\.nii\.gz: lies outside"):
        review.labels("anna", review.case("anna").prediction)


def test_a_class_that_the_dataset_does_not_have(data: Dataset, tmp_path: Path) -> None:
    model = replace(MODEL, labels=Labels({"background": 0, "tumour": 1}))
    with pytest.raises(InputError, match=r"has no class 'tumour', which the model of runs/first predicts"):
        Review(data, model, tmp_path / "out")


def test_other_channels(data: Dataset, tmp_path: Path) -> None:
    model = replace(MODEL, channels=("T1", "T2"))
    with pytest.raises(InputError, match=r"has the channels CT; the model of runs/first was trained on T1, T2"):
        Review(data, model, tmp_path / "out")


def test_the_next_case_is_one_without_annotation(review: Review, predicted: Predicted) -> None:
    assert review.next_to_annotate(["anna", "bert", "carl"]).reason == "Every case is annotated."
    assert review.next_to_annotate(["anna"]).reason == "No case without annotation is predicted yet."
    for case, dice in (("anna", 0.9), ("bert", 0.1), ("carl", 0.5)):
        predicted(case, dice)
    assert review.next_to_annotate([]).case == "bert"  # the lowest expected Dice
    assert review.next_to_annotate(["bert"]).case == "carl"


@pytest.mark.parametrize(
    ("members", "is_random", "expected"),
    [
        (("primary",), False, {}),  # one opinion
        (("primary",), True, {"uncertainty": True, "samples": 6}),
        (("primary", "auxiliary"), False, {"uncertainty": True}),
        (("primary", "auxiliary"), True, {"uncertainty": True}),
    ],
)
def test_an_uncertainty_is_asked_of_several_opinions(
    monkeypatch: pytest.MonkeyPatch, members: tuple[str, ...], is_random: bool, expected: dict[str, object]
) -> None:
    description = SimpleNamespace(preprocessing=SimpleNamespace(channel_names=("CT",)))
    model = SimpleNamespace(networks=dict.fromkeys(members), labels=MODEL.labels, description=description)
    monkeypatch.setattr(predictor, "model_digest", lambda run: "digest")
    monkeypatch.setattr(
        predictor.Predictor, "load", lambda run, device: SimpleNamespace(model=model, is_random=is_random)
    )
    assert ReviewedModel.load(MODEL.run, "cpu") == replace(MODEL, options={**expected, "device": "cpu"})


def test_predictions_lie_beside_the_run(data: Dataset, tmp_path: Path) -> None:
    assert review_folder(tmp_path / "runs/first", data) == tmp_path / "runs/first-review/data"


def test_each_record_is_read_once(tmp_path: Path, file_accesses: Callable[..., Counter[str]]) -> None:
    data = Dataset.create(tmp_path / "many", "Many", ["CT"], ["kidney", "cyst"])
    (data.root / "imagesTr").mkdir()
    for number in range(20):
        (data.root / "imagesTr" / f"case_{number:04d}_0000.nii.gz").touch()
    data = Dataset.open(data.root)
    out = tmp_path / "out"
    for number, case in enumerate(data.cases):
        origin = {"model": "digest", **files_status(data.image_paths(case))}
        write_record(out, PredictionRecord(case, origin, (f"{case}.nii.gz",), (), (), {"kidney": 1 - number / 20}))
        (out / f"{case}.nii.gz").touch()
    review = Review(data, MODEL, out)
    assert file_accesses(review.cases)["open"] == 20
    assert file_accesses(review.cases)["open"] == 0
    assert [each.case for each in review.cases()] == list(reversed(data.cases))
    review.close()
