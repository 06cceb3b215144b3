"""Everything that a run is made of, decided before it starts."""

from dataclasses import dataclass

from voxseed.data.annotation_sets import AnnotationSet
from voxseed.data.cache import PatchCache
from voxseed.data.datasets import Dataset
from voxseed.data.preprocessing import Preprocessing
from voxseed.methods.base import METHODS, TRUE_VOLUME
from voxseed.methods.recipes import Recipe
from voxseed.supervision.kinds import SupervisionKind
from voxseed.training.cases import CaseSource
from voxseed.training.run_folder import RunFolder
from voxseed.training.settings import RunSettings
from voxseed.training.starts import Start
from voxseed.training.team import ALONE, Team


@dataclass(frozen=True)
class Job:
    """A run to execute.

    Attributes:
        annotations: None for dense supervision.
        kind: of supervision.
        val_cases: to choose weights on; empty unless asked for.
        starts: trained networks of other runs, by member.
        device: "cpu" or "cuda".
        devices: processes of all machines, one device each.
        team: those that were started together; alone, this process starts the others itself.
        precision: "fp32" or "bf16".
    """

    dataset: Dataset
    annotations: AnnotationSet | None
    kind: SupervisionKind
    recipe: Recipe
    settings: RunSettings
    train_cases: tuple[str, ...]
    val_cases: tuple[str, ...]
    folder: RunFolder
    starts: dict[str, Start]
    device: str
    devices: int
    precision: str
    cache: PatchCache
    team: Team = ALONE

    @property
    def oracles(self) -> tuple[str, ...]:
        """What was taken from dense labels beside the supervision, here or for the networks to start from."""
        inherited = (name for start in self.starts.values() for name in start.oracles)
        return tuple(dict.fromkeys((*self._own_oracles, *inherited)))

    @property
    def _own_oracles(self) -> tuple[str, ...]:
        """What the methods take; empty unless a setting asks for it."""
        return oracles_of(self.recipe, self.settings)

    def source(self, preprocessing: Preprocessing, kind: SupervisionKind | None = None) -> CaseSource:
        """Where cases come from; `kind` replaces the job's own."""
        kind = kind or self.kind
        return CaseSource(
            self.dataset,
            kind,
            self.annotations,
            self.settings.expansion,
            preprocessing,
            self.cache,
            true_volumes=TRUE_VOLUME in self._own_oracles and kind is not SupervisionKind.DENSE,
        )


def oracles_of(recipe: Recipe, settings: RunSettings) -> tuple[str, ...]:
    """What the methods of a recipe take from dense labels beside their supervision, by these settings."""
    asked = (METHODS.get(stage.method).oracle(settings.of_method(stage.method)) for stage in recipe.stages)
    return tuple(dict.fromkeys(name for names in (*asked, settings.extra_terms.oracle) for name in names))
