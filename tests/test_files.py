"""Files are whole or not there."""

import pytest

from voxseed.errors import InputError
from voxseed.files import atomic_path, read_json, write_json, write_text


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "volume.nii.gz"
    write_text(target, "old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        assert temporary.name.endswith(".nii.gz")
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


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
