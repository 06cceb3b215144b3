"""States of cases, one server per set, and no way out of the dataset."""

import os
import shutil

import pytest

from voxseed.data.datasets import Dataset
from voxseed.errors import InputError
from voxseed.server.workspace import OutsideError, State, Workspace, set_place


def test_states_follow_from_files_and_from_what_was_said(api, workspace, cubes):
    def states():
        return [case["state"] for case in api.get("/api/cases").json()]

    assert states() == ["unannotated", "unannotated"]
    api.put("/api/cases/case_0/objects", json=cubes.message("inside"))
    assert states() == ["in progress", "unannotated"]
    api.put("/api/cases/case_0/state", json={"state": "done"})
    api.put("/api/cases/case_1/state", json={"state": "flagged"})
    assert states() == ["done", "flagged"]
    api.put("/api/cases/case_1/state", json={"state": "in progress"})
    api.put("/api/cases/case_0/state", json={"state": "unannotated"})
    assert states() == ["in progress", "unannotated"]


def test_states_survive_a_restart(workspace, data):
    workspace.set_state("case_1", State.DONE)
    workspace.close()
    again = Workspace(data, set_place(data, None))
    assert again.state("case_1") is State.DONE
    again.close()


def test_absent_classes_are_those_of_the_set(api, data, cubes):
    assert api.put("/api/cases/case_0/absent", json={"classes": ["ball"]}).status_code == 200
    assert data.annotations("page").read("case_0").absent == {"ball"}
    api.put("/api/cases/case_0/objects", json=cubes.message("inside"))
    refused = api.put("/api/cases/case_0/absent", json={"classes": ["cube"]})
    assert refused.status_code == 422
    assert "cube is annotated in case_0" in refused.json()["detail"]
    assert "Unknown class" in api.put("/api/cases/case_0/absent", json={"classes": ["x"]}).json()["detail"]


def test_a_second_server_is_refused(workspace, data):
    with pytest.raises(InputError, match="another voxseed annotate or review uses it"):
        Workspace(data, set_place(data, None))


@pytest.mark.parametrize(
    ("protocol", "message"), [("dense", "a set of dense labels"), ("scattered-points", "a set of scattered points")]
)
def test_a_set_that_the_page_cannot_write_is_refused(data, protocol, message):
    from voxseed.data.annotation_sets import AnnotationSet

    AnnotationSet.create(data.root / "annotations" / "all", data.labels, protocol)
    with pytest.raises(InputError, match=message):
        Workspace(data, set_place(data, "all"))


def test_a_set_can_lie_elsewhere(data, tmp_path):
    workspace = Workspace(data, set_place(data, str(tmp_path / "mine")))
    assert workspace.path == tmp_path / "mine"
    assert data.annotation_sets() == ()
    workspace.close()


def test_links_to_outside_are_not_followed(api, workspace, data, tmp_path):
    outside = tmp_path / "secret_0000.nii.gz"
    path = data.root / "imagesTr" / "case_0_0000.nii.gz"
    shutil.move(path, outside)
    path.symlink_to(outside)
    for address in ("/api/cases/case_0", "/api/cases/case_0/channels/0"):
        answer = api.get(address)
        assert answer.status_code == 403
        assert "a link to outside" in answer.json()["detail"]
    (workspace.path / "case_1").symlink_to(tmp_path)
    assert api.get("/api/cases/case_1").status_code == 403
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (data.root / "annotations" / "linked").symlink_to(elsewhere)
    with pytest.raises(OutsideError):
        set_place(data, "linked")


@pytest.mark.parametrize("place", ["case_0", ".drafts/case_0"])
def test_objects_that_are_links_to_outside_are_not_read(api, workspace, cubes, tmp_path, place):
    api.put("/api/cases/case_0/objects", json=cubes.message())
    outside = tmp_path / "secret.mrk.json"
    shutil.move(workspace.path / "case_0" / "cube.mrk.json", outside)
    path = workspace.path / place / "cube.mrk.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(outside)
    answers = [api.get("/api/cases/case_0"), api.put("/api/cases/case_0/objects", json=cubes.message("inside"))]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert "a link to outside" in answers[0].json()["detail"]
    assert path.is_symlink()


def test_links_within_the_dataset_are_followed(api, data):
    path = data.root / "imagesTr" / "case_0_0000.nii.gz"
    os.replace(path, data.root / "kept.nii.gz")
    path.symlink_to(data.root / "kept.nii.gz")
    assert api.get("/api/cases/case_0/channels/0").status_code == 200


def test_states_list_one_folder_however_many_cases_there_are(tmp_path, file_accesses):
    counts = []
    for cases in (4, 400):
        data = Dataset.create(tmp_path / str(cases), "Many", ["MRI"], ["a"])
        (data.root / "imagesTr").mkdir()
        for number in range(cases):
            (data.root / "imagesTr" / f"case_{number:04d}_0000.nii.gz").touch()
        place = data.root / "annotations" / "page"
        for number in range(0, cases, 2):
            (place / f"case_{number:04d}").mkdir(parents=True)
        (place / "annotations.json").write_text(
            '{"version": 1, "protocol": "points", "labels": {"background": 0, "a": 1}, "states": {"case_0001": "done"}}'
        )
        workspace = Workspace(Dataset.open(data.root), place)
        counts.append(file_accesses(workspace.states))
        states = workspace.states()
        assert (len(states), list(states.values())[:3]) == (cases, ["in progress", "done", "in progress"])
        workspace.close()
    assert counts[0] == counts[1]
