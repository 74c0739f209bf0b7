"""The columns of a table of spots."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellstorm_lib.localize.copies import ages_at, temporal_differences
from cellstorm_lib.localize.fit import Fits
from cellstorm_lib.localize.search import Candidates
from cellstorm_lib.recording import FrameChunk, Roi
from cellstorm_lib.tables import COLUMNS

Columns = Mapping[str, npt.NDArray[Any]]

#: The columns of every table our localizer writes, in their order.
WRITTEN = (
    "frame",
    "x_nm",
    "y_nm",
    "sigma_nm",
    "photons",
    "background_photons",
    "uncertainty_x_nm",
    "uncertainty_y_nm",
    "uncertainty_nm",
    "crlb_x_nm",
    "crlb_y_nm",
    "log_likelihood_ratio",
    "is_copied",
    "copy_age",
    "frames_since_key",
    "is_tainted",
    "temporal_difference",
    "out_of_range_px",
)
#: A further column where the camera has a flat field.
SENSITIVITY = "relative_sensitivity"


def columns_of_spots(
    chunk: FrameChunk,
    candidates: Candidates,
    fits: Fits,
    *,
    pixel_size_nm: float,
    copy_ages: npt.NDArray[np.int32] | None,
    roi: Roi,
) -> Columns:
    """Return one value per believed fit for each column of `WRITTEN`, and of `SENSITIVITY`.

    What the fit has besides (`Fits.further`) follows.

    Parameters
    ----------
    chunk : FrameChunk
        The frames.
    candidates : Candidates
        All that were found in them.
    fits : Fits
        Those that are believed.
    pixel_size_nm : float
        Object-side size of a pixel.
    copy_ages : (N, ceil, ceil) int32 or None
        Copies in a row of each block; None for stacks, whose frames are never copies.
    roi : Roi
        Where the frames lie in the full frame.
    """
    index = candidates.index[fits.rows]
    crlb_x_nm, crlb_y_nm = fits.crlb_x_px * pixel_size_nm, fits.crlb_y_px * pixel_size_nm
    age = np.zeros(len(fits), np.int32)
    difference = np.zeros(len(fits), np.float32)
    if copy_ages is not None:
        row, column = candidates.row[fits.rows], candidates.column[fits.rows]
        age = ages_at(copy_ages, roi, index, fits.x_px, fits.y_px)
        difference = temporal_differences(chunk, index, row, column)
    return {
        "frame": chunk.frame[index],
        "x_nm": fits.x_px * pixel_size_nm,
        "y_nm": fits.y_px * pixel_size_nm,
        "sigma_nm": fits.sigma_px * pixel_size_nm,
        "photons": fits.photons,
        "background_photons": fits.background,
        "uncertainty_x_nm": crlb_x_nm,
        "uncertainty_y_nm": crlb_y_nm,
        "uncertainty_nm": np.sqrt(0.5 * (crlb_x_nm**2 + crlb_y_nm**2)),
        "crlb_x_nm": crlb_x_nm,
        "crlb_y_nm": crlb_y_nm,
        "log_likelihood_ratio": fits.log_likelihood_ratio,
        "is_copied": age > 0,
        "copy_age": age,
        "frames_since_key": chunk.frames_since_key[index],
        "is_tainted": chunk.is_tainted[index],
        "temporal_difference": difference,
        "out_of_range_px": fits.out_of_range_px,
        SENSITIVITY: fits.relative_sensitivity,
        **fits.further,
    }


def table_of(parts: Sequence[Columns], *, has_flat_field: bool) -> pd.DataFrame:
    """Return the parts of a recording as one table, with the types of `COLUMNS`."""
    names = (*WRITTEN, SENSITIVITY) if has_flat_field else WRITTEN
    if parts:
        names = (*names, *(name for name in parts[0] if name not in (*WRITTEN, SENSITIVITY)))
    return pd.DataFrame(
        {
            name: np.concatenate([np.empty(0, dtype), *(part[name] for part in parts)], dtype=dtype)
            for name, dtype in ((name, COLUMNS[name][0]) for name in names)
        }
    )
