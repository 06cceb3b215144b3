"""The demo, made small: what it leaves, and that it can be run again."""

import pytest

from voxseed.errors import InputError
from voxseed.workflows import demo as workflow

SMALL = (
    "networks.primary.width=2",
    "networks.auxiliary.width=2",
    "training.iterations=2",
    "training.epoch_length=1",
    "training.patch_shape=[16, 16, 16]",
)


@pytest.fixture(scope="module")
def small_demo(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workflow, "_TRAIN_CASES", 2)
        patch.setattr(workflow, "_UNSEEN_CASES", 2)
        patch.setattr(workflow, "SETTINGS", SMALL)
        out = tmp_path_factory.mktemp("demo")
        yield out, workflow.demo(out, compare=True, device="cpu")


def test_it_leaves_dataset_run_predictions_metrics_and_report(small_demo):
    out, _ = small_demo
    for name in ("dataset/dataset.json", "run/model/model.json", "metrics.csv", "report.html"):
        assert (out / name).is_file(), name
    assert len(list((out / "predictions").glob("*.nii.gz"))) == 2


def test_a_comparison_has_four_rows_in_order(small_demo):
    _, rows = small_demo
    assert [row.name for row in rows] == ["partial", "stage one", "both stages", "full"]
    assert all(len(row.cells()) == 5 for row in rows)


def test_a_second_time_it_trains_nothing_anew(small_demo):
    out, rows = small_demo
    weights = out / "run" / "model" / "weights.safetensors"
    before = weights.stat().st_mtime_ns
    assert workflow.demo(out, compare=True, device="cpu") == rows
    assert weights.stat().st_mtime_ns == before


def test_another_seed_needs_another_folder(small_demo):
    out, _ = small_demo
    with pytest.raises(InputError, match="made with seed 0, not 1"):
        workflow.demo(out, seed=1)
