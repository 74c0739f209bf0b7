"""Cut-outs of spots that only one branch of a recording has, as seen in both kinds of frames."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.recording import FrameSource
from cellstorm_lib.tables import Localizations

_COUNT, _SIDE_PX = 8, 15


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpotStrips:
    """Some spots that one branch alone has.

    Attributes
    ----------
    branch : str
        The branch that has them.
    frame : (K,) int64
        Their frames.
    x_px, y_px : (K,) float64
        Where they are in the cut-out; the centre of its first pixel is at 0.5.
    raw, denoised : (K, S, S) float32
        Photoelectrons per pixel of both kinds of frames around each spot.
    """

    branch: Literal["raw", "denoised"]
    frame: npt.NDArray[np.int64]
    x_px: npt.NDArray[np.float64]
    y_px: npt.NDArray[np.float64]
    raw: npt.NDArray[np.float32]
    denoised: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.frame)


def cut_strips(
    branch: Literal["raw", "denoised"],
    spots: Localizations,
    is_alone: npt.NDArray[np.bool_],
    *,
    raw: tuple[FrameSource, CameraCalibration],
    denoised: tuple[FrameSource, CameraCalibration],
) -> SpotStrips:
    """Cut some of the spots that one branch alone has out of raw and denoised frames.

    Parameters
    ----------
    branch : str
        The branch that has them.
    spots : Localizations
        Its spots.
    is_alone : (N,) bool
        Those that the other branch has not.
    raw, denoised : (FrameSource, CameraCalibration)
        Frames of the same field, and what makes photoelectrons of them.

    Returns
    -------
    SpotStrips
        Up to 8, from the dimmest to the brightest at even steps of rank, so that what is shown
        is typical and not picked; in the order of the brightness.
    """
    rows = np.flatnonzero(is_alone)
    if "photons" in spots:
        rows = rows[np.argsort(spots.column("photons")[rows], kind="stable")]
    steps = np.unique(np.round(np.linspace(0, len(rows) - 1, min(_COUNT, len(rows)))).astype(int))
    rows = rows[steps] if len(rows) else rows
    size_nm = spots.field.pixel_size_nm
    frame = spots.column("frame")[rows].astype(np.int64)
    x_px, y_px = spots.column("x_nm")[rows] / size_nm, spots.column("y_nm")[rows] / size_nm
    left = _corner(x_px, spots.field.width_px)
    top = _corner(y_px, spots.field.height_px)
    return SpotStrips(
        branch=branch,
        frame=frame,
        x_px=x_px - left,
        y_px=y_px - top,
        raw=_cut(raw, frame, left, top),
        denoised=_cut(denoised, frame, left, top),
    )


def _corner(place_px: npt.NDArray[np.float64], length_px: int) -> npt.NDArray[np.int64]:
    """Return where cut-outs begin that hold their spot in the middle, or lie at the edge."""
    begin = np.floor(place_px).astype(np.int64) - _SIDE_PX // 2
    return np.clip(begin, 0, max(length_px - _SIDE_PX, 0))


def _cut(
    frames: tuple[FrameSource, CameraCalibration],
    frame: npt.NDArray[np.int64],
    left: npt.NDArray[np.int64],
    top: npt.NDArray[np.int64],
) -> npt.NDArray[np.float32]:
    """Return cut-outs of the frames, photoelectrons, (K, S, S)."""
    source, calibration = frames
    roi = source.facts.roi
    shape = (min(_SIDE_PX, roi.height_px), min(_SIDE_PX, roi.width_px))
    cut = np.zeros((len(frame), *shape), np.float32)
    for number in np.unique(frame).tolist():
        chunk = next(iter(source.part(number, number + 1).chunks(1)))
        light_e = calibration.photoelectrons(chunk.frames)[0]
        for k in np.flatnonzero(frame == number).tolist():
            cut[k] = light_e[top[k] : top[k] + shape[0], left[k] : left[k] + shape[1]]
    return cut
