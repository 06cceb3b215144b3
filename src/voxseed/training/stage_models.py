"""Models that the stages of a run leave."""

import math
from pathlib import Path

from voxseed.data.annotations import SCATTERED_POINTS
from voxseed.inference.class_ranges import ClassRange, class_ranges
from voxseed.inference.model_files import ModelDescription, NetworkDescription, load_model, save_model
from voxseed.supervision.kinds import SupervisionKind
from voxseed.training.cases import TrainingCase
from voxseed.training.job import Job
from voxseed.training.plan import Plan, PlannedStage
from voxseed.training.stages import Weights


def save_models(job: Job, plan: Plan, index: int, cases: list[TrainingCase], weights: Weights, folder: Path) -> None:
    """Write the model of a stage, and that of the run if the stage is the last.

    Args:
        index: of the stage, from 0.
        weights: of its networks.
        folder: of the stage's model.
    """
    ranges = _class_ranges(job, plan, cases)
    _save(job, plan, plan.stages[index], weights, ranges, folder)
    if index == len(plan.stages) - 1:
        _save(job, plan, plan.stages[index], weights, ranges, job.folder.model_path)


def saved_weights(folder: Path) -> Weights:
    """Weights of a finished stage, whose checkpoints are no longer needed."""
    return {member: dict(network.state_dict()) for member, network in load_model(folder).networks.items()}


def _class_ranges(job: Job, plan: Plan, cases: list[TrainingCase]) -> dict[str, ClassRange]:
    """What prediction compares with, of the classes that are annotated; nothing where all targets are guesses."""
    is_scattered = job.annotations is not None and job.annotations.protocol == SCATTERED_POINTS
    if job.kind is SupervisionKind.PROBABILITY or (is_scattered and job.kind is not SupervisionKind.DENSE):
        return {}
    targets = ((case.supervision.read("target"), case.absent) for case in cases)
    return class_ranges(targets, job.dataset.labels.foreground, math.prod(plan.spacing_mm))


def _save(
    job: Job, plan: Plan, stage: PlannedStage, weights: Weights, ranges: dict[str, ClassRange], folder: Path
) -> None:
    networks = {
        member: NetworkDescription(
            architecture=plan.networks[member]["architecture"],
            arguments={key: value for key, value in plan.networks[member].items() if key != "architecture"},
        )
        for member in stage.members
    }
    description = ModelDescription(
        networks=networks,
        default_member=stage.members[0],
        labels=dict(job.dataset.labels.without_ignore()),
        preprocessing=plan.preprocessing,
        patch_shape=plan.patch_shape,
        overlap=job.settings.inference.overlap,
        class_ranges=ranges,
        oracles=job.oracles,
        provenance={"recipe": plan.recipe, "stage": stage.method, "iterations": stage.iterations},
    )
    save_model(folder, weights, description)
