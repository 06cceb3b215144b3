"""A dataset as the tools of others take it. None of them is a dependency."""

from pathlib import Path
from typing import Any

from voxseed.data.datasets import Dataset
from voxseed.errors import InputError


def monai_datalist(dataset: str | Path, test: bool = False) -> list[dict[str, Any]]:
    """Cases as MONAI's dictionary transforms take them.

    Args:
        dataset: folder in the nnU-Net raw layout.
        test: the cases of imagesTs instead of those of imagesTr.

    Returns:
        Per case `case`, `image` (a list of files, one per channel, which `LoadImaged` stacks) and, where there is a
        dense label or, in a dataset of `expand`, supervision, `label`.
    """
    data = Dataset.open(dataset)
    items: list[dict[str, Any]] = []
    for case in data.test_cases if test else data.cases:
        item: dict[str, Any] = {"case": case, "image": [str(path) for path in data.image_paths(case)]}
        if data.has_label(case):
            item["label"] = str(data.label_path(case))
        items.append(item)
    return items


def torchio_subjects(dataset: str | Path, test: bool = False) -> list[Any]:
    """Cases as TorchIO's `Subject`: a `ScalarImage` per channel, under the channel's name, and a `LabelMap` `label`.

    Args:
        dataset: folder in the nnU-Net raw layout.
        test: the cases of imagesTs instead of those of imagesTr.

    Raises:
        InputError: if TorchIO is not installed, or a channel is called `label` or `case`.
    """
    try:
        import torchio
    except ImportError:
        raise InputError("TorchIO is not installed. Install it with pip install torchio.") from None
    names = Dataset.open(dataset).channel_names
    taken = next((name for name in names if name in ("label", "case")), None)
    if taken:
        raise InputError(f"{dataset}: a channel is called {taken!r}, as a part of every subject is. Rename it.")
    subjects = []
    for item in monai_datalist(dataset, test):
        parts: dict[str, Any] = {
            name: torchio.ScalarImage(path) for name, path in zip(names, item["image"], strict=True)
        }
        if "label" in item:
            parts["label"] = torchio.LabelMap(item["label"])
        subjects.append(torchio.Subject(case=item["case"], **parts))
    return subjects
