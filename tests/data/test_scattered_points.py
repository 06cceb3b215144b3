"""Points scattered inside objects: how they are chosen, written and read."""

import json

import numpy as np
import pytest

from voxseed.data.annotation_sets import AnnotationSet
from voxseed.data.grids import Grid
from voxseed.data.labels import Labels
from voxseed.data.object_checks import voxel_indices
from voxseed.data.protocols.base import PROTOCOLS, SimulationSettings, generator
from voxseed.data.protocols.scattered_points import farthest_points
from voxseed.errors import InputError

LABELS = Labels({"background": 0, "a": 1, "b": 2})
OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]]) * [-1.0, 1.5, 3.0]
OBLIQUE[:3, 3] = [5, -7, 11]


def label() -> np.ndarray:
    array = np.zeros((20, 16, 12), np.uint8)
    array[2:8, 3:11, 2:9], array[12:14, 4:6, 5:7] = 1, 2
    return array


def simulate(points: int, seed: int = 0):
    settings = SimulationSettings(scattered_points=points, min_object_voxels=1)
    return PROTOCOLS.get("scattered-points")(label(), OBLIQUE, LABELS, generator(seed, "case_1"), settings)


def test_farthest_points_on_a_line():
    places = np.array([[0.0], [1.0], [2.0], [3.0], [10.0]]) * [1, 0, 0]
    # The centre of mass is 3.2: 10 is farthest from it, then 0 from 10, then 3 from both, then 1 or 2.
    assert farthest_points(places, 4).tolist() == [4, 0, 3, 1]
    assert sorted(farthest_points(places, 9).tolist()) == [0, 1, 2, 3, 4]


def test_farthest_points_repeat_no_place_even_if_all_are_one():
    assert sorted(farthest_points(np.ones((3, 3)), 3).tolist()) == [0, 1, 2]


def test_points_are_different_voxels_of_the_object_and_at_most_as_many_as_asked():
    first, second = simulate(50).annotation.points
    for item, count, value in ((first, 50, 1), (second, 4, 2)):  # half of the second one's eight voxels
        voxels = voxel_indices(item.inside_mm, OBLIQUE)
        assert (label()[tuple(voxels.T)] == value).all()
        assert len(np.unique(voxels, axis=0)) == len(voxels) == count
        assert item.outside_mm.shape == (0, 3)


def test_the_seed_decides():
    one, again, other = (simulate(10, seed).annotation.points[0].inside_mm for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_points_are_spread_wider_than_a_random_choice():
    voxels = np.argwhere(label() == 1).astype(float)

    def nearest(chosen):
        distances = np.linalg.norm(chosen[:, None] - chosen, axis=-1) + 99 * np.eye(len(chosen))
        return distances.min(axis=1).mean()

    random = voxels[np.random.default_rng(0).choice(len(voxels), 20, replace=False)]
    assert nearest(voxels[farthest_points(voxels, 20)]) > 1.3 * nearest(random)


@pytest.fixture
def annotation_set(tmp_path) -> AnnotationSet:
    grid = Grid((20, 16, 12), OBLIQUE)
    return AnnotationSet.create(tmp_path / "set", LABELS, "scattered-points", grid_of=lambda case: grid)


def test_what_is_written_is_read_again(annotation_set):
    annotation = simulate(30).annotation
    annotation_set.write("case_1", annotation)
    found = annotation_set.read("case_1")
    assert [(item.class_name, item.outside_mm.shape) for item in found.points] == [("a", (0, 3)), ("b", (0, 3))]
    for ours, theirs in zip(annotation.points, found.points, strict=True):
        np.testing.assert_allclose(ours.inside_mm, theirs.inside_mm, atol=1e-6)


def test_a_point_beside_the_image_is_refused(annotation_set):
    annotation_set.write("case_1", simulate(5).annotation)
    path = annotation_set.path / "case_1" / "a.mrk.json"
    content = json.loads(path.read_text())
    content["markups"][0]["controlPoints"][2]["position"] = [1000.0, 0.0, 0.0]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="lies outside the image of shape"):
        annotation_set.read("case_1")


def test_a_point_with_the_name_of_a_direction_is_refused(annotation_set):
    annotation_set.write("case_1", simulate(5).annotation)
    path = annotation_set.path / "case_1" / "a.mrk.json"
    path.write_text(path.read_text().replace('"label": "inside"', '"label": "left"', 1))
    with pytest.raises(InputError, match=r"a point is labelled 'left', expected points inside the object alone"):
        annotation_set.read("case_1")
