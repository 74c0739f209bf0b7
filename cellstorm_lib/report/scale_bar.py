"""How long a scale bar is, and how lengths are written."""

import numpy as np

from cellstorm_lib.errors import SettingsError

_SLACK = 1.02


def scale_bar_nm(width_nm: float) -> float:
    """Return the length of the scale bar for a picture of this width.

    Parameters
    ----------
    width_nm : float
        Width of what the picture shows; above 0.

    Returns
    -------
    float
        The longest of 1, 2, 5, 10, 20, 50, ... nm that takes at most a quarter of the width, give
        or take 2 %, so that cut-outs that differ by a pixel get the same.
    """
    if not (np.isfinite(width_nm) and width_nm > 0):
        raise SettingsError(f"a scale bar needs a picture wider than 0 nm, got {width_nm} nm")
    longest_nm = width_nm / 4
    decade = 10.0 ** np.floor(np.log10(longest_nm))
    steps = [step * decade for step in (0.5, 1.0, 2.0, 5.0, 10.0)]
    return float(max(step for step in steps if step <= longest_nm * _SLACK))


def length_text(length_nm: float) -> str:
    """Return a length with the unit that suits it: ``200 nm``, ``5 µm``, ``1.2 mm``."""
    for factor, unit in ((1e6, "mm"), (1e3, "µm")):
        if length_nm >= factor:
            return f"{length_nm / factor:.3g} {unit}"
    return f"{length_nm:.3g} nm"
