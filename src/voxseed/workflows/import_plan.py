"""What an import would do: cases, channels, labels and names, from headers alone."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from voxseed.data.grids import Grid, require_same_grid
from voxseed.data.labels import Labels
from voxseed.data.sources.base import Channel, Found, FoundCase, ImageFile, Wanted
from voxseed.data.sources.find import find_cases
from voxseed.data.volumes import suffix_of
from voxseed.errors import InputError
from voxseed.progress import track

_DEFAULT_ENDING = ".nii.gz"
_SINGLE_FILE_ENDINGS = (".nii", ".nii.gz", ".nrrd", ".mha")
_UNSAFE = re.compile(r"[^\w.-]+")


@dataclass(frozen=True)
class PlannedCase:
    """A case and what becomes of it.

    Attributes:
        name: in the new dataset.
        found: at its source.
        grid: of its channels; None if it cannot be imported.
    """

    name: str
    found: FoundCase
    grid: Grid | None


@dataclass(frozen=True)
class ImportPlan:
    """What an import would do.

    Attributes:
        cases: in the order of their names.
        channel_names: of the new dataset.
        labels: of the new dataset.
        file_ending: of its files.
        is_pseudonymous: whether names at the source are not to be shown.
        problems: one sentence per case that cannot be imported.
        notes: what was left out.
    """

    cases: tuple[PlannedCase, ...]
    channel_names: tuple[str, ...]
    labels: Labels
    file_ending: str
    is_pseudonymous: bool
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    def header(self) -> tuple[str, ...]:
        """Names of the columns of `rows`."""
        source = () if self.is_pseudonymous else ("case", "source")
        return (*source, "shape", "spacing mm", "label", "will be called")

    def rows(self) -> list[tuple[str, ...]]:
        """One row per case; names at the source are left out where they are to stay secret."""
        return [self._row(case) for case in self.cases]

    def _row(self, case: PlannedCase) -> tuple[str, ...]:
        sources = ", ".join(channel.description for channel in case.found.channels)
        shape = " × ".join(map(str, case.grid.shape)) if case.grid else "?"
        spacing = " × ".join(f"{length:.3g}" for length in case.grid.spacing_mm) if case.grid else "?"
        part = "test, " if case.found.is_test else ""
        label = f"{part}{'yes' if case.found.label else 'no'}"
        source = () if self.is_pseudonymous else (case.found.name, sources)
        return (*source, shape, spacing, label, case.name if case.grid else "cannot be imported")


def plan_import(
    sources: Sequence[Path], classes: Sequence[str], wanted: Wanted, is_pseudonymous: bool = False
) -> ImportPlan:
    """Find the cases of all sources, read their headers, and give them names.

    Raises:
        InputError: if there is no case, the sources do not fit each other, or two cases would share a name. What is
            wrong with single cases is in the plan.
    """
    if not sources:
        raise InputError("There is nothing to import. Give images, folders of them, or folders of DICOM files.")
    found = [find_cases(source, wanted) for source in sources]
    channel_names = _common_channels(sources, found)
    labels = _labels(sources, found, classes)
    problems = [problem for each in found for problem in each.problems]
    cases = [case for each in found for case in each.cases]
    if not cases and not problems:
        raise InputError(f"{sources[0]}: lists no cases. Give a folder with images.")
    planned = []
    for case, name in zip(track(cases, "Reading headers"), _names(cases, is_pseudonymous), strict=True):
        try:
            planned.append(PlannedCase(name, case, _grid(case)))
        except InputError as error:
            problems.append(str(error))
            planned.append(PlannedCase(name, case, None))
    notes = tuple(
        note
        for each in found
        for note in (*each.notes, *(files.sentence(is_named=not is_pseudonymous) for files in each.left_out))
    )
    planned.sort(key=lambda case: case.name)
    ending = _ending(cases)
    return ImportPlan(tuple(planned), channel_names, labels, ending, is_pseudonymous, tuple(problems), notes)


def _common_channels(sources: Sequence[Path], found: Sequence[Found]) -> tuple[str, ...]:
    for source, each in zip(sources, found, strict=True):
        if each.channel_names != found[0].channel_names:
            raise InputError(
                f"{source}: its channels are {', '.join(each.channel_names)}, those of {sources[0]} are "
                f"{', '.join(found[0].channel_names)}; expected the same. Name them with --channels."
            )
    return found[0].channel_names


def _labels(sources: Sequence[Path], found: Sequence[Found], classes: Sequence[str]) -> Labels:
    tables = [(source, each.labels) for source, each in zip(sources, found, strict=True) if each.labels is not None]
    for source, table in tables[1:]:
        if dict(table) != dict(tables[0][1]):
            raise InputError(
                f"{source}: its labels are {dict(table)}, those of {tables[0][0]} are {dict(tables[0][1])}; expected "
                "the same. Import them into two datasets."
            )
    if tables and classes and tables[0][1].foreground != tuple(classes):
        raise InputError(
            f"--classes {','.join(classes)}: the dataset.json of {tables[0][0]} names "
            f"{', '.join(tables[0][1].foreground)}. Leave --classes out, or correct dataset.json."
        )
    if not tables and not classes:
        raise InputError(f"{sources[0]}: says nothing about classes. Name what you will annotate: --classes tumour.")
    repeated = sorted({name for name in classes if list(classes).count(name) > 1})
    if repeated:
        raise InputError(f"--classes {','.join(classes)}: {repeated[0]} is there twice. Name each class once.")
    return tables[0][1] if tables else Labels.of_foreground(classes)


def _names(cases: Sequence[FoundCase], is_pseudonymous: bool) -> list[str]:
    """Safe file names, or case_001 and so on in random order, which says nothing of the order at the source."""
    if is_pseudonymous:
        digits = max(3, len(str(len(cases))))
        numbers = random.SystemRandom().sample(range(1, len(cases) + 1), len(cases))
        return [f"case_{number:0{digits}d}" for number in numbers]
    names = [safe_name(case) for case in cases]
    first: dict[str, FoundCase] = {}
    for case, name in zip(cases, names, strict=True):
        other = first.setdefault(name.casefold(), case)
        if other is not case:
            raise InputError(
                f"{case.channels[0].path}: duplicate case {name}, {other.channels[0].path} would be called the same. "
                "Rename one, or number them with --pseudonymise."
            )
    return names


def safe_name(case: FoundCase) -> str:
    """A case's name as a file name: letters, digits, "_", "." and "-".

    Raises:
        InputError: if nothing of it remains.
    """
    name = _UNSAFE.sub("-", case.name).strip("-.")
    if not name:
        raise InputError(
            f"{case.channels[0].path}: {case.name!r} gives no file name; expected letters or digits. Rename it."
        )
    return name


def _grid(case: FoundCase) -> Grid:
    """The grid of all channels and the label."""
    parts: list[Channel] = [*case.channels, *([case.label] if case.label else [])]
    grids = [part.read_grid() for part in parts]
    for part, grid in zip(parts[1:], grids[1:], strict=True):
        require_same_grid(grid, part.path, grids[0], parts[0].path)
    return grids[0]


def _ending(cases: Sequence[FoundCase]) -> str:
    """That of all files if they share one that needs no second file, so that nothing is converted; else NIfTI's."""
    endings = {
        suffix_of(channel.path) if isinstance(channel, ImageFile) else None
        for case in cases
        for channel in case.channels
    }
    ending = endings.pop() if len(endings) == 1 else None
    return ending if ending in _SINGLE_FILE_ENDINGS and ending is not None else _DEFAULT_ENDING


def series_pattern(series: str | None) -> re.Pattern[str] | None:
    """The regular expression of `--series`, in any case.

    Raises:
        InputError: if it is none.
    """
    try:
        return None if series is None else re.compile(series, re.IGNORECASE)
    except re.error as error:
        raise InputError(f"--series {series}: no regular expression ({error}). Give one, such as 'T1.*post'.") from None
