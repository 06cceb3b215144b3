"""All metrics of one prediction against one reference mask."""

from dataclasses import dataclass

from voxseed.metrics.overlap import dice, volume_ml
from voxseed.metrics.surface import surface_distances
from voxseed.types import BoolArray, Spacing


@dataclass(frozen=True, kw_only=True)
class PairMetrics:
    """How a predicted mask compares with a reference mask.

    | prediction | reference | dice | assd_mm, hd95_mm | nsd | missed | false_alarm |
    |---|---|---|---|---|---|---|
    | empty | empty | 1 | None | 1 | no | no |
    | empty | object | 0 | None | 0 | yes | no |
    | object | empty | 0 | None | 0 | no | yes |

    Attributes:
        dice: in [0, 1].
        assd_mm: average symmetric surface distance; None where a mask is empty.
        hd95_mm: larger of the two directed 95th percentiles of the surface distance; None where a mask is empty.
        nsd: share of both surfaces within the tolerance, in [0, 1].
        volume_ml, reference_ml: volume of the prediction and of the reference.
        missed: the reference has an object and the prediction is empty.
        false_alarm: the prediction has an object and the reference is empty.
    """

    dice: float
    assd_mm: float | None
    hd95_mm: float | None
    nsd: float
    volume_ml: float
    reference_ml: float
    missed: bool
    false_alarm: bool


def pair_metrics(
    prediction: BoolArray, reference: BoolArray, spacing_mm: Spacing, tolerance_mm: float, workers: int = 1
) -> PairMetrics:
    """Measure a predicted mask against a reference mask, with one computation of distances.

    Args:
        prediction: (I, J, K) bool.
        reference: (I, J, K) bool.
        spacing_mm: distance between neighbouring voxel centres along I, J and K.
        tolerance_mm: of the NSD.
        workers: threads; -1 for all cores.

    Raises:
        ShapeError: if the masks are not 3D, boolean and of one shape, or the spacing is not three positive lengths.
    """
    distances = surface_distances(prediction, reference, spacing_mm, workers)
    predicted, referred = bool(prediction.any()), bool(reference.any())
    return PairMetrics(
        dice=dice(prediction, reference),
        assd_mm=distances.assd_mm,
        hd95_mm=distances.hd95_mm,
        nsd=distances.nsd(tolerance_mm),
        volume_ml=volume_ml(prediction, spacing_mm),
        reference_ml=volume_ml(reference, spacing_mm),
        missed=referred and not predicted,
        false_alarm=predicted and not referred,
    )
