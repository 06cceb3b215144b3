"""Folders of DICOM files: a case per study, a channel per series."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from voxseed.data.sources.base import Found, FoundCase, LeftOut, Wanted, channel_in, counted
from voxseed.data.sources.dicom_series import DicomSeries
from voxseed.data.sources.dicom_slices import SliceFile, scan_headers
from voxseed.errors import InputError

_CHANNEL_OF_MODALITY = {"CT": "CT", "MR": "MRI"}
_DEFAULT_CHANNEL = "image"


def find_dicom(root: Path, files: Sequence[Path], wanted: Wanted) -> Found:
    """One case per study, called after the patient's id, or after its folder where there is none.

    A study has one series, or one whose description mentions the channel for each of several channels.

    Args:
        root: the folder, or the file itself.
        files: everything in it; what is not DICOM is left out and named.
        wanted: channels, and which series may be used.

    Raises:
        InputError: if a file is damaged, or no image is there.
    """
    scan = scan_headers(files)
    images = [image for image in scan.images if wanted.admits(image.description)]
    if not images:
        raise InputError(
            f"{root}: found {counted(scan.images, 'DICOM image')} in {counted(files, 'file')}, and of these --series "
            "admits none. Choose another folder or another --series."
            if scan.images
            else f"{root}: no images in {counted(files, 'file')}, of which {len(scan.not_images)} DICOM without scans. "
            "Expected NIfTI, NRRD, MetaImage or DICOM images."
        )
    channels = wanted.channels or (_channel_name(images),)
    studies: dict[str, list[SliceFile]] = defaultdict(list)
    for image in images:
        studies[image.study].append(image)
    cases, problems = [], []
    for name, study in zip(_case_names(root, list(studies.values())), studies.values(), strict=True):
        try:
            cases.append(FoundCase(name, _choose(name, _series(study), channels)))
        except InputError as error:
            problems.append(f"{root}: {error}")
    left_out = (
        *LeftOut.below(root, scan.not_dicom, "file", "not DICOM"),
        *LeftOut.below(root, scan.not_images, "file", "DICOM but no scans"),
    )
    return Found("DICOM series", tuple(cases), channels, problems=tuple(problems), left_out=left_out)


def _series(study: Sequence[SliceFile]) -> list[tuple[str, DicomSeries]]:
    """Description and volume of each series."""
    files: dict[str, list[SliceFile]] = defaultdict(list)
    for file in study:
        files[file.series].append(file)
    result = []
    for each in files.values():
        slices = tuple(piece for file in each for piece in file.slices)
        path = each[0].path if len(each) == 1 else each[0].path.parent
        title = each[0].description or f"number {each[0].series_number or '?'}"
        result.append((each[0].description, DicomSeries(path, title, slices)))
    return result


def _choose(case: str, series: Sequence[tuple[str, DicomSeries]], channels: tuple[str, ...]) -> tuple[DicomSeries, ...]:
    if len(series) == len(channels) == 1:
        return (series[0][1],)
    listed = ", ".join(sorted(volume.description for _, volume in series))
    chosen = []
    for channel in channels:
        fitting = [volume for description, volume in series if channel_in(description, channels) == channel]
        if len(fitting) != 1:
            raise InputError(
                f"case {case} has {counted(series, 'series')}, of which {len(fitting)} mention the channel {channel}; "
                f"expected one: {listed}. Choose by description with --series REGEX, or name --channels otherwise."
            )
        chosen.append(fitting[0])
    return tuple(chosen)


def _case_names(root: Path, studies: Sequence[Sequence[SliceFile]]) -> list[str]:
    """Patient's id; with the date where a patient has several studies, and a number where that is not enough."""
    names = [study[0].patient_id or _folder_name(root, study[0].path) for study in studies]
    for suffixes in ([study[0].study_date for study in studies], [str(index + 1) for index in range(len(studies))]):
        counts = Counter(names)
        names = [
            f"{name}_{suffix}" if counts[name] > 1 and suffix else name
            for name, suffix in zip(names, suffixes, strict=True)
        ]
    return names


def _folder_name(root: Path, path: Path) -> str:
    return "_".join(path.parent.relative_to(root).parts) or root.name if path != root else root.stem


def _channel_name(images: Sequence[SliceFile]) -> str:
    modalities = {image.modality for image in images}
    return _CHANNEL_OF_MODALITY.get(modalities.pop(), _DEFAULT_CHANNEL) if len(modalities) == 1 else _DEFAULT_CHANNEL
