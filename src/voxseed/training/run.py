"""Execute a job: plan, cache, stages, model. Everything can stop at any moment and go on later."""

import hashlib
import logging
import shlex
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from pytorch_lightning.callbacks import Callback
from torch import nn

from voxseed.errors import InputError, InterruptedRunError
from voxseed.methods.base import METHODS, Method
from voxseed.networks.factory import build_network
from voxseed.networks.layout import placed
from voxseed.parallel import map_in_threads
from voxseed.settings import first_difference, write_yaml
from voxseed.supervision.kinds import SupervisionKind
from voxseed.training.cases import TrainingCase
from voxseed.training.display import StageDisplay
from voxseed.training.job import Job
from voxseed.training.patches import PatchDataset, PatchSettings
from voxseed.training.plan import Plan, PlannedStage
from voxseed.training.planning import fit_preprocessing, make_plan
from voxseed.training.provenance import provenance
from voxseed.training.relabelling import Relabelling
from voxseed.training.rounds import Rounds
from voxseed.training.run_folder import COMPLETE, RunFolder, RunRecord, StageRecord
from voxseed.training.seeds import mixed_seed
from voxseed.training.selection import BestOnDense, best_weights
from voxseed.training.settings import read_run_settings
from voxseed.training.stage_models import save_models, saved_weights
from voxseed.training.stages import StageJob, Weights, quiet_lightning, run_stage

_log = logging.getLogger("voxseed")
_MOST_PREPARED_TOGETHER = 4
"""Each takes several copies of a volume in memory."""


def execute(job: Job, resume: bool, on_plan: Callable[[Plan], None] | None = None) -> None:
    """Execute a job in its run folder, or what is left of it.

    Args:
        resume: go on with the run that is in the folder, or start where there is none.
        on_plan: called with the plan before anything long starts.

    Raises:
        InputError: if the folder has another run, or a case cannot be used.
        InterruptedRunError: on Ctrl-C; says how to resume.
    """
    _require_starts(job)
    with job.folder.locked() if job.team.is_first else nullcontext(), _interrupts_explained(job.folder):
        plan = job.team.first(lambda: _planned(job, resume, on_plan))
        if plan is None:
            return
        cases = job.team.once_per_machine(lambda: _prepared(job, plan))
        job.team.first(lambda: _start(job, plan, cases))
        _require_same_files(job, cases)
        with _logged_to(job.folder.log_path) if job.team.is_first else nullcontext():
            job.team.first(lambda: _log_plan(plan, cases))
            _run_stages(job, plan, cases)


def _planned(job: Job, resume: bool, on_plan: Callable[[Plan], None] | None) -> Plan | None:
    """The plan of the run, or of what is left of it; None if nothing is."""
    if job.folder.exists:
        _require_same_run(job, resume)
        if job.folder.read().state == COMPLETE:
            return None
    else:
        job.folder.require_free()
    plan = make_plan(job, fit_preprocessing(job))
    if on_plan is not None:
        on_plan(plan)
    if not job.folder.exists:  # what a run that goes on needs is in the cache
        job.cache.require_room(plan.cache_bytes)
    return plan


def _prepared(job: Job, plan: Plan) -> list[TrainingCase]:
    source = job.source(plan.preprocessing)
    return map_in_threads(source.prepare, job.train_cases, "Preparing cases", _MOST_PREPARED_TOGETHER)


def _require_same_files(job: Job, cases: list[TrainingCase]) -> None:
    """Every process must see the data and the run of the first one."""
    own = _fingerprint(cases)
    if job.team.first(lambda: own) != own:
        raise InputError(
            f"{job.dataset.root}: the images or annotations on {socket.gethostname()} are not those that the first "
            "process sees. Use one file system, or the same files on every machine."
        )
    if not job.folder.exists:
        raise InputError(
            f"{job.folder.path}: {socket.gethostname()} does not see the run that the first process has begun here. "
            "Choose a --run on a file system that all machines share."
        )


def _log_plan(plan: Plan, cases: list[TrainingCase]) -> None:
    """What is decided, and what is doubtful about it."""
    for row in plan.rows():
        _log.info("%s: %s", *row)
    without = [case.name for case in cases if not case.has_background]
    if without:
        _log.warning(
            "Case %s%s: no voxel is annotated as background; what is not the object is hard to learn. "
            "Paint some background, or list classes that the case does not have as absent.",
            without[0],
            f" and {len(without) - 1} more" if len(without) > 1 else "",
        )


def _require_starts(job: Job) -> None:
    """A recipe that begins with a second stage needs networks to start from, and has a use for each that is given."""
    first = job.recipe.stages[0]
    members = {member for stage in job.recipe.stages for member in stage.members}
    useless = sorted(job.starts.keys() - members)
    if useless:
        raise InputError(
            f"--from {useless[0]}=...: {job.recipe.name} has no network {useless[0]!r}. "
            f"Known: {', '.join(sorted(members))}."
        )
    missing = [member for member in first.members if member not in job.starts]
    if METHODS.get(first.method).starts_from_networks and missing:
        raise InputError(
            f"{first.method} starts from trained networks, but there is none for {missing[0]!r}: "
            f"give --from {missing[0]}=RUN:{missing[0]}."
        )


def _run_stages(job: Job, plan: Plan, cases: list[TrainingCase]) -> None:
    quiet_lightning()
    weights: Weights = {member: start.state for member, start in job.starts.items()}
    record = job.team.first(job.folder.read)
    for index, stage in enumerate(plan.stages):
        path = job.folder.stage_path(index, record)
        if record.stages[index].state == COMPLETE:
            weights = job.team.first(lambda model=path / "model": saved_weights(model))  # type: ignore[misc]
            continue
        path.mkdir(parents=True, exist_ok=True)
        weights = _train_stage(job, plan, index, stage, path, cases, weights)
        if job.team.is_first:
            save_models(job, plan, index, cases, weights, path / "model")
            job.folder.complete_stage(index)
    job.team.wait()


def _train_stage(
    job: Job,
    plan: Plan,
    index: int,
    stage: PlannedStage,
    path: Path,
    cases: list[TrainingCase],
    weights: Weights,
) -> Weights:
    settings = job.settings
    seed = (settings.training.seed, index)
    patches = PatchSettings(
        shape=plan.patch_shape,
        foreground_share=settings.training.foreground_share,
        class_count=job.dataset.labels.class_count,
        spacing_mm=plan.spacing_mm,
        augmentation=settings.augmentation,
        seed=seed,
        probabilities=job.kind is SupervisionKind.PROBABILITY,
    )
    stage_job = StageJob(
        path=path,
        iterations=stage.iterations,
        epoch_length=stage.epoch_length,
        batch_size=settings.training.batch_size,
        seed=seed,
        precision=job.precision,
        device=job.device,
        devices=job.devices,
        workers=plan.workers,
        optimiser=settings.optimiser,
        extra_terms=settings.extra_terms,
        team=job.team,
    )

    def build() -> Method:
        return _method(job, plan, stage, seed, weights)

    rounds = _rounds(stage_job, METHODS.get(stage.method).rounds(settings.of_method(stage.method)))
    callbacks: list[Callback] = [StageDisplay(stage.method, stage.iterations)]
    if rounds is not None:
        callbacks.append(Relabelling(rounds, cases, patches, settings.inference.overlap))
    if job.val_cases:
        callbacks.append(BestOnDense(path, _validation_cases(job, plan), plan.patch_shape, settings.inference.overlap))
    last = run_stage(stage_job, build, PatchDataset(cases, patches, rounds), callbacks)
    return job.team.first(lambda: best_weights(path)) if job.val_cases else last


def _rounds(job: StageJob, count: int) -> Rounds | None:
    """Of a stage whose targets change; None for all others."""
    if count == 1:
        return None
    patches_per_epoch = job.epoch_length * job.batch_size * job.devices
    return Rounds.planned(job.path / "targets", count, job.iterations // job.epoch_length, patches_per_epoch)


def _method(job: Job, plan: Plan, stage: PlannedStage, seed: tuple[int, int], weights: Weights) -> Method:
    """The stage's method with fresh networks, or with those of an earlier stage or run."""
    kind = METHODS.get(stage.method)
    networks = nn.ModuleDict()
    for number, member in enumerate(stage.members):
        torch.manual_seed(mixed_seed(*seed, number))
        network = build_network(
            in_channels=len(plan.channels), class_count=job.dataset.labels.class_count, **plan.networks[member]
        )
        networks[member] = placed(network, torch.device(job.device))
        if member in weights:
            networks[member].load_state_dict(weights[member])
    return kind(networks, job.settings.of_method(stage.method))


def _validation_cases(job: Job, plan: Plan) -> list[TrainingCase]:
    """Cases that the first process looks at."""
    if not job.team.is_first:
        return []
    source = job.source(plan.preprocessing, SupervisionKind.DENSE)
    return map_in_threads(source.prepare, job.val_cases, "Preparing validation cases", _MOST_PREPARED_TOGETHER)


def _start(job: Job, plan: Plan, cases: list[TrainingCase]) -> None:
    """Write the run's description, or compare it with what an interrupted run left."""
    origin = provenance(_fingerprint(cases), job.settings.training.seed, job.device)
    if job.folder.exists:
        job.folder.require_same_data(origin["dataset_fingerprint"])
        return
    stages = tuple(StageRecord(stage.method, stage.method, stage.members, stage.iterations) for stage in plan.stages)
    write_yaml(job.folder.settings_path, job.settings)
    record = RunRecord(
        plan.recipe, plan.dataset, job.device, stages, job.oracles, _annotations_inside(job), _origins(job)
    )
    job.folder.start(record, origin)


def _origins(job: Job) -> dict[str, str]:
    return {member: start.origin for member, start in job.starts.items()}


def _annotations_inside(job: Job) -> str | None:
    """Name of a set in the dataset; where another one lies is not written down, because paths may be private."""
    found, inside = job.annotations, (job.dataset.root / "annotations").resolve()
    return found.name if found is not None and found.path.parent.resolve() == inside else None


def _fingerprint(cases: list[TrainingCase]) -> str:
    """Of images, annotations and preprocessing, as the cache's keys have them."""
    keys = [f"{case.image.folder.name} {case.supervision.folder.name}" for case in cases]
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()


def _require_same_run(job: Job, resume: bool) -> None:
    folder, record = job.folder, job.folder.read()
    if not resume:
        raise InputError(
            f"{folder.path}: there is a run already ({record.recipe}, {record.state}). "
            "Continue it with --resume, or choose another folder with --run."
        )
    if record.device != job.device:
        raise InputError(
            f"{folder.path}: the run began on {record.device}, found --device {job.device}. "
            f"Resume it with --device {record.device}."
        )
    if _weights_of(record.starts) != _weights_of(_origins(job)):
        raise InputError(
            f"{folder.path}: the run started from {_named(record.starts)}, found {_named(_origins(job))}. "
            "Resume it with the --from that it was started with, or choose another folder with --run."
        )
    stored = read_run_settings(folder.settings_path)
    different = first_difference(stored.model_dump(mode="json"), job.settings.model_dump(mode="json"))
    if different:
        raise InputError(
            f"{folder.path}: the run was started with {different}. "
            "Resume it with the settings that it was started with, or choose another folder with --run."
        )


def _weights_of(origins: dict[str, str]) -> dict[str, str]:
    """Their digests alone: what a run is called, and where it lies, may have changed."""
    return {member: origin.rpartition(" ")[2] for member, origin in origins.items()}


def _named(origins: dict[str, str]) -> str:
    return ", ".join(f"{member}={origin}" for member, origin in origins.items()) or "no trained network"


@contextmanager
def _logged_to(path: Path) -> Iterator[None]:
    """Append what Voxseed logs to a file."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    level = _log.level
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    try:
        yield
    finally:
        _log.removeHandler(handler)
        _log.setLevel(level)
        handler.close()


@contextmanager
def _interrupts_explained(folder: RunFolder) -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, InterruptedRunError):
        raise InterruptedRunError(
            f"Interrupted; everything up to the last finished epoch is kept. "
            f"Go on with the same command and --run {shlex.quote(str(folder.path))} --resume."
        ) from None
