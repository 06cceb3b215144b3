"""The page: complete, self-contained, and safe against what names may hold."""

import re
from html.parser import HTMLParser

from voxseed.evaluation.report import DISCLAIMER, KeyNumber, Picture, ReportContent, render_report
from voxseed.evaluation.tables import Table

PNG = b"\x89PNG light"
FULL = ReportContent(
    title="pa-seg on Cubes",
    facts=(("recipe", "pa-seg"),),
    notes=("One sentence.",),
    key_numbers=(KeyNumber("Dice", "0.900", "0.850 to 0.950, 8 cases"),),
    summary=Table(("class", "Dice"), (("tumour", "0.900 ± 0.010 [0.850, 0.950]"),)),
    comparison=Table(("class", "p"), (("tumour", "0.012"),)),
    distribution=Picture("Dice of every case", PNG, "dots", b"\x89PNG dark"),
    overlays=(Picture("Worst: a", PNG, "three planes"),),
    cases=Table(("case", "class", "remark"), (("a", "tumour", "missed"),)),
    curves=(Picture("01-stage-one", PNG, "curves", b"\x89PNG dark"),),
    settings="training:\n  seed: 0\n",
    provenance=(("seed", "0"),),
)


class Checker(HTMLParser):
    """Collects headings and what would be loaded, and checks that elements are closed in order."""

    VOID = ("meta", "img", "source", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [value or "" for name, value in attrs if name in ("src", "srcset", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data.strip())


def parsed(content: ReportContent) -> Checker:
    checker = Checker()
    checker.feed(render_report(content))
    assert checker.open == []
    return checker


def test_everything_is_on_the_page() -> None:
    text = parsed(FULL).text
    expected = ["pa-seg on Cubes", DISCLAIMER, "One sentence.", "Results", "Paired comparison", "Worst: a", "Cases"]
    assert [item for item in [*expected, "Training", "Settings and provenance", "missed"] if item not in text] == []
    assert "0.900 ± 0.010" in text
    assert "[0.850, 0.950]" in text


def test_nothing_is_loaded_from_elsewhere() -> None:
    loaded = parsed(FULL).loaded
    assert len(loaded) == 5
    assert all(value.startswith("data:image/png;base64,") for value in loaded)
    assert not re.search(r"https?://|@import|url\(", render_report(FULL))


def test_what_is_empty_is_left_out() -> None:
    text = parsed(ReportContent(title="Empty")).text
    assert "Empty" in text
    assert not {"Results", "Training", "Cases", "Paired comparison", "Settings and provenance"} & set(text)


def test_names_are_escaped() -> None:
    hostile = '<script>alert("x")</script>'
    page = render_report(
        ReportContent(
            title=hostile,
            cases=Table(("case", "class"), ((hostile, hostile),)),
            overlays=(Picture(hostile, PNG, f'"{hostile}'),),
            settings=hostile,
        )
    )
    assert hostile not in page
    assert page.count("<script>") == 1  # the page's own
