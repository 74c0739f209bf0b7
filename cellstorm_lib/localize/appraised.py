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
from cellstorm_lib.localize.search import Candidates
from cellstorm_lib.localize.traits import Kind, Level

#: Why a spot that was fitted is not in the table.
IMPROBABLE = "improbable"
#: The columns that are added.
APPRAISED = ("photon_correction", "molecule_probability")
#: Expected share of false spots in denoised frames, at most.
DENOISED_FALSE_SHARE = 0.25
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
    probability: npt.NDArray[np.floating[Any]], settings: DetectSettings, kind: Kind = "film"
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
        What the frames are. Of denoised ones all are kept that passed, up to a quarter of false
        ones: most spots in doubt there are fragments of a blink, of which only the brightness is
        uncertain. Where there are more, the recording is nearly empty.
    """
    values = probability.astype(np.float64)
    if kind == "film":
        line, expected_false = _line(values, settings.least_probability, settings.false_share)
    else:
        line, expected_false = _line(values, 0.0, DENOISED_FALSE_SHARE)
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
