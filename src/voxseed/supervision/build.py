"""From what a person gave for a case to what a network learns from."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from voxseed.data.annotation_sets import DENSE, NOISY_DENSE
from voxseed.data.annotations import EXTREME_POINTS, SCATTERED_POINTS, CaseAnnotation, ObjectBox, ObjectPoints
from voxseed.data.grids import Grid, OnGrid, same_grid
from voxseed.data.labels import Labels
from voxseed.data.markups import object_name
from voxseed.data.object_checks import voxel_indices
from voxseed.data.volumes import Image, Volume
from voxseed.errors import InputError, ShapeError
from voxseed.supervision.boxes import VoxelBox, box_of_object, box_of_points
from voxseed.supervision.expansion import ExpansionSettings, grow_object
from voxseed.supervision.kinds import GrownObject, Supervision, SupervisionKind
from voxseed.supervision.probabilities import hard_target, probability_maps
from voxseed.types import BACKGROUND, IGNORE, BoolArray, LabelArray, Shape3


def build_supervision(
    annotation: CaseAnnotation,
    image: Image,
    labels: Labels,
    settings: ExpansionSettings,
    valid: BoolArray,
    case: str,
    kind: SupervisionKind = SupervisionKind.PARTIAL,
) -> Supervision:
    """Build the target of one case from its annotation.

    Objects given by points are grown, objects given by boxes leave their box unlabelled; so do all where the kind is
    BOXES, whatever their points say. A voxel is background where every object whose box holds it says so: outside all
    boxes, or, growing from both sides, beyond the background threshold of each. Where foregrounds meet, the object with
    the smaller ratio wins. Voxels that are not valid are background. Where nothing is said of a class, neither by an
    object nor as absent, it may be anywhere, and nothing else is known to be background. What is painted is taken as it
    is, above everything else. A map of the protocol noisy-dense is not trusted: neither what it says nor which classes
    it lacks is certain.

    Of the kind PROBABILITY there are probability maps (see `probability_maps`), and every voxel of the target has the
    most probable class. Scattered points have such a target for every kind, because they leave nothing unlabelled.

    Args:
        annotation: of the case.
        image: of the case.
        labels: of the dataset, with or without `ignore`.
        settings: how points are grown.
        valid: (I, J, K), the valid region of the image.
        case: its name, for messages.
        kind: PARTIAL, SLICES, BOXES or PROBABILITY.

    Raises:
        InputError: if an inside point lies outside the image, its object's box, or the valid region; if the outside
            points span no box; if a box lies outside the image; if the painted map lies on another grid; or
            if nothing there gives a probability, or says nothing of a class, where probabilities are needed.
        ShapeError: if image and valid do not fit each other.
    """
    if valid.shape != image.shape:
        raise ShapeError(f"Expected a valid region of shape {image.shape}, found {valid.shape}.")
    is_scattered = annotation.protocol == SCATTERED_POINTS and len(annotation.points) > 0
    if kind is SupervisionKind.PROBABILITY or is_scattered:
        return _probable(annotation, image, labels, settings, valid, case, kind)
    if annotation.protocol in (DENSE, NOISY_DENSE) and annotation.painted is not None:
        _require_same_grid(annotation.painted, image, case)
        supervision = dense_supervision(annotation.painted, labels.with_ignore())
        return supervision if annotation.protocol == DENSE else replace(supervision, absent=frozenset(), trusted=False)
    if kind is SupervisionKind.BOXES:
        objects = [_boxed_points(item, annotation.protocol, image, labels, case) for item in annotation.points]
    else:
        objects = [
            grow_points(item, annotation.protocol, image, labels, settings, valid, case) for item in annotation.points
        ]
    objects += [_boxed(item, image, labels, case) for item in annotation.boxes]
    absent = frozenset(labels.class_index(name) for name in annotation.absent)
    target = _together(objects, image.shape, settings)
    unmentioned = annotation.unmentioned(labels.foreground)
    if unmentioned:
        target[target == BACKGROUND] = IGNORE
    if objects or not unmentioned:
        target[~valid] = BACKGROUND
    painted = None
    if annotation.painted is not None:
        _require_same_grid(annotation.painted, image, case)
        painted = _painted(annotation.painted, labels, case)
        target = np.where(painted == IGNORE, target, painted)
    grown = tuple(GrownObject(item.class_index, item.box.start, item.box.stop) for item in objects)
    return Supervision(kind, target, image.affine, grown, absent, painted=painted)


def _probable(
    annotation: CaseAnnotation,
    image: Image,
    labels: Labels,
    settings: ExpansionSettings,
    valid: BoolArray,
    case: str,
    kind: SupervisionKind,
) -> Supervision:
    """Probability maps and the target that follows from them; points with outside points grow from both sides."""
    two_sided = settings.model_copy(update={"growth": "two-sided"})
    with_box = [item for item in annotation.points if len(item.outside_mm)]
    grown = [grow_points(item, annotation.protocol, image, labels, two_sided, valid, case) for item in with_box]
    painted = None
    if annotation.painted is not None:
        _require_same_grid(annotation.painted, image, case)
        painted = _painted(annotation.painted, labels, case)
    grid = Grid(image.shape, image.affine)
    maps = probability_maps(annotation, grown, painted, grid, labels, settings.probability, case)
    unmentioned = annotation.unmentioned(labels.foreground)
    if unmentioned and painted is None:
        raise InputError(
            f"Case {case}: nothing says where {unmentioned[0]!r} is, and probabilities are of every class everywhere. "
            "Annotate it, or list it as absent in annotations.json."
        )
    maps[:, ~valid if painted is None else ~valid & (painted == IGNORE)] = 0
    objects = tuple(GrownObject(item.class_index, item.box.start, item.box.stop) for item in grown)
    absent = frozenset(labels.class_index(name) for name in annotation.absent)
    kept = maps if kind is SupervisionKind.PROBABILITY else None
    supervision = Supervision(kind, hard_target(maps), image.affine, objects, absent, probabilities=kept)
    is_noisy = annotation.protocol == NOISY_DENSE
    return replace(supervision, absent=frozenset(), trusted=False) if is_noisy else supervision


def dense_supervision(label: Volume, labels: Labels) -> Supervision:
    """Supervision by a dense label: every voxel is annotated, unless the map itself has `ignore`.

    Args:
        label: in the values of `labels`.
        labels: of the dataset.

    Raises:
        InputError: if a value is not in the table.
    """
    target = labels.to_class_indices(label.array)
    found = {int(index) for index in np.unique(target)}
    is_complete = IGNORE not in found  # else a class that was not found may be where nobody looked
    absent = frozenset(range(1, labels.class_count)) - found if is_complete else frozenset()
    return Supervision(SupervisionKind.DENSE, target, label.affine, (), absent)


def object_boxes(annotation: CaseAnnotation, grid: OnGrid) -> list[tuple[Shape3, Shape3]]:
    """Voxel boxes, start and stop, of the objects that are annotated by points or boxes."""
    faces_inside = annotation.protocol == EXTREME_POINTS
    boxes = [
        box_of_points(voxel_indices(points.outside_mm, grid.affine), grid.shape, faces_inside)
        if len(points.outside_mm)
        else box_of_points(voxel_indices(points.inside_mm, grid.affine), grid.shape, faces_inside=True)
        for points in annotation.points
    ]
    boxes += [box_of_object(item, grid.affine, grid.shape) for item in annotation.boxes]
    return [(box.start, box.stop) for box in boxes if not box.is_empty]


@dataclass(frozen=True)
class Growth:
    """One object on the voxel grid.

    Attributes:
        class_index: 1..C-1.
        box: the voxels that the object may have.
        ratio: of `grow_object`, in the shape of `box`; None where nothing is known in the box.
    """

    class_index: int
    box: VoxelBox
    ratio: NDArray[np.float32] | None


def grow_points(
    points: ObjectPoints,
    protocol: str,
    image: Image,
    labels: Labels,
    settings: ExpansionSettings,
    valid: BoolArray,
    case: str,
) -> Growth:
    """Grow one object that is given by points.

    Args:
        points: the object.
        protocol: of the annotation set.
        image, labels, settings, valid, case: as in `build_supervision`.

    Raises:
        InputError: as `build_supervision`.
    """
    inside, outside = voxel_indices(points.inside_mm, image.affine), voxel_indices(points.outside_mm, image.affine)
    on_object = protocol == EXTREME_POINTS
    box = box_of_points(outside, image.shape, faces_inside=on_object)
    _require_inside(inside, box, valid, f"Case {case}, {object_name(points.class_name, points.object_number)}")
    known_outside = outside[:0] if on_object else outside
    ratio = grow_object(image.array, valid, image.spacing_mm, box, inside, known_outside, settings, on_object)
    return Growth(labels.class_index(points.class_name), box, ratio)


def _boxed_points(item: ObjectPoints, protocol: str, image: Image, labels: Labels, case: str) -> Growth:
    """The box that the outside points span, and nothing about what is in it."""
    outside = voxel_indices(item.outside_mm, image.affine)
    box = box_of_points(outside, image.shape, faces_inside=protocol == EXTREME_POINTS)
    _require_room(box, f"Case {case}, {object_name(item.class_name, item.object_number)}")
    return Growth(labels.class_index(item.class_name), box, None)


def _boxed(item: ObjectBox, image: Image, labels: Labels, case: str) -> Growth:
    box = box_of_object(item, image.affine, image.shape)
    if box.is_empty:
        raise InputError(
            f"Case {case}: the box of {object_name(item.class_name, item.object_number)} holds no voxel of the image, "
            f"shape {image.shape}. Move it onto the object."
        )
    return Growth(labels.class_index(item.class_name), box, None)


def _require_room(box: VoxelBox, origin: str) -> None:
    if box.is_empty:
        raise InputError(
            f"{origin}: no voxel lies between the outside points, box {box.start} to {box.stop}. "
            "Place each beyond the object in its own direction."
        )


def _require_inside(inside: LabelArray, box: VoxelBox, valid: BoolArray, origin: str) -> None:
    _require_room(box, origin)
    for voxel, in_box in zip(inside, box.contains(inside), strict=True):
        if not VoxelBox((0, 0, 0), valid.shape).contains(voxel[None])[0]:
            raise InputError(
                f"{origin}: inside point at voxel {voxel.tolist()} lies outside the image of shape {valid.shape}. "
                "Move it into the object."
            )
        if not in_box:
            raise InputError(
                f"{origin}: inside point at voxel {voxel.tolist()} lies outside its box, voxels {list(box.start)} "
                f"up to but not including {list(box.stop)}. Move it into the object, or the outside points beyond it."
            )
    if not valid[tuple(inside.T)].any():
        raise InputError(
            f"{origin}: no inside point lies in the valid region, voxel {inside[0].tolist()} is constant background. "
            "Move the point into the object."
        )


def _together(objects: list[Growth], shape: tuple[int, int, int], settings: ExpansionSettings) -> LabelArray:
    """(I, J, K) uint8: what all objects say about each voxel."""
    target = np.full(shape, IGNORE, dtype=np.uint8)
    smallest = np.full(shape, np.inf, dtype=np.float32)
    doubtful = np.zeros(shape, dtype=bool)
    for item in objects:
        inside = item.box.slices
        if item.ratio is None:
            doubtful[inside] = True
            continue
        doubtful[inside] |= ~(item.ratio > settings.background_limit)  # also where the ratio is undefined
        wins = (item.ratio < settings.foreground_limit) & (item.ratio < smallest[inside])
        target[inside][wins] = item.class_index
        smallest[inside][wins] = item.ratio[wins]
    target[~doubtful] = BACKGROUND
    return target


def _painted(painted: Volume, labels: Labels, case: str) -> LabelArray:
    return labels.with_ignore().to_class_indices(painted.array, f"Case {case}, painted map")


def _require_same_grid(painted: Volume, image: Image, case: str) -> None:
    if not same_grid(painted, image):
        raise InputError(
            f"Case {case}: the painted map, shape {painted.shape}, does not lie on the voxels of the image, "
            f"shape {image.shape}. Resample it onto the image with nearest neighbour."
        )
