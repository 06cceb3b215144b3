"""Settings of a run: presets, files, sections of methods."""

import pytest

from voxseed.errors import InputError, UnknownNameError
from voxseed.methods.base import METHODS
from voxseed.settings import write_yaml
from voxseed.training.presets import PRESETS
from voxseed.training.settings import load_run_settings, read_run_settings, section_name


@pytest.mark.parametrize("preset", list(PRESETS))
def test_every_preset_is_valid_and_reads_back(preset, tmp_path):
    settings = load_run_settings(preset)
    write_yaml(tmp_path / "settings.yaml", settings)
    assert read_run_settings(tmp_path / "settings.yaml") == settings


def test_every_method_has_a_section():
    settings = load_run_settings()
    for name in METHODS.names():
        assert isinstance(settings.of_method(name), METHODS.get(name).Settings)
        assert section_name(name) in type(settings).model_fields


@pytest.mark.parametrize(
    ("preset", "key", "value"),
    [
        ("paper-vs", "stage_one.crf.sigma_x", 0.1),
        ("paper-vs", "expansion.epsilon", 0.2),
        ("paper-vs", "expansion.gradient_weight", 1.0),
        ("paper-vs", "stage_one.crf.grid_factors", (2, 2, 1)),
        ("paper-vs", "training.iterations", 52_800),
        ("paper-glioma", "training.patch_shape", (128, 128, 128)),
        ("paper-glioma", "optimiser.momentum", 0.99),
        ("released", "stage_one.crf.pair_weight", 1.0),
        ("released", "stage_one.partial.reduction", "sum"),
        ("released", "partial.reduction", "sum"),
        ("released", "full.reduction", "sum"),
        ("released", "entropy_min.partial.include_background", True),
        ("paper-glioma", "entropy_min.ramp_fraction", 0.1),
        ("released", "expansion.gradient_weight", 0.5),
        ("paper-cross-teaching", "training.patch_shape", (176, 176, 96)),
        ("paper-cross-teaching", "optimiser.name", "adam"),
        ("paper-cross-teaching", "cross_teaching.threshold", 0.9),
        ("paper-cross-teaching", "cross_teaching.pseudo_weight", 0.1),
        ("paper-pw4medseg", "expansion.probability.sigma_mm", 10.0),
        ("paper-pw4medseg", "expansion.probability.normalised_per", "volume"),
        ("paper-pw4medseg", "optimiser.learning_rate", 1e-4),
        ("paper-pw4medseg", "training.patch_shape", (96, 96, 96)),
        ("paper-pw4medseg", "pw4medseg.kl_weight", 0.3),
        ("released-pw4medseg", "pw4medseg.loss", "focal"),
    ],
)
def test_presets_hold_the_published_values(preset, key, value):
    found = load_run_settings(preset)
    for part in key.split("."):
        found = getattr(found, part)
    assert found == value


def test_later_settings_win(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text("training: {iterations: 10, seed: 4}\n")
    settings = load_run_settings("small", path, ["training.iterations=20"])
    assert (settings.training.iterations, settings.training.seed, settings.networks["primary"].width) == (20, 4, 8)


def test_a_mistake_in_a_file_names_the_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("training: {iteration: 10}\n")
    with pytest.raises(InputError, match=r"mine\.yaml: unknown setting 'training\.iteration'"):
        load_run_settings(config=path)


def test_an_unknown_preset_lists_the_known():
    with pytest.raises(UnknownNameError, match="Known: default, small, paper-vs, paper-glioma, released"):
        load_run_settings("paper")
