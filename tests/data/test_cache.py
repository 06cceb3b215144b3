import json
import multiprocessing
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voxseed.data.cache import FORMAT_VERSION, PatchCache, estimated_bytes
from voxseed.errors import InputError

IMAGE = np.random.default_rng(0).normal(size=(2, 70, 40, 9)).astype(np.float32)
VALID = IMAGE[0] > 0


def build() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    return {"image": IMAGE, "valid": VALID, "target": VALID.astype(np.uint8)}, {"noise": 0.5, "absent": (1, 2)}


def never() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    raise AssertionError("built again")


def read_in_another_process(cached: Any) -> float:
    return float(cached.read_patch("image", (0, 0, 0), (4, 4, 4), 0.0).sum())


def build_slowly(folder: Path, counter: Path) -> None:
    def build_and_count() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        with counter.open("a") as file:
            file.write("built\n")
        return build()

    PatchCache(folder).case("shared", build_and_count)


def test_what_comes_back_is_what_was_put_in(tmp_path: Path) -> None:
    for source in (build, never):
        cached = PatchCache(tmp_path).case("a", source)
        assert cached.shape == (70, 40, 9)
        assert cached.meta == {"noise": 0.5, "absent": [1, 2]}
        for name, expected in build()[0].items():
            found = cached.read(name)
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("start", "shape"),
    [
        ((0, 0, 0), (70, 40, 9)),
        ((60, 30, 2), (8, 8, 4)),  # across chunks
        ((-3, -5, -7), (10, 10, 30)),  # beyond all faces
        ((65, 38, 5), (16, 16, 16)),
        ((75, 0, 0), (4, 4, 4)),  # wholly outside
    ],
)
def test_a_patch_is_filled_outside_the_volume(tmp_path: Path, start, shape) -> None:
    cached = PatchCache(tmp_path).case("a", build)
    padded = np.pad(IMAGE, [(0, 0), *[(35, 35)] * 3], constant_values=-7)
    region = tuple(slice(35 + low, 35 + low + size) for low, size in zip(start, shape, strict=True))
    np.testing.assert_array_equal(cached.read_patch("image", start, shape, -7), padded[(slice(None), *region)])
    np.testing.assert_array_equal(
        cached.read_patch("valid", start, shape, False), np.pad(VALID, 35, constant_values=False)[region]
    )


@pytest.mark.parametrize("damage", ["flip a bit", "truncate", "remove", "break the entry", "empty the entry"])
def test_a_damaged_case_is_made_again(tmp_path: Path, damage: str) -> None:
    cache = PatchCache(tmp_path)
    folder = cache.case("a", build).folder
    path, entry = folder / "image.b2nd", folder / "entry.json"
    content = bytearray(path.read_bytes())
    if damage == "flip a bit":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "truncate":
        path.write_bytes(content[:-100])
    elif damage == "remove":
        path.unlink()
    elif damage == "break the entry":
        entry.write_text(entry.read_text()[:-5])
    else:
        entry.write_text(json.dumps({}))
    np.testing.assert_array_equal(cache.case("a", build).read("image"), IMAGE)
    cache.case("a", never)


def test_a_case_that_was_being_written_when_the_job_was_killed_is_made_again(tmp_path: Path) -> None:
    cache = PatchCache(tmp_path)
    finished = cache.case("a", build).folder
    unfinished = finished.with_name(".b.unfinished")
    shutil.copytree(finished, unfinished)
    assert not finished.with_name("b").exists()
    np.testing.assert_array_equal(cache.case("b", build).read("image"), IMAGE)
    assert not unfinished.exists()


def test_nothing_is_left_of_a_case_that_cannot_be_built(tmp_path: Path) -> None:
    def fail() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        raise InputError("bad case")

    cache = PatchCache(tmp_path)
    with pytest.raises(InputError, match="bad case"):
        cache.case("a", fail)
    with pytest.raises(ValueError, match="must lie on one grid"):
        cache.case("a", lambda: ({"image": IMAGE, "valid": VALID[1:]}, {}))
    np.testing.assert_array_equal(cache.case("a", build).read("image"), IMAGE)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_can_read(tmp_path: Path, method: str) -> None:
    cached = PatchCache(tmp_path).case("a", build)
    cached.read_patch("image", (0, 0, 0), (4, 4, 4), 0.0)
    assert pickle.loads(pickle.dumps(cached)) == cached
    with multiprocessing.get_context(method).Pool(1) as pool:
        found = pool.map(read_in_another_process, [cached])
    assert found == pytest.approx([float(IMAGE[:, :4, :4, :4].sum())], abs=1e-4)


def test_concurrent_jobs_make_a_case_once(tmp_path: Path) -> None:
    counter = tmp_path / "count"
    context = multiprocessing.get_context("fork")
    jobs = [context.Process(target=build_slowly, args=(tmp_path / "cache", counter)) for _ in range(4)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert counter.read_text() == "built\n"


@pytest.mark.parametrize("shape", [(1, 1, 1), (35, 50, 36), (65, 65, 65), (95, 72, 44)])
def test_the_estimate_is_an_upper_bound_even_of_noise(tmp_path: Path, shape) -> None:
    array = np.random.default_rng(0).integers(0, 2**32, size=shape, dtype=np.uint32).view(np.float32)
    folder = PatchCache(tmp_path).case("a", lambda: ({"image": array}, {})).folder
    assert sum(path.stat().st_size for path in folder.iterdir()) <= estimated_bytes([shape], 4)


def test_too_little_room_is_said_before_anything_is_written(tmp_path: Path) -> None:
    cache = PatchCache(tmp_path / "not" / "there")
    cache.require_room(1)
    with pytest.raises(InputError, match=r"may need 1000000000.0 GB, but the disk has \d+\.\d GB left"):
        cache.require_room(10**18)
    assert not (tmp_path / "not").exists()


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match="the disk is full; free some space or choose another --cache"):
        PatchCache(tmp_path).case("a", build)
    monkeypatch.undo()
    assert [path.name for path in (tmp_path / f"v{FORMAT_VERSION}").iterdir() if path.is_dir()] == []


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot keep the cache here.*--cache"):
        PatchCache(tmp_path / "file").case("a", build)
