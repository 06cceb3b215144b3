"""Whether the predictions that are doubted are worse: how often each rule fires, and the Dice with and without it.

    python -m benchmarks.doubts --data ../shared/data/Dataset004_Hippocampus --part val ROW=RUN[:ANNOTATIONS] ...

Each row is a run; its model predicts the validation cases of fold 0, or the test cases. Every class of every case is
one prediction, doubted or not. ANNOTATIONS is the set that the run learned from, for models that do not know the
ranges of their training cases; without it these come from dense labels.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from voxseed.data.cache import PatchCache
from voxseed.data.datasets import Dataset
from voxseed.data.volumes import Image
from voxseed.inference.class_ranges import ClassRange, class_ranges
from voxseed.inference.doubts import LEAST_CONFIDENCE, find_doubts
from voxseed.inference.predictor import Predictor
from voxseed.metrics.overlap import dice
from voxseed.supervision.expansion import ExpansionSettings
from voxseed.supervision.kinds import SupervisionKind
from voxseed.training.cases import CaseSource
from voxseed.workflows.annotated_cases import annotated_cases

RULES = ("empty", "border", "parts", "volume", "confidence")
LIMITS = (0.65, 0.7, 0.75, 0.8, 0.85, 0.9)


@dataclass(frozen=True)
class Judged:
    """One class of one predicted case."""

    row: str
    case: str
    class_name: str
    dice: float
    confidence: float
    rules: frozenset[str]


def main() -> None:
    """Print two tables: by rule, and by limit of the confidence."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--part", choices=("val", "test"), default="val")
    parser.add_argument("rows", nargs="+", metavar="ROW=RUN[:ANNOTATIONS]")
    chosen = parser.parse_args()
    data = Dataset.open(chosen.data)
    judged = {row.rpartition("=")[0]: _row(data, chosen.part, row) for row in chosen.rows}
    print("| row | rule | doubted | Dice doubted | Dice others | of the worst fifth | Mann-Whitney p |")
    print("|---|---|---|---|---|---|---|")
    for name, predictions in judged.items():
        for rule in (*RULES, "any"):
            print(f"| {name} | {rule} | {comparison(predictions, [_fired(each, rule) for each in predictions])} |")
    print("\n| row | rank correlation | " + " | ".join(f"below {limit:g}" for limit in LIMITS) + " |")
    print("|---|---|" + "---|" * len(LIMITS))
    for name, predictions in judged.items():
        print(f"| {name} | {_by_confidence(predictions)} |")


def _fired(each: Judged, rule: str) -> bool:
    return bool(each.rules) if rule == "any" else rule in each.rules


def comparison(predictions: Sequence[Judged], doubted: Sequence[bool]) -> str:
    """Cells: how many are doubted, their mean Dice and that of the others, how many of the worst fifth are doubted, p.

    The p-value is one-sided: that doubted predictions are worse, by the ranks of their Dice.
    """
    values, marks = np.array([each.dice for each in predictions]), np.array(doubted)
    worst = np.argsort(values, kind="stable")[: max(1, len(values) // 5)]
    cells = [f"{marks.sum()} of {len(marks)}"]
    cells += [f"{values[part].mean():.3f}" if part.any() else "" for part in (marks, ~marks)]
    cells.append(f"{marks[worst].sum()} of {len(worst)}")
    is_split = marks.any() and not marks.all()
    cells.append(
        f"{stats.mannwhitneyu(values[marks], values[~marks], alternative='less').pvalue:.3f}" if is_split else ""
    )
    return " | ".join(cells)


def _by_confidence(predictions: Sequence[Judged]) -> str:
    """Rank correlation of confidence and Dice; per limit how many are below and the mean Dice below and above it."""
    known = [each for each in predictions if not np.isnan(each.confidence)]
    sure, values = np.array([each.confidence for each in known]), np.array([each.dice for each in known])
    cells = [f"{stats.spearmanr(sure, values).statistic:.2f}"]
    for limit in LIMITS:
        below = sure < limit
        means = [f"{values[part].mean():.3f}" if part.any() else "–" for part in (below, ~below)]
        cells.append(f"{below.sum()}: {means[0]}, others {means[1]}")
    return " | ".join(cells)


def _row(data: Dataset, part: str, text: str) -> list[Judged]:
    name, _, rest = text.rpartition("=")
    run, _, annotations = rest.partition(":")
    predictor = Predictor.load(run, device="cpu")
    ranges: Mapping[str, ClassRange] = predictor.model.description.class_ranges or _ranges(data, predictor, annotations)
    return [each for case in _cases(data, part) for each in _judged(data, predictor, ranges, name, case)]


def _cases(data: Dataset, part: str) -> Sequence[str]:
    if part == "test":
        return data.test_cases or data.splits().test_cases(data.cases)
    return data.splits().val_cases(tuple(case for case in data.cases if data.has_label(case)), 0)


def _ranges(data: Dataset, predictor: Predictor, annotations: str) -> dict[str, ClassRange]:
    """What the model would know of its training cases, with the default growth of points."""
    preprocessing = predictor.model.description.preprocessing
    labelled = tuple(case for case in data.cases if data.has_label(case))
    annotation_set = data.annotations(annotations) if annotations else None
    kind = SupervisionKind.PARTIAL if annotations else SupervisionKind.DENSE
    usable = annotated_cases(data, annotation_set) if annotation_set else labelled
    with tempfile.TemporaryDirectory() as folder:
        cache = PatchCache(Path(folder))
        source = CaseSource(data, kind, annotation_set, ExpansionSettings(), preprocessing, cache)
        cases = [source.prepare(case) for case in data.splits().train_cases(usable, 0)]
        targets = ((case.supervision.read("target"), case.absent) for case in cases)
        return class_ranges(targets, data.labels.foreground, float(np.prod(preprocessing.spacing_mm)))


def _judged(data: Dataset, predictor: Predictor, ranges: Mapping[str, ClassRange], row: str, case: str) -> list[Judged]:
    image, label = _read(data, case)
    prediction = predictor.predict(image, case)
    found = data.labels.to_class_indices(prediction.labels.array)
    truth = data.labels.to_class_indices(label)
    voxel_mm3 = float(abs(np.linalg.det(image.affine[:3, :3])))
    doubts = find_doubts(found, data.labels.foreground, voxel_mm3, prediction.confidence, ranges)
    return [
        Judged(
            row,
            case,
            name,
            dice(found == index, truth == index),
            prediction.confidence[index - 1],
            frozenset(doubt.rule for doubt in doubts if doubt.class_name == name),
        )
        for index, name in enumerate(data.labels.foreground, start=1)
    ]


def _read(data: Dataset, case: str) -> tuple[Image, np.ndarray]:
    label = data.read_label(case)
    if label is None:
        raise SystemExit(f"{case}: there is no dense label of this case.")
    return data.read_image(case), label.array


if __name__ == "__main__":
    print(f"Least confidence: {LEAST_CONFIDENCE:g}\n")
    main()
