"""Several files as one: all or none, and a kill at any moment leaves one of the two or what `finish` completes."""

import json

import pytest

from voxseed.data import replacing as module
from voxseed.data.replacing import finish, is_interrupted, replacing
from voxseed.errors import InputError
from voxseed.files import write_text

OLD = {"a.txt": "old a", "deep/b.txt": "old b", "gone.txt": "old"}
NEW = {"a.txt": "new a", "deep/b.txt": "new b", "made.txt": "made"}


class KilledError(BaseException):
    pass


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    for name, text in OLD.items():
        write_text(folder / name, text)
    return folder


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def replace_all(root):
    with replacing(root, {"to": "new"}) as replacement:
        for name, text in NEW.items():
            write_text(replacement.stage(root / name), text)
        replacement.remove(root / "gone.txt")


def test_everything_is_replaced_and_nothing_else_is_left(root):
    replace_all(root)
    assert contents(root) == NEW
    assert not list(root.rglob(".*"))


def replace_and_fail(root):
    with replacing(root, None) as replacement:
        write_text(replacement.stage(root / "a.txt"), "new")
        raise ZeroDivisionError


def test_an_error_leaves_the_old(root):
    with pytest.raises(ZeroDivisionError):
        replace_and_fail(root)
    assert contents(root) == OLD
    assert not list(root.rglob(".*"))


@pytest.mark.parametrize("moves", range(4))
def test_a_kill_while_files_are_moved_is_finished(root, monkeypatch, moves):
    real, made = module.move_into_place, []

    def killed_after_some(temporary, target):
        if target.name != module.JOURNAL_NAME:
            if len(made) == moves:
                raise KilledError
            made.append(target)
        real(temporary, target)

    monkeypatch.setattr(module, "move_into_place", killed_after_some)
    if moves < len(NEW):
        with pytest.raises(KilledError):
            replace_all(root)
        assert is_interrupted(root)
    else:
        replace_all(root)
    monkeypatch.undo()
    moved = root.with_name("moved")
    root.rename(moved)
    assert finish(moved) == ({"to": "new"} if moves < len(NEW) else None)
    assert contents(moved) == NEW
    assert not list(moved.rglob(".*"))
    assert finish(moved) is None


def test_what_was_staged_before_a_kill_does_not_count(root):
    stale = root / "deep" / ".relabel" / "b.txt"
    write_text(stale, "stale")
    assert finish(root) is None
    assert contents(root)["deep/b.txt"] == "old b"


def test_nothing_to_replace_writes_nothing(root):
    with replacing(root, None):
        pass
    assert contents(root) == OLD


def test_a_journal_of_another_version_is_refused(root):
    (root / ".relabel.json").write_text(json.dumps({"version": 2}))
    with pytest.raises(InputError, match=r"\.relabel\.json: expected version 1, found 2\. Finish with"):
        finish(root)
