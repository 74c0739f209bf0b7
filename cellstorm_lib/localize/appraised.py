"""Columns of a table with what is thought of each spot, and the choice of those that are kept."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.localize.appraisal import Appraiser
from cellstorm_lib.localize.around import Surroundings
from cellstorm_lib.localize.columns import Columns
from cellstorm_lib.localize.course import courses
from cellstorm_lib.localize.detect import DetectSettings
from cellstorm_lib.localize.fit import Fits
from cellstorm_lib.localize.noise_floor import REFERENCE_AREA_PX
from cellstorm_lib.localize.search import Candidates
from cellstorm_lib.localize.traits import Kind, Level

#: Why a spot that was fitted is not in the table.
IMPROBABLE = "improbable"
#: The columns that are added.
APPRAISED = ("photon_correction", "molecule_probability")
#: Expected share of false spots in denoised frames that are nearly empty, at most; and how many
#: spots an area of `REFERENCE_AREA_PX` of a frame holds that is not.
DENOISED_FALSE_SHARE, _FEW_PER_AREA = 0.25, 1.0
_UNCERTAINTIES = ("uncertainty_x_nm", "uncertainty_y_nm", "uncertainty_nm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which spots are kept.

    Attributes
    ----------
    is_kept : (M,) bool
        Those.
    least_probability : float
        The line: those at least so probable are; 0 where all are.
    expected_false : float
        False ones expected among them.
    """

    is_kept: npt.NDArray[np.bool_]
    least_probability: float
    expected_false: float


def with_appraisal(
    columns: Columns,
    candidates: Candidates,
    fits: Fits,
    around: Surroundings,
    level: Level,
    appraiser: Appraiser,
) -> Columns:
    """Return the columns of spots with their probability, true uncertainty and full light.

    Parameters
    ----------
    columns : Columns
        As `columns_of_spots` returns them.
    candidates, fits : Candidates, Fits
        Where they come from.
    around : Surroundings
        Their frames.
    level : Level
        Their recording.
    appraiser : Appraiser
        Knows what codecs, or the denoiser, do.
    """
    measured = courses(around, candidates.index[fits.rows], fits.x_px, fits.y_px)
    found = appraiser.appraise(level.traits_of(fits, measured))
    return {
        **columns,
        **{name: columns[name] * found.error_factor for name in _UNCERTAINTIES},
        "photons": columns["photons"] * found.photon_factor,
        "photon_correction": found.photon_factor,
        "molecule_probability": found.probability,
    }


def kept(columns: Columns, which: npt.NDArray[np.bool_]) -> Columns:
    """Return the chosen rows of all columns."""
    return {name: values[which] for name, values in columns.items()}


def choose(
    probability: npt.NDArray[np.floating[Any]],
    settings: DetectSettings,
    kind: Kind = "film",
    *,
    searched_px: int,
) -> Choice:
    """Draw the line between spots that are kept and those that are not.

    Parameters
    ----------
    probability : (M,) float
        That each is a molecule; without those that their level did not let pass.
    settings : DetectSettings
        ``least_probability`` is the least that is kept; the line is raised until the expected
        share of false spots is at most ``false_share``.
    kind : str
        What the frames are. Of denoised ones all are kept that passed: most spots in doubt there
        are fragments of a blink, of which only the brightness is uncertain. In a recording that is
        nearly empty they are not, and a quarter may be false, no more.
    searched_px : int
        Pixels of all frames together.
    """
    values = probability.astype(np.float64)
    if kind == "film":
        line, expected_false = _line(values, settings.least_probability, settings.false_share)
    else:
        is_nearly_empty = len(values) * REFERENCE_AREA_PX < _FEW_PER_AREA * searched_px
        share = DENOISED_FALSE_SHARE if is_nearly_empty else 1.0
        line, expected_false = _line(values, 0.0, share)
    return Choice(
        is_kept=values >= line,
        least_probability=line,
        expected_false=expected_false,
    )


def _line(values: npt.NDArray[np.float64], least: float, false_share: float) -> tuple[float, float]:
    """Return how probable spots have to be, and how many false ones are expected among them."""
    lines, counts = np.unique(values[values >= least], return_counts=True)
    if not len(lines):
        return least, 0.0
    # of those at least as probable as each line: how many, and how many of them false
    kept_count = np.cumsum(counts[::-1])[::-1]
    false = np.cumsum(((1.0 - lines) * counts)[::-1])[::-1]
    is_allowed = false / kept_count <= false_share
    if not is_allowed.any():
        return float(np.nextafter(lines[-1], 2)), 0.0
    first = int(np.argmax(is_allowed))
    return (least if first == 0 else float(lines[first])), float(false[first])
