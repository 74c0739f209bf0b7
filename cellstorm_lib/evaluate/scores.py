"""How well a table of localizations agrees with the truth."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from cellstorm_lib.evaluate.match import Matches, MatchMethod, match_localizations, places
from cellstorm_lib.progress import Progress
from cellstorm_lib.tables import Emitters, Localizations

#: The challenge's weight of the error against the Jaccard index, per nm.
EFFICIENCY_ALPHA_PER_NM = 1.0
_MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Figures of a comparison with the truth; None where there is nothing to compute from.

    Attributes
    ----------
    true, found, matched : int
        Emitters, localizations, pairs of them.
    jaccard : float or None
        matched / (true + found - matched), 0 to 1.
    recall, precision, f1 : float or None
        matched / true; matched / found; their harmonic mean.
    rmse_nm : float or None
        Root mean square of the lateral distance of the pairs, both axes together.
    efficiency : float or None
        100 - sqrt((100 - 100 jaccard)^2 + (rmse_nm * 1/nm)^2); 100 is perfect, may be negative.
    bias_x_nm, bias_y_nm : float or None
        Median of localization minus truth.
    error_over_uncertainty : float or None
        Root mean square of error / claimed uncertainty over both axes of all pairs; 1 when the
        claims are right. Bias and wrong pairs count in full.
    error_over_uncertainty_robust : float or None
        The same from the median of the absolute values (1.4826 x); a few wrong pairs do not
        count.
    tolerance_nm : float
        Largest distance of a pair.
    """

    true: int
    found: int
    matched: int
    jaccard: float | None
    recall: float | None
    precision: float | None
    f1: float | None
    rmse_nm: float | None
    efficiency: float | None
    bias_x_nm: float | None
    bias_y_nm: float | None
    error_over_uncertainty: float | None
    error_over_uncertainty_robust: float | None
    tolerance_nm: float


def score(
    localizations: Localizations,
    emitters: Emitters | Localizations,
    tolerance_nm: float = 250.0,
    *,
    method: MatchMethod = "greedy",
    min_photons: float = 0.0,
    progress: Progress | None = None,
) -> Scores:
    """Compare localizations with the truth as the single-molecule challenge does.

    Parameters
    ----------
    localizations : Localizations
        What was found; may be empty.
    emitters : Emitters or Localizations
        The truth, one row for each emitter in each frame; may be empty.
    tolerance_nm : float
        Largest lateral distance of a pair.
    method : str
        ``greedy`` (the challenge's default) or ``hungarian``.
    min_photons : float
        Emitters dimmer than this cannot be matched but, as in the challenge, still count as
        true. To neither ask for dim emitters nor forgive them, leave them out of `emitters`.
    progress : callable, optional
        Called with localizations matched and all.

    Returns
    -------
    Scores
        Fractions from 0 to 1, the efficiency in percent.

    References
    ----------
    Sage et al., Nat. Methods 16, 387 (2019). doi:10.1038/s41592-019-0364-4
    """
    matches = match_localizations(
        localizations, emitters, tolerance_nm,
        method=method, min_photons=min_photons, progress=progress,
    )  # fmt: skip
    true, found, matched = len(emitters), len(localizations), len(matches)
    jaccard = _ratio(matched, true + found - matched)
    errors_nm = _errors_nm(localizations, emitters, matches)
    rmse_nm = float(np.sqrt(np.mean(np.sum(errors_nm**2, axis=1)))) if matched else None
    bias_nm = np.median(errors_nm, axis=0).tolist() if matched else (None, None)
    pulls = _pulls(localizations, matches, errors_nm)
    return Scores(
        true=true,
        found=found,
        matched=matched,
        jaccard=jaccard,
        recall=_ratio(matched, true),
        precision=_ratio(matched, found),
        f1=_ratio(2 * matched, true + found),
        rmse_nm=rmse_nm,
        efficiency=efficiency(jaccard, rmse_nm),
        bias_x_nm=bias_nm[0],
        bias_y_nm=bias_nm[1],
        error_over_uncertainty=float(np.sqrt(np.mean(pulls**2))) if len(pulls) else None,
        error_over_uncertainty_robust=(
            float(_MAD_TO_SIGMA * np.median(np.abs(pulls))) if len(pulls) else None
        ),
        tolerance_nm=tolerance_nm,
    )


def efficiency(jaccard: float | None, rmse_nm: float | None) -> float | None:
    """Return the challenge's lateral efficiency in percent.

    Parameters
    ----------
    jaccard : float or None
        0 to 1.
    rmse_nm : float or None
        Lateral error of the pairs.

    Returns
    -------
    float or None
        100 is perfect; below 0 for a poor table; None without pairs.
    """
    if jaccard is None or rmse_nm is None:
        return None
    return 100 - float(np.hypot(100 * (1 - jaccard), EFFICIENCY_ALPHA_PER_NM * rmse_nm))


def nearest_true_nm(
    localizations: Localizations, emitters: Emitters | Localizations
) -> npt.NDArray[np.float64]:
    """Return the distance of each localization to the nearest emitter of its frame.

    Not one to one: several localizations may have the same neighbour, as in Fig. 7 of the
    cellSTORM paper.

    Parameters
    ----------
    localizations : Localizations
        What was found, K rows; may be empty.
    emitters : Emitters or Localizations
        The truth, one row for each emitter in each frame; may be empty.

    Returns
    -------
    (K,) float64
        Nanometres; infinite in frames without an emitter.
    """
    distance = np.full(len(localizations), np.inf)
    if len(localizations) and len(emitters):
        xy = np.concatenate([places(localizations, 1)[:, :2], places(emitters, 1)[:, :2]])
        far_nm = float(np.hypot(*np.ptp(xy, axis=0)))
        tree = cKDTree(places(emitters, far_nm))
        found = places(localizations, far_nm)
        distance = np.asarray(tree.query(found, distance_upper_bound=2 * far_nm + 1)[0])
    return distance


def _ratio(part: int, whole: int) -> float | None:
    """Return a share, or None of nothing."""
    return part / whole if whole else None


def _errors_nm(
    localizations: Localizations, emitters: Emitters | Localizations, matches: Matches
) -> npt.NDArray[np.float64]:
    """Return localization minus truth of each pair, (K, 2)."""
    return np.column_stack(
        [
            localizations.column(name)[matches.localization]
            - emitters.column(name)[matches.emitter]
            for name in ("x_nm", "y_nm")
        ]
    )


def _pulls(
    localizations: Localizations, matches: Matches, errors_nm: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return error / uncertainty of both axes, flat; empty without uncertainties."""
    names = ["uncertainty_x_nm", "uncertainty_y_nm"]
    if not all(name in localizations for name in names):
        names = ["uncertainty_nm", "uncertainty_nm"]
    if names[0] not in localizations:
        return np.zeros(0)
    claimed = np.column_stack([localizations.column(name) for name in names])
    claimed = claimed[matches.localization].astype(np.float64)
    return np.asarray(errors_nm[claimed > 0] / claimed[claimed > 0])
