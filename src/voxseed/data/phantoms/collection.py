"""Phantom cases and datasets by kind."""

import os
import shutil
from pathlib import Path

import numpy as np

from voxseed.data.datasets import Dataset
from voxseed.data.phantoms import anisotropic, ct, head, multi_class, two_channel
from voxseed.data.phantoms.phantom import Phantom
from voxseed.errors import InputError, UnknownNameError
from voxseed.progress import track
from voxseed.types import FloatArray, LabelArray

KINDS = {
    "head": head.PHANTOM,
    "two-channel": two_channel.PHANTOM,
    "multi-class": multi_class.PHANTOM,
    "ct": ct.PHANTOM,
    "anisotropic": anisotropic.PHANTOM,
}


def make_case(kind: str, rng: np.random.Generator) -> tuple[FloatArray, LabelArray, FloatArray]:
    """One phantom.

    Args:
        kind: one of `KINDS`.
        rng: draws everything; the same state gives the same case.

    Returns:
        image (M, I, J, K) float32, label (I, J, K) uint8, affine (4, 4) to RAS+ mm.

    Raises:
        UnknownNameError: lists the known kinds.
    """
    phantom = _phantom(kind)
    image, label = phantom.draw(rng)
    return image, label, phantom.affine.copy()


def make_dataset(path: str | Path, kind: str = "head", train: int = 24, test: int = 8, seed: int = 0) -> Dataset:
    """Write a dataset of phantoms; it appears whole or not at all.

    Args:
        path: the folder to make.
        kind: one of `KINDS`.
        train: cases in imagesTr and labelsTr.
        test: cases in imagesTs and labelsTs.
        seed: case n is the same whatever the numbers of cases are.

    Raises:
        InputError: if the folder exists and is not empty.
        UnknownNameError: if there is no such kind.
    """
    root = Path(path)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise InputError(f"{root}: exists already. Remove it, or choose another folder for the phantoms.")
    phantom = _phantom(kind)
    unfinished = root.with_name(f".{root.name}.unfinished")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    dataset = Dataset.create(unfinished, f"Phantom {kind}", phantom.channel_names, phantom.label_names)
    for index in track(range(train + test), "Making phantoms", total=train + test):
        image, label, affine = make_case(kind, np.random.default_rng([seed, index]))
        dataset.write_case(f"{kind}_{index + 1:03d}", image, affine, label, test=index >= train)
    if root.exists():
        root.rmdir()
    os.replace(unfinished, root)
    return Dataset.open(root)


def _phantom(kind: str) -> Phantom:
    if kind not in KINDS:
        raise UnknownNameError(f"Unknown phantom {kind!r}. Known: {', '.join(sorted(KINDS))}.")
    return KINDS[kind]
