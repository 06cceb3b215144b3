"""The API of a review, behind the same guard: order, maps in canonical order, verdicts, proposal."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from voxseed.data.datasets import Dataset
from voxseed.data.volumes import Volume, canonical, write_volume
from voxseed.errors import InputError
from voxseed.inference.doubts import Doubt
from voxseed.server.address import is_allowed_host
from voxseed.server.app import create_app
from voxseed.server.guard import Guard
from voxseed.server.page import PageFile
from voxseed.server.workspace import Workspace, set_of_corrections
from voxseed.supervision.expansion import ExpansionSettings
from voxseed.workflows.prediction_inputs import files_status
from voxseed.workflows.prediction_records import PredictionRecord, write_record
from voxseed.workflows.review import Review, ReviewedModel

CASE = "/api/cases/case_0"
LABEL = (3, 5, 2)
"""The voxel of the file that is predicted as `ball`; the others are background."""


@dataclass
class Predicting:
    """In place of the process that predicts."""

    is_running: bool = True
    problem: str = ""


def write_prediction(data: Dataset, out: Path, case: str, dice: float, uncertainty: float | None = 0.25) -> None:
    grid = data.read_grid(case)
    array = np.zeros(grid.shape, np.uint8)
    array[LABEL] = 2
    write_volume(out / f"{case}.nii.gz", Volume(array, grid.affine))
    files = [f"{case}.nii.gz"]
    if uncertainty is not None:
        files.append(f"uncertainty/{case}.nii.gz")
        write_volume(out / files[-1], Volume(uncertainty * array.astype(np.float32), grid.affine))
    origin = {"model": "digest", "uncertainty": uncertainty, **files_status(data.image_paths(case))}
    doubts = (Doubt("ball", "border", "reaches the border"),)
    estimates = {"cube": dice, "ball": dice}
    write_record(out, PredictionRecord(case, origin, tuple(files), (), doubts, estimates, uncertainty, (0.0, 1.0)))


@pytest.fixture
def predicting() -> Predicting:
    return Predicting()


@pytest.fixture
def review(data: Dataset, tmp_path: Path) -> Iterator[Review]:
    model = ReviewedModel(tmp_path / "runs/first", "digest", data.labels, ("MRI",), {})
    review = Review(data, model, tmp_path / "out")
    yield review
    review.close()


@pytest.fixture
def guarded(workspace: Workspace, review: Review, predicting: Predicting, cubes) -> Guard:
    page = {"index.html": PageFile(b"<p>page</p>", "text/html")}
    app = create_app(workspace, page, ExpansionSettings(), reviewed=(review, predicting))
    return Guard(app, cubes.token, lambda header: is_allowed_host(header, "127.0.0.1", 8765), max_body_bytes=100_000)


@pytest.fixture
def open_api(guarded: Guard, cubes) -> Callable[..., TestClient]:
    return lambda **headers: TestClient(guarded, base_url=cubes.origin, headers=headers)


@pytest.fixture
def api(open_api, cubes) -> TestClient:
    return open_api(**{"Authorization": f"Bearer {cubes.token}", "X-Voxseed-Client": "tab-1"})


def prediction_of(api: TestClient, case: str = "case_0") -> str:
    return next(each["prediction"] for each in api.get("/api/review").json()["cases"] if each["name"] == case)


def judge(api: TestClient, verdict: str, prediction: str | None = None) -> int:
    message = {"verdict": verdict, "prediction": prediction or prediction_of(api)}
    return api.put(f"{CASE}/verdict", json=message).status_code


def test_cases_come_worst_first_and_as_they_are_predicted(api, data, review, predicting):
    found = api.get("/api/review").json()
    assert [each["prediction"] for each in found["cases"]] == ["", ""]
    assert (found["run"], found["is_predicting"], found["problem"]) == ("first", True, "")
    write_prediction(data, review.out, "case_0", 0.8)
    write_prediction(data, review.out, "case_1", 0.4, uncertainty=None)
    predicting.is_running, predicting.problem = False, "case_2: no."
    found = api.get("/api/review").json()
    assert [each["name"] for each in found["cases"]] == ["case_1", "case_0"]
    assert (found["is_predicting"], found["problem"]) == (False, "case_2: no.")
    worst = found["cases"][0]
    assert worst["estimate"] == pytest.approx(0.4)
    assert worst["expected_dice"] == {"cube": 0.4, "ball": 0.4}
    assert (worst["verdict"], worst["state"], worst["has_uncertainty"]) == ("undecided", "unannotated", False)
    assert worst["doubts"] == [{"class_name": "ball", "rule": "border", "reason": "reaches the border"}]
    assert api.get("/api/dataset").json()["is_review"] is True


def test_maps_are_in_canonical_order(api, data, review):
    write_prediction(data, review.out, "case_0", 0.8)
    shape = api.get(CASE).json()["shape"]
    marked = np.zeros(data.read_grid("case_0").shape, np.uint8)
    marked[LABEL] = 1
    voxel = tuple(np.argwhere(canonical(Volume(marked, data.read_grid("case_0").affine)).array)[0])
    assert voxel != LABEL
    query = f"?prediction={prediction_of(api)}"
    for kind, value in (("prediction", 2), ("uncertainty", round(0.5 * 255))):
        answer = api.get(f"{CASE}/{kind}{query}")
        values = np.frombuffer(answer.content, np.uint8).reshape(shape, order="F")
        assert values[voxel] == value
        assert np.count_nonzero(values) == 1


def test_what_is_not_there_is_not_found(api, data, review):
    assert api.get(f"{CASE}/prediction?prediction=x").status_code == 404
    write_prediction(data, review.out, "case_0", 0.8, uncertainty=None)
    assert api.get(f"{CASE}/prediction?prediction=x").status_code == 404
    refused = api.get(f"{CASE}/uncertainty?prediction={prediction_of(api)}")
    assert (refused.status_code, "no uncertainty" in refused.json()["detail"]) == (404, True)


@pytest.mark.parametrize("name", ["nobody", "..", "%2e%2e%2fcase_0", "..%2f..%2fetc%2fpasswd", "case_0%2f..%2fcase_1"])
def test_no_name_reaches_another_file(api, name):
    for kind in ("prediction", "uncertainty"):
        assert api.get(f"/api/cases/{name}/{kind}?prediction=x").status_code == 404
    message = {"verdict": "accepted", "prediction": "x"}
    assert api.put(f"/api/cases/{name}/verdict", json=message).status_code in (404, 405)


def test_a_link_to_outside_is_refused(api, data, review, tmp_path):
    write_prediction(data, review.out, "case_0", 0.8)
    (review.out / "case_0.nii.gz").rename(tmp_path / "secret.nii.gz")
    (review.out / "case_0.nii.gz").symlink_to(tmp_path / "secret.nii.gz")
    answer = api.get(f"{CASE}/prediction?prediction={prediction_of(api)}")
    assert (answer.status_code, "lies outside" in answer.json()["detail"]) == (422, True)


def test_a_verdict_is_on_disk_before_the_answer(api, data, review):
    write_prediction(data, review.out, "case_0", 0.8)
    assert judge(api, "accepted") == 200
    said = json.loads((review.out / "verdicts.json").read_text())["verdicts"]
    assert said == {"case_0": {"verdict": "accepted", "prediction": prediction_of(api)}}
    assert judge(api, "undecided") == 200
    assert json.loads((review.out / "verdicts.json").read_text())["verdicts"] == {}


def test_a_verdict_on_another_prediction_is_refused(api, data, review):
    write_prediction(data, review.out, "case_0", 0.8)
    assert judge(api, "accepted", "another") == 404
    assert judge(api, "excellent") == 422
    assert not (review.out / "verdicts.json").exists()


def test_two_tabs_do_not_judge_one_case(api, open_api, cubes, data, review):
    write_prediction(data, review.out, "case_0", 0.8)
    other = open_api(**{"Authorization": f"Bearer {cubes.token}", "X-Voxseed-Client": "tab-2"})
    assert judge(api, "accepted") == 200
    assert judge(other, "flagged") == 409
    other.post(f"{CASE}/claim", json={"client": "tab-2", "take_over": True})
    assert judge(other, "flagged") == 200


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Cookie": "voxseed-8765=the-token"}, 403),
        ({"Cookie": "voxseed-8765=the-token", "Origin": "http://evil.example"}, 403),
        ({"Cookie": "voxseed-8765=the-token", "Host": "evil.example:8765"}, 421),
        ({"Cookie": "voxseed-8765=the-token", "Origin": "http://127.0.0.1:8765"}, 200),
    ],
    ids=str,
)
def test_who_may_judge(open_api, api, data, review, headers, expected):
    write_prediction(data, review.out, "case_0", 0.8)
    prediction = prediction_of(api)
    assert judge(open_api(**{"X-Voxseed-Client": "tab-1", **headers}), "accepted", prediction) == expected


@pytest.mark.parametrize("path", ["/api/review", "/api/review/next", f"{CASE}/prediction", f"{CASE}/uncertainty"])
def test_who_may_look(open_api, path):
    assert open_api().get(path).status_code == 401
    assert open_api(Cookie="voxseed-8765=the-token", Host="evil.example:8765").get(path).status_code == 421


def test_corrections_are_annotations_and_the_next_case_is_another(api, data, review, cubes):
    write_prediction(data, review.out, "case_0", 0.3)
    write_prediction(data, review.out, "case_1", 0.6)
    assert api.get("/api/review/next").json()["case"] == "case_0"
    edit = {"axis": 2, "index": 1, "runs": [[0, 5, 1]]}
    assert api.patch(f"{CASE}/painted", json={"slices": [edit]}).status_code == 200
    assert api.put("/api/cases/case_1/objects", json=cubes.message("inside")).status_code == 200
    found = {each["name"]: each["state"] for each in api.get("/api/review").json()["cases"]}
    assert found == {"case_0": "in progress", "case_1": "in progress"}
    painted = data.annotations("page").read("case_0").painted
    assert painted is not None
    assert (painted.array == 1).sum() == 5
    assert (painted.array == data.labels.with_ignore().ignore_value).sum() == painted.array.size - 5
    proposal = api.get("/api/review/next").json()
    assert (proposal["case"], proposal["reason"]) == (None, "Every case is annotated.")


def test_the_api_is_described(api):
    described = api.get("/api/openapi.json").json()
    assert {"/api/review", "/api/review/next", "/api/cases/{case}/verdict"} <= set(described["paths"])
    answer = described["paths"]["/api/review"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer["$ref"].endswith("/ReviewMessage")


@pytest.mark.parametrize(
    ("sets", "asked", "expected"),
    [((), None, "page"), (("points",), None, "points"), (("page", "points"), None, "page"), (("points",), "x", "x")],
)
def test_corrections_go_where_the_annotations_are(tmp_path, sets, asked, expected):
    data = Dataset.create(tmp_path / "data", "Cubes", ["MRI"], ["cube"])
    for name in sets:
        (data.root / "annotations" / name).mkdir(parents=True)
        (data.root / "annotations" / name / "annotations.json").touch()
    assert set_of_corrections(data, asked) == expected


def test_of_several_sets_one_must_be_chosen(tmp_path):
    data = Dataset.create(tmp_path / "data", "Cubes", ["MRI"], ["cube"])
    for name in ("box", "points"):
        (data.root / "annotations" / name).mkdir(parents=True)
        (data.root / "annotations" / name / "annotations.json").touch()
    with pytest.raises(InputError, match=r"choose the one for corrections of box, points with --annotations"):
        set_of_corrections(data, None)
