"""How localizations are dealt into halves that know nothing of each other.

Localizations are first put together into units that must not be torn apart (a molecule, a block
of frames, ...). Units are dealt at random into eight groups of equal size, and every choice of
four groups is one split into halves: eight spectra serve 35 splits.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from cellstorm_lib.errors import TableError
from cellstorm_lib.tables import Localizations

Split = Literal["molecules", "blocks", "halves", "localizations", "odd-even"]
SPLITS: tuple[Split, ...] = get_args(Split)

GROUPS = 8
#: Blocks of frames into which a recording is cut at least, so that there are enough to deal.
MIN_BLOCKS = 40
#: Tracks that end and begin this close in time and space count as one broken track.
BREAK_FRAMES = 3
BREAK_UNCERTAINTIES = 6.0
#: A steady track lasts at most this many times its detections.
MAX_SPAN = 3
_Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Units:
    """What must stay together.

    Attributes
    ----------
    unit : (N,) int64
        Unit of each localization, from 0.
    names : str
        What the units are, for messages.
    is_random : bool
        Whether units are dealt at random; otherwise unit 0 is one half and unit 1 the other.
    """

    unit: _Integers
    names: str
    is_random: bool

    @property
    def effective_count(self) -> float:
        """Number of units, each weighted by its share: a few huge ones do not count for many."""
        sizes = np.bincount(self.unit).astype(np.float64) if len(self.unit) else np.zeros(1)
        return float(sizes.sum() ** 2 / max((sizes**2).sum(), 1.0))


def units_of(localizations: Localizations, split: Split, *, block_frames: int = 500) -> Units:
    """Return which localizations must stay in one half.

    Parameters
    ----------
    localizations : Localizations
        Linked (column ``molecule``) or merged (column ``detections``, one row per molecule) for
        the split ``molecules``.
    split : str
        ``molecules``: whole molecules, those whose track merely broke being put together again;
        ``blocks``: blocks of consecutive frames; ``localizations``: each by itself; ``halves``:
        the first and the second half of the localizations in time; ``odd-even``: frames.
    block_frames : int
        Frames of a block; fewer where the recording would not give 40 blocks.

    Raises
    ------
    TableError
        When the molecules are asked for and the table does not tell them.
    """
    frame = localizations.column("frame").astype(np.int64)
    if split == "molecules":
        return Units(unit=_molecules(localizations), names="molecules", is_random=True)
    if split == "blocks":
        span = int(frame.max() - frame.min()) + 1 if len(frame) else 1
        length = min(block_frames, max(span // MIN_BLOCKS, 1))
        unit = _numbered((frame - frame.min()) // length) if len(frame) else frame
        return Units(unit=unit, names=f"blocks of {length} frames", is_random=True)
    if split == "localizations":
        return Units(unit=np.arange(len(frame)), names="localizations", is_random=True)
    if split == "halves":
        later = frame > (np.median(frame) if len(frame) else 0)
        return Units(unit=later.astype(np.int64), names="halves", is_random=False)
    return Units(unit=frame % 2, names="odd and even frames", is_random=False)


def deal(
    units: Units, rng: np.random.Generator, *, group_count: int = GROUPS
) -> tuple[_Integers, int]:
    """Deal units into groups of equal size, at random where they may be.

    Parameters
    ----------
    units : Units
        What must stay together.
    rng : numpy.random.Generator
        Source of the dealing.
    group_count : int
        Groups to deal at random; units that are halves already stay two.

    Returns
    -------
    (N,) int64, int
        Group of each localization, and the number of groups.
    """
    if not units.is_random:
        return units.unit, 2
    count = int(units.unit.max(initial=-1)) + 1
    return (rng.permutation(count) % group_count)[units.unit], group_count


def halves(group_count: int, split_count: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return different ways to make a half of half the groups, (at most `split_count`, G)."""
    members = list(combinations(range(1, group_count), group_count // 2 - 1))
    chosen = rng.permutation(len(members))[:split_count]
    sides = np.zeros((len(chosen), group_count))
    sides[:, 0] = 1
    for row, index in enumerate(chosen):
        sides[row, list(members[index])] = 1
    return sides


def _molecules(localizations: Localizations) -> _Integers:
    """Return the molecule of each row, broken tracks joined."""
    if "molecule" in localizations:
        molecule = _numbered(localizations.column("molecule"))
    elif "detections" in localizations:
        molecule = np.arange(len(localizations))
    else:
        raise TableError(
            "a split by molecules needs the column 'molecule' (or 'detections', one row for each "
            "molecule); link the table first, or choose another split"
        )
    return molecule if not len(molecule) else _joined(localizations, molecule)


def _joined(localizations: Localizations, molecule: _Integers) -> _Integers:
    """Return molecules with those put together that look like one track that broke.

    Joining two neighbours by mistake costs a little statistics; a molecule in both halves makes
    a resolution out of nothing. Molecules that blink on and off over a long time are left as
    they are: near each other they would all seem to follow one another.
    """
    frame, centre, size = localizations.column("frame"), localizations.xy_nm, np.bincount(molecule)
    detections = np.ones(len(frame))
    if "detections" in localizations:
        detections = localizations.column("detections").astype(np.float64)
    reach_nm = BREAK_UNCERTAINTIES * _uncertainty_nm(localizations, molecule, detections)
    first, last = np.full(len(size), np.inf), np.zeros(len(size))
    np.minimum.at(first, molecule, frame)
    np.maximum.at(last, molecule, frame + detections - 1)
    centre = np.column_stack([np.bincount(molecule, axis) / size for axis in centre.T])
    is_steady = last - first < MAX_SPAN * np.bincount(molecule, detections)
    if reach_nm <= 0 or not is_steady.any():
        return molecule
    # The third axis is time, so that only what happens at about the same time is compared.
    reach_frames = BREAK_FRAMES + np.percentile((last - first)[is_steady], 99) + 1
    place = np.column_stack([centre / reach_nm, (first + last) / 2 / reach_frames])
    one, two = cKDTree(place).query_pairs(1.0, p=np.inf, output_type="ndarray").T
    gap = np.maximum(first[one], first[two]) - np.minimum(last[one], last[two])
    is_broken = (gap <= BREAK_FRAMES) & is_steady[one] & is_steady[two]
    links = coo_array((is_broken, (one, two)), shape=(len(size), len(size)))
    return np.asarray(connected_components(links, directed=False)[1], np.int64)[molecule]


def _uncertainty_nm(
    localizations: Localizations, molecule: _Integers, detections: npt.NDArray[np.float64]
) -> float:
    """Return the uncertainty of a typical single detection: claimed, or seen in molecules."""
    if "uncertainty_nm" in localizations:
        return float(np.median(localizations.column("uncertainty_nm") * np.sqrt(detections)))
    size = np.bincount(molecule)
    several = size[molecule] > 1
    if not several.any():
        return 0.0
    squares = [
        (axis - (np.bincount(molecule, axis) / size)[molecule])[several] ** 2
        for axis in localizations.xy_nm.T
    ]
    freedom = several.sum() - (size > 1).sum()
    return float(np.sqrt(np.sum(squares) / (2 * freedom)))


def _numbered(values: npt.NDArray[np.int64]) -> _Integers:
    """Return values renumbered from 0 without gaps."""
    return np.unique(values, return_inverse=True)[1].astype(np.int64)
