"""The standard deviations of positions, as far as a table states them."""

import numpy as np
import numpy.typing as npt

from cellstorm_lib.tables import Localizations

#: No position is taken to be known better than this; imported tables may claim 0.
SMALLEST_UNCERTAINTY_NM = 0.5

_Floats = npt.NDArray[np.float64]


def stated_uncertainty_nm(localizations: Localizations, axis: str = "") -> _Floats | None:
    """Return the standard deviation of every position, or None when the table has none.

    Parameters
    ----------
    localizations : Localizations
        The table.
    axis : {"", "x", "y", "z"}
        One axis, or both lateral ones together (root mean square). Where x or y has no column
        of its own, the common one is taken.

    Returns
    -------
    (N,) float64 or None
        At least `SMALLEST_UNCERTAINTY_NM`.
    """
    common, per_axis = "uncertainty_nm", f"uncertainty_{axis}_nm"
    if axis and per_axis in localizations:
        value = localizations.column(per_axis)
    elif axis != "z" and common in localizations:
        value = localizations.column(common)
    elif not axis and all(f"uncertainty_{name}_nm" in localizations for name in "xy"):
        x, y = (localizations.column(f"uncertainty_{name}_nm") for name in "xy")
        value = np.hypot(x, y) / np.sqrt(2.0)
    else:
        return None
    return np.maximum(value.astype(np.float64), SMALLEST_UNCERTAINTY_NM)
