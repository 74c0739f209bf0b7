"""Fiducials: bright spots that stay on for most of the recording, found without being asked for.

Spots are followed piece by piece, pieces are chained, and a chain is a fiducial when it is on in
most frames, without the long gaps of a molecule that blinks, brighter than the molecules, and
scatters no more than one spot may. Without a column of photons nothing is called a fiducial.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cellstorm_lib.refine.tracks import Reach, number_tracks
from cellstorm_lib.refine.uncertainty import stated_uncertainty_nm
from cellstorm_lib.tables import Localizations

_Floats = npt.NDArray[np.float64]
_Rows = npt.NDArray[np.int64]

_RADIUS_PX, _JUMP_PX = 1.0, 3.0
_DARK_FRAMES = 5
_PIECES, _SHORTEST_PIECE = 100, 20
_FEWEST_FRAMES = 100
_PIECE_PRESENCE = 0.6
_SHARE_OF_RECORDING, _SHARE_OF_SPAN = 0.5, 0.8
_LARGEST_GAP = 0.05
_TIMES_BRIGHTER = 2.0
_TIMES_SCATTER, _LARGEST_SCATTER_NM = 2.5, 40.0
_FEWEST_MOLECULES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Fiducial:
    """One bright spot that stays.

    Attributes
    ----------
    x_nm, y_nm : float
        Where it is without drift.
    radius_nm : float
        Radius that holds its localizations once the drift is undone.
    first_frame, last_frame : int
        When it is seen.
    localizations : int
        How often.
    residual_nm : float
        Root mean square per axis of what the drift leaves of its slow motion: large for one that
        comes loose.
    is_used : bool
        Whether it moves as the others do and entered the drift.
    """

    x_nm: float
    y_nm: float
    radius_nm: float
    first_frame: int
    last_frame: int
    localizations: int
    residual_nm: float
    is_used: bool


def find_fiducial_rows(localizations: Localizations) -> tuple[_Rows, ...]:
    """Return the rows of each fiducial, one per frame at most; empty when there is none.

    Parameters
    ----------
    localizations : Localizations
        As found, not merged, with ``photons``.
    """
    frame_count = localizations.field.frame_count
    if "photons" not in localizations or frame_count < _FEWEST_FRAMES:
        return ()
    frame = localizations.column("frame").astype(np.int64)
    if len(frame) < _SHARE_OF_RECORDING * frame_count:
        return ()
    pieces = _long_pieces(localizations, frame)
    if not pieces:
        return ()
    photons = localizations.column("photons")
    is_molecule = np.ones(len(frame), bool)
    is_molecule[np.concatenate(pieces)] = False
    faint = float(np.median(photons[is_molecule])) if is_molecule.sum() >= _FEWEST_MOLECULES else 0
    chains = _chained(localizations, frame, pieces)
    return tuple(
        rows
        for rows in chains
        if _stays(frame[rows], frame_count)
        and np.median(photons[rows]) >= _TIMES_BRIGHTER * faint
        and _is_compact(localizations, rows)
    )


def _long_pieces(localizations: Localizations, frame: _Rows) -> list[_Rows]:
    """Return the rows of stretches of a hundredth of the recording in which a spot stays on."""
    longest = max(_SHORTEST_PIECE, localizations.field.frame_count // _PIECES)
    reach = Reach(
        uncertainties=0.0,
        radius_nm=_RADIUS_PX * localizations.field.pixel_size_nm,
        dark_frames=_DARK_FRAMES,
        longest_frames=longest,
    )
    track = number_tracks(frame, localizations.xy_nm, np.ones(len(frame)), reach)
    count = np.bincount(track)
    order = np.argsort(track, kind="stable")
    stop = np.cumsum(count)
    is_long = np.flatnonzero(count >= max(_PIECE_PRESENCE * longest / 2, _SHORTEST_PIECE / 2))
    return [order[stop[number] - count[number] : stop[number]] for number in is_long]


def _chained(localizations: Localizations, frame: _Rows, pieces: list[_Rows]) -> list[_Rows]:
    """Return the rows of pieces that follow each other at the same place, nearest first."""
    xy_nm = localizations.xy_nm
    reach_nm = _JUMP_PX * localizations.field.pixel_size_nm
    gap = max(2 * _DARK_FRAMES, int(_LARGEST_GAP * localizations.field.frame_count))
    chains: list[list[_Rows]] = []
    ends = np.zeros((0, 3))
    for rows in sorted(pieces, key=lambda piece: int(frame[piece[0]])):
        start, xy_start = frame[rows[0]], np.median(xy_nm[rows[:10]], axis=0)
        apart = np.hypot(*(ends[:, 1:] - xy_start).T)
        is_open = (ends[:, 0] < start) & (ends[:, 0] >= start - gap) & (apart < reach_nm)
        end = np.array([frame[rows[-1]], *np.median(xy_nm[rows[-10:]], axis=0)])
        if is_open.any():
            nearest = int(np.argmin(np.where(is_open, apart, np.inf)))
            chains[nearest].append(rows)
            ends[nearest] = end
        else:
            chains.append([rows])
            ends = np.vstack([ends, end])
    return [np.concatenate(chain) for chain in chains]


def _stays(frame: _Rows, frame_count: int) -> bool:
    """Return whether a spot is on in most frames of the recording, and while it is there."""
    span = frame[-1] - frame[0] + 1
    return bool(
        len(frame) >= _SHARE_OF_RECORDING * frame_count and len(frame) >= _SHARE_OF_SPAN * span
    )


def _is_compact(localizations: Localizations, rows: _Rows) -> bool:
    """Return whether a spot scatters from frame to frame as one point does."""
    step_nm = np.diff(localizations.xy_nm[rows], axis=0)
    scatter_nm = 1.4826 * float(np.median(np.abs(step_nm))) / np.sqrt(2.0)
    stated_nm = stated_uncertainty_nm(localizations)
    if stated_nm is None:
        return bool(scatter_nm < _LARGEST_SCATTER_NM)
    most_nm = _TIMES_SCATTER * float(np.median(stated_nm[rows])) + 1.0
    return bool(scatter_nm < min(most_nm, _LARGEST_SCATTER_NM))
