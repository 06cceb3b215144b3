"""The table of a benchmark, its numbers and its page."""

import csv
import io
from collections.abc import Callable

import pytest

from voxseed.errors import InputError
from voxseed.evaluation.benchmark_table import ResultRow, Results
from voxseed.evaluation.case_metrics import CaseMetrics
from voxseed.evaluation.figures import LIGHT, intervals_png
from voxseed.evaluation.report import BenchmarkContent, Picture, render_benchmark
from voxseed.evaluation.statistics import Estimate
from voxseed.evaluation.tables import Table

Row = Callable[..., CaseMetrics]


@pytest.fixture
def results(row: Row) -> Results:
    """A baseline that is the same with both seeds, and a row that missed an object with one."""
    missed = row("c", dice=0.0, assd_mm=None, hd95_mm=None, nsd=0.0, volume_ml=0.0, missed=True)
    base = [row("a", dice=0.5), row("b", dice=0.6), row("c", dice=0.7)]
    ours = {
        0: [row("a", dice=0.7, assd_mm=1.0), row("b", dice=0.8, assd_mm=2.0), missed],
        1: [row("a", dice=0.9, assd_mm=1.0), row("b", dice=0.8, assd_mm=4.0), row("c", dice=0.8, assd_mm=1.0)],
    }
    return Results(
        [
            ResultRow("base", "Base", {0: base, 1: base}, published={"glioma": 0.718}),
            ResultRow("ours", "Ours", ours, training_seconds=90.0, oracle=True),
        ],
        ("dice", "assd_mm"),
        "base",
    )


def test_cells(results: Results) -> None:
    table = results.table()
    assert table.header == (
        *("row", "Dice", "ASSD (mm)", "cases", "seeds", "missed", "Dice − base", "p (t-test)", "p (Wilcoxon)"),
        *("training (min)", "published, glioma"),
    )
    base, ours = table.rows
    assert base[0] == "Base"
    assert base[1].startswith("0.600 ± 0.100 [")
    assert base[3:] == ("3", "2", "0 of 6", "", "", "", "", "0.718")
    assert ours[0] == "Ours (oracle)"
    assert ours[1].startswith("0.667 ± 0.231 [")  # means over seeds 0.8, 0.8 and 0.4
    assert ours[2].startswith("2.00 ± 1.41 [")  # of a (1) and b (3); c was missed with one seed
    assert ours[2].endswith("(2 of 3)")
    assert ours[3:6] == ("3", "2", "1 of 6")
    assert ours[6].startswith("+0.067 [")  # differences 0.3, 0.2, -0.3
    # t = 0.0667 / (0.3215 / sqrt 3) = 0.359, 2 degrees of freedom; ranks 3 (or 2), 1, -3: p = 1 of 8 sign patterns.
    assert ours[7] == "0.754"
    assert ours[9:] == ("1.5", "")


def test_numbers(results: Results) -> None:
    base, ours = csv.DictReader(io.StringIO(results.csv()))
    assert (base["row"], base["title"], base["oracle"], ours["oracle"]) == ("base", "Base", "0", "1")
    assert float(base["dice_mean"]) == pytest.approx(0.6)
    assert float(base["dice_sd"]) == pytest.approx(0.1)
    assert base["difference"] == base["t_test_p"] == base["training_seconds"] == ""
    assert float(base["published_glioma"]) == 0.718
    assert float(ours["difference"]) == pytest.approx(0.2 / 3, abs=1e-6)
    assert (ours["missed"], ours["seeds"], ours["cases"]) == ("1", "2", "3")
    assert (float(ours["assd_mm_mean"]), ours["assd_mm_cases"]) == (pytest.approx(2.0), "2")
    assert float(ours["training_seconds"]) == 90


def test_several_classes_have_a_line_each_and_their_mean(row: Row) -> None:
    rows = [row("a", "x", dice=0.2), row("a", "y", dice=0.0, missed=True, assd_mm=None)]
    one = ResultRow("one", "One", {0: rows, 1: rows}, published={"glioma": 0.877})
    table = Results([one], ("dice",), "none").table()
    assert [cells[1] for cells in table.rows] == ["x", "y", "mean over classes"]
    assert [cells[5] for cells in table.rows] == ["0 of 2", "2 of 2", "2 of 4"]
    assert [cells[-1] for cells in table.rows] == ["", "", "0.877"]  # of other data, so of none of these classes


def test_without_the_baseline_nothing_is_tested(results: Results) -> None:
    table = Results(results.rows[1:], ("dice",), "base").table()
    assert table.rows[0][5:8] == ("", "", "")


def test_the_compared_metric_need_not_be_a_column(results: Results) -> None:
    table = Results(results.rows, ("precision",), "base").table()
    assert table.rows[1][5].startswith("+0.067")


def test_rows_of_other_cases_cannot_be_compared(row: Row, results: Results) -> None:
    rows = [*results.rows, ResultRow("other", "Other", {0: [row("z")]})]
    with pytest.raises(InputError, match="same cases"):
        Results(rows, ("dice",), "base").table()


def test_every_text_of_the_page_is_escaped() -> None:
    nasty = '<script>alert("x")</script>'
    picture = Picture(nasty, intervals_png({"a": Estimate(3, 0.5, 0.1, 0.4, 0.6)}, "Dice", LIGHT), nasty)
    page = render_benchmark(
        BenchmarkContent(
            title=nasty,
            facts=((nasty, nasty),),
            notes=(nasty,),
            table=Table((nasty, nasty), ((nasty, f"0.5 [{nasty}]"),)),
            table_note=nasty,
            figure=picture,
            overlays=(picture,),
            origins=Table((nasty,), ((nasty,),)),
            settings=((nasty, nasty),),
        )
    )
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert") >= 14
    assert page.count("data:image/png") == 2


def test_markdown() -> None:
    assert (
        Table(("row", "Dice"), (("a|b", "0.5"),)).as_markdown() == "| row | Dice |\n| --- | --- |\n| a&#124;b | 0.5 |"
    )
