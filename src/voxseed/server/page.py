"""The built page: the files that a browser loads, part of wheels, made in a clone by `make web`."""

from dataclasses import dataclass
from pathlib import Path

from voxseed.errors import InputError

FOLDER = Path(__file__).parent / "page"
_TYPES = {
    "index.html": "text/html; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "solid.js": "text/javascript; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "licences.txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True)
class PageFile:
    """One file of the page, in memory."""

    content: bytes
    media_type: str


def read_page(folder: Path = FOLDER) -> dict[str, PageFile]:
    """All files of the page by name.

    Raises:
        InputError: if this installation was made without it; says how to get it.
    """
    missing = [name for name in _TYPES if not (folder / name).is_file()]
    if missing:
        raise InputError(
            "This installation has no annotation page, because it could not be built when Voxseed was installed: "
            "install a wheel, or run `make web` (python scripts/dev.py web) in the clone."
        )
    return {name: PageFile((folder / name).read_bytes(), media_type) for name, media_type in _TYPES.items()}
