"""The growth shown is the growth trained on, and what is wrong with it is said."""

import base64

import numpy as np
import pytest

from voxseed.data.valid_region import valid_region
from voxseed.data.volumes import Volume, canonical
from voxseed.server.growth import ShownGrowth, growth_warnings
from voxseed.supervision.build import build_supervision
from voxseed.supervision.expansion import ExpansionSettings

CASE = "/api/cases/case_0"


def test_foreground_is_that_of_training(api, data, cubes):
    api.put(f"{CASE}/objects", json=cubes.message())
    answer = api.post(f"{CASE}/growth", json={"class_name": "cube"}).json()
    levels = np.frombuffer(base64.b64decode(answer["levels"]), np.uint8).reshape(answer["shape"], order="F")
    image = data.read_image("case_0")
    supervision = build_supervision(
        data.annotations("page").read("case_0"),
        image,
        data.labels,
        ExpansionSettings(),
        valid_region(image.array),
        "case_0",
    )
    target = canonical(Volume(supervision.target, image.affine)).array
    slices = tuple(slice(low, low + size) for low, size in zip(answer["start"], answer["shape"], strict=True))
    clear = np.abs(levels / 254 - answer["threshold"]) > 1 / 254
    np.testing.assert_array_equal((levels / 254 < answer["threshold"])[clear], (target[slices] == 1)[clear])
    assert (target == 1).sum() == (target[slices] == 1).sum() > 100


def test_growth_needs_a_complete_object(api, cubes):
    assert api.post(f"{CASE}/growth", json={"class_name": "cube"}).status_code == 404
    api.put(f"{CASE}/objects", json=cubes.message("inside"))
    answer = api.post(f"{CASE}/growth", json={"class_name": "cube"})
    assert answer.status_code == 422
    assert "still missing left" in answer.json()["detail"]


def test_warnings_alone_for_another_threshold(api, cubes):
    api.put(f"{CASE}/objects", json=cubes.message())
    ask = {"class_name": "cube", "with_levels": False}
    answers = [api.post(f"{CASE}/growth", json={**ask, "threshold": value}).json() for value in (0, 0.5, 1)]
    assert [answer["levels"] for answer in answers] == ["", "", ""]
    assert "Nothing grew" in answers[0]["warnings"][0]
    assert answers[1]["warnings"] == []
    assert "leaks through the box: left, right, posterior, anterior, inferior, superior" in answers[2]["warnings"][0]


@pytest.mark.parametrize(
    ("start", "leak", "expected"),
    [
        ((1, 1, 1), None, []),
        ((1, 1, 1), np.s_[0], ["left"]),
        ((1, 1, 1), np.s_[:, -1], ["anterior"]),
        ((1, 1, 1), np.s_[:, :, -1], ["superior"]),
    ],
)
def test_a_leak_names_the_face(start, leak, expected):
    ratio = np.ones((8, 8, 8), np.float32)
    ratio[3:5, 3:5, 3:5] = 0
    if leak is not None:
        ratio[leak][2:6, 2:6] = 0
    warnings = growth_warnings(ShownGrowth(start, ratio, np.array([[3, 3, 3]]), (20, 20, 20)), 0.5)
    assert [f"leaks through the box: {name}." in warnings[0] for name in expected] == [True] * len(expected)
    assert len(warnings) == len(expected)


def test_border_of_the_image_is_named():
    ratio = np.ones((8, 8, 8), np.float32)
    ratio[3:5, 3:5, 3:5] = 0
    growth = ShownGrowth((0, 5, 12), ratio, np.array([[3, 3, 3]]), (20, 20, 20))
    assert growth_warnings(growth, 0.5) == ["The box touches the border of the image: left, superior."]


def test_levels_keep_what_is_undefined():
    growth = ShownGrowth((0, 0, 0), np.array([[[0, 0.5, 1, np.nan]]], np.float32), np.zeros((1, 3), int), (4, 4, 4))
    assert growth.levels().ravel().tolist() == [0, 127, 254, 255]
