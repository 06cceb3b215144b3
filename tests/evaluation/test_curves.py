"""Training curves from a stage folder."""

from pathlib import Path

import pytest

from voxseed.errors import InputError
from voxseed.evaluation.curves import StageCurves, read_curves


def test_columns_are_grouped_by_network(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text(
        "epoch,step,seconds,primary/partial,primary/crf,auxiliary/partial,total\n"
        "1,50,3.5,0.9,0.1,0.8,1.8\n"
        "2,100,2.5,0.5,0.2,0.4,1.1\n"
    )
    assert read_curves(tmp_path) == StageCurves(
        name=tmp_path.name,
        steps=(50.0, 100.0),
        losses={
            "primary": {"partial": (0.9, 0.5), "crf": (0.1, 0.2)},
            "auxiliary": {"partial": (0.8, 0.4)},
            "": {"total": (1.8, 1.1)},
        },
        seconds=6.0,
    )


def test_a_stage_that_has_not_begun(tmp_path: Path) -> None:
    assert read_curves(tmp_path) is None
    (tmp_path / "metrics.csv").write_text("epoch,step,seconds,primary/partial\n")
    assert read_curves(tmp_path) is None


@pytest.mark.parametrize("row", ["1,50", "1,50,fast,0.5", "1,50,3,0.5,7"])
def test_a_damaged_file(tmp_path: Path, row: str) -> None:
    (tmp_path / "metrics.csv").write_text(f"epoch,step,seconds,primary/partial\n{row}\n")
    with pytest.raises(InputError, match=r"metrics\.csv: expected numbers under epoch, step, seconds"):
        read_curves(tmp_path)
