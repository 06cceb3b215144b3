import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxseed.data.point_roles import DIRECTIONS, along_patient_axes, direction_labels, split_by_role
from voxseed.errors import InputError

# Six points beyond an object that reaches from 40 to 60 along every axis: left, right, posterior, …
OUTSIDE = np.array([[35, 50, 50], [65, 50, 50], [50, 35, 50], [50, 65, 50], [50, 50, 35], [50, 50, 65]], float)
CENTRE = [[50.0, 50, 50]]
UNNAMED = ["F-1", "F-2", "F-3", "F-4", "F-5", "F-6", "F-7", "F-8", "F-9"]
ROTATED = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.4, 0.3, -0.5) @ np.diag([0.5, -2.0, 3.0]), [9, -8, 7])


def split(points, labels=None, affine=None):
    points = np.array(points, dtype=float)
    affine = np.eye(4) if affine is None else affine
    return split_by_role(labels or UNNAMED[: len(points)], points, affine, "tumour.mrk.json")


def as_set(points):
    return {tuple(np.round(point, 9)) for point in points}


@pytest.mark.parametrize(
    "inside",
    [
        CENTRE,
        [[41.0, 41, 41], [59, 59, 59]],
        [[50.0, 50, 50], [51, 50, 50], [50, 50, 51]],
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_positions_tell_inside_from_outside_in_any_order(inside, seed):
    points = np.random.default_rng(seed).permutation(np.concatenate([inside, OUTSIDE]))
    found_inside, found_outside = split(points)
    assert as_set(found_inside) == as_set(np.array(inside))
    assert as_set(found_outside) == as_set(OUTSIDE)


def test_positions_are_compared_along_the_axes_of_the_image():
    points = nib.affines.apply_affine(ROTATED, np.concatenate([CENTRE, OUTSIDE]))
    inside, _ = split(points, affine=ROTATED)
    assert as_set(inside) == as_set(points[:1])


def test_a_point_that_is_extreme_twice_leaves_an_answer_where_only_one_fits():
    # The left point is the most anterior one too. The anterior point is within the box of all, but beyond the inside.
    outside = OUTSIDE.copy()
    outside[0] = [35, 66, 50]
    inside, found_outside = split(np.concatenate([[[50, 45, 50]], outside]))
    assert as_set(inside) == {(50, 45, 50)}
    assert as_set(found_outside) == as_set(outside)


def test_positions_that_fit_two_answers_are_refused():
    # The left point is the most anterior one too, and of the two points within the box either may be the missing one:
    # P lies further left (so the left one counts as anterior), Q further anterior (so the left one is the left one).
    points = np.concatenate([[[45, 50, 50], [55, 55, 50]], OUTSIDE[[1, 2, 4, 5]], [[35, 65, 50]]])
    with pytest.raises(InputError, match=r"tumour\.mrk\.json: positions alone do not tell .* Label the points"):
        split(points)


@st.composite
def annotations(draw):
    """(inside, outside): each outside point is beyond the object in its direction, and near it in the others."""
    whole = st.integers(-20, 20)
    inside = draw(st.lists(st.tuples(whole, whole, whole), min_size=1, max_size=4))
    inside = np.array(inside, dtype=float)
    low, high = inside.min(axis=0) - draw(st.integers(0, 3)), inside.max(axis=0) + draw(st.integers(0, 3))
    reach = draw(st.integers(0, 6))
    outside = []
    for axis in range(3):
        for end, sign in ((low, -1), (high, 1)):
            point = [float(draw(st.integers(int(low[i]) - reach, int(high[i]) + reach))) for i in range(3)]
            point[axis] = end[axis] + sign * draw(st.integers(1, 5))
            outside.append(point)
    return inside, np.array(outside)


@given(annotations(), st.randoms(use_true_random=False))
def test_no_annotation_is_ever_split_wrongly(annotation, random):
    inside, outside = annotation
    points = [*inside, *outside]
    random.shuffle(points)
    try:
        found_inside, found_outside = split(points, labels=[""] * len(points))
    except InputError as error:
        found_inside, found_outside = inside, outside
        on_box = (np.isclose(points, np.min(points, axis=0)) | np.isclose(points, np.max(points, axis=0))).any(axis=1)
        assert on_box.sum() < 6, error  # noqa: PT017
    assert as_set(found_inside) == as_set(inside)
    assert as_set(found_outside) == as_set(outside)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (OUTSIDE[:3], "3 points, expected six outside"),
        (OUTSIDE, "6 points, expected six outside the object, one in each direction, and at least one inside"),
        (np.concatenate([OUTSIDE, [[35, 35, 35]]]), "no point lies inside the box of the others"),
        # Two points on opposite corners span the box, the others are all on one side of each other.
        (
            [[0, 0, 0], [10, 10, 10], [5, 5, 5], [5, 5, 5], [5, 5, 5], [5, 5, 5], [5, 5, 5]],
            "expected six points outside the object, one beyond it in each direction",
        ),
    ],
)
def test_positions_that_fit_no_answer_are_refused(points, message):
    with pytest.raises(InputError, match=rf"tumour\.mrk\.json: .*{message}"):
        split(points)


@pytest.mark.parametrize(
    "labels",
    [
        ["inside", *DIRECTIONS],
        ["Inside-1", "LEFT", "Right", "posterior 2", "anterior_1", "inferior", "superior"],
    ],
)
def test_labels_decide_where_all_are_known(labels):
    # By position the first would be outside, since it lies on the box.
    points = np.concatenate([[[35, 50, 50]], OUTSIDE])
    inside, outside = split(points, labels=labels)
    assert as_set(inside) == {(35, 50, 50)}
    assert len(outside) == 6


def test_labels_of_which_one_is_no_role_leave_it_to_positions():
    inside, _ = split(np.concatenate([OUTSIDE, CENTRE]), labels=["inside", *["left"] * 5, "F-7"])
    assert as_set(inside) == as_set(np.array(CENTRE))


@pytest.mark.parametrize("missing", ["inside", *DIRECTIONS])
def test_a_role_that_no_label_names_is_asked_for(missing):
    labels = [role for role in ("inside", *DIRECTIONS) if role != missing]
    with pytest.raises(InputError, match=rf"tumour\.mrk\.json: no point labelled {missing};"):
        split(OUTSIDE, labels=labels)


@pytest.mark.parametrize("affine", [np.eye(4), np.diag([-1.0, -1, 1, 1]), np.diag([-2.0, 0.5, -3, 1])[[1, 2, 0, 3]]])
def test_directions_are_named_after_the_patient_whatever_the_order_of_voxels(affine):
    order = [3, 0, 5, 1, 4, 2]
    assert direction_labels(OUTSIDE[order], affine) == [DIRECTIONS[number] for number in order]


def test_directions_of_an_oblique_image_are_those_of_the_nearest_voxel_axes():
    affine = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.5, 0.3, 0.4))
    assert direction_labels(nib.affines.apply_affine(affine, OUTSIDE), affine) == list(DIRECTIONS)


def test_every_direction_is_named_once_even_where_one_point_is_extreme_twice():
    outside = OUTSIDE.copy()
    outside[0] = [35, 66, 50]
    assert direction_labels(outside, np.eye(4)) == list(DIRECTIONS)


def test_more_than_six_outside_points_are_named_too():
    labels = direction_labels(np.concatenate([OUTSIDE, [[34, 50, 50]]]), np.eye(4))
    assert sorted(labels) == sorted([*DIRECTIONS, "left"])


def test_patient_axes_of_a_turned_image_count_voxels_to_the_right_anterior_and_superior():
    affine = np.array([[0, 0, 2.0, 0], [-3, 0, 0, 0], [0, 4, 0, 0], [0, 0, 0, 1]])  # voxels run P, S, R
    np.testing.assert_allclose(along_patient_axes(np.array([[2.0, 3, 4]]), affine), [[1, 1, 1]])
