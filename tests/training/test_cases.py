"""What the loop knows of a case beside its voxels: objects, seeds, volumes, trust, what was painted."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from voxseed.data.annotation_sets import AnnotationSet
from voxseed.data.annotations import CaseAnnotation
from voxseed.data.cache import PatchCache
from voxseed.data.datasets import Dataset
from voxseed.data.normalisation import Normalisation
from voxseed.data.preprocessing import Preprocessing, PreprocessingSettings
from voxseed.data.volumes import Volume
from voxseed.errors import InputError
from voxseed.supervision.expansion import ExpansionSettings
from voxseed.supervision.kinds import GrownObject, Supervision, SupervisionKind
from voxseed.training.cases import CaseSource, TrainingCase, with_true_volumes
from voxseed.types import IGNORE
from voxseed.workflows.simulate import simulate


def _source(root, kind, annotations, cache, spacing_mm=1.5, **options) -> CaseSource:
    dataset = Dataset.open(root)
    preprocessing = Preprocessing(
        channel_names=("MRI",), spacing_mm=(spacing_mm,) * 3, normalisations=(Normalisation(kind="zscore"),)
    )
    found = dataset.annotations(annotations)
    return CaseSource(dataset, kind, found, ExpansionSettings(), preprocessing, PatchCache(cache), **options)


@pytest.mark.parametrize(("spacing_mm", "factor"), [(1.5, 1), (0.75, 2)])
def test_objects_lie_on_the_working_grid_with_the_volume_that_was_asked_for(tiny_dataset, tmp_path, spacing_mm, factor):
    label = Dataset.open(tiny_dataset).read_label("ball_0").array
    without, with_volume = (
        _source(tiny_dataset, SupervisionKind.BOXES, "points", tmp_path, spacing_mm, true_volumes=asked).prepare(
            "ball_0"
        )
        for asked in (False, True)
    )
    ((item,), (measured,)) = without.objects, with_volume.objects
    assert math.isnan(item.true_voxels)
    assert measured.true_voxels == pytest.approx(label.sum() * factor**3)
    assert (item.box_start, item.box_stop) == (measured.box_start, measured.box_stop)
    filled = np.argwhere(label) * factor
    assert (filled >= item.box_start).all()
    assert (filled < item.box_stop).all()
    target = without.supervision.read("target")
    assert (target[item.slices] == 255).all()
    assert np.prod(item.box_shape) == (target == 255).sum()


def test_seeds_of_a_class_that_nobody_marked_are_the_voxels_of_its_boxes(tiny_dataset, tmp_path):
    (boxes,) = _source(tiny_dataset, SupervisionKind.BOXES, "points", tmp_path).prepare("ball_1").seeds
    grown = _source(tiny_dataset, SupervisionKind.PARTIAL, "points", tmp_path).prepare("ball_1")
    (item,) = grown.objects
    assert {*boxes[:, 0]} == set(range(item.box_start[0], item.box_stop[0]))
    assert (grown.supervision.read("target")[tuple(grown.seeds[0].T)] == 1).all()


def test_true_volumes_are_counted_in_each_box():
    dense = np.zeros((6, 6, 6), np.uint8)
    dense[1:3, 1:3, 1:3], dense[4:, 4:, 4:] = 1, 2
    objects = (GrownObject(1, (0, 0, 0), (2, 6, 6)), GrownObject(2, (3, 3, 3), (6, 6, 6)))
    supervision = Supervision(SupervisionKind.PARTIAL, dense, np.eye(4), objects)
    assert [item.true_voxels for item in with_true_volumes(supervision, dense).objects] == [4.0, 8.0]


def test_a_volume_without_a_dense_label_is_a_sentence(tmp_path):
    dataset = Dataset.create(tmp_path / "data", "D", ("MRI",), ("ball",))
    rng = np.random.default_rng(0)
    label = np.zeros((12, 12, 12), np.uint8)
    label[4:8, 4:8, 4:8] = 1
    dataset.write_case("a", rng.normal(size=(1, 12, 12, 12)).astype(np.float32), np.eye(4), label)
    simulate(tmp_path / "data", "points")
    (tmp_path / "data" / "labelsTr" / "a.nii.gz").unlink()
    source = _source(tmp_path / "data", SupervisionKind.PARTIAL, "points", tmp_path / "cache", true_volumes=True)
    with pytest.raises(InputError, match="no dense label of case 'a', which is needed here"):
        source.prepare("a")


def test_a_cached_target_is_of_one_table_of_labels(tiny_dataset, tmp_path):
    """The same files, and a table with another class before the ball."""
    copy = tmp_path / "copy"
    shutil.copytree(tiny_dataset, copy)
    for path in (copy / "dataset.json", copy / "annotations" / "points" / "annotations.json"):
        content = json.loads(path.read_text())
        path.write_text(json.dumps({**content, "labels": {"background": 0, "cyst": 1, "ball": 2}}))
    for root, index in ((tiny_dataset, 1), (copy, 2)):
        target = _source(root, SupervisionKind.PARTIAL, "points", tmp_path / "cache").prepare("ball_0").supervision
        assert target.read("target").max(initial=0, where=target.read("target") != IGNORE) == index


def test_labels_of_a_tool_reach_the_loop_as_such(tiny_dataset, tmp_path):
    dataset = Dataset.open(tiny_dataset)
    made = AnnotationSet.create(tmp_path / "tool", dataset.labels, "noisy-dense")
    label = dataset.read_label("ball_0")
    made.write("ball_0", CaseAnnotation("noisy-dense", painted=Volume(np.zeros_like(label.array), label.affine)))
    case = _source(tiny_dataset, SupervisionKind.PARTIAL, tmp_path / "tool", tmp_path / "cache").prepare("ball_0")
    assert not case.trusted
    assert case.absent == frozenset()
    assert _source(tiny_dataset, SupervisionKind.PARTIAL, "points", tmp_path / "cache").prepare("ball_0").trusted


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
