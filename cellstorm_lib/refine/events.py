"""What drift is measured with: each sighting of a molecule once, in a bounded number."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cellstorm_lib.refine.tracks import Reach, number_tracks
from cellstorm_lib.refine.uncertainty import stated_uncertainty_nm
from cellstorm_lib.tables import Localizations

_Floats = npt.NDArray[np.float64]

#: Events are thinned to this number: more do not measure drift better, only slower.
MOST_EVENTS = 300_000
_SHORTEST_SPAN = 5
_SPANS = 200
_DARK_FRAMES = 3
_UNCERTAINTIES = 3.0
_LARGEST_RADIUS_NM = 150.0
_RADIUS_PX = 0.6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Events:
    """Independent positions in time order.

    Attributes
    ----------
    xy_nm : (N, 2) float64
        Mean position of a molecule over its blink, or over a stretch of a long one.
    frame : (N,) int64
        Its mean frame, rounded.
    variance_nm2 : (N,) float64
        Stated variance of the position per axis; 0 where the table states none.
    frame_count : int
        Frames of the recording.
    span_frames : int
        Events at most so many frames apart may be the same blink.
    area_nm2 : float
        Area of the field.
    """

    xy_nm: _Floats
    frame: npt.NDArray[np.int64]
    variance_nm2: _Floats
    frame_count: int
    span_frames: int
    area_nm2: float

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.frame)

    def take(self, rows: npt.NDArray[Any], *, area_share: float = 1.0) -> Self:
        """Return some of the events, in their order."""
        return type(self)(
            xy_nm=self.xy_nm[rows],
            frame=self.frame[rows],
            variance_nm2=self.variance_nm2[rows],
            frame_count=self.frame_count,
            span_frames=self.span_frames,
            area_nm2=self.area_nm2 * area_share,
        )

    def thinned(self, most: int) -> Self:
        """Return every k-th event, so that at most `most` are left."""
        return self.take(np.arange(0, len(self), max(1, -(-len(self) // most))))


def find_events(localizations: Localizations) -> Events:
    """Return one event per blink of a molecule.

    A molecule that stays on for many frames is one measurement of its place, not many: counted
    many times it would pass for structure that does not move. Localizations that the codec copied
    from the frame before (``is_copied``) measure nothing and are left out.

    Parameters
    ----------
    localizations : Localizations
        Before drift correction.

    Returns
    -------
    Events
        In order of time.
    """
    if "is_copied" in localizations:
        localizations = localizations.take(~localizations.column("is_copied"))
    field = localizations.field
    span_frames = max(_SHORTEST_SPAN, field.frame_count // _SPANS)
    frame, xy_nm = localizations.column("frame").astype(np.int64), localizations.xy_nm
    stated_nm = stated_uncertainty_nm(localizations)
    variance_nm2 = np.ones(len(frame)) if stated_nm is None else stated_nm**2
    reach = Reach(
        uncertainties=0.0 if stated_nm is None else _UNCERTAINTIES,
        radius_nm=min(
            _LARGEST_RADIUS_NM, field.pixel_size_nm * (_RADIUS_PX if stated_nm is None else 2.0)
        ),
        dark_frames=_DARK_FRAMES,
        longest_frames=span_frames,
    )
    track = number_tracks(frame, xy_nm, variance_nm2, reach)
    weight = 1.0 / variance_nm2
    total = np.bincount(track, weight)
    mean_frame = np.bincount(track, frame) / np.bincount(track)
    order = np.argsort(mean_frame, kind="stable")
    mean_nm = [np.bincount(track, weight * xy_nm[:, axis]) / total for axis in (0, 1)]
    events = Events(
        xy_nm=np.column_stack(mean_nm)[order],
        frame=np.rint(mean_frame[order]).astype(np.int64),
        variance_nm2=np.zeros(len(order)) if stated_nm is None else 1.0 / total[order],
        frame_count=field.frame_count,
        span_frames=span_frames,
        area_nm2=field.width_nm * field.height_nm,
    )
    return events.thinned(MOST_EVENTS)
