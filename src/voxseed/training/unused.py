"""What a dataset holds that a run does not learn from, in words."""

from voxseed.data.annotation_sets import AnnotationSet
from voxseed.supervision.kinds import SupervisionKind
from voxseed.training.job import Job


def unused(job: Job) -> tuple[str, ...]:
    """One phrase per kind of thing that is there and not used; empty if all is.

    Args:
        job: decided, with the cases to train on.
    """
    data, trained = job.dataset, set(job.train_cases)
    left = [case for case in data.cases if case not in trained]
    labelled = [case for case in data.cases if data.has_label(case)]
    phrases: dict[str, int] = {}
    if job.kind is SupervisionKind.DENSE or job.annotations is None:
        phrases["cases without a dense label"] = len(left) - sum(case in labelled for case in left)
        phrases["labelled cases outside the fold"] = sum(case in labelled for case in left)
        phrases["annotation sets, since dense labels are learned from"] = len(data.annotation_sets())
        return _counted(phrases)
    annotated = set(job.annotations.cases)
    phrases["cases that nobody annotated"] = sum(case not in annotated for case in left)
    phrases["annotated cases outside the fold"] = sum(case in annotated for case in left)
    phrases["dense labels in labelsTr, which only dense methods read"] = len(labelled)
    phrases["other annotation sets"] = sum(name != _inside(job.annotations, job) for name in data.annotation_sets())
    if job.kind not in (SupervisionKind.BOXES, SupervisionKind.PROBABILITY):
        boxes = sum(len(job.annotations.read(case).boxes) for case in job.train_cases)
        phrases["boxes, but for what lies outside them"] = boxes
    return _counted(phrases)


def _inside(annotations: AnnotationSet, job: Job) -> str | None:
    """Name of a set that lies in the dataset."""
    is_inside = annotations.path.resolve().parent == (job.dataset.root / "annotations").resolve()
    return annotations.name if is_inside else None


def _counted(phrases: dict[str, int]) -> tuple[str, ...]:
    return tuple(f"{phrase}: {count}" for phrase, count in phrases.items() if count)
