"""Simulate: dense labels into the annotation set that a person might have given."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from voxseed.data.datasets import Dataset
from voxseed.data.labels import Labels
from voxseed.data.planes import SLICES, annotated_planes, showing
from voxseed.data.protocols.base import PROTOCOLS, Simulation, SimulationSettings, generator
from voxseed.data.volumes import Volume
from voxseed.errors import InputError
from voxseed.progress import track
from voxseed.settings import validate
from voxseed.workflows.new_set import new_set, place_of_new_set


@dataclass(frozen=True)
class ClassCount:
    """What was simulated of one class.

    Attributes:
        class_name: of the dataset.
        cases: how many have it.
        objects: how many were annotated, in all cases.
        skipped: how many separate parts were left out: too small to be objects, or met by no slice.
    """

    class_name: str
    cases: int
    objects: int
    skipped: int


@dataclass(frozen=True)
class PaintedCount:
    """What was painted, in all cases.

    Attributes:
        voxels: of the images.
        painted: voxels of them.
        slices: annotated whole slices.
        showing: how many of the slices show an object, which take a person longer.
    """

    voxels: int = 0
    painted: int = 0
    slices: int = 0
    showing: int = 0

    def __add__(self, other: "PaintedCount") -> "PaintedCount":
        """Of both."""
        return PaintedCount(
            self.voxels + other.voxels,
            self.painted + other.painted,
            self.slices + other.slices,
            self.showing + other.showing,
        )


@dataclass(frozen=True)
class SimulationSummary:
    """What a simulation made.

    Attributes:
        path: the folder of the set.
        classes: one count per foreground class.
        cases: annotated cases.
        unlabelled: cases without a dense label, which could not be simulated.
        painted: counts over all cases; None where the protocol paints nothing.
    """

    path: Path
    classes: tuple[ClassCount, ...]
    cases: tuple[str, ...]
    unlabelled: tuple[str, ...]
    painted: PaintedCount | None = None

    def header(self) -> tuple[str, ...]:
        """Names of the columns of `rows`."""
        return ("class", "cases", "objects", "parts left out")

    def rows(self) -> list[tuple[str, int, int, int]]:
        """One row per class."""
        return [(count.class_name, count.cases, count.objects, count.skipped) for count in self.classes]

    def painting(self) -> str:
        """How much of an average case was painted, in words; empty where nothing was."""
        if self.painted is None:
            return ""
        share = f"{self.painted.painted / self.painted.voxels:.1%} of the voxels"
        if not self.painted.slices:
            return share
        slices, showing = (count / len(self.cases) for count in (self.painted.slices, self.painted.showing))
        return f"{slices:.1f} slices per case, {showing:.1f} of them with an object, {share}"


def simulate(
    dataset: str | Path,
    protocol: str,
    *,
    set_name: str | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    margin_voxels: tuple[int, int] = (1, 5),
    inside_points: int = 1,
    points: int = 200,
    every_slices: int = 12,
    slices_per_volume: int | None = None,
    planes: Sequence[str] = ("axial", "coronal"),
) -> SimulationSummary:
    """Write an annotation set of every case in imagesTr that has a dense label.

    Args:
        dataset: folder in the nnU-Net raw layout.
        protocol: a name in PROTOCOLS.
        set_name: of the new set in the dataset; the protocol's if not given.
        out: folder of the new set instead, anywhere.
        seed: a case's annotation depends on this and its name alone.
        margin_voxels: least and greatest distance of outside points and box faces from the object.
        inside_points: per object.
        points: per object at most, where they are scattered.
        every_slices: distance of annotated slices in the first plane; twice that in the second.
        slices_per_volume: about so many annotated slices in all, in place of every_slices.
        planes: one or two of axial, coronal, sagittal.

    Raises:
        InputError: if the protocol is unknown, a setting is wrong, no case has a label, a label cannot be read, slices
            would leave nothing unannotated, the set is there already, or its place cannot be written to. Nothing is
            left half-written.
    """
    PROTOCOLS.get(protocol)
    values = {
        "margin_voxels": margin_voxels,
        "inside_points": inside_points,
        "scattered_points": points,
        "every_slices": every_slices,
        "slices_per_volume": slices_per_volume,
        "planes": tuple(planes),
    }
    settings = validate(SimulationSettings, values, "simulation")
    return simulate_with(dataset, protocol, settings, set_name=set_name, out=out, seed=seed)


def simulate_with(
    dataset: str | Path,
    protocol: str,
    settings: SimulationSettings,
    *,
    set_name: str | None = None,
    out: str | Path | None = None,
    seed: int = 0,
) -> SimulationSummary:
    """As `simulate`, with settings that are validated already."""
    simulate_case = PROTOCOLS.get(protocol)
    data = Dataset.open(dataset)
    cases = tuple(case for case in data.cases if data.has_label(case))
    if not cases:
        raise InputError(f"{data.root / 'labelsTr'}: no dense labels, so there is nothing to simulate from.")
    target = place_of_new_set(data, set_name or protocol, out)
    simulations = []
    painted = PaintedCount()
    with new_set(data, target, protocol, seed) as annotation_set:
        for case in track(cases, "Simulating", len(cases)):
            label = data.read_label(case)
            if label is None:
                raise InputError(f"{data.label_path(case)}: was there a moment ago and is gone. Start again.")
            indices = data.labels.to_class_indices(label.array)
            simulation = simulate_case(indices, label.affine, data.labels, generator(seed, case), settings)
            annotation_set.write(case, simulation.annotation)
            simulations.append(simulation)
            if simulation.annotation.painted is not None:
                painted += _painted(simulation.annotation.painted, data.labels, protocol, case)
    unlabelled = tuple(case for case in data.cases if case not in cases)
    counts = _counts(data.labels.foreground, simulations)
    return SimulationSummary(target, counts, cases, unlabelled, painted if painted.voxels else None)


def _painted(volume: Volume, labels: Labels, protocol: str, case: str) -> PaintedCount:
    values = volume.array
    annotated = values != labels.next_ignore_value
    count = PaintedCount(annotated.size, int(np.count_nonzero(annotated)))
    if protocol != SLICES:
        return count
    if annotated.all():
        raise InputError(
            f"Case {case}, shape {values.shape}: these slices would be the whole volume. "
            "Choose fewer, or --protocol dense."
        )
    planes = annotated_planes(annotated, volume.affine)
    is_object = np.isin(values, [labels[name] for name in labels.foreground])
    return replace(count, slices=sum(map(len, planes.values())), showing=showing(planes, is_object, volume.affine))


def _counts(class_names: tuple[str, ...], simulations: list[Simulation]) -> tuple[ClassCount, ...]:
    objects: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    cases: Counter[str] = Counter()
    for simulation in simulations:
        objects.update(simulation.objects)
        skipped.update(simulation.skipped)
        cases.update(name for name, count in simulation.objects.items() if count)
    return tuple(ClassCount(name, cases[name], objects[name], skipped[name]) for name in class_names)
