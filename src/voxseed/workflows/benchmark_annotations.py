"""The annotation sets that the rows of a table learn from; what is missing is simulated."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from voxseed.benchmarks.case_digests import CaseDigests
from voxseed.benchmarks.code_version import code_digest
from voxseed.data.annotation_sets import AnnotationSet
from voxseed.data.annotations import CaseAnnotation
from voxseed.data.datasets import Dataset
from voxseed.data.protocols.base import PROTOCOLS, SimulationSettings, generator
from voxseed.errors import InputError
from voxseed.settings import validate
from voxseed.workflows.simulate import simulate_with

_SEED = 0
"""Of simulations: rows and seeds of training differ in what they learn, not in what was annotated."""


@dataclass(frozen=True)
class RowAnnotations:
    """An annotation set, and how the cases of imagesTs, which it does not hold, would have been annotated.

    Attributes:
        simulation: settings, if the set was simulated for the table.
    """

    data: Dataset
    annotation_set: AnnotationSet
    simulation: SimulationSettings | None

    @property
    def simulated_by(self) -> tuple[str, ...]:
        """The module that simulates, if one does."""
        return () if self.simulation is None else (PROTOCOLS.get(self.annotation_set.protocol).__module__,)

    def read(self, case: str) -> CaseAnnotation:
        """The annotation of a case.

        Raises:
            InputError: if there is none.
        """
        label = None if case in self.annotation_set.cases else self.data.read_label(case)
        if label is None or self.simulation is None:
            return self.annotation_set.read(case)
        simulate_case = PROTOCOLS.get(self.annotation_set.protocol)
        indices = self.data.labels.to_class_indices(label.array)
        rng = generator(_SEED, case)
        return simulate_case(indices, label.affine, self.data.labels, rng, self.simulation).annotation


@dataclass(frozen=True)
class WantedAnnotations:
    """What a row is to learn from.

    Attributes:
        protocol: its name.
        own: whether it is the table's own protocol, for which a set may have been given.
        simulated: values of `SimulationSettings`, for a set that is simulated.
        always_simulated: even if there is a set.
    """

    protocol: str
    own: bool
    simulated: Mapping[str, Any]
    always_simulated: bool


@dataclass
class Annotations:
    """The annotation sets of a table.

    Attributes:
        folder: where simulated sets go.
        given: name or path of a set that takes the place of the table's own protocol.
        inside_points: of simulated points; asking for a number means to simulate even if the dataset has a set.
    """

    data: Dataset
    digests: CaseDigests
    folder: Path
    given: str | Path | None = None
    inside_points: int | None = None
    _simulated: dict[tuple[str, str], RowAnnotations] = field(default_factory=dict)

    def of(self, wanted: WantedAnnotations) -> RowAnnotations:
        """The given set, the dataset's of that protocol, or a simulated one.

        Raises:
            UnknownNameError: if it cannot be simulated.
            InputError: if there are no dense labels to simulate from, or a set cannot be used.
        """
        name = self._name_of(wanted)
        if name is not None:
            return RowAnnotations(self.data, self.data.annotations(name), None)
        settings = self._settings(wanted)
        key = wanted.protocol, settings.model_dump_json()
        if key not in self._simulated:
            self._simulated[key] = self._simulate(wanted.protocol, settings)
        return self._simulated[key]

    def require(self, wanted: WantedAnnotations) -> None:
        """Check that a set can be had, without simulating it.

        Raises:
            UnknownNameError: if it cannot be simulated.
            InputError: if the given set cannot be used, or the simulation's settings are wrong.
        """
        name = self._name_of(wanted)
        if name is not None:
            self.data.annotations(name)
            return
        PROTOCOLS.get(wanted.protocol)
        self._settings(wanted)

    def _name_of(self, wanted: WantedAnnotations) -> str | Path | None:
        """Of a set that is there; None where one is to be simulated."""
        if wanted.always_simulated:
            return None
        if wanted.own and self.given is not None:
            return self.given
        is_there = self.inside_points is None and wanted.protocol in self.data.annotation_sets()
        return wanted.protocol if is_there else None

    def _settings(self, wanted: WantedAnnotations) -> SimulationSettings:
        values = {"inside_points": self.inside_points or 1, **wanted.simulated}
        return validate(SimulationSettings, values, f"simulation of {wanted.protocol}")

    def _simulate(self, protocol: str, settings: SimulationSettings) -> RowAnnotations:
        path = self.folder / f"{protocol}-{self._digest(protocol, settings)[:8]}"
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / f".{path.name}.lock"):  # another process may be at the same table
            if not path.exists():
                simulate_with(self.data.root, protocol, settings, out=path, seed=_SEED)
        return RowAnnotations(self.data, self.data.annotations(path), settings)

    def _digest(self, protocol: str, settings: SimulationSettings) -> str:
        """Of everything that a simulated set follows from."""
        labelled = [case for case in self.data.cases if self.data.has_label(case)]
        if not labelled:
            raise InputError(f"{self.data.root / 'labelsTr'}: no dense labels to simulate {protocol} from.")
        content = {
            "seed": _SEED,
            "settings": settings.model_dump(mode="json"),
            "labels": {case: self.digests.labelled(case) for case in labelled},
            "classes": dict(self.data.labels),
            "code": code_digest([PROTOCOLS.get(protocol).__module__]),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
