"""The command that makes a dataset of a folder, for messages."""

from collections.abc import Sequence
from pathlib import Path

from voxseed.shell import voxseed_command

_EXAMPLE_CLASSES = ("tumour",)


def import_command(path: Path, classes: Sequence[str] = (), channels: Sequence[str] = ()) -> str:
    """What to type so that a file or folder becomes a dataset beside it.

    Args:
        path: of images or DICOM files.
        classes: foreground; `tumour`, as an example, if not known.
        channels: where there are several.
    """
    out = Path("dataset") if path.name in ("", "..") else path.with_name(f"{path.name.split('.')[0]}-dataset")
    words = ["dataset", "import", str(path), "--out", str(out)]
    words += ["--classes", ",".join(classes or _EXAMPLE_CLASSES)]
    words += ["--channels", ",".join(channels)] if len(channels) > 1 else []
    return voxseed_command(*words)
