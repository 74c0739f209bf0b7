"""Drift of the sample, measured from the localizations themselves and checked before it is used.

1. Blinks become events, one per sighting of a molecule (`events`).
2. Each half of the field finds a first drift by redundant correlation of a few stretches of time
   (`correlation`), then raises the overlap of its events (`overlap`).
3. How wide a kernel and how smooth a trace (`smoothness`) are whatever makes each half sharpen the
   other most (`choices`, `halves`): there is no segment length to set.
4. All events together refine the mean of both traces.
5. The drift is applied only if each half's trace sharpens the other beyond chance in most parts
   of the field, and if both traces agree far better than they move.
6. Bright spots that stay on (`fiducials`) give the drift instead, frame by frame, if what they show
   sharpens the molecules at least as well as the molecules' own trace.
"""

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import SettingsError, TableError
from cellstorm_lib.progress import Progress, in_parts
from cellstorm_lib.refine.choices import measure_halves
from cellstorm_lib.refine.events import Events, find_events
from cellstorm_lib.refine.fiducial_trace import FiducialTrace, trace_of
from cellstorm_lib.refine.fiducials import Fiducial, find_fiducial_rows
from cellstorm_lib.refine.halves import MANY_PAIRS, SLACK_NM, Halves, deal_halves, gains
from cellstorm_lib.refine.jumps import Jump, find_jumps, with_jumps
from cellstorm_lib.refine.overlap import Overlap
from cellstorm_lib.refine.segments import Segments
from cellstorm_lib.refine.smoothness import Smoothness, matrix_of
from cellstorm_lib.tables import Localizations

_Floats = npt.NDArray[np.float64]

_EVENTS_PER_SEGMENT = 20
_FEWEST_SEGMENTS, _MOST_SEGMENTS = 4, 200
_FEWEST_FRAMES = 20
_FEWEST_IN_HALF = 20
_MOST_PAIRS = 4_000_000
#: The whole field is twice the data of a half: the trace may bend a little more.
_LOOSER = 1.4
_LEAST_GAIN = 10.0
_LEAST_SIGNIFICANCE = 2.5
_LARGEST_DISAGREEMENT = 0.6
_CLEAR_LOSS = 5.0
#: Times to find fiducials and events, beside that for all that follows; then of its parts.
_FIDUCIALS_TIME, _EVENTS_TIME = 0.4, 0.1
_TIMES = (2.0, 1.0, 0.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftSettings:
    """What may be looked for. Segment length, kernel and smoothness are found, not set.

    Attributes
    ----------
    is_enabled : bool
        Whether to look for drift at all.
    largest_drift_nm : float
        Largest displacement between two times of the recording.
    fewest_events : int
        Sightings of molecules below which nothing is tried.
    """

    is_enabled: bool = field(default=True, metadata={"about": "look for drift"})
    largest_drift_nm: float = field(
        default=1000.0,
        metadata={"about": "largest displacement between two times of the recording, nm"},
    )
    fewest_events: int = field(
        default=100, metadata={"about": "sightings of molecules below which nothing is tried"}
    )

    def __post_init__(self) -> None:
        if not (np.isfinite(self.largest_drift_nm) and self.largest_drift_nm > 0):
            raise SettingsError(f"largest_drift_nm must be above 0, got {self.largest_drift_nm}")
        if self.fewest_events < 2:
            raise SettingsError(f"fewest_events must be 2 or more, got {self.fewest_events}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drift:
    """Displacement of the sample in every frame, and whether to believe it.

    Attributes
    ----------
    x_nm, y_nm : (F,) float64
        Displacement in each frame, mean zero; zero throughout when it is not applied.
    uncertainty_nm : (F,) float64
        Standard deviation of the displacement per axis, by agreement of both halves of the field.
    is_applied : bool
        Whether undoing it makes the table better.
    reason : str
        Why, or why not.
    method : str
        How it was measured.
    segments : int
        Stretches of time measured one by one.
    segment_uncertainty_nm : tuple of float
        Standard deviation of each.
    events : int
        Sightings of molecules it rests on.
    gain : float
        Log-likelihood that the drift of each half adds to the other half.
    fiducials : tuple of Fiducial
        Bright spots that stay on, with what the drift leaves of each.
    jump_frames : tuple of int
        First frames after a jump that the molecules show.
    """

    x_nm: _Floats
    y_nm: _Floats
    uncertainty_nm: _Floats
    is_applied: bool
    reason: str
    method: str = "none"
    segments: int = 0
    segment_uncertainty_nm: tuple[float, ...] = ()
    events: int = 0
    gain: float = 0.0
    fiducials: tuple[Fiducial, ...] = ()
    jump_frames: tuple[int, ...] = ()

    @property
    def rms_nm(self) -> float:
        """Root mean square of the trace about its mean, over frames and both axes."""
        if not len(self.x_nm):
            return 0.0
        return float(np.sqrt((np.var(self.x_nm) + np.var(self.y_nm)) / 2.0))


def estimate_drift(
    localizations: Localizations,
    settings: DriftSettings | None = None,
    *,
    progress: Progress | None = None,
) -> Drift:
    """Return the drift of the sample, or none when the table does not show one beyond doubt.

    Parameters
    ----------
    localizations : Localizations
        As found, or merged; columns ``is_copied`` and uncertainties are used where they exist.
    settings : DriftSettings
        What to look for.
    progress : callable, optional
        Called with what is done and the whole.

    Raises
    ------
    TableError
        When a frame lies outside the recording.
    """
    settings = settings or DriftSettings()
    _require_frames(localizations, localizations.field.frame_count)
    if not settings.is_enabled:
        return _none(localizations, "switched off")
    fiducials, structure = in_parts(progress, _FIDUCIALS_TIME, 1.0)
    rows_of_each = find_fiducial_rows(localizations)
    fiducials(1, 1)
    if not rows_of_each:
        return _by_structure(localizations, settings, structure)[0]
    is_molecule = np.ones(len(localizations), bool)
    is_molecule[np.concatenate(rows_of_each)] = False
    shown = trace_of(localizations, rows_of_each)
    drift, halves = _by_structure(localizations.take(is_molecule), settings, structure)
    return _cross_checked(drift, halves, shown)


def apply_drift(localizations: Localizations, drift: Drift) -> Localizations:
    """Return the localizations where they would be without the drift.

    Parameters
    ----------
    localizations : Localizations
        Of the recording the drift was measured in; any selection of its rows.
    drift : Drift
        When it is not to be applied, the table comes back as it is. When it rests on, or was
        compared with, fiducials, a column ``is_fiducial`` marks their rows.

    Raises
    ------
    TableError
        When the drift does not cover every frame of the table.
    """
    if not drift.is_applied:
        return localizations
    _require_frames(localizations, len(drift.x_nm))
    frame = localizations.column("frame")
    corrected = localizations.with_columns(
        x_nm=localizations.column("x_nm") - drift.x_nm[frame],
        y_nm=localizations.column("y_nm") - drift.y_nm[frame],
    )
    if not drift.fiducials:
        return corrected
    return corrected.with_columns(is_fiducial=_of_fiducials(corrected, drift.fiducials))


def _of_fiducials(
    corrected: Localizations, fiducials: tuple[Fiducial, ...]
) -> npt.NDArray[np.bool_]:
    """Return which rows lie on a fiducial while it is seen."""
    frame, xy_nm = corrected.column("frame"), corrected.xy_nm
    found = np.zeros(len(frame), bool)
    for one in fiducials:
        is_near = np.hypot(xy_nm[:, 0] - one.x_nm, xy_nm[:, 1] - one.y_nm) <= one.radius_nm
        found |= is_near & (frame >= one.first_frame) & (frame <= one.last_frame)
    return found


def _require_frames(localizations: Localizations, frame_count: int) -> None:
    """Raise when a frame of the table lies outside the recording."""
    if len(localizations) and int(localizations.column("frame").max()) >= frame_count:
        raise TableError(
            f"the table holds frame {int(localizations.column('frame').max())}, but the recording "
            f"has frames 0 to {frame_count - 1}; use the drift of the same recording and a field "
            "with its true number of frames"
        )


def _lacking(events: Events, settings: DriftSettings) -> str:
    """Return what is missing to measure a drift; empty when nothing is."""
    if len(events) < settings.fewest_events:
        return (
            f"{len(events)} sightings of molecules are too few, {settings.fewest_events} are needed"
        )
    if events.frame_count < _FEWEST_FRAMES:
        return f"{events.frame_count} frames are too few, {_FEWEST_FRAMES} are needed"
    if min(np.bincount(deal_halves(events)[0], minlength=2)) < _FEWEST_IN_HALF:
        return "everything lies in one place and one moment: there is nothing to compare with"
    return ""


def _none(localizations: Localizations, reason: str, *, events: int = 0) -> Drift:
    """Return a drift that is not applied, before anything was measured."""
    zero = np.zeros(localizations.field.frame_count)
    return Drift(
        x_nm=zero, y_nm=zero, uncertainty_nm=zero, is_applied=False, reason=reason, events=events
    )


def _by_structure(
    localizations: Localizations, settings: DriftSettings, progress: Progress
) -> tuple[Drift, Halves | None]:
    """Return the drift that the molecules show, and the halves it was judged by."""
    found, measured = in_parts(progress, _EVENTS_TIME, 1.0)
    events = find_events(localizations)
    found(1, 1)
    lacking = _lacking(events, settings)
    if lacking:
        return _none(localizations, lacking, events=len(events)), None
    return _measured(localizations, events, settings.largest_drift_nm, measured)


def _cross_checked(drift: Drift, halves: Halves | None, shown: FiducialTrace) -> Drift:
    """Return the drift of the fiducials where the molecules do not speak against it."""
    used = sum(one.is_used for one in shown.fiducials)
    found = f"{used} of {len(shown.fiducials)} fiducials"
    drift = replace(drift, fiducials=shown.fiducials)
    if halves is None and used < min(len(shown.fiducials), 2):
        return replace(drift, reason=f"the fiducials do not move together, and {drift.reason}")
    if halves is not None and _speaks_against(halves, shown.xy_nm, is_moving=drift.is_applied):
        reason = f"{drift.reason}; {found} move otherwise than the molecules and are not used"
        return replace(drift, reason=reason)
    return replace(
        drift,
        x_nm=shown.xy_nm[:, 0].copy(),
        y_nm=shown.xy_nm[:, 1].copy(),
        uncertainty_nm=shown.uncertainty_nm,
        is_applied=True,
        jump_frames=(),
        method=f"fiducials ({used})",
        reason=f"{found} move together"
        + ("" if halves is None else ", and the molecules do not speak against it"),
    )


def _speaks_against(halves: Halves, trace_nm: _Floats, *, is_moving: bool) -> bool:
    """Return whether fiducials sharpen the molecules less than their own trace, or none, does."""
    segments = halves.parts[0].segments
    centre = np.clip(np.rint(segments.centre_frame), 0, len(trace_nm) - 1).astype(np.int64)
    at_segments = trace_nm[centre]
    still = np.zeros_like(at_segments)
    own = halves if is_moving else replace(halves, traces_nm=(still, still))
    scores = []
    for tried in (own, replace(halves, traces_nm=(at_segments, at_segments))):
        tried.gather(halves.score_kernel_nm, 0.0, MANY_PAIRS)
        scores.append(tried.score(halves.score_kernel_nm))
    return bool(scores[1] < scores[0] - _CLEAR_LOSS)


def _measured(
    localizations: Localizations, events: Events, largest_drift_nm: float, progress: Progress
) -> tuple[Drift, Halves]:
    """Measure the drift and decide whether to believe it."""
    count = np.clip(len(events) // _EVENTS_PER_SEGMENT, _FEWEST_SEGMENTS, _MOST_SEGMENTS)
    segments = Segments(frame_count=events.frame_count, count=int(min(count, events.frame_count)))
    field_nm = max(localizations.field.width_nm, localizations.field.height_nm)
    by_halves, together, judged = in_parts(progress, *_TIMES)
    reach_nm = min(largest_drift_nm, field_nm / 2.0)
    halves = measure_halves(events, segments, reach_nm=reach_nm, progress=by_halves)
    trace_nm, spread_nm, jumps = _all_together(events, segments, halves)
    together(1, 1)
    gain = gains(halves)
    judged(1, 1)
    is_applied, reason = _verdict(halves, gain, trace_nm)
    frame = np.arange(events.frame_count)
    per_frame_nm = with_jumps(segments.at(frame, trace_nm), trace_nm, jumps) * is_applied
    per_frame_nm -= per_frame_nm.mean(axis=0)
    drift = Drift(
        x_nm=per_frame_nm[:, 0].copy(),
        y_nm=per_frame_nm[:, 1].copy(),
        uncertainty_nm=np.interp(frame, segments.centre_frame, spread_nm),
        is_applied=is_applied,
        reason=reason,
        method=f"overlap ({halves.smoothness.kind}, kernel {halves.kernel_nm:g} nm)",
        segments=segments.count,
        segment_uncertainty_nm=tuple(spread_nm.tolist()),
        events=len(events),
        gain=float(gain.sum()),
        jump_frames=tuple(jump.frame for jump in jumps) if is_applied else (),
    )
    return drift, halves


def _all_together(
    events: Events, segments: Segments, halves: Halves
) -> tuple[_Floats, _Floats, tuple[Jump, ...]]:
    """Return the trace (S, 2) that all events give, its standard deviation (S,), and jumps."""
    smoothness = Smoothness(
        kind=halves.smoothness.kind, scale_nm=halves.smoothness.scale_nm * _LOOSER
    )
    overlap = Overlap(events, segments)
    gather = partial(overlap.gather, kernel_nm=halves.kernel_nm, most_pairs=_MOST_PAIRS)
    one_nm, two_nm = halves.traces_nm
    starts_nm = [(one_nm + two_nm) / 2.0]
    if np.abs(one_nm - two_nm).max() > 2.0 * SLACK_NM:
        starts_nm += [one_nm, two_nm]  # somewhere one is lost: the mean of both would be lost too
    best_score = -np.inf
    for start_nm in starts_nm:
        gather(start_nm, slack_nm=SLACK_NM)
        raised_nm = overlap.raised(
            start_nm, halves.kernel_nm, smoothness, most_rounds=15, tolerance_nm=0.05
        )
        score = overlap.log_density(raised_nm, halves.kernel_nm).sum()
        if score > best_score:
            best_score, trace_nm = score, raised_nm
    gather(trace_nm, slack_nm=0.0)
    springs, _ = overlap.springs(trace_nm, halves.kernel_nm)
    variance = np.diag(np.linalg.inv(matrix_of(springs, smoothness.band(trace_nm))))
    # the likelihood gives the shape of the uncertainty, the two halves its size
    spread_nm = halves.error_nm * np.sqrt(variance / variance.mean())
    gather(trace_nm, slack_nm=SLACK_NM)
    jumps = find_jumps(overlap, trace_nm, spread_nm, halves.kernel_nm)
    return trace_nm, np.hypot(spread_nm, _bend_nm(trace_nm)), jumps


def _bend_nm(trace_nm: _Floats) -> _Floats:
    """Return how far each segment lies off its neighbours, RMS of both axes, (S,).

    Both halves miss alike what moves within a segment; a trace that bends from one segment to the
    next says how much that is.
    """
    bend = np.sqrt(np.mean(np.diff(trace_nm, n=2, axis=0) ** 2, axis=1))
    return np.pad(bend, 1, mode="edge")


def _verdict(halves: Halves, gain: _Floats, trace_nm: _Floats) -> tuple[bool, str]:
    """Return whether to apply the drift, and why."""
    rms_nm = float(np.sqrt(np.mean(trace_nm**2)))
    sharper = (
        f"the drift seen in each half of the field sharpens {int((gain > 0).sum())} of "
        f"{len(gain)} parts of the other half"
    )
    agreement = (
        f"the halves agree within {halves.error_nm:.1f} nm on a drift of {rms_nm:.1f} nm RMS"
    )
    significance = gain.sum() / np.sqrt((gain**2).sum() + 1e-30)
    if gain.sum() < _LEAST_GAIN or significance < _LEAST_SIGNIFICANCE:
        return False, f"no drift beyond doubt: {sharper}, which may be chance"
    if halves.error_nm > _LARGEST_DISAGREEMENT * rms_nm:
        return False, f"the drift cannot be told: {agreement} only"
    return True, f"{sharper}; {agreement}"
