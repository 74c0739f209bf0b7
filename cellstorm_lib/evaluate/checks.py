"""Whether positions follow the codec's blocks or the camera's pixels, as no molecule would.

Positions that prefer one phase of a period show as a peak of their spectrum at its frequency.
Structure and blinking put power there too, but no more than at the frequencies beside it, so
those are the control: the test asks whether the peak stands out from its neighbours. No count
of independent molecules is needed. Because in a large table the smallest preference stands
out, a test fails only when the preference is large enough to matter as well.
"""

from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt

from cellstorm_lib.tables import Localizations

#: Blocks of H.264 and HEVC: transforms of 4 and 8, macroblocks of 16 pixels.
BLOCK_PERIODS_PX = (16.0, 8.0, 4.0)
PIXEL_PERIODS_PX = (1.0, 0.5)
#: A preference is an effect when that share of the localizations would have to sit exactly on
#: the grid to make it.
MIN_EFFECT = 0.05
MAX_P_VALUE = 1e-3
MIN_LOCALIZATIONS = 200
#: A test blind to less than this share at every period decides nothing.
MAX_DETECTABLE = 0.5
#: A field must hold a period this many times, and the spectrum so many neighbours.
MIN_PERIODS = 8
MIN_NEIGHBOURS = 4
_BINS_PER_PX = 64
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class GridReport:
    """Whether positions prefer one phase of a period.

    Attributes
    ----------
    passed : bool or None
        False when they do; None when there is too little to tell.
    statistic : float
        Power at the period over the mean power beside it; about 1 without a preference.
    p_value : float
        Chance of a statistic like this in any of the tested periods without a preference.
    effect : float
        Share of the localizations that would have to sit exactly on the grid, 0 to 1.
    effect_low, effect_high : float
        95 % interval of that share.
    detectable : float
        The least effect that the test would have seen at every period.
    period_px : float
        The period that stands out most.
    axis : str
        ``x`` or ``y``.
    phase_px : float
        Where in the period positions gather, in pixels of the full frame; 0 is a block's edge.
    reason : str
        One sentence.
    """

    passed: bool | None
    statistic: float
    p_value: float
    effect: float
    effect_low: float
    effect_high: float
    detectable: float
    period_px: float
    axis: str
    phase_px: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Peak:
    """One period along one axis."""

    statistic: float
    p_value: float
    effect: float
    effect_low: float
    effect_high: float
    detectable: float
    period_px: float
    axis: str
    phase_px: float


def grid_test(localizations: Localizations, *, min_effect: float = MIN_EFFECT) -> GridReport:
    """Test whether localizations sit on the codec's 4, 8 or 16 pixel blocks.

    Parameters
    ----------
    localizations : Localizations
        At least 200; the field's origin in the full frame places the blocks.
    min_effect : float
        Least share on the grid that fails the test.

    Returns
    -------
    GridReport
        With ``passed`` None when the field or the table is too small.
    """
    worst = _worst(_peaks(localizations, BLOCK_PERIODS_PX), min_effect)
    if worst is None:
        return _undecided(localizations, "the codec's blocks")
    if _stands_out(worst, min_effect):
        reason = (
            f"{worst.effect:.1%} of the localizations sit on a grid of {worst.period_px:g} px "
            f"along {worst.axis}, like the blocks of a video codec"
        )
    else:
        reason = (
            "no period of 4, 8 or 16 px stands out; a share on the grid of "
            f"{max(worst.detectable, min_effect):.1%} would have"
        )
    return _report(worst, min_effect, reason)


def subpixel_bias_test(
    localizations: Localizations, *, min_effect: float = MIN_EFFECT
) -> GridReport:
    """Test whether localizations prefer a place within the camera's pixels.

    Parameters
    ----------
    localizations : Localizations
        At least 200.
    min_effect : float
        Least share on the grid that fails the test. Positions drawn by up to b pixels towards
        a place in the pixel make an effect of pi b.

    Returns
    -------
    GridReport
        With ``passed`` None when the field or the table is too small.
    """
    worst = _worst(_peaks(localizations, PIXEL_PERIODS_PX), min_effect)
    if worst is None:
        return _undecided(localizations, "the pixel grid")
    if _stands_out(worst, min_effect):
        reason = (
            f"localizations gather at {worst.phase_px:.2f} px of every {worst.period_px:g} px "
            f"along {worst.axis}, as if drawn there by up to "
            f"{worst.effect * worst.period_px / np.pi:.3f} px"
        )
    else:
        reason = (
            "no place within the pixel stands out; a pull of "
            f"{max(worst.detectable, min_effect) / np.pi:.3f} px would have"
        )
    return _report(worst, min_effect, reason)


def _stands_out(peak: _Peak, min_effect: float) -> bool:
    """Return whether a peak is both beyond chance and large enough to matter."""
    return peak.p_value < MAX_P_VALUE and peak.effect >= min_effect


def _report(peak: _Peak, min_effect: float, reason: str) -> GridReport:
    """Return the report of a decided test."""
    return GridReport(passed=not _stands_out(peak, min_effect), reason=reason, **asdict(peak))


def _undecided(localizations: Localizations, grid: str) -> GridReport:
    """Return the report of a table that cannot tell."""
    fov = localizations.field
    return GridReport(
        passed=None,
        statistic=0.0,
        p_value=1.0,
        effect=0.0,
        effect_low=0.0,
        effect_high=1.0,
        detectable=1.0,
        period_px=0.0,
        axis="",
        phase_px=0.0,
        reason=f"{len(localizations)} localizations in {fov.width_px} x {fov.height_px} px are "
        f"too few or too close together to test them against {grid}",
    )


def _worst(peaks: list[_Peak], min_effect: float) -> _Peak | None:
    """Return the peak to judge by; None when the test could not have seen a large effect."""
    if not peaks or min(peak.detectable for peak in peaks) > MAX_DETECTABLE:
        return None
    worst = min(peaks, key=lambda peak: (not _stands_out(peak, min_effect), -peak.statistic))
    return replace(worst, detectable=max(peak.detectable for peak in peaks))


def _peaks(localizations: Localizations, periods_px: tuple[float, ...]) -> list[_Peak]:
    """Return the peaks of all periods that the field is large enough for, both axes."""
    if len(localizations) < MIN_LOCALIZATIONS:
        return []
    fov, xy_px = localizations.field, localizations.xy_nm / localizations.field.pixel_size_nm
    found = []
    for axis, place_px in zip("xy", xy_px.T, strict=True):
        is_x = axis == "x"
        length = fov.width_px if is_x else fov.height_px
        origin = fov.roi_x_px if is_x else fov.roi_y_px
        spectrum = _spectrum(place_px, length)
        found += [
            _peak(spectrum, (axis, float(origin)), period_px, 2 * len(periods_px))
            for period_px in periods_px
            if length >= MIN_PERIODS * period_px
        ]
    return [peak for peak in found if peak is not None]


def _peak(
    spectrum: npt.NDArray[np.complex128], axis: tuple[str, float], period_px: float, tests: int
) -> _Peak | None:
    """Return the peak of one period along one axis, its chance corrected for all the tests."""
    length_px = (len(spectrum) - 1) * 2 // _BINS_PER_PX
    index = round(length_px / period_px)
    beside = _indices_beside(index, length_px)
    count = len(beside)
    if count < MIN_NEIGHBOURS:
        return None
    power, background = abs(spectrum[index]) ** 2, float(np.mean(np.abs(spectrum[beside]) ** 2))
    if background <= 0:
        return None
    # Power of noise is exponential: the ratio follows F(2, 2 count), whose tail is this.
    needed = count * ((MAX_P_VALUE / tests) ** (-1 / count) - 1)
    phase_px = (np.angle(spectrum[index]) / (2 * np.pi) * period_px + axis[1]) % period_px
    # Noise adds to the amplitude with a standard deviation of sqrt(background / 2).
    effect, margin = float(np.sqrt(max(power - background, 0.0))), 1.96 * np.sqrt(background / 2)
    return _Peak(
        statistic=power / background,
        p_value=min(1.0, tests * (1 + power / background / count) ** -count),
        effect=effect,
        effect_low=float(max(effect - margin, 0.0)),
        effect_high=float(min(effect + margin, 1.0)),
        detectable=float(min(np.sqrt(needed * background), 1.0)),
        period_px=period_px,
        axis=axis[0],
        phase_px=float(phase_px),
    )


def _indices_beside(index: int, length_px: int) -> npt.NDArray[np.int64]:
    """Return independent frequencies around one, clear of all multiples of 1/16 per pixel.

    Two steps apart, which is the resolution of a Hann window.
    """
    reach = min(index // 2, length_px // 4)
    steps = np.arange(2, reach + 1, 2)
    beside = np.concatenate([index - steps, index + steps])
    spacing = length_px // 16
    from_grid = np.minimum(beside % spacing, -beside % spacing)
    return np.asarray(beside[from_grid >= 2])


def _spectrum(place_px: _Floats, length_px: int) -> npt.NDArray[np.complex128]:
    """Return the weighted mean of exp(2 pi i f x) under a Hann window, so that edges are soft.

    At multiples of one over the length rounded up to 16 pixels, which all block periods divide.
    """
    counts = np.histogram(place_px, length_px * _BINS_PER_PX, (0, length_px))[0]
    centre = (np.arange(len(counts)) + 0.5) / _BINS_PER_PX
    weight = counts * np.sin(np.pi * centre / length_px) ** 2
    padded = -(-length_px // 16) * 16 * _BINS_PER_PX
    wave = np.conj(np.fft.rfft(weight / max(weight.sum(), 1e-300), padded))
    return np.asarray(wave * np.exp(1j * np.pi * np.arange(len(wave)) / padded))  # bin centres
