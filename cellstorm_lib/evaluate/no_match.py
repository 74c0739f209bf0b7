"""Why a table and its truth have nothing in common."""

import numpy as np

from cellstorm_lib.evaluate.scores import Scores
from cellstorm_lib.tables import Emitters, Localizations


def why_no_match(localizations: Localizations, emitters: Emitters, scores: Scores) -> str | None:
    """Return what to look at when no localization was matched with the truth.

    Parameters
    ----------
    localizations, emitters, scores
        What was compared, and with what result.

    Returns
    -------
    str or None
        One sentence; None when something matched, or one of the tables is empty.
    """
    if scores.matched or not (scores.found and scores.true):
        return None
    found, true = localizations.column("frame"), emitters.column("frame")
    if not np.isin(found, true).any():
        return (
            f"nothing matches: the table has the frames {found.min()} to {found.max()}, the truth "
            f"{true.min()} to {true.max()}, and none is in both; --shift-frames "
            f"{true.min() - found.min()} lets both begin alike"
        )
    spans_um = [0.001 * table.column(name).max() for table in (localizations, emitters)
                for name in ("x_nm", "y_nm")]  # fmt: skip
    return (
        f"nothing matches: the table reaches to x {spans_um[0]:.3g}, y {spans_um[1]:.3g} um, the "
        f"truth to x {spans_um[2]:.3g}, y {spans_um[3]:.3g} um; are the pixel size, the region and "
        "the origin the same, and is --tolerance-nm large enough?"
    )
