"""Report: a run and its evaluation, or an evaluation alone, on one HTML page."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from voxseed.data.datasets import Dataset
from voxseed.data.volumes import Volume, same_grid
from voxseed.errors import InputError
from voxseed.evaluation.calibration import calibration_path, read_calibration
from voxseed.evaluation.case_metrics import CaseMetrics
from voxseed.evaluation.compare import read_pair
from voxseed.evaluation.comparison import compare_rows
from voxseed.evaluation.curves import read_curves
from voxseed.evaluation.figures import DARK, LIGHT, curves_png, dice_png, reliability_png
from voxseed.evaluation.metrics_file import read_metrics
from voxseed.evaluation.overlays import overlay_png
from voxseed.evaluation.pairing import pair_files
from voxseed.evaluation.record import EvaluationRecord, oracle_notes, read_record
from voxseed.evaluation.report import KeyNumber, Picture, ReportContent, render_report
from voxseed.evaluation.shown_channel import shown_channel
from voxseed.evaluation.statistics import ClassSummary, mean_over_classes, summarise
from voxseed.evaluation.tables import TITLES, case_table, comparison_table, summary_table
from voxseed.files import read_json_object, write_text
from voxseed.shell import voxseed_command
from voxseed.training.run_folder import RunFolder

METRICS_NAME = "metrics.csv"


def report(source: str | Path, out: str | Path, *, run: str | Path | None = None) -> Path:
    """Write one self-contained HTML page.

    Args:
        source: a run, with its evaluation if that was written to RUN/metrics.csv; or any metrics.csv.
        out: the HTML file.
        run: for a metrics.csv elsewhere, the run that made the predictions.

    Returns:
        `out`.

    Raises:
        InputError: if `source` is neither, or a file of it is damaged.
    """
    source, out = Path(source), Path(out)
    metrics, run_path = _sources(source, None if run is None else Path(run))
    content = ReportContent(title="Voxseed report")
    if run_path is not None:
        content = _with_run(content, RunFolder(run_path))
    if metrics is not None:
        content = _with_evaluation(content, metrics)
    else:
        words = ("evaluate", "PREDICTIONS", "LABELS", "--out", f"{source.name}/{METRICS_NAME}")
        note = f"Not evaluated yet: {voxseed_command(*words)}"
        content = replace(content, notes=(*content.notes, note))
    write_text(out, render_report(content))
    return out


def _sources(source: Path, run: Path | None) -> tuple[Path | None, Path | None]:
    """metrics.csv and the run, each if there is one."""
    if source.is_dir():
        if not RunFolder(source).exists:
            raise InputError(f"{source}: no run there (run.json is missing). Give a run folder or a {METRICS_NAME}.")
        metrics = source / METRICS_NAME
        return (metrics if metrics.exists() else None), source
    if not source.exists():
        raise InputError(f"{source}: neither a run folder nor a {METRICS_NAME}. Write one with voxseed evaluate.")
    if run is not None and not RunFolder(run).exists:
        raise InputError(f"{run}: no run there (run.json is missing).")
    if run is None and RunFolder(source.parent).exists:
        run = source.parent
    return source, run


def _with_run(content: ReportContent, folder: RunFolder) -> ReportContent:
    """Stages, curves, settings and provenance of a run."""
    record = folder.read()
    stages = [read_curves(folder.stage_path(index, record)) for index in range(len(record.stages))]
    curves = tuple(
        Picture(
            title=f"{curve.name} · {stage.method}, {curve.steps[-1]:.0f} steps in {_duration(curve.seconds)}",
            png=curves_png(curve, LIGHT),
            png_dark=curves_png(curve, DARK),
            alt=f"Loss terms over the steps of stage {curve.name}",
        )
        for stage, curve in zip(record.stages, stages, strict=True)
        if curve is not None
    )
    return replace(
        content,
        title=f"{record.recipe} on {record.dataset}",
        facts=(
            ("recipe", record.recipe),
            *([("oracle", f"{', '.join(record.oracles)}, from dense labels")] if record.oracles else []),
            ("dataset", record.dataset),
            ("stages", " → ".join(stage.name for stage in record.stages)),
            ("device", record.device),
            ("state", record.state),
        ),
        curves=curves,
        settings=folder.settings_path.read_text(encoding="utf-8") if folder.settings_path.exists() else "",
        provenance=tuple(_flat(read_json_object(folder.provenance_path))) if folder.provenance_path.exists() else (),
    )


def _with_evaluation(content: ReportContent, metrics: Path) -> ReportContent:
    """Tables, distribution and pictures of a metrics.csv."""
    rows, record = read_metrics(metrics), read_record(metrics)
    summaries = summarise(rows)
    others = None if record is None else record.against
    overlays = _overlays(rows, record, metrics)
    return replace(
        content,
        title=content.title if content.curves or content.facts else f"Evaluation of {metrics.stem}",
        facts=(*content.facts, ("cases", str(summaries[-1].cases)), ("classes", ", ".join(_classes(rows)))),
        notes=(*content.notes, *oracle_notes(record), *overlays.notes),
        key_numbers=_key_numbers(summaries[-1]),
        summary=summary_table(summaries),
        table_note=_table_note(record),
        comparison=comparison_table(compare_rows(rows, read_metrics(others))) if others and others.exists() else None,
        distribution=Picture("Dice of every case", dice_png(rows, LIGHT), "Dice of every case", dice_png(rows, DARK)),
        reliability=_reliability(metrics, others),
        overlays=overlays.pictures,
        cases=case_table(rows),
    )


def _reliability(metrics: Path, others: Path | None) -> Picture | None:
    """Reliability diagram of these predictions, and of those that they were compared with, where that is known."""
    models = {"these predictions": read_calibration(calibration_path(metrics))}
    if not models["these predictions"]:
        return None
    against = [] if others is None else read_calibration(calibration_path(others))
    if [each.class_name for each in against] == [each.class_name for each in models["these predictions"]]:
        models["compared with"] = against
    light, dark = (reliability_png(models, theme) for theme in (LIGHT, DARK))
    return Picture("Calibration", light, "Share of voxels of each class over their predicted probability", dark)


@dataclass(frozen=True)
class _Overlays:
    pictures: tuple[Picture, ...] = ()
    notes: tuple[str, ...] = ()


def _overlays(rows: Sequence[CaseMetrics], record: EvaluationRecord | None, metrics: Path) -> _Overlays:
    """Pictures of the worst, the median and the best case, or a sentence that says why there are none."""
    if record is None:
        return _Overlays(notes=(f"No pictures: {metrics.name} does not tell where its images are (no metrics.json).",))
    try:
        return _Overlays(tuple(_overlay(title, case, record) for title, case in _chosen_cases(rows)))
    except InputError as error:
        return _Overlays(notes=(f"No pictures: {error}",))


def _chosen_cases(rows: Sequence[CaseMetrics]) -> list[tuple[str, str]]:
    """Title and case of the worst, the median and the best; fewer if there are fewer cases."""
    means = {case: mean for case, mean in mean_over_classes(rows, "dice").items() if mean is not None}
    ranked = sorted(means, key=lambda case: means[case])
    places = {"Best": len(ranked) - 1, "Median": (len(ranked) - 1) // 2, "Worst": 0}
    names = {place: name for name, place in places.items()}
    return [
        (f"{names[place]}: {ranked[place]}, Dice {means[ranked[place]]:.3f}", ranked[place]) for place in sorted(names)
    ]


def _overlay(title: str, case: str, record: EvaluationRecord) -> Picture:
    """Picture of one case.

    Raises:
        InputError: if a file is gone or no longer fits.
    """
    pairing = pair_files(record.predictions, record.labels)
    pair = next((pair for pair in pairing.pairs if pair.case == case), None)
    if pair is None:
        raise InputError(f"{record.predictions}: the prediction of case {case} is gone.")
    prediction, label = read_pair(pair, pairing.labels)
    dataset = Dataset.open(record.dataset)
    image = dataset.read_image(case)
    if not same_grid(image, label):
        raise InputError(f"{pair.label}: the label of case {case} is not on the grid of its image.")
    channel = shown_channel(image, label)
    png = overlay_png(Volume(image.array[channel], image.affine), prediction, label)
    return Picture(
        f"{title}, on {dataset.channel_names[channel]}",
        png,
        f"Three planes of case {case} with the outlines of label and prediction",
    )


def _key_numbers(summary: ClassSummary) -> tuple[KeyNumber, ...]:
    """Dice, HD95 and what was missed, of the only class or of the mean over classes."""
    numbers = [_key_number(summary, metric, digits) for metric, digits in (("dice", 3), ("assd_mm", 2), ("hd95_mm", 2))]
    missed = KeyNumber("Missed", str(summary.missed), f"false alarms: {summary.false_alarms}")
    return (*numbers, missed)


def _key_number(summary: ClassSummary, metric: str, digits: int) -> KeyNumber:
    estimate = summary.estimates[metric]
    if estimate.mean is None:
        return KeyNumber(TITLES[metric], "–", "in no case")
    over = f"{estimate.cases} of {summary.cases} cases" if estimate.cases < summary.cases else f"{summary.cases} cases"
    interval = "" if estimate.low is None else f"{estimate.low:.{digits}f} to {estimate.high:.{digits}f}, "
    return KeyNumber(TITLES[metric], f"{estimate.mean:.{digits}f}", f"{interval}{over}")


def _table_note(record: EvaluationRecord | None) -> str:
    tolerance = "" if record is None else f" NSD within {record.tolerance_mm:g} mm."
    return (
        "Mean ± standard deviation over cases [95 % bootstrap interval of the mean]. A missed object has Dice 0 and no "
        f"distance; means of distances say over how many cases they are.{tolerance}"
    )


def _classes(rows: Sequence[CaseMetrics]) -> list[str]:
    return list(dict.fromkeys(row.class_name for row in rows))


def _flat(values: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Name and value of nested plain values."""
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, dict):
            pairs += _flat(value, f"{prefix}{name}: ")
        elif isinstance(value, list):
            pairs.append((f"{prefix}{name}", " ".join(str(item) for item in value)))
        else:
            pairs.append((f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)))
    return pairs


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
