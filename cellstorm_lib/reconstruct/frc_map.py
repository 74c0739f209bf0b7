"""The resolution from place to place: Fourier ring correlation in blocks that overlap by half."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.progress import Progress
from cellstorm_lib.reconstruct.crossing import Crossing, Smoothing, first_crossing
from cellstorm_lib.reconstruct.deal import deal, units_of
from cellstorm_lib.reconstruct.frc import MIN_DETAILS, MIN_UNITS, Split
from cellstorm_lib.reconstruct.repeats import Blur, agreement, without_repeats
from cellstorm_lib.reconstruct.rings import ring_sums
from cellstorm_lib.tables import Localizations

#: Molecules are dealt into so many groups; all pairs of groups are compared.
GROUPS = 4
#: Pixels in the typical resolution; a block that is finer is looked at again with half of them.
PIXELS_PER_RESOLUTION = 5.0
MAX_BLOCK_PX = 512
#: Blocks that must have a resolution for the field to have a spread of it.
MIN_TOLD = 10
#: Cells in which the density is taken.
_CELL_NM = 1000.0
RANDOM_SPLITS: tuple[Split, ...] = ("molecules", "blocks", "localizations")
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrcMapSettings:
    """How to measure the resolution from place to place."""

    block_resolutions: float = field(
        default=24.0, metadata={"about": "side of a block, in typical resolutions, at least"}
    )
    block_molecules: float = field(
        default=2500.0, metadata={"about": "molecules in a block of typical density, at least"}
    )
    blocks: int = field(default=20, metadata={"about": "most blocks along the longer side"})
    split: Split = field(
        default="molecules", metadata={"about": "what stays in one half, as for the whole table"}
    )
    threshold: float = field(
        default=1 / 7, metadata={"about": "correlation at which detail counts as unresolved"}
    )
    seed: int = field(default=0, metadata={"about": "seed of the random dealing"})

    def __post_init__(self) -> None:
        if self.block_resolutions < MIN_DETAILS:
            raise SettingsError(
                f"block_resolutions must be at least {MIN_DETAILS}, got {self.block_resolutions}"
            )
        if self.split not in RANDOM_SPLITS:
            raise SettingsError(f"split must be one of {list(RANDOM_SPLITS)}, got {self.split!r}")
        if self.blocks < 2:
            raise SettingsError(f"blocks must be at least 2, got {self.blocks}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrcMap:
    """Resolution of blocks that overlap by half.

    Attributes
    ----------
    resolution_nm : (R, C) float64
        NaN where it cannot be told.
    is_crowded : (R, C) bool
        Blocks that hold molecules enough to be looked at.
    block_nm, step_nm : float
        Side of a block, and the distance to the next; the first starts at the field's corner.
    median_nm, finest_nm, coarsest_nm : float or None
        Median, 10th and 90th percentile of the blocks that have a resolution; None where those are
        fewer than 10.
    reason : str
        How many have none and why, or why there is no map at all.
    """

    resolution_nm: _Floats
    is_crowded: npt.NDArray[np.bool_]
    block_nm: float
    step_nm: float
    median_nm: float | None
    finest_nm: float | None
    coarsest_nm: float | None
    reason: str


def map_frc(
    localizations: Localizations,
    *,
    typical_nm: float | None,
    repeats: float = 0.0,
    claim_ratio: float = 1.0,
    settings: FrcMapSettings | None = None,
    progress: Progress | None = None,
) -> FrcMap:
    """Measure the resolution of blocks of a table.

    Parameters
    ----------
    localizations : Localizations
        As for `frc.measure_frc`.
    typical_nm : float or None
        Resolution of the whole table, which sets the size of blocks and pixels.
    repeats : float
        Q of `frc_repeats.correct_repeats`, to be taken off in every block; for a merged table.
    claim_ratio : float
        True errors over stated uncertainties, which blur the repeats.
    settings : FrcMapSettings, optional
        Size and number of blocks; the split must be random.
    progress : callable, optional
        Called with the blocks done and all blocks.

    Returns
    -------
    FrcMap
        Empty with a reason when the whole table has no resolution.

    Notes
    -----
    A block holds few rings, so one value scatters by 10 to 20 %; look at regions, not at blocks.
    One that is NaN is no bad place: it may be empty, or hold no structure.

    References
    ----------
    Culley et al., Nat. Methods 15, 263 (2018). doi:10.1038/nmeth.4605 (FRC map)
    """
    settings = settings or FrcMapSettings()
    if not len(localizations):
        return _nothing("the table is empty")
    if typical_nm is None:
        return _nothing("the whole table has no resolution to choose the blocks by")
    fov = localizations.field
    units = units_of(localizations, settings.split)
    least_nm = max(
        settings.block_resolutions * typical_nm,
        settings.block_molecules**0.5 / _density_per_nm2(localizations.xy_nm, units.unit) ** 0.5,
    )
    block_nm, step_nm, shape = _blocks((fov.width_nm, fov.height_nm), least_nm, settings.blocks)
    if block_nm < MIN_DETAILS * typical_nm:
        return _nothing("the field is too small to be cut into blocks")
    group, count = deal(units, np.random.default_rng(settings.seed), group_count=GROUPS)
    look = _Look(
        block_nm=block_nm,
        pixel_nm=max(typical_nm / PIXELS_PER_RESOLUTION, block_nm / MAX_BLOCK_PX),
        group_count=count,
        threshold=settings.threshold,
        repeats=repeats,
        sigma_nm=claim_ratio * localizations.column("uncertainty_nm").astype(np.float64)
        if repeats > 0
        else np.zeros(1),
    )
    xy_nm, unit = localizations.xy_nm, units.unit
    resolution_nm, is_crowded = np.full(shape, np.nan), np.zeros(shape, bool)
    inside = _inside(xy_nm, step_nm, shape)
    for number, ((row, column), rows) in enumerate(inside.items()):
        if progress is not None:
            progress(number, len(inside))
        if _effective_count(unit[rows]) < MIN_UNITS:
            continue
        is_crowded[row, column] = True
        corner = np.array([column, row]) * step_nm
        resolution_nm[row, column] = look.resolution_nm(xy_nm[rows] - corner, group[rows])
    return _summed_up(resolution_nm, is_crowded, block_nm, step_nm)


def _summed_up(
    resolution_nm: _Floats, is_crowded: npt.NDArray[np.bool_], block_nm: float, step_nm: float
) -> FrcMap:
    """Return the map with what it says as a whole."""
    told = resolution_nm[np.isfinite(resolution_nm)]
    is_told = len(told) >= MIN_TOLD
    finest, median, coarsest = np.percentile(told, [10, 50, 90]) if is_told else (None,) * 3
    return FrcMap(
        resolution_nm=resolution_nm,
        is_crowded=is_crowded,
        block_nm=block_nm,
        step_nm=step_nm,
        median_nm=None if median is None else float(median),
        finest_nm=None if finest is None else float(finest),
        coarsest_nm=None if coarsest is None else float(coarsest),
        reason=f"{len(told)} of {resolution_nm.size} blocks of {block_nm:.0f} nm have a "
        f"resolution; {int((~is_crowded).sum())} hold too few molecules, in "
        f"{int(is_crowded.sum()) - len(told)} the halves agree on no structure",
    )


def _nothing(reason: str) -> FrcMap:
    """Return a map without blocks."""
    return FrcMap(
        resolution_nm=np.zeros((0, 0)),
        is_crowded=np.zeros((0, 0), bool),
        block_nm=0.0,
        step_nm=0.0,
        median_nm=None,
        finest_nm=None,
        coarsest_nm=None,
        reason=reason,
    )


def _blocks(
    size_nm: tuple[float, float], least_nm: float, most: int
) -> tuple[float, float, tuple[int, int]]:
    """Return the side of a block, the step, and how many rows and columns of blocks there are."""
    longer_nm, shorter_nm = max(size_nm), min(size_nm)
    step_nm = max(least_nm / 2, longer_nm / (most + 1))
    step_nm = min(step_nm, shorter_nm / 2)
    columns, rows = (max(1, round(length_nm / step_nm) - 1) for length_nm in size_nm)
    return 2 * step_nm, step_nm, (rows, columns)


def _density_per_nm2(xy_nm: _Floats, unit: npt.NDArray[np.int64]) -> float:
    """Return molecules per area as a molecule sees them: on average over them, in coarse cells."""
    first = np.unique(unit, return_index=True)[1]
    cell = (xy_nm[first] // _CELL_NM).astype(np.int64)
    counts = np.unique(cell, axis=0, return_counts=True)[1].astype(np.float64)
    return float(np.median(np.repeat(counts, counts.astype(np.int64)))) / _CELL_NM**2


def _inside(
    xy_nm: _Floats, step_nm: float, shape: tuple[int, int]
) -> dict[tuple[int, int], npt.NDArray[np.int64]]:
    """Return the rows of the table in each block, which is two by two cells."""
    cell = (xy_nm // step_nm).astype(np.int64)
    inside = ((cell >= 0) & (cell <= [shape[1], shape[0]])).all(axis=1)
    number = np.where(inside, cell[:, 1] * (shape[1] + 1) + cell[:, 0], -1)
    order = np.argsort(number, kind="stable")
    first = np.searchsorted(number[order], np.arange((shape[0] + 1) * (shape[1] + 1) + 1))

    def members(row: int, column: int) -> npt.NDArray[np.int64]:
        here = row * (shape[1] + 1) + column
        return order[first[here] : first[here + 2]]  # a cell and its right neighbour

    return {
        (row, column): np.concatenate([members(row, column), members(row + 1, column)])
        for row in range(shape[0])
        for column in range(shape[1])
    }


def _effective_count(unit: npt.NDArray[np.int64]) -> float:
    """Return the number of units, each weighted by its share."""
    sizes = np.unique(unit, return_counts=True)[1].astype(np.float64)
    return float(sizes.sum() ** 2 / (sizes**2).sum()) if len(sizes) else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """How one block is looked at."""

    block_nm: float
    pixel_nm: float
    group_count: int
    threshold: float
    repeats: float
    sigma_nm: _Floats

    def resolution_nm(self, xy_nm: _Floats, group: npt.NDArray[np.int64]) -> float:
        """Return the resolution of one block; NaN without one."""
        for finer in (1, 2):
            found = self._crossing(xy_nm, group, self.pixel_nm / finer)
            if found.frequency_per_nm is not None:
                resolution_nm = 1 / found.frequency_per_nm
                return resolution_nm if resolution_nm < self.block_nm / MIN_DETAILS else np.nan
            if not found.has_risen:
                break
        return np.nan

    def _crossing(self, xy_nm: _Floats, group: npt.NDArray[np.int64], pixel_nm: float) -> Crossing:
        """Return where the correlation of all pairs of groups falls below the threshold."""
        sums = ring_sums(
            xy_nm,
            group,
            group_count=self.group_count,
            size_nm=(self.block_nm, self.block_nm),
            pixel_nm=pixel_nm,
        )
        smoothing = Smoothing.of(sums)
        smooth = smoothing.weights @ agreement(sums)
        spurious = self.repeats * Blur(sums.frequency_per_nm, self.sigma_nm).w()
        curve = without_repeats(smooth, spurious)
        return first_crossing(sums.frequency_per_nm, curve, smoothing.samples, self.threshold)
