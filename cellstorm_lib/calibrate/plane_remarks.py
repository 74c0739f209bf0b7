"""What a reader should know of the series behind a calibration, in sentences."""

from collections.abc import Iterator

import numpy as np

from cellstorm_lib.calibrate.dark_noise import DarkNoise
from cellstorm_lib.calibrate.pixel_statistics import Floats, PixelStatistics
from cellstorm_lib.calibrate.transfer_bins import Mask

_NOTABLE_LEVEL_CHANGE_ADU = 0.1


def dark_remarks(dark: PixelStatistics, noise: DarkNoise, is_good: Mask) -> Iterator[str]:
    """Yield what a reader should know of the dark series."""
    if noise.is_cut and noise.cut_share > 0:
        yield (
            f"{dark.name}: {noise.cut_share:.1%} of the grey values are cut off at "
            f"{noise.cut_level}, which offset, read noise and fixed pattern allow for"
        )
    bad = np.count_nonzero(~is_good)
    if bad:
        yield f"{dark.name}: {_pixels(int(bad), is_good.size)} hot or noisy and left out"
    chance = np.sqrt(noise.total_variance_adu2 / is_good.size)
    change = float(np.ptp(dark.frame_means_adu)) - 10.0 * chance
    if change > _NOTABLE_LEVEL_CHANGE_ADU:
        yield (
            f"{dark.name}: the dark level changed by {change:.2g} grey values; "
            "that was taken out of the noise, and the interval of the offset allows for it"
        )


def outlier_remarks(series: PixelStatistics, is_outlier: Mask, below_adu: Floats) -> Iterator[str]:
    """Yield how many pixels of the linear range vary unlike others."""
    count = np.count_nonzero(is_outlier & (series.pooled_mean_adu < below_adu))
    if count:
        yield (
            f"{series.name}: {_pixels(int(count), is_outlier.size)} left out, varying unlike "
            "others of the same signal"
        )


def _pixels(count: int, total: int) -> str:
    """Return how many pixels are something."""
    return "1 pixel is" if count == 1 else f"{count} pixels ({count / total:.2%}) are"
