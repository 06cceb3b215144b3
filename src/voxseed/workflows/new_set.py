"""New annotation sets of a dataset: in it under a name, or in a folder anywhere; whole or not there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voxseed.data.annotation_sets import AnnotationSet
from voxseed.data.datasets import Dataset
from voxseed.errors import InputError
from voxseed.workflows.new_folder import new_folder

_REMEDY = "Write the set elsewhere with --out, and name that folder with --annotations later."


def place_of_new_set(data: Dataset, name: str, out: str | Path | None) -> Path:
    """Where a new set goes: `out`, else the name in the dataset.

    Raises:
        InputError: if the name is no plain name, or something is there already.
    """
    target = Path(out) if out else data.root / "annotations" / _plain_name(name)
    if target.exists() and any(target.iterdir()):
        raise InputError(f"{target}: is there already. Choose another name with --set-name, or remove it.")
    return target


@contextmanager
def new_set(data: Dataset, target: Path, protocol: str, seed: int | None = None) -> Iterator[AnnotationSet]:
    """Yield an empty set to write into; it is moved to `target` if nothing fails.

    Raises:
        InputError: if the protocol is empty, or the place cannot be written to.
    """
    if not protocol:
        raise InputError("--protocol: expected the kind of annotation, such as points or scribbles, found nothing.")
    inside = target.parent == data.root / "annotations"
    with new_folder(target, data.root if inside else target.parent, _REMEDY) as folder:
        yield AnnotationSet.create(
            folder, data.labels, protocol, seed=seed, file_ending=data.file_ending, grid_of=data.read_grid
        )


def _plain_name(name: str) -> str:
    if not name or name.startswith(".") or set(name) & set("/\\"):
        raise InputError(f"--set-name {name}: expected a plain name, such as points-2. For another folder use --out.")
    return name
