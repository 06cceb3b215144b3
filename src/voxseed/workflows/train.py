"""Train a recipe on a dataset: settings, plan, cache, stages, model."""

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Final

import torch

from voxseed.data.annotation_sets import DENSE, AnnotationSet
from voxseed.data.annotations import EXTREME_POINTS, SCATTERED_POINTS
from voxseed.data.cache import CACHE_VARIABLE, PatchCache
from voxseed.data.datasets import Dataset, how_to_annotate
from voxseed.data.planes import SLICES
from voxseed.devices import best_precision, resolve_device
from voxseed.errors import InputError
from voxseed.launch import launch_to_join
from voxseed.methods.base import METHODS
from voxseed.methods.recipes import Recipe, get_recipe
from voxseed.supervision.kinds import SupervisionKind
from voxseed.training.interrupts import stops_in_time
from voxseed.training.job import Job
from voxseed.training.plan import Plan
from voxseed.training.run import execute
from voxseed.training.run_folder import RunFolder
from voxseed.training.settings import (
    RunSettings,
    load_run_settings,
    read_run_settings,
    run_settings_type,
    section_name,
)
from voxseed.training.starts import read_starts
from voxseed.training.team import Team, joined
from voxseed.workflows.annotated_cases import Teaching, annotated_cases, require_every_class

_SCRIBBLES: Final = "scribbles"


def train(
    dataset: str | Path,
    *,
    annotations: str | Path | None = None,
    method: str = "auto",
    run: str | Path | None = None,
    preset: str | None = None,
    config: str | Path | None = None,
    overrides: Sequence[str] = (),
    fold: int = 0,
    start_from: Sequence[str] = (),
    resume: bool = False,
    device: str = "auto",
    devices: int | None = None,
    cache: str | Path | None = None,
    on_plan: Callable[[Plan], None] | None = None,
) -> Path:
    """Train from annotations.

    Args:
        dataset: folder in the nnU-Net raw layout.
        annotations: name or path of an annotation set; not needed where there is only one, or where a run is resumed
            that began on one of the dataset's.
        method: recipe or method; auto follows from the annotations.
        run: folder of the run; runs/DATASET-METHOD if not given.
        preset, config, overrides: settings, each on top of the one before; overrides are "section.key=value".
        fold: train on this fold of splits.json.
        start_from: "member=RUN:member", networks to start from.
        resume: continue the run, or start it where there is nothing yet.
        device: auto, cpu or cuda.
        devices: processes of this machine, one device each; if not given, those that torchrun or srun started, on
            all machines, or one. 1 trains in this process alone, whatever started it.
        cache: folder for preprocessed cases; $VOXSEED_CACHE or a folder beside the run if not given.
        on_plan: called with the plan before anything long starts.

    Returns:
        The folder of the run.

    Raises:
        InputError: if something that was given cannot be used; nothing is left half-written.
        InterruptedRunError: on Ctrl-C; says how to resume.
        LostProcessError: if a process of another machine has ended.
    """
    torch_device = resolve_device(device)
    launch = launch_to_join(devices)
    with stops_in_time() if launch else nullcontext(), joined(launch, torch_device.type) as team:
        # Read by the first process alone: what another machine has once looked for in vain it may not see for a while.
        resumed = RunFolder(Path(run)) if run and resume else None
        values = team.first(lambda: _settings(resumed, preset, config, overrides).model_dump(mode="json"))
        data = Dataset.open(dataset)
        if annotations is None:
            annotations = team.first(lambda: _recorded_set(resumed, data))
        job = _job(
            data,
            run_settings_type().model_validate(values),
            annotations=annotations,
            method=method,
            run=run,
            fold=fold,
            start_from=start_from,
            device=torch_device,
            devices=launch.size if launch else devices or 1,
            cache=cache,
            team=team,
        )
        execute(job, resume, on_plan)
    return job.folder.path


def _job(
    data: Dataset,
    settings: RunSettings,
    *,
    annotations: str | Path | None,
    method: str,
    run: str | Path | None,
    fold: int,
    start_from: Sequence[str],
    device: torch.device,
    devices: int,
    cache: str | Path | None,
    team: Team,
) -> Job:
    """Everything that follows from what was given and what the dataset holds."""
    wanted = settings.recipe.name if method == "auto" else method
    annotation_set = _annotation_set(data, annotations, wanted)
    recipe = get_recipe(_recipe_of(data, annotation_set) if wanted == "auto" else wanted)
    settings = settings.model_copy(update={"recipe": settings.recipe.model_copy(update={"name": recipe.name})})
    _require_margins(recipe, settings, annotation_set)
    if settings.extra_terms.needs_boxes and annotation_set is None:
        raise InputError(
            f"extra_terms.size: needs boxes or points around objects, but {recipe.name} learns from the dense labels "
            f"of {data.root}. Leave it 0."
        )
    train_cases = cases_to_train_on(data, annotation_set, recipe, fold)
    require_every_class(data, annotation_set, train_cases, _teaching(recipe, settings))
    folder = RunFolder(Path(run) if run else Path("runs") / f"{data.root.resolve().name}-{recipe.name}")
    wished = settings.training.precision
    precision = team.first(lambda: best_precision(device) if wished == "auto" else wished)
    return Job(
        dataset=data,
        annotations=annotation_set,
        kind=supervision_kind(recipe),
        recipe=recipe,
        settings=settings,
        train_cases=train_cases,
        val_cases=_val_cases(data, settings, fold),
        folder=folder,
        starts=read_starts(start_from, data.channel_names, dict(data.labels.without_ignore())),
        device=device.type,
        devices=devices,
        precision=precision,
        cache=PatchCache(Path(cache or os.environ.get(CACHE_VARIABLE) or folder.path.parent / "cache")),
        team=team,
    )


def _require_margins(recipe: Recipe, settings: RunSettings, annotation_set: AnnotationSet | None) -> None:
    """Extreme points lie on the object: their box has no margin to take off before its object's size is judged."""
    if annotation_set is None or annotation_set.protocol != EXTREME_POINTS:
        return
    margins = {
        f"{section_name(stage.method)}.margin_voxels": getattr(settings.of_method(stage.method), "margin_voxels", 0)
        for stage in recipe.stages
    }
    if settings.extra_terms.needs_boxes:
        margins["extra_terms.size_margin_voxels"] = settings.extra_terms.size_margin_voxels
    for name, margin in margins.items():
        if margin > 0:
            raise InputError(
                f"{annotation_set.path}: extreme points lie on the object, so their boxes have no margin, found "
                f"{name} = {margin}. Give --set {name}=0."
            )


def _settings(
    resumed: RunFolder | None, preset: str | None, config: str | Path | None, overrides: Sequence[str]
) -> RunSettings:
    """What was asked for; a run that is resumed without any settings keeps its own."""
    if resumed is not None and resumed.exists and not (preset or config or overrides):
        return read_run_settings(resumed.settings_path)
    return load_run_settings(preset, Path(config) if config else None, overrides)


def _recorded_set(resumed: RunFolder | None, data: Dataset) -> str | None:
    """The set that a run began on, if it is in the dataset; others may have been added since."""
    if resumed is None or not resumed.exists:
        return None
    name = resumed.read().annotations
    return name if name in data.annotation_sets() else None


def _annotation_set(data: Dataset, wanted: str | Path | None, method: str) -> AnnotationSet | None:
    """The set to learn from; None where the method needs none, or dense labels are all there is."""
    if method != "auto" and supervision_kind(get_recipe(method)) is SupervisionKind.DENSE:
        return None
    if wanted is None and method == "auto" and not data.annotation_sets():
        return None
    return data.annotations(wanted)


def _recipe_of(data: Dataset, annotation_set: AnnotationSet | None) -> str:
    """What the annotations suggest."""
    if annotation_set is not None:
        has_boxes = annotation_set.protocol == _SCRIBBLES and any(
            annotation_set.read(case).boxes for case in annotation_set.cases
        )
        if has_boxes:
            return "partial"  # with boxes gated-crf found nothing, see docs/results/scribbles.md
        known = {
            DENSE: "partial",
            SLICES: "cross-teaching",
            SCATTERED_POINTS: "pw4medseg",
            _SCRIBBLES: "gated-crf",  # of default weights the best on the validation cases of docs/results/scribbles.md
        }
        return known.get(annotation_set.protocol, "pa-seg")
    if any(data.has_label(case) for case in data.cases):
        return "full"
    raise InputError(
        f"{data.root}: found neither annotations nor dense labels. "
        f"{how_to_annotate(data.root)}, or put dense labels into labelsTr."
    )


def supervision_kind(recipe: Recipe) -> SupervisionKind:
    """What a recipe asks of the dataset."""
    return METHODS.get(recipe.stages[0].method).needs


def _teaching(recipe: Recipe, settings: RunSettings) -> Teaching:
    if settings.extra_terms.needs_boxes or any(METHODS.get(stage.method).needs_boxes for stage in recipe.stages):
        return Teaching.OBJECTS
    return Teaching.ANYTHING if supervision_kind(recipe) is SupervisionKind.PROBABILITY else Teaching.VOXELS


def cases_to_train_on(
    data: Dataset, annotation_set: AnnotationSet | None, recipe: Recipe, fold: int = 0
) -> tuple[str, ...]:
    """Cases of a fold that have what a recipe learns from.

    Raises:
        InputError: if there is none.
    """
    if supervision_kind(recipe) is SupervisionKind.DENSE:
        usable = tuple(case for case in data.cases if data.has_label(case))
        missing = f"{data.root / 'labelsTr'}: {recipe.name} needs dense labels, found none of the cases in imagesTr."
    else:
        usable = annotated_cases(data, annotation_set) if annotation_set else ()
        missing = f"{annotation_set.path if annotation_set else data.root}: no annotated case to train on."
    if not usable:
        raise InputError(f"{missing} Add some.")
    cases = data.splits().train_cases(usable, fold)
    if not cases:
        raise InputError(
            f"{data.root}: none of the {len(usable)} cases with annotations or labels is trained on in fold {fold}. "
            "Annotate cases of the fold, or correct splits.json."
        )
    return cases


def _val_cases(data: Dataset, settings: RunSettings, fold: int) -> tuple[str, ...]:
    """Cases to choose weights on: none unless dense labels are to be used for that."""
    if settings.training.select == "last":
        return ()
    labelled = tuple(case for case in data.cases if data.has_label(case))
    cases = data.splits().val_cases(labelled, fold)
    if not cases:
        raise InputError(
            f"{data.root}: --select dense needs validation cases with dense labels, fold {fold} has none. "
            "List some under val in splits.json, or leave --select out."
        )
    return cases
