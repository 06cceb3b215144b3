"""Image files as cases: which file is which channel of which case."""

import re

import numpy as np
import pytest

from voxseed.data.sources.base import Wanted, channel_in, without_channel
from voxseed.data.sources.find import find_cases
from voxseed.data.volumes import Volume, write_volume
from voxseed.errors import InputError


@pytest.fixture
def write_images(tmp_path):
    def write(*names):
        for name in names:
            write_volume(tmp_path / name, Volume(np.arange(24).reshape(2, 3, 4), np.eye(4)))
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("text", "channels", "channel", "rest"),
    [
        ("anna_T1", ["T1", "T1ce"], "T1", "anna"),
        ("anna_t1CE", ["T1", "T1ce"], "T1ce", "anna"),
        ("anna-T1-Gd_2", ["T1", "T1-Gd"], "T1-Gd", "anna_2"),
        ("FLAIR", ["FLAIR"], "FLAIR", ""),
        ("FLAIRx", ["FLAIR"], None, None),
        ("T2_anna_T2", ["T2"], "T2", "T2_anna"),
    ],
)
def test_channels_are_words_of_a_name(text, channels, channel, rest):
    assert channel_in(text, channels) == channel
    if channel:
        assert without_channel(text, channel) == rest


@pytest.mark.parametrize(
    ("names", "channels", "expected"),
    [
        (["anna.nii.gz", "bert.nii.gz"], (), {"anna": ["anna.nii.gz"], "bert": ["bert.nii.gz"]}),
        (["anna.nrrd"], ("CT",), {"anna": ["anna.nrrd"]}),
        (["anna_0000.mha"], (), {"anna": ["anna_0000.mha"]}),
        (["anna/t1.nii", "bert/t1.nii"], (), {"anna_t1": ["anna/t1.nii"], "bert_t1": ["bert/t1.nii"]}),
        (
            ["anna_0000.nii", "anna_0001.nii"],
            ("FLAIR", "T1"),
            {"anna": ["anna_0000.nii", "anna_0001.nii"]},
        ),
        (["anna_t1.nii", "anna_flair.nii"], ("FLAIR", "T1"), {"anna": ["anna_flair.nii", "anna_t1.nii"]}),
        (["anna/T1.nii", "anna/FLAIR.nii"], ("FLAIR", "T1"), {"anna": ["anna/FLAIR.nii", "anna/T1.nii"]}),
        (["T1/anna.nii", "FLAIR/anna.nii"], ("FLAIR", "T1"), {"anna": ["FLAIR/anna.nii", "T1/anna.nii"]}),
        (
            ["b1/b1_t1.nii", "b1/b1_t1ce.nii", "b1/b1_seg.nii"],
            ("T1", "T1ce"),
            {"b1": ["b1/b1_t1.nii", "b1/b1_t1ce.nii"]},
        ),
        (
            ["a/x_t1.nii", "a/x_t2.nii", "b/x_t1.nii", "b/x_t2.nii"],
            ("T1", "T2"),
            {"a_x": ["a/x_t1.nii", "a/x_t2.nii"], "b_x": ["b/x_t1.nii", "b/x_t2.nii"]},
        ),
    ],
)
def test_files_and_the_cases_that_they_are(write_images, names, channels, expected):
    root = write_images(*names)
    found = find_cases(root, Wanted(channels))
    cases = {
        case.name: [channel.path.relative_to(root).as_posix() for channel in case.channels] for case in found.cases
    }
    assert cases == expected
    assert found.problems == ()
    assert found.channel_names == (channels or ("image",))


def test_files_of_no_channel_are_named(write_images):
    found = find_cases(write_images("a_t1.nii", "a_t2.nii", "a_seg.nii"), Wanted(("T1", "T2")))
    assert [each.sentence(is_named=True) for each in found.left_out] == [
        "1 image file left out, naming none of the channels: a_seg.nii."
    ]


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["a_t1.nii"], r"case a has 0 files of channel T2, expected one; found a_t1\.nii\. Add it"),
        (["a_t1.nii", "a_T1.nii", "a_t2.nii"], r"case a has 2 files of channel T1, expected one; .* Keep one of them"),
    ],
)
def test_a_case_without_its_channels_is_a_problem(write_images, names, sentence):
    (problem,) = find_cases(write_images(*names), Wanted(("T1", "T2"))).problems
    assert re.search(sentence, problem), problem


def test_numbered_channels_without_names_are_asked_for(write_images):
    with pytest.raises(InputError, match=r"end in the channels 0000, 0001, but 0 channels are named.*--channels FLAIR"):
        find_cases(write_images("a_0000.nii", "a_0001.nii"), Wanted())
