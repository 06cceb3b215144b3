"""What is placed is on disk before the answer, in the files that other commands read."""

import errno
import json
import os

import numpy as np
import pytest

from voxseed.data.annotations import CaseAnnotation, ObjectPoints
from voxseed.data.markups import read_markups

CASE = "/api/cases/case_0"


def put(api, message):
    return api.put(f"{CASE}/objects", json=message)


def positions_ras(path):
    """By hand, as Slicer's format says: LPS has the first two signs turned."""
    node = json.loads(path.read_text())["markups"][0]
    assert node["coordinateSystem"] == "LPS"
    return {point["label"]: np.multiply(point["position"], [-1, -1, 1]) for point in node["controlPoints"]}


def test_a_complete_object_is_in_the_set_where_it_was_clicked(api, workspace, data, cubes):
    answer = put(api, cubes.message())
    assert answer.json()["problem"] == ""
    found = positions_ras(workspace.path / "case_0" / "cube.mrk.json")
    for point in cubes.points():
        np.testing.assert_allclose(found[point["role"]], point["mm"])
    annotation = data.annotations("page").read("case_0")
    np.testing.assert_allclose(annotation.points[0].inside_mm, [cubes.points()[0]["mm"]])


def test_an_incomplete_object_is_kept_apart(api, workspace, data, cubes):
    answer = put(api, cubes.message("inside", "left", "superior"))
    assert answer.json()["problem"] == "cube: still missing right, posterior, anterior, inferior."
    assert data.annotations("page").cases == ()
    assert [item["role"] for item in api.get(CASE).json()["objects"][0]["points"]] == ["inside", "left", "superior"]
    put(api, cubes.message())
    assert data.annotations("page").cases == ("case_0",)
    assert not (workspace.path / ".drafts" / "case_0").exists()
    put(api, cubes.message("inside"))
    assert data.annotations("page").cases == ()
    assert not (workspace.path / "case_0").exists()


def test_an_implausible_object_is_kept_apart(api, data, cubes):
    answer = put(api, cubes.message(inside=(17, 9, 6)))
    assert "lies outside its box" in answer.json()["problem"]
    assert data.annotations("page").cases == ()


def test_killed_between_writing_and_removing_the_younger_file_counts(api, workspace, cubes):
    put(api, cubes.message("inside", "left"))
    draft = workspace.path / ".drafts" / "case_0" / "cube.mrk.json"
    left_over = draft.read_text()
    put(api, cubes.message())
    draft.parent.mkdir(exist_ok=True)
    draft.write_text(left_over)
    os.utime(draft, ns=(0, 0))
    assert len(api.get(CASE).json()["objects"][0]["points"]) == 7
    put(api, cubes.message(number=2))
    assert not draft.exists()
    assert sorted(path.name for path in (workspace.path / "case_0").iterdir()) == ["cube#2.mrk.json", "cube.mrk.json"]


def test_several_objects_and_removal(api, workspace, data, cubes):
    for message in (cubes.message(), cubes.message(number=2), {**cubes.message(), "class_name": "ball"}):
        put(api, message)
    assert len(data.annotations("page").read("case_0").points) == 3
    api.delete(f"{CASE}/objects", params={"class_name": "cube", "object_number": 2})
    assert sorted(path.name for path in (workspace.path / "case_0").iterdir()) == ["ball.mrk.json", "cube.mrk.json"]
    put(api, cubes.message()["points"] and {"class_name": "cube", "object_number": 1})
    api.delete(f"{CASE}/objects", params={"class_name": "ball", "object_number": 1})
    assert not (workspace.path / "case_0").exists()


def test_files_of_other_programs_are_taken_over(api, workspace, data, cubes):
    """An annotation written elsewhere, its roles by position alone, two nodes in a file."""
    points = {point["role"]: np.array(point["mm"]) for point in cubes.points()}
    nodes = [
        {
            "type": "Fiducial",
            "name": name,
            "coordinateSystem": "RAS",
            "controlPoints": [{"label": f"F-{n}", "position": mm.tolist()} for n, mm in enumerate(points.values())],
        }
        for name in ("cube", "ball")
    ]
    path = workspace.path / "case_0" / "old.mrk.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"markups": nodes}))
    objects = api.get(CASE).json()["objects"]
    assert [point["role"] for point in objects[0]["points"]] == list(points)
    put(api, cubes.message(inside=(9, 9, 6)))
    assert sorted(each.name for each in path.parent.iterdir()) == ["ball.mrk.json", "cube.mrk.json"]
    assert len(read_markups(path.parent / "ball.mrk.json")[0].labels) == 7


def test_a_box_is_a_roi_of_the_set(api, data, cubes):
    box = {"center_mm": [-1, -9, 5], "axes": [[1, 0, 0], [0, 1, 0], [0, 0, 1]], "size_mm": [8, 12, 10]}
    assert put(api, {"class_name": "cube", "object_number": 1, "box": box}).status_code == 200
    read = data.annotations("page").read("case_0").boxes[0]
    np.testing.assert_allclose(read.center_mm, [-1, -9, 5])
    np.testing.assert_allclose(read.size_mm, [8, 12, 10])
    assert api.get(CASE).json()["objects"][0]["box"] == box
    outside = {**box, "center_mm": [500, 0, 0]}
    assert "lies outside the image" in put(api, {"class_name": "cube", "object_number": 1, "box": outside}).text


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"class_name": "cone"}, "Unknown class 'cone'"),
        ({"object_number": 0}, "greater than or equal to 1"),
        ({"points": [{"role": "middle", "mm": [0, 0, 0]}]}, "expected one of inside, left"),
        ({"points": [{"role": "inside", "mm": [0, 0]}]}, "Field required"),
        ({"points": [{"role": "inside", "mm": [0, 0, 1e300]}]}, "less than or equal to"),
        ({"class_name": "../../etc/x"}, "Unknown class"),
        ({"unknown": 1}, "Extra inputs"),
    ],
)
def test_what_makes_no_sense_is_refused(api, workspace, cubes, change, sentence):
    answer = put(api, {**cubes.message(), **change})
    assert answer.status_code == 422
    assert sentence in answer.text
    assert not (workspace.path / "case_0").exists()


def test_one_writer_per_case(connect, cubes):
    first, second = (connect(Authorization=f"Bearer {cubes.token}", **{"X-Voxseed-Client": name}) for name in "ab")
    assert first.post(f"{CASE}/claim", json={"client": "a"}).status_code == 200
    refused = second.post(f"{CASE}/claim", json={"client": "b"})
    assert refused.status_code == 409
    assert "open in another tab" in refused.json()["detail"]
    assert put(second, cubes.message()).status_code == 409
    assert second.get(CASE).json()["objects"] == []
    assert second.post("/api/cases/case_1/claim", json={"client": "b"}).status_code == 200
    assert second.post(f"{CASE}/claim", json={"client": "b", "take_over": True}).status_code == 200
    assert put(first, cubes.message()).status_code == 409
    assert put(second, cubes.message()).status_code == 200
    second.post(f"{CASE}/release", json={"client": "b"})
    assert put(first, cubes.message("inside")).status_code == 200


@pytest.mark.parametrize(
    ("code", "sentence"), [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "cannot be written: Read-only")]
)
@pytest.mark.parametrize(
    ("method", "address", "content"),
    [
        ("PUT", "objects", None),
        ("PUT", "state", {"state": "done"}),
        ("PUT", "absent", {"classes": ["ball"]}),
        ("PATCH", "painted", {"slices": [{"axis": 2, "index": 5, "runs": [[0, 4, 1]]}]}),
    ],
)
def test_what_cannot_be_written_now_may_be_sent_again(
    api, workspace, cubes, monkeypatch, code, sentence, method, address, content
):
    message = cubes.message() if content is None else content

    def full(source, target):
        raise OSError(code, os.strerror(code), str(target))

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        refused = api.request(method, f"{CASE}/{address}", json=message)
    assert (refused.status_code, sentence in refused.json()["detail"]) == (507, True)
    assert api.get(CASE).json()["objects"] == []
    assert api.request(method, f"{CASE}/{address}", json=message).status_code == 200
    assert api.get(CASE).json()["state"] in ("in progress", "done")


def test_a_writer_without_a_name_is_refused(connect, cubes):
    assert put(connect(Authorization=f"Bearer {cubes.token}"), cubes.message()).status_code == 422


def test_written_as_by_other_commands(api, workspace, data, cubes):
    """The page's file and that of `AnnotationSet.write` for the same points are the same."""
    put(api, cubes.message())
    written = (workspace.path / "case_0" / "cube.mrk.json").read_text()
    inside, *outside = (np.array(point["mm"]) for point in cubes.points())
    annotation = CaseAnnotation("points", (ObjectPoints("cube", 1, np.array([inside]), np.array(outside)),))
    data.annotations("page").write("case_0", annotation)
    assert (workspace.path / "case_0" / "cube.mrk.json").read_text() == written
