"""Scattered points, probability maps and samples, as a user asks for them."""

import json


def test_points_are_scattered_and_become_maps(voxseed, dataset, tmp_path):
    answer = voxseed("dataset", "simulate", dataset, "--protocol", "scattered-points", "--points", "7")
    assert (answer.code, answer.err) == (0, "")
    content = json.loads((dataset / "annotations/scattered-points/ball_0/ball.mrk.json").read_text())
    assert [point["label"] for point in content["markups"][0]["controlPoints"]] == ["inside"] * 7
    words = ("expand", dataset, "--annotations", "scattered-points", "--kind", "probability")
    dices = []
    for name, sigma in (("auto", ()), ("wide", ("--sigma-mm", "9"))):
        answer = voxseed(*words, "--out", tmp_path / name, *sigma)
        assert (answer.code, answer.err) == (0, "")
        assert "Dice" in answer.out.splitlines()[0]
        assert (tmp_path / name / "probabilities" / "ball_3.nii.gz").is_file()
        dices.append((tmp_path / name / "expansion.csv").read_text())
    assert dices[0] != dices[1]


def test_a_width_that_makes_no_sense_is_a_sentence(voxseed, dataset, tmp_path):
    answer = voxseed("expand", dataset, "--kind", "probability", "--sigma-mm", "0", "--out", tmp_path / "out")
    assert answer.code == 2
    assert "expansion.probability.sigma_mm = 0.0" in answer.err
    assert "greater than 0" in answer.err


def test_samples_of_a_network_without_random_numbers_are_refused(voxseed, dataset, run, tmp_path):
    answer = voxseed("predict", run, dataset, "--samples", "6", "--out", tmp_path / "out", "--device", "cpu")
    assert answer.code == 2
    assert "draws no random numbers" in answer.err
    assert not (tmp_path / "out").exists()


def test_the_networks_of_a_run_differ_somewhere(voxseed, dataset, run, tmp_path):
    answer = voxseed("predict", run, dataset, "--uncertainty", "--out", tmp_path / "out", "--device", "cpu")
    assert (answer.code, answer.err) == (0, "")
    assert (tmp_path / "out" / "uncertainty" / "ball_0.nii.gz").is_file()
    assert len((tmp_path / "out" / "uncertainty.csv").read_text().splitlines()) == 5
