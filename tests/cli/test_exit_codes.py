"""0 done, 1 a defect, 2 something given is wrong, 3 interrupted and resumable, 130 interrupted."""

import re

import pytest

from voxseed.errors import InputError, InterruptedRunError, UnknownNameError, VoxseedError


def test_errors_know_their_codes():
    codes = {error: error.exit_code for error in (VoxseedError, InputError, UnknownNameError, InterruptedRunError)}
    assert codes == {VoxseedError: 1, InputError: 2, UnknownNameError: 2, InterruptedRunError: 3}


@pytest.mark.parametrize(
    ("line", "place", "code", "sentence"),
    [
        ("train DATA --run NEW TINY", "voxseed.training.run._train_stage", 3, "--run NEW --resume."),
        (
            "predict RUN DATA --out NEW --shard 1/2",
            "voxseed.workflows.predict.write_volume",
            3,
            "with the same command.",
        ),
        ("expand DATA --out NEW --shard 1/2", "voxseed.workflows.expand.write_volume", 3, "with the same command."),
        ("predict RUN DATA --out NEW", "voxseed.workflows.predict.write_volume", 130, "Interrupted."),
        ("dataset check DATA", "voxseed.data.checks.read_volume", 130, "Interrupted."),
        (
            "evaluate DATA/labelsTr DATA --out NEW.csv",
            "voxseed.workflows.evaluate.pair_files",
            130,
            "Interrupted.",
        ),
    ],
)
def test_ctrl_c(voxseed, dataset, tmp_path, tiny, trained, monkeypatch, line, place, code, sentence):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(place, interrupted)
    places = {"DATA": str(dataset), "RUN": str(trained), "NEW": str(tmp_path / "new")}

    def filled(text: str) -> str:
        return re.sub("|".join(places), lambda match: places[match[0]], text)

    words = [each for word in line.split() for each in (tiny if word == "TINY" else [filled(word)])]
    answer = voxseed(*words)
    assert (answer.code, answer.err.strip().endswith(filled(sentence))) == (code, True), answer
