"""metrics.csv, there and back."""

from collections.abc import Callable
from pathlib import Path

import pytest

from voxseed.errors import InputError
from voxseed.evaluation.case_metrics import CaseMetrics
from voxseed.evaluation.metrics_file import read_metrics, write_metrics

HEADER = "case,class,dice,assd_mm,hd95_mm,nsd,volume_ml,reference_ml,missed,false_alarm"
GOOD = "a,tumour,0.5,1,2,0.5,1,1,0,0"


def test_the_text(tmp_path: Path, row: Callable[..., CaseMetrics]) -> None:
    found = row("a, left", dice=0.75, assd_mm=1.25, hd95_mm=3.0, nsd=0.5, volume_ml=12.5, reference_ml=10.0)
    missed = row("b", dice=0.0, assd_mm=None, hd95_mm=None, nsd=0.0, volume_ml=0.0, missed=True)
    write_metrics(tmp_path / "metrics.csv", [found, missed])
    assert (tmp_path / "metrics.csv").read_text().splitlines() == [
        HEADER,
        '"a, left",tumour,0.75,1.25,3,0.5,12.5,10,0,0',
        "b,tumour,0,,,0,0,1,1,0",
    ]
    assert read_metrics(tmp_path / "metrics.csv") == [found, missed]


def test_a_spreadsheets_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text(f"{HEADER}\n{GOOD}\n", encoding="utf-8-sig")
    assert read_metrics(tmp_path / "metrics.csv")[0].dice == 0.5


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "expected the columns case,class,dice.*, found none"),
        ("a,b\n1,2\n", "expected the columns case,class,dice.*, found a,b"),
        (f"{HEADER}\n", "no rows"),
        (f"{HEADER}\na,tumour,0.5\n", "line 2: expected 10 fields, found 3"),
        (f"{HEADER}\n{GOOD.replace('0.5', 'good', 1)}\n", "line 2: expected numbers, found .*'good'"),
        (f"{HEADER}\n{GOOD.replace('0.5', 'nan', 1)}\n", "line 2: expected numbers, found 'nan'"),
        (f"{HEADER}\n{GOOD}\n{GOOD}\n", "line 3: case 'a', class 'tumour' is there twice"),
    ],
)
def test_files_that_are_wrong(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "metrics.csv").write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_metrics(tmp_path / "metrics.csv")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv: no such file"):
        read_metrics(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"expected a metrics\.csv"):
        read_metrics(tmp_path)
