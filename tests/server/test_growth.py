"""The growth shown is the growth trained on, and what is wrong with it is said."""

import base64

import numpy as np
import pytest

from voxseed.data.grids import Grid
from voxseed.data.labels import Labels
from voxseed.data.valid_region import valid_region
from voxseed.data.volumes import Image, Volume, canonical
from voxseed.server.growth import ShownGrowth, grow_shown, growth_warnings, preview_steps
from voxseed.server.objects import PlacedObject
from voxseed.server.volumes import PreparedImage
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


@pytest.mark.parametrize(
    ("extents", "expected"), [((64, 64, 64), (1, 1, 1)), ((130, 130, 130), (2, 2, 2)), ((300, 300, 8), (2, 2, 1))]
)
def test_only_long_axes_of_large_boxes_are_thinned(extents, expected):
    corners = np.array([[0, 0, 0], np.subtract(extents, 1)], float)
    item = PlacedObject("ball", 1, ("left", "right"), corners)
    assert preview_steps(item, Grid((400, 400, 400), np.eye(4))) == expected


def test_a_preview_lies_where_the_growth_does():
    """A ball off the middle, on flipped axes: nine tenths of the preview's foreground are the exact one's."""
    grid = np.stack(np.meshgrid(*[np.arange(size) for size in (41, 38, 36)], indexing="ij"))
    ball = ((grid - np.reshape([22, 18, 15], (3, 1, 1, 1))) ** 2).sum(axis=0) < 100
    affine = np.diag([-1.0, 1.0, -1.0, 1.0])
    image = PreparedImage(Image(100 * ball[None].astype(np.float32), affine), np.ones(ball.shape, bool))
    voxels = {
        "inside": (22, 18, 15),
        "left": (36, 18, 15),
        "right": (8, 18, 15),
        "posterior": (22, 4, 15),
        "anterior": (22, 32, 15),
        "inferior": (22, 18, 29),
        "superior": (22, 18, 1),
    }
    item = PlacedObject("ball", 1, tuple(voxels), np.array(list(voxels.values())) @ affine[:3, :3].T)
    masks = []
    for steps in ((1, 1, 1), (2, 2, 2)):
        grown = grow_shown(item, image, Labels.of_foreground(["ball"]), ExpansionSettings(), "points", "a", steps)
        mask = np.zeros(ball.shape, bool)
        slices = tuple(slice(low, low + size) for low, size in zip(grown.start, grown.ratio.shape, strict=True))
        mask[slices] = grown.ratio < 0.55
        masks.append(mask)
    exact, preview = masks
    np.testing.assert_array_equal(exact, canonical(Volume(ball, affine)).array)
    assert 2 * (exact & preview).sum() / (exact.sum() + preview.sum()) > 0.9
