"""Screen and camera brought together through a grid of beads, and how well that went."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellstorm_lib.errors import RecordingError
from cellstorm_lib.pairs.beads import fit_beads
from cellstorm_lib.pairs.layout import DisplayLayout
from cellstorm_lib.pairs.lens import LensMap, Model, fit_map

_Floats = npt.NDArray[np.float64]

_FEWEST_BEADS = 30
_LEAST_FOUND_SHARE = 0.8
_SEARCH_PITCHES = 0.3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Registration:
    """Where the screen lies on the camera.

    Attributes
    ----------
    lens : LensMap
        The map, fitted to four beads of five.
    residuals : pandas.DataFrame
        One row per bead: ``x_px``, ``y_px`` on the camera, ``dx_px``, ``dy_px`` seen minus
        expected, ``is_held_out``.
    fit_rms_px, held_out_rms_px : float
        Root mean square of the distance between a bead and where the map expects it, in camera
        pixels; of the beads of the fit, and of those kept out of it.
    bead_sigma_px : float
        Median width of the beads on the camera.
    blur_px : float
        Width of the camera's blur: that of the beads beyond what the screen shows.
    """

    lens: LensMap
    residuals: pd.DataFrame
    fit_rms_px: float
    held_out_rms_px: float
    bead_sigma_px: float
    blur_px: float


def register_beads(
    image: npt.NDArray[Any],
    layout: DisplayLayout,
    start: LensMap,
    *,
    model: Model,
    bead_sigma_px: float,
    name: str,
) -> Registration:
    """Fit where the screen lies on the camera.

    Parameters
    ----------
    image : (Y, X) float
        Mean of frames with beads, flat-fielded.
    layout : DisplayLayout
        Where the beads are on the screen.
    start : LensMap
        The map to a few pixels.
    model : {"lens", "affine"}
        Homography with radial distortion and a free centre, or affine.
    bead_sigma_px : float
        Width of the beads on the screen.
    name : str
        What to call the film in messages.

    Raises
    ------
    RecordingError
        When too few beads are found.
    """
    beads = layout.beads
    expected = start.to_camera(beads)
    scale = float(np.median(np.stack(start.scale_at(beads))))
    found = fit_beads(
        image,
        expected,
        sigma_px=scale * bead_sigma_px + 0.5,
        search_px=_SEARCH_PITCHES * scale * layout.bead_pitch_px,
    )
    is_used, is_held_out = found.is_found, layout.is_held_out
    if is_used.sum() < max(_FEWEST_BEADS, _LEAST_FOUND_SHARE * len(beads)):
        raise RecordingError(
            f"only {is_used.sum()} of {len(beads)} beads of the display movie are found in {name}; "
            "film the whole screen, sharp and without reflections"
        )
    fitted, kept_out = is_used & ~is_held_out, is_used & is_held_out
    frame_px = (image.shape[1], image.shape[0])
    lens = fit_map(beads[fitted], found.xy_px[fitted], frame_px, model=model)
    residuals = _residuals(lens, beads[is_used], found.xy_px[is_used], is_held_out[is_used])
    sigma_px = float(np.median(found.sigma_px[is_used]))
    return Registration(
        lens=lens,
        residuals=residuals,
        fit_rms_px=_rms(lens, beads[fitted], found.xy_px[fitted]),
        held_out_rms_px=_rms(lens, beads[kept_out], found.xy_px[kept_out]),
        bead_sigma_px=sigma_px,
        blur_px=float(np.sqrt(max(sigma_px**2 - (scale * bead_sigma_px) ** 2, 0.0))),
    )


def bead_rms(image: npt.NDArray[Any], layout: DisplayLayout, registration: Registration) -> float:
    """Return the RMS distance of all beads of an image from where a registration expects them."""
    beads = layout.beads
    sigma_px = registration.bead_sigma_px
    found = fit_beads(
        image, registration.lens.to_camera(beads), sigma_px=sigma_px, search_px=2 * sigma_px
    )
    if not found.is_found.any():
        return float("inf")
    return _rms(registration.lens, beads[found.is_found], found.xy_px[found.is_found])


def _residuals(
    lens: LensMap, screen_px: _Floats, camera_px: _Floats, is_held_out: npt.NDArray[np.bool_]
) -> pd.DataFrame:
    """Return seen minus expected positions as a table."""
    expected = lens.to_camera(screen_px)
    miss = camera_px - expected
    return pd.DataFrame(
        {
            "x_px": expected[:, 0],
            "y_px": expected[:, 1],
            "dx_px": miss[:, 0],
            "dy_px": miss[:, 1],
            "is_held_out": is_held_out,
        }
    )


def _rms(lens: LensMap, screen_px: _Floats, camera_px: _Floats) -> float:
    """Return the root mean square distance of seen from expected positions."""
    return float(np.sqrt(((lens.to_camera(screen_px) - camera_px) ** 2).sum(axis=1).mean()))
