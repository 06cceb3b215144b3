"""Import: images, DICOM series and the datasets of others as a dataset of Voxseed."""

import csv
import errno
import io
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from voxseed.data.case_files import image_name
from voxseed.data.dataset_json import FILE_NAME, Description
from voxseed.data.datasets import Dataset
from voxseed.data.grids import require_same_grid
from voxseed.data.labels import BACKGROUND_NAME, IGNORE_NAME
from voxseed.data.sources.base import Channel, ImageFile, Wanted
from voxseed.data.volumes import Volume, require_finite, suffix_of, write_volume
from voxseed.errors import InputError
from voxseed.files import write_json, write_text
from voxseed.parallel import map_in_threads
from voxseed.workflows.import_plan import ImportPlan, PlannedCase, plan_import, series_pattern
from voxseed.workflows.new_folder import new_folder, require_free

_KEY_COLUMNS = ("case", "name at source", "sources")


def import_dataset(
    sources: Sequence[str | Path],
    out: str | Path,
    classes: Sequence[str] = (),
    *,
    channels: Sequence[str] = (),
    series: str | None = None,
    link: bool = False,
    pseudonymise: bool = False,
    dry_run: bool = False,
    show: Callable[[ImportPlan], None] = lambda plan: None,
) -> Dataset | None:
    """Make a dataset of images, DICOM series, MSD and BIDS folders, and nnU-Net datasets.

    Files that need no conversion are copied as they are, once they have been read and found good. Label maps are taken
    from MSD and nnU-Net folders only, because no other says that a file is one.

    Args:
        sources: files and folders; see `find_cases`.
        out: the new folder; must not exist, or be empty.
        classes: foreground classes; may be left out where the source has a labels table.
        channels: their names, in order; what the source has, if not given.
        series: regular expression, in any case, that a DICOM series description or a BIDS file name must match.
        link: hard links instead of copies, where nothing is converted.
        pseudonymise: call cases case_001 and so on in random order, write all files anew, so that their headers say
            nothing but where the voxels lie, and write OUT-key.csv beside the dataset.
        dry_run: stop after `show`.
        show: is given the plan before anything is written, if there is a case in it.

    Returns:
        The dataset; None after a dry run.

    Raises:
        InputError: if a case cannot be imported, the sources do not fit each other, or `out` cannot be written to.
            Nothing is left half-written.
    """
    out = Path(out)
    if link and pseudonymise:
        raise InputError(
            "--link with --pseudonymise: linked files keep their headers, which may name the patient. Choose one."
        )
    key = out.with_name(f"{out.name}-key.csv")
    if pseudonymise and key.exists():
        raise InputError(f"{key}: is there already. Move it, or choose another --out, so that no key is lost.")
    require_free(out)
    _require_names("--channels", channels)
    _require_names("--classes", classes)
    _require_foreground(classes)
    wanted = Wanted(tuple(channels), series_pattern(series))
    plan = plan_import([Path(source) for source in sources], classes, wanted, pseudonymise)
    if plan.cases:
        show(plan)
    if plan.problems:
        raise InputError(_refusal(plan))
    if dry_run:
        return None
    try:
        with new_folder(out, out.parent, "Choose another place with --out.") as folder:
            _write_dataset(plan, folder, out.name, link)
            if pseudonymise:
                _write_key(key, plan)
    except BaseException:
        if pseudonymise:
            key.unlink(missing_ok=True)
        raise
    return Dataset.open(out)


def _write_dataset(plan: ImportPlan, folder: Path, name: str, link: bool) -> None:
    map_in_threads(_Writing(plan, folder, link).write_case, plan.cases, "Importing")
    description = Description(name, plan.channel_names, plan.labels, plan.file_ending)
    training_count = sum(not case.found.is_test for case in plan.cases)
    write_json(folder / FILE_NAME, description.to_json(training_count))


@dataclass(frozen=True)
class _Writing:
    """What is the same for all cases."""

    plan: ImportPlan
    folder: Path
    link: bool

    def write_case(self, case: PlannedCase) -> None:
        """Channels, and the label if there is one."""
        part = "Ts" if case.found.is_test else "Tr"
        for index, channel in enumerate(case.found.channels):
            volume = channel.read()
            require_finite(volume, channel.path)
            name = image_name(case.name, index, self.plan.file_ending)
            self._write(channel, volume, self.folder / f"images{part}" / name)
        if case.found.label is not None:
            label = case.found.label.read()
            self.plan.labels.require_known(label.array, str(case.found.label.path))
            if case.grid is not None:
                require_same_grid(label, case.found.label.path, case.grid, case.found.channels[0].path)
            name = f"{case.name}{self.plan.file_ending}"
            self._write(case.found.label, label, self.folder / f"labels{part}" / name)

    def _write(self, source: Channel, volume: Volume, target: Path) -> None:
        fits = isinstance(source, ImageFile) and suffix_of(source.path) == self.plan.file_ending
        if self.plan.is_pseudonymous or not fits:
            write_volume(target, volume)
            return
        target.parent.mkdir(exist_ok=True)
        if self.link:
            _link(source.path.resolve(), target)
        else:
            shutil.copyfile(source.path, target)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        reason = "another disk than --out" if error.errno == errno.EXDEV else f"not possible ({error.strerror})"
        raise InputError(f"{source}: --link: {reason}. Leave --link out, and files are copied.") from None


def _refusal(plan: ImportPlan) -> str:
    if len(plan.problems) == 1:
        return plan.problems[0]
    return "\n".join([f"{len(plan.problems)} cases cannot be imported, so nothing was.", *plan.problems])


def _write_key(path: Path, plan: ImportPlan) -> None:
    """Which case is which; readable by its owner alone."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_KEY_COLUMNS)
    for case in plan.cases:
        paths = ";".join(str(channel.path.resolve()) for channel in case.found.channels)
        writer.writerow((case.name, case.found.name, paths))
    write_text(path, text.getvalue())
    path.chmod(0o600)


def _require_foreground(classes: Sequence[str]) -> None:
    reserved = [name for name in classes if name in (BACKGROUND_NAME, IGNORE_NAME)]
    if reserved:
        raise InputError(
            f"--classes {','.join(classes)}: {reserved[0]} is a reserved word and cannot be a class; datasets have it "
            "by themselves. Name what you will annotate: --classes tumour."
        )


def _require_names(option: str, names: Sequence[str]) -> None:
    if any(not name.strip() or name != name.strip() for name in names) or len(set(names)) < len(names):
        raise InputError(f"{option} {','.join(names)}: expected different names without spaces around, such as A,B.")
