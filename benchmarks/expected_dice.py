"""Whether estimates that need no dense label rank cases as their Dice does: Spearman's rho.

    python -m benchmarks.expected_dice --data DATASET [--on test|val] --out OUT NAME=RUN ...

Every case is predicted with the default network of each model. The estimates, each the mean over classes:

    expected        `inference.expected_dice`, what quality.csv holds
    plain           the same with probabilities as they are, not sharpened
    above 5 %       as plain, without probabilities below 0.05 in its sums
    confidence      mean probability of the voxels of a class
    of all          as plain, with the mean probabilities of all networks of the model
    agreement       Dice between the label maps of the default network and the model's last one
    mirrored        Dice between the label maps of the case and of its mirror image (right and left)

The last three take a further pass of a network; a model with one network has no agreement. A model that is there in
OUT is not predicted again.
"""

import argparse
import csv
import platform
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from voxseed import __version__
from voxseed.data.datasets import Dataset
from voxseed.data.preprocessing import PreprocessedImage
from voxseed.evaluation.rank_correlation import rank_correlation
from voxseed.files import write_text
from voxseed.inference.expected_dice import expected_dice
from voxseed.inference.predictor import Predictor, class_confidence
from voxseed.metrics.overlap import dice
from voxseed.types import FloatArray

ESTIMATES = ("expected", "plain", "above 5 %", "confidence", "of all", "agreement", "mirrored")
_TAIL = 0.05


def main() -> None:
    """Predict what is missing, write OUT/ranking.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="dataset with dense labels")
    parser.add_argument("--on", choices=("test", "val"), default="test")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("models", nargs="+", metavar="NAME=RUN")
    chosen = parser.parse_args()
    data = Dataset.open(chosen.data)
    cases = data.splits().val_cases(data.cases) if chosen.on == "val" else data.splits().test or data.test_cases
    lines = [
        f"{len(cases)} cases. Spearman's ρ with Dice, mean over classes, with 95 % bootstrap interval.",
        "",
        "| model | Dice, mean ± sd | " + " | ".join(ESTIMATES) + " |",
        "|---|---|" + "---|" * len(ESTIMATES),
    ]
    for name, run in (each.split("=", 1) for each in chosen.models):
        rows = _rows(data, cases, Path(run), chosen.out / f"{name}.csv")
        true = np.array([row["dice"] for row in rows])
        cells = [_cell(np.array([row[each] for row in rows]), true) for each in ESTIMATES]
        lines.append(f"| {name} | {true.mean():.3f} ± {true.std(ddof=1):.3f} | {' | '.join(cells)} |")
    table = "\n".join(lines)
    circumstances = (
        f"{chosen.data.name}, {chosen.on}, Voxseed {__version__}, PyTorch {torch.__version__}, "
        f"{platform.machine()}, {time.strftime('%Y-%m-%d')}."
    )
    write_text(chosen.out / "ranking.md", f"{table}\n\n{circumstances}\n")
    print(table)


def _cell(estimate: FloatArray, true: FloatArray) -> str:
    found = rank_correlation(estimate, true)
    return "" if np.isnan(found.rho) else f"{found.rho:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _rows(data: Dataset, cases: Sequence[str], run: Path, path: Path) -> list[dict[str, float]]:
    """True Dice and every estimate of every case, from the file if it is there."""
    if not path.is_file():
        predictors = _predictors(run)
        rows = [{"case": case, **_measured(data, case, predictors)} for case in cases]
        lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
        write_text(path, "\n".join(lines) + "\n")
    with path.open() as file:
        return [{key: float(row[key]) for key in ("dice", *ESTIMATES)} for row in csv.DictReader(file)]


def _predictors(run: Path) -> list[Predictor]:
    """One per network of a model, the default one first."""
    first = Predictor.load(run, device="cpu")
    others = [name for name in first.model.networks if name not in first.members]
    return [first, *(Predictor.load(run, device="cpu", members=[name]) for name in others)]


def _measured(data: Dataset, case: str, predictors: Sequence[Predictor]) -> dict[str, float]:
    label = data.read_label(case)
    if label is None:
        raise SystemExit(f"{data.root}: case {case} has no dense label to compare with.")
    true = data.labels.to_class_indices(label.array)
    prepared = predictors[0].model.description.preprocessing.apply(data.read_image(case), case)
    each = [_probabilities(predictor, prepared) for predictor in predictors]
    first, labels = each[0], each[0].argmax(axis=0)
    mirrored = replace(prepared, array=prepared.array[:, ::-1].copy(), valid=prepared.valid[::-1].copy())
    back = _probabilities(predictors[0], mirrored)[:, ::-1]
    present = (False,) * (len(first) - 1)
    return {
        "dice": _mean_dice(prepared.native_labels(first), true, len(first)),
        "expected": float(np.mean(expected_dice(first, prepared.valid, present))),
        "plain": _mean_soft_dice(first, labels),
        "above 5 %": _mean_soft_dice(np.where(first < _TAIL, 0, first), labels),
        "confidence": float(np.nan_to_num(class_confidence(first, prepared.valid)).mean()),
        "of all": _mean_soft_dice(np.mean(each, axis=0), labels),
        "agreement": _mean_dice(labels, each[-1].argmax(axis=0), len(first)),
        "mirrored": _mean_dice(labels, back.argmax(axis=0), len(first)),
    }


def _probabilities(predictor: Predictor, prepared: PreprocessedImage) -> FloatArray:
    """(C, I, J, K), certain background outside the valid region."""
    probabilities: FloatArray = predictor.working_probabilities(prepared).numpy().astype(np.float32)
    probabilities[:, ~prepared.valid] = 0
    probabilities[0, ~prepared.valid] = 1
    return probabilities


def _mean_soft_dice(probabilities: FloatArray, labels: np.ndarray) -> float:
    """Between a label map and probabilities, mean over classes; 0 for a class that is empty."""
    dices = []
    for index in range(1, len(probabilities)):
        won = labels == index
        sizes = won.sum() + probabilities[index].sum()
        dices.append(2 * probabilities[index][won].sum() / sizes if won.any() else 0.0)
    return float(np.mean(dices))


def _mean_dice(labels: np.ndarray, other: np.ndarray, class_count: int) -> float:
    return float(np.mean([dice(labels == index, other == index) for index in range(1, class_count)]))


if __name__ == "__main__":
    main()
