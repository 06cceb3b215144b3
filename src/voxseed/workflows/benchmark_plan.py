"""What every row of a table is made from: its settings, cases, annotations, and the key that follows from them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_args

from voxseed.benchmarks.case_digests import CaseDigests
from voxseed.benchmarks.code_version import code_digest
from voxseed.benchmarks.definitions import Cases, Row, Table
from voxseed.benchmarks.records import RowFolder, RowKey
from voxseed.data.datasets import Dataset
from voxseed.data.planes import PLANES
from voxseed.devices import best_precision, resolve_device
from voxseed.errors import InputError
from voxseed.methods.base import METHODS
from voxseed.methods.recipes import RECIPES, get_recipe
from voxseed.networks.base import NETWORKS
from voxseed.settings import assignments
from voxseed.supervision.kinds import SupervisionKind
from voxseed.training.job import oracles_of
from voxseed.training.plan import PlannedStage
from voxseed.training.planning import PATCH_VOXELS, architectures_of, plan_stages
from voxseed.training.settings import RunSettings, load_run_settings, section_name
from voxseed.workflows.benchmark_annotations import Annotations, RowAnnotations, WantedAnnotations
from voxseed.workflows.train import cases_to_train_on, supervision_kind

_MEASURING: Final = ("voxseed.inference.predictor", "voxseed.evaluation.compare")
_TRAINING: Final = ("voxseed.training.run", *_MEASURING)
_GROWING: Final = ("voxseed.data.valid_region", "voxseed.supervision.build", "voxseed.evaluation.compare")
_SHARED_SECTIONS: Final = ("preprocessing", "augmentation", "optimiser", "inference")
_TEACHER_COST: Final = 4 / 3
"""Of a step of a second stage, whose teachers predict as well."""


@dataclass(frozen=True)
class Order:
    """What a user asked for, beside the table.

    Attributes:
        out: folder for rows, annotation sets, cache and tables.
        overrides: "section.key=value", for every row.
        protocol: the table's own protocol.
        device: auto, cpu or cuda.
        device_type: cpu or cuda, as `device` was resolved.
        cases: that are measured; `measured_on` says which they are.
    """

    data: Dataset
    out: Path
    annotations: Annotations
    digests: CaseDigests
    protocol: str
    measured_on: str
    cases: tuple[str, ...]
    preset: str | None
    overrides: tuple[str, ...]
    device: str
    device_type: str
    cache: Path


@dataclass(frozen=True)
class PlannedRow:
    """A row of one seed, decided.

    Attributes:
        overrides: "section.key=value", all of them.
        settings: that follow from preset and overrides.
        annotations: None where nothing or dense labels are learned from.
        start_from: member → the row and its network that it starts from.
        run_of: the row whose run is measured.
        oracle: what it, or a row that it needs, uses and a user would not have, in words; empty if nothing.
        cost: units of work of the training: iterations, once per network.
    """

    name: str
    row: Row
    seed: int
    overrides: tuple[str, ...]
    settings: RunSettings
    annotations: RowAnnotations | None
    start_from: dict[str, tuple["PlannedRow", str]]
    run_of: "PlannedRow | None"
    oracle: str
    key: RowKey
    folder: RowFolder
    cost: float

    @property
    def trained(self) -> bool:
        """Whether there is something to train."""
        return self.row.method is not None


@dataclass
class Planner:
    """Plans the rows of one table; each row and seed once."""

    order: Order
    table: Table
    _planned: dict[tuple[str, int], PlannedRow] = field(default_factory=dict)

    def check(self, name: str) -> None:
        """Check what can be wrong about a row, without reading a case.

        Raises:
            UnknownNameError: if its method, a network or its protocol is not known.
            InputError: if its settings are wrong.
        """
        row = self.table.rows[name]
        if row.method is not None:
            get_recipe(row.method)
        settings = self._settings(row, seed=0)[1]
        for network in settings.networks.values():
            if network.architecture != "auto":
                NETWORKS.get(network.architecture)
        if self._learns_from_annotations(row):
            self._require_own_annotations(name, row)
            self.order.annotations.require(self._wanted(row))

    def plan(self, name: str, seed: int) -> PlannedRow:
        """A row with everything that it starts from.

        Raises:
            InputError: as `check`, and if a case cannot be read or nothing is annotated.
        """
        if (name, seed) not in self._planned:
            self._planned[name, seed] = self._plan(name, seed)
        return self._planned[name, seed]

    def growth(self) -> dict[str, Any]:
        """Settings of the growth that all rows of the table share; those that rows vary are left out."""
        settings = self._loaded([*assignments(self.table.settings), *self.order.overrides]).expansion
        sides = {"one-sided": ("epsilon",), "two-sided": ("foreground_threshold", "background_threshold")}
        read = ("growth", *sides[settings.growth], "gradient_weight", "combine", "smoothing")
        varied = {key for row in self.table.rows.values() for key in row.settings.get("expansion", {})}
        return {key: getattr(settings, key) for key in read if key not in varied}

    def _plan(self, name: str, seed: int) -> PlannedRow:
        row = self.table.rows[name]
        overrides, settings = self._settings(row, seed)
        starts = {member: self._start(source, seed) for member, source in row.starts_from.items()}
        run_of = None if row.run_of is None else self.plan(row.run_of, seed)
        annotations = self._annotations(row)
        stages = self._stages(row, settings)
        oracle = _oracle(row, settings)
        key = RowKey(
            settings=self._read_settings(row, settings, stages, set(starts)),
            data=self._data(row, settings, annotations, oracle),
            code=self._code(row, settings, annotations, stages),
            starts_from={
                **{member: f"{other.key.training_digest}:{network}" for member, (other, network) in starts.items()},
                **({} if run_of is None else {"run": run_of.key.training_digest}),
            },
        )
        steps = sum(stage.iterations * len(stage.members) for stage in stages)
        cost = steps * (_TEACHER_COST if starts else 1.0)
        folder = RowFolder.of(self.order.out, name, seed, key)
        needed = [*(other for other, _ in starts.values()), *([] if run_of is None else [run_of])]
        oracle = oracle or next((other.oracle for other in needed if other.oracle), "")
        return PlannedRow(name, row, seed, overrides, settings, annotations, starts, run_of, oracle, key, folder, cost)

    def _start(self, source: str, seed: int) -> tuple[PlannedRow, str]:
        name, _, member = source.partition(":")
        return self.plan(name, seed), member

    def _settings(self, row: Row, seed: int) -> tuple[tuple[str, ...], RunSettings]:
        """Assignments and what follows from them; a row's own come last, because it is what it is by them."""
        given = [*assignments(self.table.settings), *self.order.overrides, *assignments(row.settings)]
        given.append(f"training.seed={seed + row.seed_offset}")
        if row.method is not None and len(get_recipe(row.method).stages) == 1:
            shares = self._loaded(given).recipe.stage_shares or _paper_shares()
            share = shares[min(1, len(shares) - 1)] if row.starts_from else shares[0]
            given.append(f"recipe.stage_shares=[{share!r}]")
        return tuple(given), self._loaded(given)

    def _loaded(self, overrides: list[str]) -> RunSettings:
        return load_run_settings(self.order.preset, None, overrides)

    def _stages(self, row: Row, settings: RunSettings) -> tuple[PlannedStage, ...]:
        return (
            ()
            if row.method is None
            else plan_stages(
                get_recipe(row.method),
                settings,
                self.order.device_type,
                PLANES,  # whichever of them are annotated
            )
        )

    def _learns_from_annotations(self, row: Row) -> bool:
        if row.method is None:
            return row.run_of is None
        return supervision_kind(get_recipe(row.method)) is not SupervisionKind.DENSE

    def _require_own_annotations(self, name: str, row: Row) -> None:
        """A row that says how its annotations are simulated cannot take others."""
        is_other = self.order.annotations.given is not None or self.order.protocol != self.table.protocol
        if row.simulated and row.protocol is None and is_other:
            others = [other for other, each in self.table.rows.items() if each.shown and not each.simulated]
            raise InputError(
                f"Row {name} simulates its own {self.table.protocol}, and cannot learn from what --annotations or "
                f"--protocol names. Give --rows {','.join(others)}."
            )

    def _wanted(self, row: Row) -> WantedAnnotations:
        simulated = {**self.table.simulated, **row.simulated}
        return WantedAnnotations(
            row.protocol or self.order.protocol, row.protocol is None, simulated, bool(row.simulated)
        )

    def _annotations(self, row: Row) -> RowAnnotations | None:
        return self.order.annotations.of(self._wanted(row)) if self._learns_from_annotations(row) else None

    def _read_settings(
        self, row: Row, settings: RunSettings, stages: tuple[PlannedStage, ...], started: set[str]
    ) -> dict[str, Any]:
        """The settings that the row reads, as JSON has them; what depends on the device is resolved."""
        values = settings.model_dump(mode="json")
        read: dict[str, Any] = {"prediction": {"ensemble": row.ensemble, "member": row.member}}
        if self._learns_from_annotations(row):
            read["expansion"] = values["expansion"]
        if row.pseudo_label:
            return read
        if row.made_by is not None:
            # Made elsewhere, and compared at equal length and spacing.
            first = plan_stages(get_recipe("partial"), settings, self.order.device_type)[0]
            spacing_mm = values["preprocessing"]["spacing_mm"]
            return {**read, "spacing_mm": spacing_mm, "iterations": first.iterations, "seed": settings.training.seed}
        if not stages:
            return read
        for section in (*_SHARED_SECTIONS, *(section_name(stage.method) for stage in stages)):
            read[section] = values[section]
        if settings.extra_terms.weights:
            read["extra_terms"] = values["extra_terms"]
        read["stages"] = [[stage.method, *stage.members, stage.iterations] for stage in stages]
        members = {member for stage in stages for member in stage.members} - started
        read["networks"] = {member: values["networks"].get(member) for member in sorted(members)}
        training = {key: value for key, value in values["training"].items() if key not in ("iterations", "workers")}
        if training["precision"] == "auto":
            training["precision"] = best_precision(resolve_device(self.order.device))
        if training["patch_shape"] == "auto":
            training["patch_shape"] = f"at most {PATCH_VOXELS[self.order.device_type]} voxels"
        read["training"] = training
        return read

    def _data(self, row: Row, settings: RunSettings, annotations: RowAnnotations | None, oracle: str) -> dict[str, Any]:
        """Classes, channels, and the digests of what is learned from and of what is measured."""
        data, digests = self.order.data, self.order.digests
        found: dict[str, Any] = {
            "classes": dict(data.labels.without_ignore()),
            "channels": list(data.channel_names),
            "measured": {case: digests.labelled(case) for case in self.order.cases},
        }
        if row.pseudo_label and annotations is not None:
            found["annotated"] = {
                case: digests.annotated(case, annotations.annotation_set)
                for case in self.order.cases
                if case in annotations.annotation_set.cases
            }
            found["simulation"] = annotations.simulation and annotations.simulation.model_dump(mode="json")
        elif row.run_of is None:
            annotation_set = annotations.annotation_set if annotations else None
            recipe = get_recipe(row.method or "partial")
            cases = cases_to_train_on(data, annotation_set, recipe)
            found["trained"] = {
                case: digests.annotated(case, annotation_set) if annotation_set else digests.labelled(case)
                for case in cases
            }
            if oracle:
                found["oracle"] = {case: digests.labelled(case) for case in cases if data.has_label(case)}
            if settings.training.select == "dense":
                validated = data.splits().val_cases(data.cases)
                found["selected_on"] = {case: digests.labelled(case) for case in validated if data.has_label(case)}
        return found

    def _code(
        self, row: Row, settings: RunSettings, annotations: RowAnnotations | None, stages: tuple[PlannedStage, ...]
    ) -> str:
        if row.run_of:
            return code_digest(_MEASURING)
        if row.method is None:  # a pseudo label of cases that may be annotated as they are read, or what others made
            return code_digest([*_GROWING, *(annotations.simulated_by if row.pseudo_label and annotations else ())])
        methods = {METHODS.get(stage.method).__module__ for stage in stages}
        return code_digest([*_TRAINING, *methods, *network_modules(stages, settings)])


def _oracle(row: Row, settings: RunSettings) -> str:
    """What the row uses that a user would not have: as the table says, or else as its settings ask."""
    asked = () if row.method is None else oracles_of(get_recipe(row.method), settings)
    return row.oracle or ", ".join(f"the {name}" for name in asked)


def measured_cases(data: Dataset, measured_on: str) -> tuple[str, ...]:
    """Cases with dense labels: test cases of splits.json, or else those of imagesTs; or validation cases of fold 0.

    Raises:
        InputError: if there are none, or other cases are asked for.
    """
    if measured_on not in get_args(Cases):
        raise InputError(f"--on {measured_on}: expected one of {', '.join(get_args(Cases))}.")
    splits = data.splits()
    if measured_on == "validation":
        cases, remedy = splits.val_cases(data.cases), "List some under val in splits.json, or measure with --on test."
    else:
        cases = splits.test_cases((*data.cases, *data.test_cases)) or data.test_cases
        remedy = "List some under test in splits.json, or put some into imagesTs and labelsTs."
    labelled = tuple(case for case in cases if data.has_label(case))
    if not labelled:
        raise InputError(f"{data.root}: found no {measured_on} cases with dense labels to measure on. {remedy}")
    return labelled


def _paper_shares() -> tuple[float, ...]:
    """Lengths of both stages of PA-Seg, which a second stage alone keeps."""
    return tuple(stage.share for stage in RECIPES["pa-seg"].stages)


def network_modules(stages: tuple[PlannedStage, ...], settings: RunSettings) -> set[str]:
    """Where the architectures are; `auto` is what the method says, or may be either of two."""
    by_method = architectures_of(stages)
    chosen = {
        member: settings.networks[member].architecture
        for stage in stages
        for member in stage.members
        if member in settings.networks
    }
    wanted = {by_method.get(member, name) if name == "auto" else name for member, name in chosen.items()}
    names = (wanted - {"auto"}) | ({"unet3d", "unet2.5d"} if "auto" in wanted else set())
    return {NETWORKS.get(name).__module__ for name in names}
