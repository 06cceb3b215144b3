"""What a run will do, decided from the data and the device before anything long starts."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from voxseed.data.cache import estimated_bytes
from voxseed.data.planes import PLANES, Plane
from voxseed.data.preprocessing import Box, Preprocessing
from voxseed.devices import available_cores
from voxseed.errors import InputError
from voxseed.methods.base import METHODS
from voxseed.methods.recipes import Recipe
from voxseed.networks.factory import (
    checked_arguments,
    default_arguments,
    required_divisor,
    slicewise_arguments,
)
from voxseed.supervision.build import object_boxes
from voxseed.supervision.kinds import SupervisionKind
from voxseed.training.job import Job
from voxseed.training.plan import Networks, Plan, PlannedStage
from voxseed.training.planes import planes_of, require_same_planes
from voxseed.training.settings import RunSettings
from voxseed.training.stages import whole_epochs
from voxseed.training.starts import preprocessing_of
from voxseed.training.step_time import measured_seconds_per_iteration
from voxseed.training.unused import unused
from voxseed.types import Shape3, Spacing

PATCH_VOXELS = {"cpu": 96 * 80 * 48, "cuda": 128**3}
ITERATIONS = {"cpu": 800, "cuda": 10_000}
_MOST_WORKERS = 8
THICK_SLICE_RATIO = 3.0
"""Spacing through slices over spacing within, from which unet2.5d is the default."""


def fit_preprocessing(job: Job) -> Preprocessing:
    """Decide the working grid and the intensities' scale on the training cases, or keep what networks were trained on.

    Raises:
        InputError: if the networks to start from were not trained alike, or on another grid or scale than is asked for.
    """
    if job.starts:
        return preprocessing_of(job.starts, job.settings.preprocessing)
    return Preprocessing.fit(job.dataset, job.train_cases, job.settings.preprocessing, _annotated_boxes(job))


def _annotated_boxes(job: Job) -> dict[str, list[Box]]:
    """Where the annotated objects are, for intensities that are scaled by what is around them."""
    if job.annotations is None:
        return {}
    return {case: object_boxes(job.annotations.read(case), job.dataset.read_grid(case)) for case in job.train_cases}


def make_plan(job: Job, preprocessing: Preprocessing) -> Plan:
    """Decide everything that is left to decide, and measure how long an iteration takes.

    Raises:
        UnknownNameError: if a network is not registered.
        InputError: if the patch is too small for a network.
    """
    settings, data = job.settings, job.dataset
    shapes = [preprocessing.working_shape(data.read_grid(case)) for case in job.train_cases]
    val_shapes = [preprocessing.working_shape(data.read_grid(case)) for case in job.val_cases]
    planes = planes_of(job)
    stages = plan_stages(job.recipe, settings, job.device, planes)
    members = tuple(dict.fromkeys(member for stage in stages for member in stage.members))
    wanted = settings.training.patch_shape
    patch = plan_patch(_median_shape(shapes), PATCH_VOXELS[job.device]) if wanted == "auto" else wanted
    networks = plan_networks(settings, members, preprocessing.spacing_mm, patch, architectures_of(stages))
    require_same_planes(job.starts, planes)
    networks |= {member: start.arguments for member, start in job.starts.items() if member in networks}
    patch = rounded_patch(patch, networks)
    channels, classes = len(data.channel_names), data.labels.class_count
    return Plan(
        dataset=data.name,
        annotations=job.annotations.name if job.annotations else "dense labels",
        recipe=job.recipe.name,
        train_cases=len(job.train_cases),
        val_cases=len(job.val_cases),
        classes=data.labels.foreground,
        preprocessing=preprocessing,
        patch_shape=patch,
        networks=networks,
        stages=stages,
        device=job.device,
        devices=job.devices,
        precision=job.precision,
        workers=_workers(settings, job.device),
        seconds_per_iteration=measured_seconds_per_iteration(
            networks, channels, classes, patch, settings.training.batch_size, job.device, job.precision
        ),
        cache_bytes=estimated_bytes([*shapes, *val_shapes], 4 * channels + 2 + _map_bytes(job, classes)),
        cache=job.cache.folder,
        oracles=job.oracles,
        planes=planes,
        unused=unused(job),
        extra_terms=settings.extra_terms.weights,
    )


def plan_patch(median_shape: Shape3, budget_voxels: int) -> Shape3:
    """The median case, with its longest axes shortened until it fits the budget; not yet a multiple of anything."""
    shape = list(median_shape)
    while math.prod(shape) > budget_voxels:
        longest = int(np.argmax(shape))
        shape[longest] -= max(1, shape[longest] // 16)
    return (shape[0], shape[1], shape[2])


def plan_networks(
    settings: RunSettings,
    members: tuple[str, ...],
    spacing_mm: Spacing,
    patch_shape: Shape3,
    architectures: Mapping[str, str] | None = None,
) -> Networks:
    """Architecture and arguments of every member.

    Args:
        architectures: member → what `auto` is, where the method says it.

    Raises:
        UnknownNameError: if an architecture is not registered.
        InputError: if the patch is too small for one, or a network of a plane is to read another.
    """
    planned: Networks = {}
    for member in members:
        wanted = settings.networks[member]
        name = wanted.architecture
        if name == "auto":
            name = (architectures or {}).get(member, "auto")
        if name == "auto":
            name = "unet2.5d" if max(spacing_mm) / min(spacing_mm) >= THICK_SLICE_RATIO else "unet3d"
        if member in PLANES:
            axis = PLANES.index(member)
            if wanted.arguments.get("axis", axis) != axis:
                raise InputError(
                    f"networks.{member}.arguments.axis = {wanted.arguments['axis']}: {member} slices are across axis "
                    f"{axis}. Leave it out."
                )
            arguments = slicewise_arguments(name, axis, spacing_mm, patch_shape, wanted.width)
        else:
            arguments = default_arguments(name, spacing_mm, patch_shape, wanted.width)
        planned[member] = {"architecture": name, **checked_arguments(name, arguments | wanted.arguments)}
    return planned


def architectures_of(stages: Sequence[PlannedStage]) -> dict[str, str]:
    """Member → what the first stage that has a say in it wants it to be."""
    wanted: dict[str, str] = {}
    for stage in stages:
        wanted = {**METHODS.get(stage.method).architectures, **wanted}
    return wanted


def rounded_patch(patch_shape: Shape3, networks: Networks) -> Shape3:
    """The patch enlarged to a multiple of what every network asks for."""
    divisors = [required_divisor(**arguments) for arguments in networks.values()]
    common = [math.lcm(*(divisor[axis] for divisor in divisors)) for axis in range(3)]
    # A single voxel at a bottleneck could not be normalised.
    steps = [
        max(-(-size // divisor), 2 if divisor > 1 else 1) for size, divisor in zip(patch_shape, common, strict=True)
    ]
    return (steps[0] * common[0], steps[1] * common[1], steps[2] * common[2])


def plan_stages(
    recipe: Recipe, settings: RunSettings, device: str, planes: tuple[Plane, ...] = ()
) -> tuple[PlannedStage, ...]:
    """Stages with their lengths. Members that are named after a plane take part if its slices are annotated.

    Raises:
        InputError: if a stage has no share, or there are fewer stages than are asked for.
    """
    wanted = settings.training.iterations
    base = ITERATIONS[device] if wanted == "auto" else wanted
    asked = settings.recipe.stages
    if asked is not None and asked > len(recipe.stages):
        raise InputError(
            f"recipe.stages = {asked}: {recipe.name} has {len(recipe.stages)}, "
            f"{', '.join(stage.method for stage in recipe.stages)}. Give a smaller number, or leave it out."
        )
    stages = recipe.stages[:asked]
    shares = settings.recipe.stage_shares or tuple(stage.share for stage in recipe.stages)
    if len(shares) < len(stages):
        raise InputError(
            f"recipe.stage_shares = {list(shares)}: expected a number for each of the {len(stages)} stages, "
            f"{', '.join(stage.method for stage in stages)}. Give the others too, or leave it out."
        )
    planned = []
    for stage, share in zip(stages, shares, strict=False):
        iterations, length = whole_epochs(max(1, round(base * share)), settings.training.epoch_length)
        members = tuple(member for member in stage.members if member not in PLANES or member in planes)
        planned.append(PlannedStage(stage.method, members, iterations, length))
    return tuple(planned)


def _map_bytes(job: Job, classes: int) -> int:
    """Of the probability maps at a voxel, in half precision."""
    return 2 * (classes - 1) if job.kind is SupervisionKind.PROBABILITY else 0


def _median_shape(shapes: list[Shape3]) -> Shape3:
    first, second, third = np.median(shapes, axis=0).astype(int).tolist()
    return first, second, third


def _workers(settings: RunSettings, device: str) -> int:
    """On CPU the networks need all cores, and a patch costs little beside them."""
    wanted = settings.training.workers
    if wanted != "auto":
        return wanted
    return min(available_cores(), _MOST_WORKERS) if device == "cuda" else 0
