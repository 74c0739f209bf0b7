"""What two tables of one recording have in common, and which of the rest is likely to be real.

Without a truth nobody can say of a single spot whether it is a molecule. But molecules sit on the
structure that is seen throughout the recording, and false spots do not: of spots that only one of
two tables has, the share that lies where others were found at other times tells how many are real.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from cellstorm_lib.errors import TableError
from cellstorm_lib.evaluate.match import match_localizations
from cellstorm_lib.tables import Localizations

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

TOLERANCE_NM = 250.0
#: Spots of one place count as independent when so many frames lie between them.
APART_FRAMES = 50
_RADII_PX = (0.5, 1.0, 2.0)
#: The control: the same spots moved by so many pixels, in so many directions.
_MOVED_PX, _MOVES = (4.0, 8.0), 8
_FEWEST_COMMON = 60
#: Standard deviations by which common spots must exceed their control before it tells anything.
_CERTAIN = 5.0
_MOST_BLOCKS, _RESAMPLES = 40, 400
#: Larger sets are sampled: spots that are asked about, and spots that may support them.
_MOST_ASKED, _MOST_SHARED, _ASKED_AT_ONCE = 8000, 200_000, 2000
_INTERVAL = (2.5, 97.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Agreement:
    """Two tables of one recording, compared without a truth.

    Attributes
    ----------
    common : int
        Spots that both tables have.
    only_first, only_second : (N,) bool
        Rows of either table that the other has not.
    real_first, real_second : Range or None
        Share of these that is likely to be real; None when there are none, or when the
        recording does not tell.
    gain : Range or None
        Jaccard index of the second table minus that of the first, the truth being all that is
        likely to be real in either; None when the recording does not tell.
    reason : str
        Why it does not tell; empty when it does.
    """

    common: int
    only_first: Mask
    only_second: Mask
    real_first: Range | None
    real_second: Range | None
    gain: Range | None
    reason: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class _Support:
    """Spots of one set by block: how many, how many supported, and how many of their control."""

    count: Floats
    supported: Floats
    control: Floats

    def scaled(self, total: int) -> "_Support":
        """Return it for as many spots as the sample stands for."""
        factor = total / max(float(self.count.sum()), 1.0)
        return _Support(self.count * factor, self.supported * factor, self.control * factor)


def compare_tables(
    first: Localizations, second: Localizations, *, seed: int = 0, apart_frames: int = APART_FRAMES
) -> Agreement:
    """Compare two tables of spots, one row a spot and frame, of the same recording.

    Parameters
    ----------
    first, second : Localizations
        Before merging; fields must be the same.
    seed : int
        Of the control's directions and of the bootstrap.
    apart_frames : int
        Spots at one place confirm each other when more frames than this lie between them.

    Returns
    -------
    Agreement

    Raises
    ------
    TableError
        When the tables are of different fields.

    Notes
    -----
    A spot is supported when another one, found in both tables, lies within 0.5, 1 or 2 px of it
    more than `apart_frames` frames before or after. Of common spots a share S is supported,
    of the same spots moved by 4 to 8 px a share C; of spots that one table alone has, s and c.
    (s - c) / (S - C) is the share that is real, if false spots lie anywhere in the neighbourhood
    and real ones on the structure. The radius is that with the largest S - C. Intervals are
    from a bootstrap over blocks of frames. Real spots that sit at places never seen again count
    as false in both tables alike; copies of a molecule that stay in its place count as real.
    """
    if first.field.width_px != second.field.width_px or (
        first.field.height_px != second.field.height_px
    ):
        raise TableError(
            "tables of two different fields cannot be compared: "
            f"{first.field.width_px} x {first.field.height_px} and "
            f"{second.field.width_px} x {second.field.height_px} pixels"
        )
    matches = match_localizations(first, second, TOLERANCE_NM)
    only_first, only_second = np.ones(len(first), bool), np.ones(len(second), bool)
    only_first[matches.localization], only_second[matches.emitter] = False, False
    common = len(matches)

    def untold(reason: str) -> Agreement:
        return Agreement(
            common=common, only_first=only_first, only_second=only_second,
            real_first=None, real_second=None, gain=None, reason=reason,
        )  # fmt: skip

    if common < _FEWEST_COMMON:
        return untold(f"only {common} spots are found in both, too few to show a structure")
    rng = np.random.default_rng(seed)
    places = _places(second)
    shared = places[matches.emitter]
    sets = (shared, _places(first)[only_first], places[only_second])
    supports = _best_supports(sets, shared, first, apart_frames, rng)
    both, one, other = supports
    excess = (both.supported - both.control).sum() / both.count.sum()
    chance = float(np.sqrt(max(both.supported.sum(), 1.0))) / both.count.sum()
    if excess < max(_CERTAIN * chance, 0.02):
        return untold("the spots show no structure that is seen again at another time")
    picks = rng.integers(len(both.count), size=(_RESAMPLES, len(both.count)))
    whole = np.arange(len(both.count))[None]
    gains = _gain(supports, picks)
    return Agreement(
        common=common,
        only_first=only_first,
        only_second=only_second,
        real_first=_range(_real(both, one, whole), _real(both, one, picks))
        if len(sets[1])
        else None,
        real_second=(
            _range(_real(both, other, whole), _real(both, other, picks)) if len(sets[2]) else None
        ),
        gain=_range(_gain(supports, whole), gains),
    )


def _places(table: Localizations) -> Floats:
    """Return x, y in pixels and frame, (N, 3)."""
    size_nm = table.field.pixel_size_nm
    return np.column_stack(
        [
            table.column("x_nm") / size_nm,
            table.column("y_nm") / size_nm,
            table.column("frame").astype(np.float64),
        ]
    )


def _best_supports(
    sets: tuple[Floats, Floats, Floats],
    shared: Floats,
    table: Localizations,
    apart_frames: int,
    rng: np.random.Generator,
) -> tuple[_Support, _Support, _Support]:
    """Return the support of all sets with the radius that tells most about the first."""
    size_px = np.array([table.field.width_px, table.field.height_px], np.float64)
    blocks = int(min(_MOST_BLOCKS, max(table.field.frame_count // 2, 2)))
    edges = np.linspace(0, max(table.field.frame_count, 1), blocks + 1)[1:-1]
    asked = [_sample(spots, _MOST_ASKED, rng) for spots in sets]
    moved = [_moved(spots, size_px, rng) for spots in asked]
    shared = _sample(shared, _MOST_SHARED, rng)
    tree = cKDTree(shared[:, :2])
    best: tuple[_Support, ...] = ()
    most = -np.inf
    for radius_px in _RADII_PX:
        found = tuple(
            _support(spots, control, tree, shared[:, 2], edges, radius_px, apart_frames)
            for spots, control in zip(asked, moved, strict=True)
        )
        found = tuple(each.scaled(len(spots)) for each, spots in zip(found, sets, strict=True))
        excess = float((found[0].supported - found[0].control).sum())
        if excess > most:
            most, best = excess, found
    return best[0], best[1], best[2]


def _sample(spots: Floats, most: int, rng: np.random.Generator) -> Floats:
    """Return at most so many of the spots, drawn by chance, in their order."""
    if len(spots) <= most:
        return spots
    return spots[np.sort(rng.choice(len(spots), most, replace=False))]


def _moved(spots: Floats, size_px: Floats, rng: np.random.Generator) -> Floats:
    """Return copies of spots moved in random directions, mirrored back into the field, (M N, 3)."""
    copies = np.tile(spots, (_MOVES, 1))
    angle = rng.uniform(0, 2 * np.pi, len(copies))
    length = rng.uniform(*_MOVED_PX, len(copies))
    copies[:, 0] += length * np.cos(angle)
    copies[:, 1] += length * np.sin(angle)
    copies[:, :2] = size_px - np.abs(size_px - np.abs(copies[:, :2]))
    return copies


def _support(
    spots: Floats,
    control: Floats,
    tree: cKDTree,
    shared_frame: Floats,
    edges: Floats,
    radius_px: float,
    apart_frames: int,
) -> _Support:
    """Count spots, supported ones and supported ones of the control, block by block."""
    count = len(edges) + 1

    def supported(of: Floats) -> Floats:
        """Return how many are supported in each block."""
        if not len(of):
            return np.zeros(count)
        has = np.zeros(len(of), bool)
        for start in range(0, len(of), _ASKED_AT_ONCE):
            part = of[start : start + _ASKED_AT_ONCE]
            near = cKDTree(part[:, :2]).sparse_distance_matrix(
                tree, radius_px, output_type="ndarray"
            )
            apart = np.abs(shared_frame[near["j"]] - part[near["i"], 2]) > apart_frames
            has[start + near["i"][apart]] = True
        return np.bincount(np.digitize(of[has, 2], edges), minlength=count).astype(np.float64)

    return _Support(
        count=np.bincount(np.digitize(spots[:, 2], edges), minlength=count).astype(np.float64),
        supported=supported(spots),
        control=supported(control) / _MOVES,
    )


def _real(both: _Support, only: _Support, picks: npt.NDArray[np.int64]) -> Floats:
    """Return the share of a set that is real, for each choice of blocks."""
    excess = (both.supported - both.control)[picks].sum(axis=1) / np.maximum(
        both.count[picks].sum(axis=1), 1.0
    )
    own = (only.supported - only.control)[picks].sum(axis=1) / np.maximum(
        only.count[picks].sum(axis=1), 1.0
    )
    return np.asarray(np.clip(own / np.maximum(excess, 1e-9), 0.0, 1.0))


def _gain(supports: tuple[_Support, _Support, _Support], picks: npt.NDArray[np.int64]) -> Floats:
    """Return the Jaccard index of the second table less that of the first, by choice of blocks."""
    both, one, other = supports
    common = both.count[picks].sum(axis=1)
    counts = [only.count[picks].sum(axis=1) for only in (one, other)]
    real = [_real(both, only, picks) * own for only, own in zip((one, other), counts, strict=True)]
    truth = common + real[0] + real[1]
    first, second = (
        (common + own) / np.maximum(truth + count - own, 1.0)
        for own, count in zip(real, counts, strict=True)
    )
    return np.asarray(second - first)


def _range(value: Floats, resampled: Floats) -> Range:
    """Return a number with the interval of its bootstrap."""
    low, high = np.percentile(resampled, _INTERVAL)
    return Range(value=float(value[0]), low=float(low), high=float(high))
