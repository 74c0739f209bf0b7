"""How alike a real clip and a simulated one are, measure by measure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import RecordingError
from cellstorm_lib.evaluate.clip_measures import (
    GRID_PERIODS_PX,
    STILL_SHARE,
    ClipMeasures,
)
from cellstorm_lib.evaluate.clip_noise import Measured, over_frames

#: A measure counts as matched up to this relative difference.
LIMIT = 0.15
#: Correlations and patterns smaller than this are compared with this instead: a correlation of
#: 0.01 against 0.02, or patterns of a hundredth grey value, are no difference anyone could see.
_LEAST_CORRELATION, _LEAST_PATTERN_ADU, _LEAST_ADU = 0.05, 0.02, 0.5
_BANDS = ("darkest fifth", "dark fifth", "middle fifth", "bright fifth", "brightest fifth")
_HIGH_QUANTILE = 0.99
#: Positions in a group of pictures: name, first and last frame after the key frame.
_GOP_PARTS = (
    ("key frames", 0, 0),
    ("1 to 3 after a key frame", 1, 3),
    ("4 to 11 after a key frame", 4, 11),
    ("12 or more after a key frame", 12, None),
)
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class FidelityRow:
    """One measure of both clips.

    Attributes
    ----------
    group, measure : str
        What kind of measure, and which.
    unit : str
        Of the two values; empty for shares and ratios.
    real, simulated : float
    relative_difference : float
        (simulated - real) / real, or as the measure's description says.
    error : float
        Standard error of the relative difference, from the scatter between frames.
    about : str
        How the difference is taken, where it is not (simulated - real) / real.
    """

    group: str
    measure: str
    unit: str
    real: float
    simulated: float
    relative_difference: float
    error: float
    about: str = ""

    @property
    def passed(self) -> bool:
        """Whether the clips agree in this measure within `LIMIT`."""
        return abs(self.relative_difference) <= LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class FidelityReport:
    """Two clips compared.

    Attributes
    ----------
    real, simulated : ClipMeasures
    rows : tuple of FidelityRow
        Every measure that both clips have.
    remarks : tuple of str
        What could not be compared, and what the reader has to know.
    """

    real: ClipMeasures
    simulated: ClipMeasures
    rows: tuple[FidelityRow, ...]
    remarks: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every measure agrees within `LIMIT`."""
        return all(row.passed for row in self.rows)

    @property
    def worst(self) -> FidelityRow:
        """The measure that differs most."""
        return max(self.rows, key=lambda row: abs(row.relative_difference))


def compare(
    real: ClipMeasures, simulated: ClipMeasures, *, remarks: tuple[str, ...] = ()
) -> FidelityReport:
    """Compare a real clip with a simulated one.

    Parameters
    ----------
    real, simulated : ClipMeasures
        Of the same frames of two clips that hold the same scene.
    remarks : tuple of str
        Passed on to the report.

    Raises
    ------
    RecordingError
        When the grey values of the two have different bit depths.
    """
    depths = real.facts.bit_depth, simulated.facts.bit_depth
    if depths[0] != depths[1]:
        raise RecordingError(
            f"{real.facts.name} has {depths[0]} bits per grey value and {simulated.facts.name} "
            f"{depths[1]}, so they cannot be compared; give clips of one bit depth"
        )
    makers = (_histogram, _shading, _variance, _correlation, _grid, _quantiser, _bytes, _pattern)
    rows = [row for maker in makers for row in maker(real, simulated)]
    known = [row for row in rows if np.isfinite(row.relative_difference)]
    lost = [
        f"{row.group} ({row.measure})" for row in rows if not np.isfinite(row.relative_difference)
    ]
    notes = [f"Not compared, for one of the clips has none: {'; '.join(lost)}."] if lost else []
    notes += [
        f"In {clip.facts.name} something moves (shifts of the picture explain "
        f"{clip.moving_share:.0%} of what changes from frame to frame), which counts as noise here."
        for clip in (real, simulated)
        if clip.moving_share > STILL_SHARE
    ]
    return FidelityReport(
        real=real, simulated=simulated, rows=tuple(known), remarks=(*remarks, *notes)
    )


def _row(
    name: tuple[str, str, str], real: Measured, simulated: Measured, *, least: float = 0.0
) -> FidelityRow:
    """Return a row whose difference is relative to the real value, or to `least` if smaller."""
    scale = max(abs(real.value), least)
    is_small = least > abs(real.value)
    about = f"relative to {least:g}, for the real value is smaller" if is_small else ""
    group, measure, unit = name
    known = scale > 0
    return FidelityRow(
        group=group,
        measure=measure,
        unit=unit,
        real=real.value,
        simulated=simulated.value,
        relative_difference=(simulated.value - real.value) / scale if known else float("nan"),
        error=float(np.hypot(real.error, simulated.error)) / scale if known else float("nan"),
        about=about,
    )


def _histogram(real: ClipMeasures, simulated: ClipMeasures) -> Iterator[FidelityRow]:
    """Yield mean, spread and upper end of the grey levels, and how far the histograms overlap."""
    numbers: tuple[tuple[str, Callable[[_Floats], float]], ...] = (
        ("mean", _mean_level),
        ("standard deviation", _spread),
        ("level that 1 % exceed", _high_level),
    )
    for measure, number in numbers:
        yield _row(
            ("grey-level histogram", measure, "grey values"),
            *(_of_histogram(clip, number) for clip in (real, simulated)),
            least=_LEAST_ADU,
        )
    shares = real.share.mean(axis=0), simulated.share.mean(axis=0)
    overlap = float(np.minimum(*shares).sum())
    yield FidelityRow(
        group="grey-level histogram",
        measure="overlap",
        unit="",
        real=1.0,
        simulated=overlap,
        relative_difference=overlap - 1.0,
        error=float(np.hypot(_overlap_error(real.share), _overlap_error(simulated.share))),
        about="share of the pixels whose levels both histograms hold",
    )


def _of_histogram(clip: ClipMeasures, number: Callable[[_Floats], float]) -> Measured:
    """Return a number of the histogram, its error from those of the single frames."""
    scatter = over_frames(np.array([number(share) for share in clip.share]))
    return Measured(value=number(clip.share.mean(axis=0)), error=scatter.error)


def _mean_level(share: _Floats) -> float:
    """Return the mean grey level."""
    return float(share @ np.arange(len(share)))


def _spread(share: _Floats) -> float:
    """Return the standard deviation of the grey levels."""
    return float(np.sqrt(share @ (np.arange(len(share)) - _mean_level(share)) ** 2))


def _high_level(share: _Floats) -> float:
    """Return the level that one pixel in a hundred exceeds; a level spans half a step each way."""
    cumulative = np.concatenate([[0.0], np.cumsum(share)])
    return float(np.interp(_HIGH_QUANTILE, cumulative, np.arange(len(share) + 1) - 0.5))


def _overlap_error(share: _Floats) -> float:
    """Return half the summed standard errors of a clip's histogram: the most that chance moves."""
    return float(share.std(axis=0).sum() / 2 / np.sqrt(len(share)))


def _shading(real: ClipMeasures, simulated: ClipMeasures) -> Iterator[FidelityRow]:
    """Yield by how much the centre is brighter than the corners."""
    both = [
        Measured(
            value=clip.centre_adu.value - clip.corner_adu.value,
            error=float(np.hypot(clip.centre_adu.error, clip.corner_adu.error)),
        )
        for clip in (real, simulated)
    ]
    yield _row(("shading", "centre - corners", "grey values"), *both, least=_LEAST_ADU)


def _variance(real: ClipMeasures, simulated: ClipMeasures) -> Iterator[FidelityRow]:
    """Yield the temporal variance in fifths of the pixels, from the darkest to the brightest.

    Both curves are read at the real clip's levels, the simulated one between its points.
    """
    simulated_at = np.interp(real.level_adu, simulated.level_adu, simulated.variance_adu2)
    error_at = np.interp(real.level_adu, simulated.level_adu, simulated.variance_error_adu2)
    columns = (real.variance_adu2, real.variance_error_adu2, simulated_at, error_at)
    for name, parts in zip(
        _BANDS, zip(*(np.array_split(column, len(_BANDS)) for column in columns), strict=True),
        strict=True,
    ):  # fmt: skip
        value, error, simulated_value, simulated_error = (float(part.mean()) for part in parts)
        yield _row(
            ("temporal variance", f"{name} of the pixels", "grey values²"),
            Measured(value=value, error=error),
            Measured(value=simulated_value, error=simulated_error),
        )


def _correlation(real: ClipMeasures, simulated: ClipMeasures) -> Iterator[FidelityRow]:
    """Yield the correlation of noise between neighbours in a row, a column, and time."""
    for name, measure in (
        ("x", "next in the row (x)"),
        ("y", "next in the column (y)"),
        ("time", "next frame"),
    ):
        yield _row(
            ("neighbour correlation", measure, ""),
            getattr(real, f"correlation_{name}"),
            getattr(simulated, f"correlation_{name}"),
            least=_LEAST_CORRELATION,
        )


def _grid(real: ClipMeasures, simulated: ClipMeasures) -> Iterator[FidelityRow]:
    """Yield the steps across block edges / elsewhere, by position after the key frame."""
    for part, first, last in _GOP_PARTS:
        chosen = [_is_within(clip.frames_since_key, first, last) for clip in (real, simulated)]
        if not any(frames.any() for frames in chosen):
            continue
        for index, period in enumerate(GRID_PERIODS_PX):
            for axis, direction in enumerate("xy"):
                yield _row(
                    ("grid ratio", f"{period} px along {direction}, {part}", ""),
                    over_frames(real.grid_ratio[chosen[0], index, axis]),
                    over_frames(simulated.grid_ratio[chosen[1], index, axis]),
                )


def _is_within(
    frames: npt.NDArray[np.int64], first: int, last: int | None
) -> npt.NDArray[np.bool_]:
    """Return which frames are so far after their key frame; None: any further."""
    return (frames >= first) & (frames <= (np.inf if last is None else last))


def _quantiser(real: ClipMeasures, simulated: ClipMeasures) -> Iterator[FidelityRow]:
    """Yield the mean QP; the difference is that of the quantiser's step, which QP + 6 doubles."""
    for kind, is_key in (("key frames", True), ("other frames", False)):
        both = [over_frames(clip.qp[clip.is_key == is_key]) for clip in (real, simulated)]
        difference = 2.0 ** ((both[1].value - both[0].value) / 6.0)
        yield FidelityRow(
            group="quantiser",
            measure=f"QP, {kind}",
            unit="",
            real=both[0].value,
            simulated=both[1].value,
            relative_difference=difference - 1.0,
            error=difference * np.log(2.0) / 6.0 * float(np.hypot(both[0].error, both[1].error)),
            about="of the quantiser's step, which doubles with every 6 of QP",
        )


def _bytes(real: ClipMeasures, simulated: ClipMeasures) -> Iterator[FidelityRow]:
    """Yield the compressed size of the frames per pixel."""
    for kind, is_key in (("key frames", True), ("other frames", False)):
        yield _row(
            ("compressed size", kind, "bits/px"),
            *(over_frames(clip.bits_per_px[clip.is_key == is_key]) for clip in (real, simulated)),
        )


def _pattern(real: ClipMeasures, simulated: ClipMeasures) -> Iterator[FidelityRow]:
    """Yield the RMS of the fixed pattern."""
    yield _row(
        ("fixed pattern", "RMS within 5 x 5 pixels", "grey values"),
        real.pattern_adu,
        simulated.pattern_adu,
        least=_LEAST_PATTERN_ADU,
    )
