"""The planes of a sensor: one for grey ones, one for each place of a colour mosaic."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.recording import RecordingFacts

#: Side of the square patches that stand for a frame too large to be used as a whole.
_PATCH_PX = 16

Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plane:
    """Pixels of one kind.

    Attributes
    ----------
    rows, columns : (Y,) and (X,) int
        Where they lie in the frame.
    """

    rows: Places
    columns: Places

    @property
    def is_seam(self) -> npt.NDArray[np.bool_]:
        """Pixels whose neighbours in the plane are not neighbours on the sensor, (Y, X)."""
        return np.asarray(_is_end(self.rows)[:, None] | _is_end(self.columns))

    def cut(self, frames: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return these pixels of frames, (N, Y, X)."""
        return np.ascontiguousarray(frames[:, self.rows][:, :, self.columns])


def planes_of(facts: RecordingFacts, *, most_pixels: int | None) -> dict[str, Plane]:
    """Return the planes of a recording's frames.

    Parameters
    ----------
    facts : RecordingFacts
        ``details["mosaic"]`` names the colours of the first two rows and columns of the region
        read, as ``RGGB``; without it there is one plane, ``grey``.
    most_pixels : int or None
        Pixels of a plane to use at most, in square patches spread evenly over the frame; None
        for all.

    Returns
    -------
    dict of str to Plane
        By colour; a colour that occurs twice is numbered, as ``R G1 G2 B``.
    """
    mosaic = _mosaic(facts.details)
    step = 2 if len(mosaic) == 4 else 1
    planes = {}
    for index, name in enumerate(mosaic):
        rows = np.arange(index // 2, facts.roi.height_px, step)
        columns = np.arange(index % 2, facts.roi.width_px, step)
        share = 1.0
        if most_pixels is not None:
            share = min(np.sqrt(most_pixels / (len(rows) * len(columns))), 1.0)
        planes[name] = Plane(rows=_patches(rows, share), columns=_patches(columns, share))
    return planes


def _mosaic(details: dict[str, Any]) -> list[str]:
    """Return the names of the planes in order."""
    colours = str(details.get("mosaic") or "")
    if len(colours) != 4:
        return ["grey"]
    return [
        colour if colours.count(colour) == 1 else f"{colour}{colours[: index + 1].count(colour)}"
        for index, colour in enumerate(colours)
    ]


def _patches(places: Places, share: float) -> Places:
    """Return a share of the places in runs spread evenly."""
    count = int(share * len(places)) // _PATCH_PX
    if share >= 1.0 or count == 0:
        return places
    starts = np.linspace(0, len(places) - _PATCH_PX, count).astype(np.intp)
    return places[np.unique(starts[:, None] + np.arange(_PATCH_PX))]


def _is_end(places: Places) -> npt.NDArray[np.bool_]:
    """Return which places have no neighbour on one side."""
    steps = np.diff(places)
    is_gap = steps > steps.min(initial=1)
    return np.asarray(np.r_[True, is_gap] | np.r_[is_gap, True])
