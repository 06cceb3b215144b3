"""The patch cache: preprocessed cases on disk, compressed in chunks, of which a patch reads only those that it touches.

One folder per case, named by a key: a hash of everything that its content follows from, so a cached case is never out
of date. It appears complete or not at all, and whoever comes second waits for it. Checksums are compared when a case
is opened: a damaged one is made again.
"""

import errno
import json
import logging
import math
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
from filelock import FileLock

from voxseed.errors import InputError
from voxseed.types import Shape3

CACHE_VARIABLE = "VOXSEED_CACHE"
"""Environment variable: the folder, unless `--cache` names one."""

FORMAT_VERSION = 4
"""Cases of another version are not seen: raise it whenever preprocessing or the layout of the files changes."""

CaseContent = tuple[Mapping[str, np.ndarray], Mapping[str, Any]]
"""Arrays by name, each (I, J, K) or (M, I, J, K) on one grid; and anything else, as JSON has it."""

_ENTRY_NAME = "entry.json"
# Measured with patches of 128^3 float32, warm, on one core: 130/s; 85 to 125/s with larger blocks or chunks.
_CHUNK_VOXELS = 64
_BLOCK_VOXELS = 32
_COMPRESSION = {"codec": blosc2.Codec.ZSTD, "clevel": 1, "filters": [blosc2.Filter.BITSHUFFLE], "nthreads": 1}
_BYTES_PER_CASE = 2**16
"""Allowance for headers and for the description."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CachedCase:
    """A case in the cache. It holds no open file, so it can be sent to other processes.

    Attributes:
        folder: where its files are.
        shape: (I, J, K).
        meta: as it was given.
    """

    folder: Path
    shape: Shape3
    meta: Mapping[str, Any]

    def read(self, name: str) -> np.ndarray:
        """A whole array."""
        return _open(self.folder / f"{name}.b2nd")[...]

    def read_patch(self, name: str, start: Shape3, shape: Shape3, fill: float) -> np.ndarray:
        """A patch that may lie partly or wholly outside the volume, where it is `fill`.

        Args:
            name: of the array.
            start: first voxel, may be negative.
            shape: voxels of the patch.
            fill: value outside the volume.

        Returns:
            shape, or (M, *shape) for an array with channels.
        """
        file = _open(self.folder / f"{name}.b2nd")
        patch = np.full((*file.shape[:-3], *shape), fill, dtype=file.dtype)
        stop = [begin + size for begin, size in zip(start, shape, strict=True)]
        inside = [(max(0, begin), min(end, n)) for begin, end, n in zip(start, stop, self.shape, strict=True)]
        if all(low < high for low, high in inside):
            source = [slice(low, high) for low, high in inside]
            target = [slice(low - begin, high - begin) for (low, high), begin in zip(inside, start, strict=True)]
            leading = [slice(None)] * (file.ndim - 3)
            patch[(*leading, *target)] = file[(*leading, *source)]
        return patch


class PatchCache:
    """Preprocessed cases in one folder, shared by all jobs that are pointed at it.

    Args:
        folder: made when the first case is cached.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._cases = folder / f"v{FORMAT_VERSION}"

    def case(self, key: str, build: Callable[[], CaseContent]) -> CachedCase:
        """The cached case, made by `build` if it is not there or damaged.

        Args:
            key: a hash, as hexadecimal digits, of everything that the content follows from.
            build: gives the content; called while no other job can make the same case.

        Raises:
            InputError: if the folder cannot be written, or the disk is full.
        """
        try:
            self._cases.mkdir(parents=True, exist_ok=True)
            with FileLock(self._cases / f"{key}.lock"):
                return self._sound(key) or self._made(key, *build())
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise InputError(
                    f"{self.folder}: the disk is full; free some space or choose another --cache."
                ) from None
            if error.filename is None or not Path(error.filename).is_relative_to(self.folder):
                raise
            raise InputError(
                f"{self.folder}: cannot keep the cache here: {error.strerror}. Choose another folder with --cache."
            ) from None

    def require_room(self, byte_count: int) -> None:
        """Check that the disk has room for that much more.

        Raises:
            InputError: if not; states both sizes.
        """
        existing = next(path for path in (self.folder.absolute(), *self.folder.absolute().parents) if path.exists())
        free = shutil.disk_usage(existing).free
        if free < byte_count:
            raise InputError(
                f"{self.folder}: it may need {byte_count / 1e9:.1f} GB, but the disk has {free / 1e9:.1f} GB left. "
                "Choose another folder with --cache, or a coarser grid with --set preprocessing.spacing_mm=[...]."
            )

    def _sound(self, key: str) -> CachedCase | None:
        folder = self._cases / key
        if not folder.exists():
            return None
        try:
            entry = json.loads((folder / _ENTRY_NAME).read_text(encoding="utf-8"))
            intact = all(_checksum((folder / name).read_bytes()) == value for name, value in entry["checksums"].items())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            intact = False
        if intact:
            return CachedCase(folder, tuple(entry["shape"]), entry["meta"])
        _log.warning("%s: the cached case is damaged and will be made again.", folder)
        shutil.rmtree(folder)
        return None

    def _made(self, key: str, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> CachedCase:
        folder, unfinished = self._cases / key, self._cases / f".{key}.unfinished"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir()
        try:
            checksums = {}
            for name, array in arrays.items():
                packed = _packed(array)
                (unfinished / f"{name}.b2nd").write_bytes(packed)
                checksums[f"{name}.b2nd"] = _checksum(packed)
            shape = _common_shape(arrays)
            entry = json.dumps({"shape": shape, "checksums": checksums, "meta": meta})
            (unfinished / _ENTRY_NAME).write_text(entry, encoding="utf-8")
            os.replace(unfinished, folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return CachedCase(folder, shape, json.loads(entry)["meta"])


def estimated_bytes(shapes: Iterable[Shape3], bytes_per_voxel: int) -> int:
    """What cases of these shapes need on disk at most; compression usually saves a tenth to a half of it.

    Args:
        shapes: of the cases on the working grid.
        bytes_per_voxel: of all arrays of a case together.
    """
    return sum(math.prod(map(_stored_voxels, shape)) * bytes_per_voxel + _BYTES_PER_CASE for shape in shapes)


def _packed(array: np.ndarray) -> bytes:
    chunks = [_even_part(n, _CHUNK_VOXELS) for n in array.shape[-3:]]
    blocks = [_even_part(n, _BLOCK_VOXELS) for n in chunks]
    channels = [1] * (array.ndim - 3)
    packed = blosc2.asarray(
        np.ascontiguousarray(array), chunks=(*channels, *chunks), blocks=(*channels, *blocks), cparams=_COMPRESSION
    )
    return packed.to_cframe()


def _even_part(n: int, most: int) -> int:
    """Largest part when n voxels are cut into as few parts of at most `most` as possible, all about equal."""
    return math.ceil(n / math.ceil(n / most))


def _stored_voxels(n: int) -> int:
    """Voxels along one axis when every chunk is filled up to whole blocks."""
    chunk = _even_part(n, _CHUNK_VOXELS)
    block = _even_part(chunk, _BLOCK_VOXELS)
    return math.ceil(n / chunk) * math.ceil(chunk / block) * block


def _open(path: Path) -> Any:
    return blosc2.open(str(path), mode="r", dparams={"nthreads": 1})


def _checksum(content: bytes) -> int:
    return zlib.crc32(content)


def _common_shape(arrays: Mapping[str, np.ndarray]) -> Shape3:
    shapes = {array.shape[-3:] for array in arrays.values()}
    if len(shapes) != 1:
        raise ValueError(f"Arrays of one case must lie on one grid, found shapes {sorted(shapes)}.")
    return shapes.pop()
