"""Fixtures and settings that all tests share."""

import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is imported, which torch does late

settings.register_profile("default", deadline=None, max_examples=30)
settings.register_profile("ci", deadline=None, max_examples=30, derandomize=True, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses `real_data`, so that it can be chosen or left out by `-m`."""
    for item in items:
        if "real_data" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.real_data)


def pytest_collection_finish() -> None:
    """Two threads on every machine, so that times and sums are comparable; torch is not imported for this."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(2)


_accesses: list[Counter[str]] = []
_ACCESS_EVENTS = ("open", "os.listdir", "os.scandir")


def _count_access(event: str, _: object) -> None:
    if event in _ACCESS_EVENTS:
        for counter in _accesses:
            counter[event] += 1


sys.addaudithook(_count_access)  # for good: Python has no way to take a hook away


@pytest.fixture
def file_accesses() -> Callable[[Callable[[], object]], Counter[str]]:
    """Call a function and count the files that it opens and the folders that it lists."""

    def count(function: Callable[[], object]) -> Counter[str]:
        counter: Counter[str] = Counter()
        _accesses.append(counter)
        try:
            function()
        finally:
            _accesses.remove(counter)
        return counter

    return count


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real datasets; tests that use it skip where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip("needs ../shared/data")
    return REAL_DATA


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four cases of 24 × 20 × 16 voxels with a bright ball, dense labels, and seven simulated points each."""
    from voxseed.data.datasets import Dataset
    from voxseed.workflows.simulate import simulate

    path = tmp_path_factory.mktemp("data") / "Dataset900_Balls"
    dataset = Dataset.create(path, "Balls", ("MRI",), ("ball",))
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.arange(24), np.arange(20), np.arange(16), indexing="ij"))
    for number in range(4):
        center = np.array([12, 10, 8]) + rng.integers(-2, 3, 3)
        label = (((grid - center[:, None, None, None]) ** 2).sum(axis=0) < 25).astype(np.uint8)
        image = (100 * label + rng.normal(0, 20, label.shape)).astype(np.float32)
        dataset.write_case(f"ball_{number}", image[None], np.diag([1.5, 1.5, 1.5, 1]), label)
    simulate(path, "points", seed=0)
    return path


@pytest.fixture(scope="session")
def write_dicom() -> Callable[..., list[Path]]:
    """Write an array (I, J, K) as a DICOM series, a file per slice: `write_dicom(folder, array)`."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    def write(
        folder: Path,
        array: np.ndarray,
        *,
        orientation: tuple[float, ...] = (1, 0, 0, 0, 1, 0),
        origin_mm: tuple[float, float, float] = (-10, 20, 30),
        spacing_mm: tuple[float, float, float] = (0.5, 0.75, 2.5),
        shift_mm: tuple[float, float, float] = (0, 0, 0),
        multi_frame: bool = False,
        change: Callable[[int, Dataset], None] = lambda index, header: None,
        **elements: object,
    ) -> list[Path]:
        """Slice k is moved by k · shift_mm; `change` gets each slice's header; `elements` are of the series."""
        along, down = np.reshape(orientation, (2, 3)).astype(float)
        step = np.cross(along, down) * spacing_mm[2] + shift_mm
        common = {
            "PatientName": "Secret^Sally",
            "PatientID": "sally-77",
            "StudyDate": "20200229",
            "StudyInstanceUID": generate_uid(entropy_srcs=["study"]),
            "SeriesInstanceUID": generate_uid(),
            "SeriesDescription": "T1 axial",
            "SeriesNumber": 3,
            "Modality": "CT",
            "SOPClassUID": CTImageStorage,
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "BitsAllocated": 16,
            "BitsStored": 16,
            "HighBit": 15,
            "PixelRepresentation": 1,
            "Rows": array.shape[1],
            "Columns": array.shape[0],
            **elements,
        }

        def header_of(index: int, pixels: np.ndarray) -> Dataset:
            header = Dataset()
            for keyword, value in common.items():
                setattr(header, keyword, value)
            header.SOPInstanceUID = generate_uid()
            header.InstanceNumber = index + 1
            header.PixelData = np.ascontiguousarray(pixels.astype("<i2")).tobytes()
            return header

        def measures() -> Dataset:
            group = Dataset()
            group.PixelSpacing = [spacing_mm[1], spacing_mm[0]]
            return group

        def position(index: int) -> list[float]:
            return [round(float(each), 6) for each in np.array(origin_mm) + index * step]

        def save(header: Dataset, path: Path) -> Path:
            header.file_meta = FileMetaDataset()
            header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
            header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
            header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            header.save_as(path, enforce_file_format=True)
            return path

        def frame(index: int) -> Dataset:
            place, group = Dataset(), Dataset()
            place.ImagePositionPatient = position(index)
            group.PlanePositionSequence = [place]
            return group

        folder.mkdir(parents=True, exist_ok=True)
        if multi_frame:
            header, shared, plane = header_of(0, array.transpose(2, 1, 0)), Dataset(), Dataset()
            plane.ImageOrientationPatient = list(orientation)
            shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [plane], [measures()]
            header.SharedFunctionalGroupsSequence = [shared]
            header.PerFrameFunctionalGroupsSequence = [frame(index) for index in range(array.shape[2])]
            header.NumberOfFrames = array.shape[2]
            change(0, header)
            return [save(header, folder / "frames.dcm")]
        paths = []
        for index in range(array.shape[2]):
            header = header_of(index, array[:, :, index].T)
            header.PixelSpacing = measures().PixelSpacing
            header.ImageOrientationPatient, header.ImagePositionPatient = list(orientation), position(index)
            change(index, header)
            # The first slice comes last by name.
            paths.append(save(header, folder / f"im{array.shape[2] - index:03d}.dcm"))
        return paths

    return write
