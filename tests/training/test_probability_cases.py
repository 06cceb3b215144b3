"""Probability maps on their way into the cache: on the working grid, and the target that follows from them there."""

import numpy as np
import pytest

from voxseed.data.cache import PatchCache
from voxseed.data.datasets import Dataset
from voxseed.data.preprocessing import Preprocessing, PreprocessingSettings
from voxseed.data.resampling import resample
from voxseed.data.valid_region import valid_region
from voxseed.supervision.build import build_supervision
from voxseed.supervision.expansion import ExpansionSettings
from voxseed.supervision.kinds import SupervisionKind
from voxseed.supervision.probability_settings import ProbabilitySettings
from voxseed.training.cases import CaseSource
from voxseed.workflows.simulate import simulate


@pytest.fixture(scope="module")
def annotated(tiny_dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("sets") / "scattered-points"
    simulate(tiny_dataset, "scattered-points", out=out, points=40)
    data = Dataset.open(tiny_dataset)
    return data, data.annotations(out)


def source(annotated, cache, kind, **changes) -> CaseSource:
    data, annotations = annotated
    preprocessing = Preprocessing.fit(data, data.cases, PreprocessingSettings(spacing_mm=(2.0, 1.5, 3.0)))
    expansion = ExpansionSettings(probability=ProbabilitySettings(**changes))
    return CaseSource(data, kind, annotations, expansion, preprocessing, PatchCache(cache))


def test_maps_are_resampled_and_the_target_follows_from_them(annotated, tmp_path):
    case = source(annotated, tmp_path, SupervisionKind.PROBABILITY).prepare("ball_1")
    data, annotations = annotated
    image = data.read_image("ball_1")
    native = build_supervision(
        annotations.read("ball_1"),
        image,
        data.labels,
        ExpansionSettings(),
        valid_region(image.array),
        "ball_1",
        SupervisionKind.PROBABILITY,
    ).probabilities
    expected = resample(native[0], case.shape)
    assert case.shape == (18, 20, 8)
    found = case.read("probabilities", (0, 0, 0), case.shape, fill=0)
    assert (found.dtype, found.shape) == (np.float16, (1, 18, 20, 8))
    np.testing.assert_allclose(found[0], expected, atol=5e-4)
    target = case.read("target", (0, 0, 0), case.shape, fill=255)
    np.testing.assert_array_equal(target, expected > 0.5)
    (seeds,) = case.seeds
    assert (target[tuple(seeds.T)] == 1).all()
    beyond = case.read("probabilities", (16, 0, 0), (4, 4, 4), fill=0)
    assert not beyond[:, 2:].any()


def test_partial_supervision_has_no_maps_and_settings_make_another_case(annotated, tmp_path):
    partial = source(annotated, tmp_path, SupervisionKind.PARTIAL).prepare("ball_1")
    assert not (partial.supervision.folder / "probabilities.b2nd").exists()
    kind = SupervisionKind.PROBABILITY
    folders = {
        source(annotated, tmp_path, kind, sigma_mm=width).prepare("ball_1").supervision.folder for width in (3, 6)
    }
    assert len(folders) == 2
