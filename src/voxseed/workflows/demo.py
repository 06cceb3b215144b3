"""The demo: from seven points per phantom to measured segmentations of unseen ones."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from voxseed.data.datasets import Dataset
from voxseed.data.phantoms import make_dataset
from voxseed.errors import InputError, InterruptedRunError
from voxseed.evaluation.statistics import ClassSummary
from voxseed.workflows.evaluate import evaluate
from voxseed.workflows.new_folder import new_folder
from voxseed.workflows.predict import predict
from voxseed.workflows.report import report
from voxseed.workflows.simulate import simulate
from voxseed.workflows.train import train

_TRAIN_CASES, _UNSEEN_CASES = 24, 8
_SET = "points"
SETTINGS = (
    "augmentation.zoom=0",
    "expansion.foreground_threshold=0.55",
    "expansion.background_threshold=0.85",
    "networks.primary.architecture=residual-unet",
    "networks.primary.width=16",
    "networks.auxiliary.architecture=unet3d",
    "networks.auxiliary.width=8",
    "training.iterations=1200",
    "training.epoch_length=200",
    "training.patch_shape=[48, 48, 32]",
)
"""Small enough for five minutes on two cores; thresholds and zoom did best on phantoms of another seed."""


@dataclass(frozen=True)
class Row:
    """One line of the demo's table."""

    name: str
    summary: ClassSummary

    def cells(self) -> tuple[str, ...]:
        """Name, mean Dice, ASSD and HD95 in mm, missed cases."""
        means = [self.summary.estimates[metric].mean for metric in ("dice", "assd_mm", "hd95_mm")]
        texts = ["-" if mean is None else f"{mean:.3f}" for mean in means]
        return (self.name, *texts, f"{self.summary.missed} of {self.summary.cases}")


def demo(
    out: str | Path = "demo",
    *,
    compare: bool = False,
    seed: int = 0,
    device: str = "auto",
    say: Callable[[str], None] = lambda sentence: None,
) -> list[Row]:
    """Make phantoms, annotate, train, predict, evaluate, report; what is done already is not done again.

    Args:
        out: folder for dataset, run, predictions, metrics.csv and report.html.
        compare: also train on the grown points alone (partial) and on dense labels (full).
        seed: of phantoms, points and training. A folder keeps the seed that it was made with.
        device: auto, cpu or cuda.
        say: called with a sentence before each step.

    Returns:
        The lines of the table.

    Raises:
        InputError: if the folder was made with another seed, or cannot be written to.
        InterruptedRunError: on Ctrl-C while training.
    """
    out = Path(out)
    dataset = _dataset(out, seed, say)
    run = out / "run"

    def trained(method: str, annotations: str | None, folder: Path) -> None:
        try:
            train(
                dataset,
                annotations=annotations,
                method=method,
                run=folder,
                overrides=(*SETTINGS, f"training.seed={seed}"),
                resume=True,
                device=device,
                devices=1,
                cache=out / "cache",
            )
        except InterruptedRunError:
            raise InterruptedRunError(
                "Interrupted; everything up to the last finished epoch is kept. Go on with the same command."
            ) from None

    def measured(name: str, model: Path, folder: Path) -> Row:
        predict(model, [dataset / "imagesTs"], folder / "predictions", device=device)
        evaluation = evaluate(folder / "predictions", dataset / "labelsTs", folder / "metrics.csv")
        return Row(name, evaluation.summaries[0])

    say(f"Training from seven points per phantom: {run}")
    trained("pa-seg", _SET, run)
    say("Predicting the unseen phantoms, measuring")
    rows = [
        measured("stage one", run / "stages" / "01-stage-one", out / "stage-one"),
        measured("both stages", run, out),
    ]
    if compare:
        say("Training on the grown points alone and on dense labels, for comparison")
        trained("partial", _SET, out / "partial" / "run")
        trained("full", None, out / "full" / "run")
        first, last = (measured(name, out / name / "run", out / name) for name in ("partial", "full"))
        rows = [first, *rows, last]
    report(out / "metrics.csv", out / "report.html", run=run)
    return rows


def _dataset(out: Path, seed: int, say: Callable[[str], None]) -> Path:
    """The phantoms with their points."""
    path = out / "dataset"
    if not path.exists():
        say(f"Making {_TRAIN_CASES} phantoms to train on and {_UNSEEN_CASES} unseen ones: {path}")
        with new_folder(path, out, "Choose another folder with --out.") as unfinished:
            make_dataset(unfinished, kind="head", train=_TRAIN_CASES, test=_UNSEEN_CASES, seed=seed)
            simulate(unfinished, "points", set_name=_SET, seed=seed)
    found = Dataset.open(path).annotations(_SET).seed
    if found != seed:
        raise InputError(f"{out}: this demo was made with seed {found}, not {seed}. Choose another folder with --out.")
    return path
