"""Files are whole or not there, and what the file system refuses is a sentence."""

import errno
import os
import re

import pytest

from voxseed.errors import InputError
from voxseed.files import atomic_path, read_json, write_json, write_text, writing


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "volume.nii.gz"
    write_text(target, "old")
    with pytest.raises(ZeroDivisionError), atomic_path(target) as temporary:
        temporary.write_text(str(1 / 0))
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_temporary_file_keeps_the_suffixes_by_which_writers_choose_their_format(tmp_path):
    with atomic_path(tmp_path / "volume.nii.gz") as temporary:
        temporary.write_text("new")
        assert temporary.name.endswith(".nii.gz")
    assert (tmp_path / "volume.nii.gz").read_text() == "new"


def test_json_reads_back(tmp_path):
    write_json(tmp_path / "deep" / "a.json", {"a": [1, 2.5, None]})
    assert read_json(tmp_path / "deep" / "a.json") == {"a": [1, 2.5, None]}


@pytest.mark.parametrize(("content", "sentence"), [(None, "no such file"), ("{", "expected a JSON file")])
def test_a_bad_json_file_is_a_sentence(tmp_path, content, sentence):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=sentence):
        read_json(path)


def test_a_folder_is_no_json_file(tmp_path):
    with pytest.raises(InputError, match=r"cannot be read: .*irectory"):
        read_json(tmp_path)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (errno.ENOSPC, "the disk is full; free some space or write elsewhere."),
        (errno.EDQUOT, "the disk is full; free some space or write elsewhere."),
        (errno.EACCES, "cannot be written: Permission denied. Change its permissions or write elsewhere."),
        (errno.EROFS, "cannot be written: Read-only file system. Change its permissions or write elsewhere."),
    ],
)
def test_what_the_file_system_refuses_is_a_sentence(tmp_path, monkeypatch, code, sentence):
    target = tmp_path / "a.txt"
    write_text(target, "old")

    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(InputError, match=re.escape(f"{target}: {sentence}")):
        write_text(target, "new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("place", ["file/below.txt", "file/far/below.txt", "folder"])
def test_a_place_where_nothing_can_be_is_a_sentence(tmp_path, place):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=rf"{place}: cannot be written: "):
        write_text(tmp_path / place, "text")


def test_an_error_about_another_file_stays_what_it_is(tmp_path):
    with pytest.raises(FileNotFoundError), writing(tmp_path / "out" / "a.txt"):
        (tmp_path / "other" / "b.txt").read_text()
