"""Tables as a person reads them."""

from collections.abc import Callable

from voxseed.evaluation.case_metrics import CaseMetrics
from voxseed.evaluation.comparison import Comparison
from voxseed.evaluation.statistics import ClassSummary, Estimate
from voxseed.evaluation.tables import Table, case_table, comparison_table, summary_table


def test_summary_says_over_how_many_cases_a_distance_is() -> None:
    estimates = {
        "dice": Estimate(3, 0.8123, 0.1, 0.7, 0.9),
        "assd_mm": Estimate(2, 1.234, 0.5, 1.0, 1.5),
        "hd95_mm": Estimate(0),
        "nsd": Estimate(1, 0.5),
    }
    table = summary_table([ClassSummary("tumour", 3, estimates, missed=1, false_alarms=2)])
    assert table.rows == (
        (
            "tumour",
            "3",
            "0.812 ± 0.100 [0.700, 0.900]",
            "1.23 ± 0.50 [1.00, 1.50] (2 of 3)",
            "–",
            "0.500 (1 of 3)",
            "1",
            "2",
        ),
    )


def test_case_table_marks_what_was_missed(row: Callable[..., CaseMetrics]) -> None:
    rows = [row("a", dice=0.5), row("b", assd_mm=None, missed=True), row("c", false_alarm=True)]
    table = case_table(rows)
    assert [cells[-1] for cells in table.rows] == ["", "missed", "false alarm"]
    assert table.rows[1][:4] == ("b", "tumour", "1.000", "–")


def test_comparison_table() -> None:
    comparison = Comparison("tumour", "dice", Estimate(4, 0.05, 0.1, -0.01, 0.11), 0.0004, 0.0625)
    assert comparison_table([comparison]).rows == (
        ("tumour", "Dice", "4", "+0.050 [-0.010, +0.110]", "< 0.001", "0.062"),
    )
    nothing = Comparison("tumour", "assd_mm", Estimate(0), None, None)
    assert comparison_table([nothing]).rows[0][2:] == ("0", "–", "–", "–")


def test_text_and_csv() -> None:
    table = Table(("class", "Dice"), (("left, atrium", "0.9"), ("b", "0.85")))
    assert table.as_text() == "class         Dice\nleft, atrium   0.9\nb             0.85"
    assert table.as_csv() == 'class,Dice\n"left, atrium",0.9\nb,0.85\n'
