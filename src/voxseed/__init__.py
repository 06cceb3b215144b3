"""Voxseed trains 3D medical image segmentation models from a few clicks per volume.

The names below are imported when first used, so that `import voxseed` is fast.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "AnnotationSet": "voxseed.data.annotation_sets",
    "Dataset": "voxseed.data.datasets",
    "InputError": "voxseed.errors",
    "Predictor": "voxseed.inference.predictor",
    "benchmark": "voxseed.workflows.benchmark",
    "build_network": "voxseed.networks.factory",
    "evaluate": "voxseed.workflows.evaluate",
    "expand": "voxseed.workflows.expand",
    "export": "voxseed.workflows.export",
    "import_dataset": "voxseed.workflows.import_dataset",
    "import_labels": "voxseed.workflows.import_labels",
    "import_points": "voxseed.workflows.import_points",
    "monai_datalist": "voxseed.workflows.converters",
    "predict": "voxseed.workflows.predict",
    "relabel": "voxseed.workflows.relabel",
    "report": "voxseed.workflows.report",
    "simulate": "voxseed.workflows.simulate",
    "split": "voxseed.workflows.split",
    "torchio_subjects": "voxseed.workflows.converters",
    "train": "voxseed.workflows.train",
}
__all__ = [
    "AnnotationSet",
    "Dataset",
    "InputError",
    "Predictor",
    "__version__",
    "benchmark",
    "build_network",
    "evaluate",
    "expand",
    "export",
    "import_dataset",
    "import_labels",
    "import_points",
    "monai_datalist",
    "predict",
    "relabel",
    "report",
    "simulate",
    "split",
    "torchio_subjects",
    "train",
]

if TYPE_CHECKING:
    from voxseed.data.annotation_sets import AnnotationSet
    from voxseed.data.datasets import Dataset
    from voxseed.errors import InputError
    from voxseed.inference.predictor import Predictor
    from voxseed.networks.factory import build_network
    from voxseed.workflows.benchmark import benchmark
    from voxseed.workflows.converters import monai_datalist, torchio_subjects
    from voxseed.workflows.evaluate import evaluate
    from voxseed.workflows.expand import expand
    from voxseed.workflows.export import export
    from voxseed.workflows.import_dataset import import_dataset
    from voxseed.workflows.import_labels import import_labels
    from voxseed.workflows.import_points import import_points
    from voxseed.workflows.predict import predict
    from voxseed.workflows.relabel import relabel
    from voxseed.workflows.report import report
    from voxseed.workflows.simulate import simulate
    from voxseed.workflows.split import split
    from voxseed.workflows.train import train


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'voxseed' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
