"""Patches, stages and networks follow from data, settings and device."""

import math

import pytest

from voxseed.errors import InputError
from voxseed.methods.base import METHODS
from voxseed.methods.recipes import get_recipe
from voxseed.training.planning import plan_networks, plan_patch, plan_stages, rounded_patch
from voxseed.training.settings import load_run_settings


@pytest.mark.parametrize(
    ("median", "budget", "expected"),
    [
        ((96, 72, 44), 400_000, (96, 72, 44)),  # a whole case fits
        ((64, 64, 64), 64**3, (64, 64, 64)),
        ((300, 40, 40), 40**3 * 2, (78, 40, 40)),  # the longest axis is shortened first
    ],
)
def test_a_patch_is_the_median_case_cut_to_its_budget(median, budget, expected):
    patch = plan_patch(median, budget)
    assert math.prod(patch) <= budget
    assert all(abs(found - size) <= max(1, size // 16) for found, size in zip(patch, expected, strict=True))


def test_a_patch_is_rounded_up_to_what_every_network_divides_by():
    settings = load_run_settings()
    networks = plan_networks(settings, ("primary", "auxiliary"), (1.25, 1.25, 1.25), (95, 71, 44))
    assert rounded_patch((95, 71, 44), networks) == (96, 80, 48)


@pytest.mark.parametrize(
    ("spacing_mm", "architecture"),
    [((1.0, 1.0, 1.0), "unet3d"), ((0.5, 0.5, 1.5), "unet2.5d"), ((3.0, 3.0, 1.0), "unet2.5d")],
)
def test_thick_slices_get_a_network_of_their_own(spacing_mm, architecture):
    networks = plan_networks(load_run_settings(), ("primary",), spacing_mm, (64, 64, 32))
    assert networks["primary"]["architecture"] == architecture


def test_a_method_says_what_auto_is_and_the_user_may_say_otherwise():
    wishes = METHODS.get("pw4medseg").architectures
    for overrides, expected in (
        ([], "probabilistic-unetr"),
        (["networks.primary.architecture=unet3d"], "unet3d"),
    ):
        settings = load_run_settings(overrides=overrides)
        networks = plan_networks(settings, ("primary",), (1.0, 1.0, 1.0), (64, 64, 32), wishes)
        assert networks["primary"]["architecture"] == expected


def test_arguments_of_a_network_replace_the_planned_ones():
    overrides = ["networks.primary.architecture=unetr", "networks.primary.arguments.layers=4"]
    networks = plan_networks(load_run_settings(overrides=overrides), ("primary",), (1.0, 1.0, 1.0), (64, 64, 30))
    assert networks["primary"] == {
        "architecture": "unetr",
        "width": 16,
        "hidden_width": 768,
        "layers": 4,
        "heads": 12,
        "patch_shape": [64, 64, 32],
    }
    wrong = load_run_settings(overrides=[overrides[0], "networks.primary.arguments.depth=4"])
    with pytest.raises(InputError, match="network unetr: unknown setting 'depth'"):
        plan_networks(wrong, ("primary",), (1.0, 1.0, 1.0), (64, 64, 32))


@pytest.mark.parametrize(
    ("planes", "members"),
    [
        (("coronal", "axial"), ("primary", "axial", "coronal")),
        (("axial",), ("primary", "axial")),
        (("sagittal", "coronal"), ("primary", "coronal", "sagittal")),
    ],
)
def test_2d_networks_are_those_of_annotated_planes_and_read_their_slices(planes, members):
    settings = load_run_settings(overrides=["networks.axial.width=4"])
    (stage,) = plan_stages(get_recipe("cross-teaching"), settings, "cpu", planes)
    assert stage.members == members
    networks = plan_networks(settings, stage.members, (1.0, 1.0, 3.0), (32, 32, 16))
    axes = {"sagittal": 0, "coronal": 1, "axial": 2}
    for member in members[1:]:
        assert networks[member]["architecture"] == "unet2d"
        assert networks[member]["axis"] == axes[member]
        assert networks[member]["width"] == (4 if member == "axial" else 16)


def test_a_2d_network_reads_the_slices_that_it_is_named_after():
    settings = load_run_settings(overrides=["networks.axial.arguments={axis: 0, chunk: 3}"])
    with pytest.raises(InputError, match=r"networks.axial.arguments.axis = 0: axial slices are across axis 2"):
        plan_networks(settings, ("axial",), (1.0, 1.0, 3.0), (32, 32, 16))
    settings = load_run_settings(overrides=["networks.axial.arguments={axis: 2, chunk: 3}"])
    assert plan_networks(settings, ("axial",), (1.0, 1.0, 3.0), (32, 32, 16))["axial"]["chunk"] == 3


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], [("stage-one", 800), ("scm", 270)]),  # a third, rounded up to whole epochs
        (["recipe.stages=1"], [("stage-one", 800)]),
        (["training.iterations=100", "recipe.stage_shares=[1.0, 0.5]"], [("stage-one", 100), ("scm", 50)]),
    ],
)
def test_stages_have_their_share_of_the_iterations(overrides, expected):
    stages = plan_stages(get_recipe("pa-seg"), load_run_settings(overrides=overrides), "cpu")
    assert [(stage.method, stage.iterations) for stage in stages] == expected
    assert all(stage.iterations % stage.epoch_length == 0 for stage in stages)
