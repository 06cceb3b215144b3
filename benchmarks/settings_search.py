"""Settings tried on training and validation cases alone: trained on some of them, looked at on the others.

    python -m benchmarks.settings_search --data DIR --out OUT --rows rows.txt

Each line of the rows file is a name, a method, and settings: `wide stage-one expansion.foreground_threshold=0.6`. What
is done is not done again. Test cases are never touched.
"""

import json
from pathlib import Path

from benchmarks.rows import Experiment, arguments, circumstances, training_and_validation_cases

from voxseed.data.datasets import Dataset
from voxseed.evaluation.metrics_file import read_metrics
from voxseed.evaluation.statistics import summarise
from voxseed.files import write_text
from voxseed.workflows.simulate import simulate


def main() -> None:
    """Train and measure every row, write OUT/table.md after each."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--inside-points", type=int, default=1)
    parser.add_argument("--trained-share", type=float, default=2 / 3, help="of the cases; the others are looked at")
    chosen = parser.parse_args()
    dataset, looked_at = without_test_cases(chosen.data, chosen.trained_share, chosen.out / "dataset")
    points = chosen.out / f"points-{chosen.inside_points}"
    if not points.exists():
        simulate(chosen.data, "points", out=points, seed=0, inside_points=chosen.inside_points)
    settings = (f"training.seed={chosen.seed}", *chosen.set)
    experiment = Experiment(dataset, points, chosen.out, looked_at, settings)
    lines = ["| row | settings | class | Dice | ASSD (mm) | missed |", "|---|---|---|---|---|---|"]
    for row in chosen.rows.read_text().splitlines():
        if not row.strip():
            continue
        name, method, *extra = row.split()
        measured = experiment.measured(name, experiment.trained(name, method, extra))
        for summary in summarise(read_metrics(measured.metrics)):
            dice, distance = summary.estimates["dice"].mean, summary.estimates["assd_mm"].mean
            cells = (
                name,
                " ".join([method, *extra]),
                summary.class_name,
                f"{dice:.3f}" if dice is not None else "–",
                f"{distance:.2f}" if distance is not None else "–",
                f"{summary.missed} of {summary.cases}",
            )
            lines.append("| " + " | ".join(cells) + " |")
        write_text(chosen.out / "table.md", "\n".join(lines) + f"\n\n{circumstances(settings, chosen.seed)}\n")


def without_test_cases(source: Path, trained_share: float, folder: Path) -> tuple[Path, tuple[str, ...]]:
    """A dataset of links to another, whose only fold divides the cases that are not for testing."""
    data = Dataset.open(source)
    cases = training_and_validation_cases(data)
    trained = round(len(cases) * trained_share)
    if not folder.exists():
        folder.mkdir(parents=True)
        for name in ("imagesTr", "labelsTr", "dataset.json"):
            (folder / name).symlink_to((source / name).resolve())
        fold = {"train": list(cases[:trained]), "val": list(cases[trained:])}
        write_text(folder / "splits.json", json.dumps({"version": 1, "test": [], "folds": [fold]}))
    return folder, cases[trained:]


if __name__ == "__main__":
    main()
