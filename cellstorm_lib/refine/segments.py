"""Time cut into segments: a drift is one position per segment, and a line between them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """Equal stretches of a recording.

    Attributes
    ----------
    frame_count : int
        Frames of the recording; at least 1.
    count : int
        Segments; at least 1 and at most `frame_count`.
    """

    frame_count: int
    count: int

    @property
    def centre_frame(self) -> _Floats:
        """Middle of each segment in frames, (S,) float64."""
        return (np.arange(self.count) + 0.5) * self.frame_count / self.count - 0.5

    def number(self, frame: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the segment of each frame."""
        return np.minimum(frame * self.count // self.frame_count, self.count - 1)

    def between(
        self, frame: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Return the last segment centred before each frame, and how far the frame is to the next.

        Frames before the first centre or after the last belong to that segment alone.
        """
        place = (frame + 0.5) * self.count / self.frame_count - 0.5
        place = np.clip(place, 0.0, self.count - 1.0)
        left = place.astype(np.int32)
        return left, (place - left).astype(np.float32)

    def at(self, frame: npt.NDArray[Any], trace_nm: _Floats) -> _Floats:
        """Return the drift at some frames, (N, 2), from a trace (S, 2) of drift per segment."""
        centre = self.centre_frame
        return np.column_stack([np.interp(frame, centre, trace_nm[:, axis]) for axis in (0, 1)])

    def resampled(self, trace_nm: _Floats, other: "Segments") -> _Floats:
        """Return a trace of this division stated for another, (S', 2), with zero mean."""
        resampled_nm = self.at(other.centre_frame, trace_nm)
        return np.asarray(resampled_nm - resampled_nm.mean(axis=0))
