"""What networks of earlier runs bring with them."""

import pytest

from voxseed.data.normalisation import Normalisation
from voxseed.data.preprocessing import Preprocessing, PreprocessingSettings
from voxseed.errors import InputError
from voxseed.training.starts import Start, preprocessing_of


def start(spacing_mm: float = 1.5, mean: float = 40.0) -> Start:
    normalisation = Normalisation(kind="ct", lower=-100, upper=300, mean=mean, sd=20)
    return Start(
        {}, {}, Preprocessing(channel_names=("CT",), spacing_mm=(spacing_mm,) * 3, normalisations=(normalisation,))
    )


@pytest.mark.parametrize(
    "wanted",
    [{}, {"spacing_mm": (1.5, 1.5, 1.5)}, {"normalisation": "ct"}, {"spacing_mm": (1.5,) * 3, "normalisation": "ct"}],
)
def test_networks_keep_the_grid_and_scale_that_they_know(wanted):
    starts = {"primary": start(), "auxiliary": start()}
    assert preprocessing_of(starts, PreprocessingSettings(**wanted)) == start().preprocessing


@pytest.mark.parametrize(
    ("other", "wanted", "sentence"),
    [
        (start(2.0), {}, "primary and auxiliary were trained on different grids or intensities .1.5 × 1.5 × 1.5 mm"),
        (start(mean=41.0), {}, "primary and auxiliary were trained on different grids or intensities"),
        (start(), {"spacing_mm": (2, 2, 2)}, "primary was trained on 1.5 × 1.5 × 1.5 mm.*Leave preprocessing.spacing"),
        (start(), {"normalisation": "zscore"}, "primary was trained on 1.5 × 1.5 × 1.5 mm"),
    ],
)
def test_what_does_not_fit_is_a_sentence(other, wanted, sentence):
    with pytest.raises(InputError, match=sentence):
        preprocessing_of({"primary": start(), "auxiliary": other}, PreprocessingSettings(**wanted))
