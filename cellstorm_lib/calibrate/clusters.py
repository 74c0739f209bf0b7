"""Standard errors of means over pixels whose neighbours may know of each other."""

import numpy as np
import numpy.typing as npt

from cellstorm_lib.calibrate.pixel_statistics import Floats

_BLOCK_PX = 8


def mean_covariance(values: Floats, is_good: npt.NDArray[np.bool_]) -> Floats:
    """Return the covariance matrix of the means of several quantities over pixels.

    Parameters
    ----------
    values : (K, Y, X) float64
        The quantities.
    is_good : (Y, X) bool
        Pixels that count.

    Returns
    -------
    (K, K) float64
        From the spread of the sums of 8 x 8 blocks, so that correlation between near pixels
        counts; never below what independent pixels would have.
    """
    count = np.count_nonzero(is_good)
    mean = values[:, is_good].mean(axis=1)
    away = np.where(is_good, values - mean[:, None, None], 0.0)
    alone = np.einsum("iyx,jyx->ij", away, away) / count**2
    rows, columns = (-(-length // _BLOCK_PX) for length in is_good.shape)
    padded = np.zeros((len(values), rows * _BLOCK_PX, columns * _BLOCK_PX))
    padded[:, : is_good.shape[0], : is_good.shape[1]] = away
    sums = padded.reshape(len(values), rows, _BLOCK_PX, columns, _BLOCK_PX).sum(axis=(2, 4))
    together = np.einsum("iyx,jyx->ij", sums, sums) / count**2
    wider = np.sqrt(np.maximum(np.diag(together) / np.maximum(np.diag(alone), 1e-300), 1.0))
    return np.asarray(alone * np.outer(wider, wider))
