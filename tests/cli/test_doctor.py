"""The command `voxseed doctor`: a table, and exit code 2 where something stops training."""

from voxseed.workflows import doctor
from voxseed.workflows.doctor import Examined


def test_the_table_of_this_machine(voxseed, tmp_path):
    answer = voxseed("doctor", "--cache", tmp_path)
    assert answer.code in (0, 2)
    assert answer.out.split()[:5] == ["what", "found", "what", "to", "do"]
    assert f"cache          {tmp_path}" in answer.out


def test_what_stops_training_is_said_last(voxseed, monkeypatch):
    examined = (Examined("torch", "2.6"), Examined("cache", "full", "Free some space.", stops_training=True))
    monkeypatch.setattr(doctor, "examine", lambda cache: examined)
    answer = voxseed("doctor")
    assert answer.code == 2
    assert answer.out.splitlines()[2].split() == ["cache", "full", "Free", "some", "space."]
    assert answer.err == "voxseed: cache: training would stop. The table says what to do.\n"
    monkeypatch.setattr(doctor, "examine", lambda cache: examined[:1])
    answer = voxseed("doctor")
    assert (answer.code, answer.err, answer.out.splitlines()[-1]) == (0, "", "Nothing stops training.")
