"""The annotation sets that the rows of a table learn from; what is missing is simulated."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

from voxseed.benchmarks.case_digests import CaseDigests
from voxseed.benchmarks.code_version import code_digest
from voxseed.data.annotation_sets import AnnotationSet
from voxseed.data.annotations import CaseAnnotation
from voxseed.data.datasets import Dataset
from voxseed.data.protocols.base import PROTOCOLS, SimulationSettings, generator
from voxseed.errors import InputError
from voxseed.workflows.simulate import simulate

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


@dataclass
class Annotations:
    """Annotation sets by protocol.

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
    _found: dict[str, RowAnnotations] = field(default_factory=dict)

    def of(self, protocol: str, own: bool) -> RowAnnotations:
        """The set of a protocol: the given one, the dataset's of that name, or a simulated one.

        Args:
            protocol: its name.
            own: whether it is the table's own protocol, for which a set may have been given.

        Raises:
            UnknownNameError: if it cannot be simulated.
            InputError: if there are no dense labels to simulate from, or a set cannot be used.
        """
        if own and self.given is not None:
            return RowAnnotations(self.data, self.data.annotations(self.given), None)
        if protocol not in self._found:
            self._found[protocol] = self._of(protocol)
        return self._found[protocol]

    def require(self, protocol: str, own: bool) -> None:
        """Check that a set can be had, without simulating it.

        Raises:
            UnknownNameError: if it cannot be simulated.
            InputError: if the given set cannot be used.
        """
        if own and self.given is not None:
            self.data.annotations(self.given)
        elif not self._is_there(protocol):
            PROTOCOLS.get(protocol)

    def _is_there(self, protocol: str) -> bool:
        return self.inside_points is None and protocol in self.data.annotation_sets()

    def _of(self, protocol: str) -> RowAnnotations:
        if self._is_there(protocol):
            return RowAnnotations(self.data, self.data.annotations(protocol), None)
        settings = SimulationSettings(inside_points=self.inside_points or 1)
        path = self.folder / f"{protocol}-{self._digest(protocol, settings)[:8]}"
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / f".{path.name}.lock"):  # another process may be at the same table
            if not path.exists():
                simulate(self.data.root, protocol, out=path, seed=_SEED, inside_points=settings.inside_points)
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
