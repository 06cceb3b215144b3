"""Images as the page loads them: NIfTI in canonical axis order, whatever the file; kept in memory."""

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

import nibabel as nib
import numpy as np

from voxseed.data.grids import Grid
from voxseed.data.images import read_image
from voxseed.data.valid_region import valid_region
from voxseed.data.volumes import Image, Volume, canonical, canonical_view, read_as_stored
from voxseed.server.workspace import Workspace
from voxseed.types import BoolArray, FloatArray, Shape3

KEPT_BYTES = 2**30
"""Of images that are kept as they were sent; the one that was sent last is kept whatever its size."""

_KEPT_IMAGES = 2
_WINDOW_PERCENTILES = (0.5, 99.5)
_WINDOW_SAMPLES = 200_000
_NIFTI_HEADER_BYTES = 352
COARSE_VOXELS = 112
"""Along the longest axis of the small copy, which is enough for a view in 3D."""


@dataclass(frozen=True)
class PreparedImage:
    """A case as growing needs it, on its own grid."""

    image: Image
    valid: BoolArray


class Volumes:
    """Images of a workspace, read once.

    Args:
        workspace: whose images.
        kept_bytes: as `KEPT_BYTES`.
    """

    def __init__(self, workspace: Workspace, kept_bytes: int = KEPT_BYTES) -> None:
        self._workspace = workspace
        self._kept_bytes = kept_bytes
        self._encoded: OrderedDict[tuple[str, int, bool], bytearray] = OrderedDict()
        self._prepared: OrderedDict[str, PreparedImage] = OrderedDict()
        self._lock = Lock()
        self._reading = Lock()

    def encoded(self, case: str, channel: int, coarse: bool = False) -> bytearray:
        """An uncompressed NIfTI file of one channel, in canonical order.

        Args:
            case: of the workspace.
            channel: from 0.
            coarse: every so many voxels only, at most `COARSE_VOXELS` along an axis.

        Raises:
            InputError: if the file cannot be read, or there is no such channel.
        """
        key = (case, channel, coarse)
        found = self._kept(key)
        if found is not None:
            return found
        with self._reading:  # one at a time: two tabs that want the same do not read it twice
            found = self._kept(key)
            if found is not None:
                return found
            volume = canonical_view(read_as_stored(self._workspace.image_paths(case)[channel]))
            shown = window(volume.array)
            made = {
                (case, channel, True): encode(thinned(volume, COARSE_VOXELS), shown),
                (case, channel, False): encode(volume, shown),
            }
            self._keep(made)
            return made[key]

    def prepared(self, case: str) -> PreparedImage:
        """All channels of a case and where they are valid.

        Raises:
            InputError: if a file cannot be used.
        """
        with self._reading:
            if case not in self._prepared:
                image = read_image(self._workspace.image_paths(case))
                self._prepared[case] = PreparedImage(image, valid_region(image.array))
                while len(self._prepared) > _KEPT_IMAGES:
                    self._prepared.popitem(last=False)
            self._prepared.move_to_end(case)
            return self._prepared[case]

    def _kept(self, key: tuple[str, int, bool]) -> bytearray | None:
        with self._lock:
            if key in self._encoded:
                self._encoded.move_to_end(key)
            return self._encoded.get(key)

    def _keep(self, made: dict[tuple[str, int, bool], bytearray]) -> None:
        """Keep both copies of a channel in place of older ones: a page asks for the full one part by part."""
        with self._lock:
            for key, content in made.items():
                self._encoded[key] = content
                self._encoded.move_to_end(key)
            while sum(map(len, self._encoded.values())) > self._kept_bytes and len(self._encoded) > len(made):
                self._encoded.popitem(last=False)


def canonical_grid(grid: Grid) -> Grid:
    """A grid with its axes in the order and direction that `canonical` gives them."""
    orientation = nib.orientations.io_orientation(grid.affine)
    affine = grid.affine @ nib.orientations.inv_ornt_aff(orientation, grid.shape)
    order = np.argsort(orientation[:, 0])
    i, j, k = (int(grid.shape[axis]) for axis in order)
    return Grid((i, j, k), affine)


def encode(volume: Volume, display_range: tuple[float, float]) -> bytearray:
    """An uncompressed NIfTI-1 file; integers of up to 16 bits keep their values, others become float32."""
    kind = volume.array.dtype
    kept = kind if kind in (np.uint8, np.int16, np.uint16) else np.dtype(np.float32)
    header = nib.Nifti1Header()
    header["cal_min"], header["cal_max"] = display_range
    header.set_data_shape(volume.shape)
    header.set_data_dtype(kept)
    header.set_sform(volume.affine, code="scanner")
    header["vox_offset"] = _NIFTI_HEADER_BYTES
    content = bytearray(_NIFTI_HEADER_BYTES + volume.array.size * kept.itemsize)
    content[: len(header.binaryblock)] = header.binaryblock
    voxels = np.ndarray(volume.shape, kept, content, _NIFTI_HEADER_BYTES, order="F")
    voxels[...] = volume.array  # one pass, whatever order the file has
    return content


def window(array: np.ndarray) -> tuple[float, float]:
    """Lowest and highest intensity to show: robust percentiles of evenly drawn voxels."""
    values = array.flat[:: max(1, array.size // _WINDOW_SAMPLES)]
    low, high = (float(value) for value in np.percentile(values[np.isfinite(values)], _WINDOW_PERCENTILES))
    return (low, high) if high > low else (low, low + 1.0)


def thinned(volume: Volume, largest: int) -> Volume:
    """Every n-th voxel along each axis, so that no axis has more than `largest`."""
    steps = tuple(-(-size // largest) for size in volume.shape)
    array = volume.array[:: steps[0], :: steps[1], :: steps[2]]
    affine: FloatArray = volume.affine @ np.diag([*steps, 1.0])
    return Volume(np.ascontiguousarray(array), affine)


def canonical_box(start: Shape3, array: np.ndarray, grid: Grid) -> tuple[Shape3, np.ndarray]:
    """A part of a volume, given by its first voxel, in canonical order: first voxel and array.

    Args:
        start: on the volume's own grid.
        array: (i, j, k), the part.
        grid: of the volume.
    """
    offset = np.eye(4)
    offset[:3, 3] = start
    part = canonical(Volume(array, grid.affine @ offset))
    first = np.linalg.solve(canonical_grid(grid).affine, part.affine[:, 3])[:3]
    i, j, k = (round(float(value)) for value in first)
    return (i, j, k), part.array
