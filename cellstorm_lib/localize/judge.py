"""Which fits are believed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from cellstorm_lib.localize.fit_settings import FitSettings

#: Why a candidate is not in the table.
REJECTIONS = (
    "border",
    "not_converged",
    "left_the_box",
    "photons_out_of_range",
    "sigma_out_of_range",
    "duplicate",
)


def judge(
    spots: Mapping[str, npt.NDArray[np.float32]],
    where: npt.NDArray[np.int32],
    settings: FitSettings,
) -> npt.NDArray[np.int64]:
    """Return 0 for each fit that is believed, else 1 + the place of the reason in `REJECTIONS`.

    Parameters
    ----------
    spots : mapping of (M,) float32
        As `fit_spots` returns them.
    where : (3, M) int32
        Index of the frame, row and column of the pixel in the middle of each box, sorted.
    settings : FitSettings
        What is believed.
    """
    middle = 0.5 * settings.box_px
    x, y = spots["x_px"] - middle, spots["y_px"] - middle
    shift = np.maximum(np.abs(x), np.abs(y))
    photons, sigma = spots["photons"], spots["sigma_px"]
    is_finite = np.isfinite(photons + spots["background"] + spots["log_likelihood_ratio"])
    is_known = is_finite & (spots["variance_x"] + spots["variance_y"] < settings.max_shift_px**2)
    checks = (
        is_known & (spots["is_active"] == 0),
        shift <= settings.max_shift_px,
        (photons >= settings.min_photons) & (photons <= settings.max_photons),
        (sigma >= settings.min_sigma_px) & (sigma <= settings.max_sigma_px),
    )
    reason = np.zeros(len(shift), np.int64)
    for number, is_good in reversed(list(enumerate(checks, start=2))):
        reason[~is_good] = number
    _mark_duplicates(
        where,
        x + where[2],
        y + where[1],
        shift,
        settings.duplicate_px,
        settings.max_shift_px,
        reason,
    )
    return reason


@njit(cache=True, nogil=True)
def _mark_duplicates(
    where: Any, x: Any, y: Any, shift: Any, radius: Any, max_shift: Any, reason: Any
) -> None:
    """Of fits of a frame nearer than `radius`, mark all but the one that moved least."""
    reach = int(np.ceil(2 * max_shift + radius))
    count = len(x)
    for i in range(count):
        j = i + 1
        while (
            reason[i] == 0
            and j < count
            and where[0, j] == where[0, i]
            and where[1, j] - where[1, i] <= reach
        ):
            distance = (x[j] - x[i]) ** 2 + (y[j] - y[i]) ** 2
            if reason[j] == 0 and distance < radius * radius:
                reason[j if shift[j] >= shift[i] else i] = 6
            j += 1
