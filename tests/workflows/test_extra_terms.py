"""Extra terms with every method, from the command's settings to the columns of metrics.csv."""

from pathlib import Path

import pytest

from voxseed.errors import InputError
from voxseed.methods.base import METHODS
from voxseed.training.run_folder import RunFolder
from voxseed.workflows.simulate import simulate
from voxseed.workflows.train import train

MEMBERS = ("primary", "auxiliary", "second", "third")
TINY = (
    *(f"networks.{member}.architecture=residual-unet" for member in MEMBERS),
    *(f"networks.{member}.width=2" for member in (*MEMBERS, "axial", "coronal")),
    "deepcut.crf.radius_voxels=[1, 1, 1]",
    "training.iterations=2",
    "training.epoch_length=2",
    "training.patch_shape=[16, 16, 16]",
)
EXTRA = ("extra_terms.entropy=0.1", "extra_terms.crf=0.1")


@pytest.fixture(scope="module")
def trained(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Three networks that differ."""
    folder = tmp_path_factory.mktemp("trained")
    for seed in range(3):
        settings = [*TINY, f"training.seed={seed}"]
        train(tiny_dataset, method="partial", run=folder / str(seed), overrides=settings, device="cpu")
    return [f"{folder / str(seed)}:primary" for seed in range(3)]


@pytest.mark.parametrize("method", METHODS.names())
def test_every_network_of_every_method_gets_them(
    method: str, tiny_dataset: Path, trained: list[str], tmp_path: Path
) -> None:
    kind = METHODS.get(method)
    protocol = {"cross-teaching": "slices", "pw4medseg": "scattered-points"}.get(method)
    annotations = simulate(tiny_dataset, protocol, out=tmp_path / "set").path if protocol else None
    starts = [f"{member}={source}" for member, source in zip(kind.members, trained, strict=False)]
    run = train(
        tiny_dataset,
        annotations=annotations,
        method=method,
        run=tmp_path / "run",
        overrides=[*TINY, *EXTRA],
        start_from=starts if kind.starts_from_networks else [],
        device="cpu",
    )
    (stage,) = RunFolder(run).read().stages
    header = (run / "stages" / f"01-{method}" / "metrics.csv").read_text().splitlines()[0].split(",")
    expected = {f"{member}/extra_{term}" for member in stage.members for term in ("entropy", "crf")}
    assert {name for name in header if "extra" in name} == expected


def test_the_plan_says_them_and_the_run_names_their_oracle(tiny_dataset: Path, tmp_path: Path) -> None:
    plans = []
    settings = [*TINY, "extra_terms.size=0.3", "extra_terms.size_volume.source=label"]
    run = train(
        tiny_dataset,
        method="partial",
        run=tmp_path / "run",
        overrides=settings,
        device="cpu",
        on_plan=plans.append,
    )
    assert dict(plans[0].rows())["extra terms"] == "size 0.3"
    assert RunFolder(run).read().oracles == ("true volume",)


@pytest.mark.parametrize(
    ("method", "protocol", "expected"),
    [
        (
            "full",
            None,
            r"extra_terms.size: needs boxes or points around objects, but full learns from the dense labels",
        ),
        ("partial", "slices", r"the class 'ball' has no outside points and no box"),
        ("partial", "extreme-points", r"found extra_terms.size_margin_voxels = 2. Give --set extra_terms.size_margin"),
    ],
)
def test_the_size_term_refuses_annotations_without_a_box(
    method: str, protocol: str | None, expected: str, tiny_dataset: Path, tmp_path: Path
) -> None:
    annotations = simulate(tiny_dataset, protocol, out=tmp_path / "set").path if protocol else None
    with pytest.raises(InputError, match=expected):
        train(
            tiny_dataset,
            annotations=annotations,
            method=method,
            run=tmp_path / "run",
            overrides=[*TINY, "extra_terms.size=0.1"],
            device="cpu",
        )
