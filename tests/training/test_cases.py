"""What of an annotation reaches the working grid."""

from pathlib import Path

import numpy as np
import pytest

from voxseed.data.cache import PatchCache
from voxseed.data.datasets import Dataset
from voxseed.data.preprocessing import Preprocessing, PreprocessingSettings
from voxseed.supervision.expansion import ExpansionSettings
from voxseed.supervision.kinds import SupervisionKind
from voxseed.training.cases import CaseSource, TrainingCase
from voxseed.types import IGNORE
from voxseed.workflows.simulate import simulate


@pytest.fixture(scope="module")
def sliced(tiny_dataset, tmp_path_factory) -> Path:
    """An annotation set of slices; voxels are 1.5 mm."""
    return simulate(tiny_dataset, "slices", out=tmp_path_factory.mktemp("sets") / "slices", every_slices=6, seed=3).path


def prepared(tiny_dataset: Path, annotations: Path | str, spacing_mm: float, folder: Path) -> TrainingCase:
    dataset = Dataset.open(tiny_dataset)
    preprocessing = Preprocessing.fit(dataset, ["ball_0"], PreprocessingSettings(spacing_mm=(spacing_mm,) * 3))
    source = CaseSource(
        dataset,
        SupervisionKind.SLICES,
        dataset.annotations(annotations),
        ExpansionSettings(),
        preprocessing,
        PatchCache(folder),
    )
    return source.prepare("ball_0")


@pytest.mark.parametrize("spacing_mm", [1.5, 2.0, 3.0, 4.5])
def test_every_painted_slice_is_a_slice_of_a_coarser_grid(tiny_dataset, sliced, tmp_path, spacing_mm):
    painted = Dataset.open(tiny_dataset).annotations(sliced).read("ball_0").painted
    case = prepared(tiny_dataset, sliced, spacing_mm, tmp_path)
    target = case.supervision.read("target")
    for axis in (1, 2):
        others = tuple(other for other in range(3) if other != axis)
        native = np.flatnonzero((painted.array != 2).all(axis=others))
        expected = ((native + 0.5) * target.shape[axis] / painted.shape[axis]).astype(int)
        assert len(native) >= 2 if axis == 2 else len(native) >= 1
        assert np.flatnonzero((target != IGNORE).all(axis=others)).tolist() == sorted(set(expected.tolist()))
    assert {0, 1, IGNORE} == set(np.unique(target))


def test_painted_voxels_are_those_that_patches_hold(tiny_dataset, sliced, tmp_path):
    case = prepared(tiny_dataset, sliced, 3.0, tmp_path)
    target = case.supervision.read("target")
    assert 0 < len(case.painted) <= 1000
    assert (target[tuple(case.painted.T)] != IGNORE).all()
    assert {0, 1} == set(target[tuple(case.painted.T)])


def test_what_is_grown_from_points_is_not_painted(tiny_dataset, tmp_path):
    case = prepared(tiny_dataset, "points", 3.0, tmp_path)
    assert case.painted.shape == (0, 3)
    assert len(case.seeds) == 1
