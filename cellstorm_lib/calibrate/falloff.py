"""Whether a smooth surface can be light that falls off, or must be something in the field."""

import math

import numpy as np

from cellstorm_lib.calibrate.flash_brightness import BrightnessExponent
from cellstorm_lib.calibrate.smooth_surface import Blocks, Surface

#: Relative error above which a flat field does more harm than good.
WORST_ERROR = 0.1
#: Even light leaves less than this around a smooth surface; the background of a sample more.
_MOST_EXCESS_SERIES, _MOST_EXCESS_BACKGROUND = 0.02, 0.08
_LEAST_KEPT_SERIES, _LEAST_KEPT_BACKGROUND = 0.8, 0.5
#: Light falls off from one place outwards; a surface that rises again is an object.
_LEAST_RISE, _RISE_ERRORS = 0.03, 3.0
_REGIONS = 4
_LEAST_KEPT_OF_REGION = 0.15
#: Error of the exponent when no molecules tell it: it may be anything from 0 to 1.
_UNTOLD_SHARE = 3**-0.5
#: The molecules' brightness has the exponent 1 where the light falls off, 0 where the sample does.
_FARTHEST_FROM_LIGHT, _EXPONENT_ERRORS = 0.3, 2.0


def why_not_even_light(surface: Surface) -> str:
    """Return why a surface is not that of even light; empty when it may be."""
    if surface.excess > _MOST_EXCESS_SERIES or surface.is_kept.mean() < _LEAST_KEPT_SERIES:
        lumpy = 1 - surface.is_kept.mean()
        return (
            f"{surface.excess:.1%} of structure remains around a smooth surface, and {lumpy:.0%} "
            "of the field does not follow it at all"
        )
    if surface.relative_error > WORST_ERROR:
        return f"a smooth surface follows it only to {surface.relative_error:.0%}"
    return _why_no_falloff(surface)


def why_not_the_light(surface: Surface, blocks: Blocks) -> str:
    """Return why a background does not show the light; empty when it may."""
    kept_share = float(np.count_nonzero(surface.is_kept) / blocks.total_count)
    if kept_share < _LEAST_KEPT_BACKGROUND:
        return f"structure covers {1 - kept_share:.0%} of the field"
    if surface.excess > _MOST_EXCESS_BACKGROUND:
        return f"the background itself has {surface.excess:.0%} of structure"
    row, column = (
        np.clip((at + 1) / 2 * _REGIONS, 0, _REGIONS - 1).astype(int) for at in (blocks.y, blocks.x)
    )
    region = row * _REGIONS + column
    total = np.bincount(region, minlength=_REGIONS**2)
    kept = np.bincount(region[surface.is_kept], minlength=_REGIONS**2)
    if (kept < _LEAST_KEPT_OF_REGION * total).any():
        return "structure covers a part of the field completely"
    return _why_no_falloff(surface)


def why_not_followed(exponent: BrightnessExponent | None) -> str:
    """Return that the molecules contradict a background; empty when they do not."""
    if exponent is None:
        return ""
    away = abs(exponent.value - 1)
    if away > max(_FARTHEST_FROM_LIGHT, _EXPONENT_ERRORS * exponent.error):
        return (
            f"the brightness of {exponent.flash_count} molecules goes with the background to the "
            f"power {exponent.value:.2g} instead of 1, so that the sample varies and not the light"
        )
    return ""


def untold_share(exponent: BrightnessExponent | None) -> float:
    """Return which share of the logarithm of a fall-off may not be the light's."""
    if exponent is None:
        return _UNTOLD_SHARE
    return min(math.hypot(exponent.value - 1, exponent.error), _UNTOLD_SHARE)


def how_followed(exponent: BrightnessExponent | None) -> str:
    """Return what the molecules say of a background."""
    if exponent is None:
        return "too few molecules tell by their brightness whether the light or the sample varies"
    return (
        f"the brightness of {exponent.flash_count} molecules goes with the background to the power "
        f"{exponent.value:.2f} +- {exponent.error:.2f}, where 1 is expected of the light"
    )


def _why_no_falloff(surface: Surface) -> str:
    """Return that the surface rises again away from its peak; empty when it does not."""
    rise = surface.highest_rise()
    if rise > max(_LEAST_RISE, _RISE_ERRORS * surface.relative_error):
        return f"it rises again by {np.expm1(rise):.0%} away from its brightest place"
    return ""
