"""Import labels: painted maps from any tool into an annotation set."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voxseed.data.annotation_sets import DENSE, NOISY_DENSE
from voxseed.data.annotations import CaseAnnotation
from voxseed.data.datasets import Dataset
from voxseed.data.grids import Grid, require_same_grid
from voxseed.data.painted_values import meanings, translated
from voxseed.data.volumes import SUFFIXES, Volume, like, read_label, suffix_of
from voxseed.errors import InputError, ShapeError
from voxseed.progress import track
from voxseed.workflows.new_set import new_set, place_of_new_set

_ADDED_BY_TOOLS = re.compile(r"(_0000)?([-_. ](seg|segmentation|label|labels|labelmap|mask))?", re.IGNORECASE)


@dataclass(frozen=True)
class LabelImportSummary:
    """What was imported.

    Attributes:
        path: the folder of the set.
        cases: case → file.
        class_cases: label → in how many cases it occurs.
        class_voxels: label → how many voxels, in all cases.
    """

    path: Path
    cases: Mapping[str, Path]
    class_cases: Mapping[str, int]
    class_voxels: Mapping[str, int]

    def header(self) -> tuple[str, ...]:
        """Names of the columns of `rows`."""
        return ("label", "cases", "voxels", "share")

    def rows(self) -> list[tuple[str, int, int, str]]:
        """One row per label, `ignore` included."""
        total = sum(self.class_voxels.values())
        return [
            (name, self.class_cases[name], count, f"{count / total:.2%}") for name, count in self.class_voxels.items()
        ]


def import_labels(
    maps: Sequence[str | Path],
    dataset: str | Path,
    *,
    unannotated: Sequence[int] = (),
    background: Sequence[int] = (),
    names: Mapping[int, str] | None = None,
    protocol: str = "painted",
    set_name: str | None = None,
    out: str | Path | None = None,
) -> LabelImportSummary:
    """Write a new annotation set of painted maps.

    A map belongs to the case of its name; a channel and what tools append, such as `_0000`, `-label` or `.seg`, may
    follow. It lies on the voxels of the image; the order and direction of its axes may differ.

    Args:
        maps: files, and folders of files.
        dataset: folder in the nnU-Net raw layout.
        unannotated: values of voxels that nobody annotated.
        background: values of voxels that are annotated as background.
        names: value → label; other values are those of dataset.json.
        protocol: of the new set; `dense` and `noisy-dense` allow maps without unannotated voxels.
        set_name: of the new set in the dataset; the protocol's if not given.
        out: folder of the new set instead, anywhere.

    Raises:
        InputError: if a map has no case or lies elsewhere than its image, a value means nothing or two things, a map
            has no unannotated or no annotated voxel, or the set is there already. Nothing is left half-written.
    """
    data = Dataset.open(dataset)
    values = meanings(data.labels, unannotated, background, names or {})
    target = place_of_new_set(data, set_name or protocol, out)
    files = _files_of_cases([Path(path) for path in maps], (*data.cases, *data.test_cases))
    labels = data.labels.with_ignore()
    cases, voxels = Counter[str](), Counter[str]()
    with new_set(data, target, protocol) as annotation_set:
        for case, path in track(list(files.items()), "Importing"):
            painted = _on_grid(read_label(path), path, data.read_grid(case), data.image_paths(case)[0])
            array = translated(painted.array, values, data.labels, protocol in (DENSE, NOISY_DENSE), str(path))
            annotation_set.write(case, CaseAnnotation(protocol, painted=Volume(array, painted.affine)))
            counts = {name: int(np.count_nonzero(array == value)) for name, value in labels.items()}
            voxels.update(counts)
            cases.update(name for name, count in counts.items() if count)
    return LabelImportSummary(
        target, files, {name: cases[name] for name in labels}, {name: voxels[name] for name in labels}
    )


def _files_of_cases(paths: Sequence[Path], cases: Collection[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in (file for each in paths for file in _files_at(each)):
        case = _case_of(path, cases)
        if case in found:
            raise InputError(f"{path}: a second map of case {case}, {found[case]} is the first. Leave one out.")
        found[case] = path
    if not found:
        raise InputError("There is nothing to import. Give label maps, or folders of them.")
    return dict(sorted(found.items()))


def _files_at(path: Path) -> list[Path]:
    if not path.exists():
        raise InputError(f"{path}: no such file or folder. Give label maps, or folders of them.")
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if suffix_of(file) and not file.name.startswith("."))
    if not files:
        raise InputError(f"{path}: no label maps in this folder; expected files ending in {', '.join(SUFFIXES)}.")
    return files


def _case_of(path: Path, cases: Collection[str]) -> str:
    stem = path.name[: len(path.name) - len(suffix_of(path) or "")]
    fitting = [case for case in cases if stem.startswith(case) and _ADDED_BY_TOOLS.fullmatch(stem[len(case) :])]
    if not fitting:
        example = next(iter(cases))
        raise InputError(
            f"{path}: no case of the dataset is called {stem!r}; expected the name of one of its {len(cases)} cases, "
            f"such as {example}{suffix_of(path) or '.nii.gz'}. Rename the file."
        )
    return max(fitting, key=len)


def _on_grid(painted: Volume, path: Path, image: Grid, image_path: Path) -> Volume:
    """The map on the image's grid: its axes reordered and turned if need be, never resampled."""
    try:
        return like(painted, image)
    except ShapeError:
        require_same_grid(painted, path, image, image_path)
        raise
