"""Which localizations to keep: by a condition, without duplicates, without strays."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.refine.expression import read_expression
from cellstorm_lib.refine.uncertainty import stated_uncertainty_nm
from cellstorm_lib.tables import Localizations


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectReport:
    """What a selection kept.

    Attributes
    ----------
    localizations, kept : int
        Rows before and after.
    rejected : mapping of str to int
        Rows that fail each condition; a row that fails two counts in both.
    """

    localizations: int
    kept: int
    rejected: Mapping[str, int] = field(default_factory=dict)


def select(localizations: Localizations, expression: str) -> tuple[Localizations, SelectReport]:
    """Keep the localizations that fulfil a condition in column names.

    Parameters
    ----------
    localizations : Localizations
        The table.
    expression : str
        As ``photons > 300 & uncertainty_nm < 30``; empty keeps all. The grammar is in
        `cellstorm_lib.refine.expression`.

    Returns
    -------
    Localizations
        The rows for which it holds.
    SelectReport
        How many each condition (joined by ``&`` or ``and``) rejects.

    Raises
    ------
    SettingsError
        When the expression cannot be read or is no condition.
    TableError
        When it names a column that the table does not have.
    """
    kept = np.ones(len(localizations), bool)
    rejected: dict[str, int] = {}
    for clause in read_expression(expression):
        holds = clause.holds(localizations)
        rejected[clause.text] = int((~holds).sum())
        kept &= holds
    return _kept(localizations, kept, rejected)


def remove_duplicates(
    localizations: Localizations, *, radius_uncertainties: float = 1.0, radius_nm: float = 50.0
) -> tuple[Localizations, SelectReport]:
    """Keep one of the localizations of a frame that lie closer than they can be told apart.

    The most certain one stays (of two alike the brighter, then the earlier row), and all others
    within its reach go.

    Parameters
    ----------
    localizations : Localizations
        Before merging: afterwards a frame holds only first sightings.
    radius_uncertainties : float
        Reach in combined standard deviations of the two; 0 to use `radius_nm`.
    radius_nm : float
        Reach in tables without uncertainties.

    Notes
    -----
    With uncertainties, localizations more than a camera pixel apart are never duplicates.
    """
    _require(radius_uncertainties >= 0, "radius_uncertainties", "0 or more", radius_uncertainties)
    _require(radius_nm > 0, "radius_nm", "above 0", radius_nm)
    stated_nm = stated_uncertainty_nm(localizations)
    if stated_nm is None or radius_uncertainties == 0:
        pairs, _ = _pairs_within(localizations, radius_nm)
    else:
        pairs, distance_nm = _pairs_within(localizations, localizations.field.pixel_size_nm)
        combined_nm = np.hypot(stated_nm[pairs[:, 0]], stated_nm[pairs[:, 1]])
        pairs = pairs[distance_nm <= radius_uncertainties * combined_nm]
    rank = _ranks(localizations, stated_nm)
    kept = np.ones(len(localizations), bool)
    better_first = np.sort(rank[pairs], axis=1)
    row = np.argsort(rank)
    for better, worse in better_first[np.argsort(better_first[:, 0], kind="stable")]:
        if kept[row[better]]:
            kept[row[worse]] = False
    return _kept(localizations, kept, {"duplicate": int((~kept).sum())})


def remove_sparse(
    localizations: Localizations, *, neighbours: int = 5, radius_nm: float = 50.0
) -> tuple[Localizations, SelectReport]:
    """Keep the localizations with enough others around them, over all frames.

    Parameters
    ----------
    localizations : Localizations
        After merging, so that a molecule seen in ten frames is not its own neighbour.
    neighbours : int
        Other localizations needed within `radius_nm`.
    radius_nm : float
        Radius of the neighbourhood; its border belongs to it.
    """
    _require(neighbours >= 0, "neighbours", "0 or more", neighbours)
    _require(radius_nm > 0, "radius_nm", "above 0", radius_nm)
    kept = np.ones(len(localizations), bool)
    if neighbours and len(localizations):
        xy_nm = localizations.xy_nm
        # the nearest is the point itself; the bound of a query is exclusive
        bound_nm = np.nextafter(radius_nm, np.inf)
        distance_nm, _ = cKDTree(xy_nm).query(
            xy_nm, k=[neighbours + 1], distance_upper_bound=bound_nm
        )
        kept = np.isfinite(np.asarray(distance_nm)[:, 0])
    return _kept(localizations, kept, {"sparse": int((~kept).sum())})


def _kept(
    localizations: Localizations, kept: npt.NDArray[np.bool_], rejected: dict[str, int]
) -> tuple[Localizations, SelectReport]:
    """Return the kept rows and the report."""
    return localizations.take(kept), SelectReport(
        localizations=len(localizations), kept=int(kept.sum()), rejected=rejected
    )


def _ranks(
    localizations: Localizations, uncertainty_nm: npt.NDArray[np.float64] | None
) -> npt.NDArray[np.int64]:
    """Return the place of each row when sorted by certainty, then brightness, then row."""
    none = np.zeros(len(localizations))
    photons = localizations.column("photons") if "photons" in localizations else none
    rank = np.empty(len(localizations), np.int64)
    rank[np.lexsort((-photons, none if uncertainty_nm is None else uncertainty_nm))] = np.arange(
        len(localizations)
    )
    return rank


def _pairs_within(
    localizations: Localizations, reach_nm: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the pairs of rows of one frame at most `reach_nm` apart, (N, 2), and how far."""
    xy_nm = localizations.xy_nm
    # frames are planes farther apart than the reach: one tree serves them all
    layer_nm = localizations.column("frame").astype(np.float64) * (2.0 * reach_nm)
    tree = cKDTree(np.column_stack([xy_nm, layer_nm]))
    pairs = tree.query_pairs(reach_nm, output_type="ndarray").astype(np.int64).reshape(-1, 2)
    apart_nm = xy_nm[pairs[:, 1]] - xy_nm[pairs[:, 0]]
    return pairs, np.hypot(apart_nm[:, 0], apart_nm[:, 1])


def _require(is_true: bool, name: str, rule: str, value: float) -> None:
    """Raise when a setting breaks its rule."""
    if not is_true:
        raise SettingsError(f"{name} must be {rule}, got {value}")
