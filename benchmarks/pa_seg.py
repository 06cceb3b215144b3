"""full, partial, stage one, SCM and SCM-E on one dataset: same network, iterations and data for all rows.

    python -m benchmarks.pa_seg --data ../shared/data/Dataset101_LeftAtrium --out RESULTS

`--other-grid DIR` names a dataset of the same organ on another grid, which the SCM model predicts as it is. Points are
simulated with a fixed seed. Runs are resumed where they stopped, so the command may be repeated.
"""

from pathlib import Path

from benchmarks.rows import Experiment, arguments, circumstances, markdown_table, stage_one_of, test_cases

from voxseed.files import write_text
from voxseed.workflows.simulate import simulate


def main() -> None:
    """Train, predict, measure, write OUT/table.md."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--inside-points", type=int, default=1)
    parser.add_argument("--other-grid", type=Path, help="dataset that the SCM model also predicts, on its own grid")
    chosen = parser.parse_args()
    points = chosen.out / f"points-{chosen.inside_points}"
    if not points.exists():
        simulate(chosen.data, "points", out=points, seed=0, inside_points=chosen.inside_points)
    settings = (f"training.seed={chosen.seed}", *chosen.set)
    experiment = Experiment(chosen.data, points, chosen.out, test_cases(chosen.data), settings)
    full = experiment.measured("full", experiment.trained("full", "full"))
    partial = experiment.measured("partial", experiment.trained("partial", "partial"))
    run = experiment.trained("pa-seg", "pa-seg")
    rows = [
        full,
        partial,
        experiment.measured("stage one", stage_one_of(run)),
        experiment.measured("SCM", run),
        experiment.measured("SCM-E", run, ensemble=True),
    ]
    table = markdown_table(rows, reference=full, baseline=partial)
    if chosen.other_grid:
        table += f"\n\n{_on_another_grid(experiment, chosen.other_grid, (full.name, 'pa-seg'))}"
    write_text(chosen.out / "table.md", f"{table}\n\n{circumstances(settings, chosen.seed)}\n")
    print(table)


def _on_another_grid(experiment: Experiment, dataset: Path, names: tuple[str, ...]) -> str:
    """Table of runs of the experiment on the test cases of another dataset, measured on the grid of its images."""
    elsewhere = Experiment(dataset, None, experiment.out / dataset.name, test_cases(dataset), experiment.settings)
    rows = [elsewhere.measured(name, experiment.out / name / "run") for name in names]
    return markdown_table(rows, reference=rows[0], baseline=rows[0])


if __name__ == "__main__":
    main()
