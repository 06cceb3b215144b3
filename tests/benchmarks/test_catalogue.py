"""The tables that come with Voxseed say what they should, and tables of one's own are read."""

from pathlib import Path

import pytest

from voxseed.benchmarks.catalogue import chosen_tables, get_table, table_names
from voxseed.errors import InputError, UnknownNameError
from voxseed.evaluation.tables import TITLES
from voxseed.methods.base import METHODS
from voxseed.methods.recipes import get_recipe, recipe_names
from voxseed.settings import assignments
from voxseed.training.settings import load_run_settings

PA_SEG = ("losses", "weak", "noisy", "architectures", "epsilon", "weights", "lambda", "pa-seg")
COMPARATORS = {
    *("size-loss", "dtp", "deepcut", "mumford-shah", "entropy-min", "total-variation", "gated-crf"),
    *("cps", "co-teaching", "self-ensembling", "triple", "mutual"),
}


def test_every_table_of_the_paper_is_there() -> None:
    assert set(PA_SEG) <= set(table_names())
    assert set(PA_SEG) <= set(chosen_tables("all"))
    assert "comparator-weights" not in chosen_tables("all")
    assert list(chosen_tables("all", "scribbles")) == ["scribbles"]


def test_the_table_of_probabilities_takes_one_step_at_a_time() -> None:
    networks = {
        row: (definition.method, definition.settings.get("networks", {}).get("primary"))
        for row, definition in get_table("pw4medseg").rows.items()
        if not definition.simulated and "expansion" not in definition.settings
    }
    assert networks == {
        "full": ("full", None),
        "unetr-full": ("full", {"architecture": "unetr"}),
        "pseudo-label": (None, None),
        "unetr-hard": ("partial", {"architecture": "unetr"}),
        "unetr-probability": ("pw4medseg", {"architecture": "unetr"}),
        "additive-attention": (
            "pw4medseg",
            {"architecture": "probabilistic-unetr", "arguments": {"attention": "additive"}},
        ),
        "dot-attention": ("pw4medseg", {"architecture": "probabilistic-unetr", "arguments": {"attention": "dot"}}),
        "unet-hard": ("partial", {"architecture": "unet3d"}),
        "unet-probability": ("pw4medseg", {"architecture": "unet3d"}),
    }


def test_the_table_of_cross_teaching_has_the_metrics_of_the_paper() -> None:
    metrics = get_table("cross-teaching").metrics
    assert metrics == ("dice", "jaccard", "hd95_mm", "assd_mm")
    assert all(metric in TITLES for metric in metrics)


def test_curves_vary_what_their_axis_says() -> None:
    table = get_table("pw4medseg")
    points, sigma = table.figure.panels
    for line in points.lines.values():
        assert {row: table.rows[row].simulated.get("scattered_points", 200) for row in line} == line
    for line in sigma.lines.values():
        assert {row: table.rows[row].settings["expansion"]["probability"]["sigma_mm"] for row in line} == line
    table = get_table("cross-teaching")
    (slices,) = table.figure.panels
    for line in slices.lines.values():
        found = {row: {**table.simulated, **table.rows[row].simulated}["slices_per_volume"] for row in line}
        assert found == line


def test_weights_of_comparators_are_the_multiples_of_the_defaults_that_their_axis_says() -> None:
    table = get_table("comparator-weights")
    (panel,) = table.figure.panels
    for line in panel.lines.values():
        for row, factor in line.items():
            weights = [text for text in assignments(table.rows[row].settings) if "weight=" in text]
            assert weights, row
            for text in weights:
                name, _, value = text.partition("=")
                assert float(value) == pytest.approx(factor * _default(name), rel=0.02), row


def _default(name: str) -> float:
    """Of "section.key"; a method's settings are validated with all their defaults."""
    section, *keys = name.split(".")
    value = load_run_settings(None, None, []).of_method(section.replace("_", "-"))
    for key in keys:
        value = getattr(value, key)
    return float(value)


def test_every_comparator_has_a_row() -> None:
    methods = {row.method for name in PA_SEG for row in get_table(name).rows.values()}
    assert methods >= COMPARATORS


@pytest.mark.parametrize("name", table_names())
def test_a_row_means_the_same_in_every_table(name: str) -> None:
    others = {row: get_table(each).rows[row] for each in table_names() for row in get_table(each).rows}
    for row, definition in get_table(name).rows.items():
        assert definition.model_copy(update={"published": others[row].published}) == others[row], row


@pytest.mark.parametrize("name", table_names())
def test_published_numbers_are_of_the_papers_own_data(name: str) -> None:
    table = get_table(name)
    published = {data for row in table.rows.values() for data in row.published}
    assert published <= ({"schwannoma", "glioma"} if table.source.startswith("Zhai") else set())


@pytest.mark.parametrize("name", table_names())
def test_settings_of_known_methods_are_valid(name: str) -> None:
    table = get_table(name)
    for row in table.rows.values():
        if row.method is None or row.method in recipe_names():
            load_run_settings(None, None, [*assignments(table.settings), *assignments(row.settings)])


@pytest.mark.parametrize("name", table_names())
def test_a_row_with_an_oracle_says_so(name: str) -> None:
    table = get_table(name)
    for row in table.rows.values():
        if row.method is None:
            continue
        settings = load_run_settings(None, None, [*assignments(table.settings), *assignments(row.settings)])
        methods = [stage.method for stage in get_recipe(row.method).stages]
        used = [each for method in methods for each in METHODS.get(method).oracle(settings.of_method(method))]
        assert bool(used) == (row.oracle is not None), row.title


@pytest.mark.parametrize("name", PA_SEG)
def test_members_that_rows_start_from_are_trained(name: str) -> None:
    rows = get_table(name).rows
    for row in rows.values():
        for source in row.starts_from.values():
            base, _, member = source.partition(":")
            assert rows[base].method in ("pa-seg", "stage-one")
            assert member in METHODS.get("scm" if rows[base].method == "pa-seg" else "stage-one").members


@pytest.mark.parametrize(
    ("table", "row", "schwannoma", "glioma"),
    [
        ("losses", "full", 0.893, 0.877),
        ("losses", "partial", 0.697, 0.718),
        ("losses", "crf-axial", 0.812, 0.816),
        ("losses", "crf", 0.823, 0.828),
        ("losses", "variance", 0.798, 0.802),
        ("losses", "stage-one", 0.836, 0.842),
        ("weak", "size-loss", 0.768, 0.784),
        ("weak", "dtp", 0.780, 0.794),
        ("weak", "deepcut", 0.743, 0.755),
        ("weak", "mumford-shah", 0.731, 0.736),
        ("weak", "entropy-min", 0.722, 0.741),
        ("weak", "total-variation", 0.711, 0.721),
        ("weak", "stage-one-extreme", 0.801, 0.812),
        ("noisy", "cps", 0.841, 0.847),
        ("noisy", "co-teaching", 0.840, 0.842),
        ("noisy", "self-ensembling", 0.844, 0.845),
        ("noisy", "triple", 0.843, 0.845),
        ("noisy", "mutual", 0.838, 0.843),
        ("noisy", "scm-self", 0.838, 0.844),
        ("noisy", "scm-cross", 0.846, 0.850),
        ("noisy", "scm", 0.852, 0.856),
        ("noisy", "scm-ensemble", 0.856, 0.858),
        ("architectures", "stage-one-b", 0.831, 0.841),
        ("architectures", "scm-a-a", 0.842, 0.846),
        ("architectures", "scm-b-b", 0.836, 0.847),
    ],
)
def test_published_dice(table: str, row: str, schwannoma: float, glioma: float) -> None:
    assert get_table(table).rows[row].published == {"schwannoma": schwannoma, "glioma": glioma}


def test_unknown_tables_are_named_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"Unknown table 'los'\. Known: .*losses.*, all\."):
        chosen_tables("los")


def test_a_table_of_ones_own_takes_common_rows(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("title: Mine\nbaseline: partial\nrows:\n  partial:\n  wide: {title: wide, method: partial}\n")
    assert chosen_tables(str(path))["mine"].rows["partial"].title == "L_psup"
    path.write_text("title: Mine\nbaseline: partial\nrows:\n  partial:\n  wide:\n")
    with pytest.raises(InputError, match=r"mine\.yaml: row 'wide' has no content"):
        chosen_tables(str(path))
