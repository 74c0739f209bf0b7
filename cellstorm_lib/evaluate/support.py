"""How many spots of a set lie where others were found at other times, more than by chance."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from cellstorm_lib.tables import Localizations

Floats = npt.NDArray[np.float64]

_RADII_PX = (0.5, 1.0, 2.0)
#: The control: the same spots moved by so many pixels, in so many directions.
_MOVED_PX, _MOVES = (4.0, 8.0), 8
_MOST_BLOCKS = 40
#: An afterimage stands this near a spot of so few frames earlier.
_ECHO_PX, _ECHO_FRAMES = 1.0, 8
#: Larger sets are sampled: spots that are asked about, and spots that may support them.
_MOST_ASKED, _MOST_SHARED, _ASKED_AT_ONCE = 8000, 200_000, 2000


@dataclass(frozen=True, slots=True, eq=False)
class Support:
    """Spots of one set by block of frames, (B,): all, supported ones, and those of the control."""

    count: Floats
    supported: Floats
    control: Floats

    def scaled(self, total: int) -> "Support":
        """Return it for as many spots as the sample stands for."""
        factor = total / max(float(self.count.sum()), 1.0)
        return Support(self.count * factor, self.supported * factor, self.control * factor)

    @property
    def excess(self) -> float:
        """Share that is supported beyond the control."""
        return float((self.supported - self.control).sum() / max(self.count.sum(), 1.0))


def places(table: Localizations) -> Floats:
    """Return x, y in pixels and frame, (N, 3)."""
    size_nm = table.field.pixel_size_nm
    return np.column_stack(
        [
            table.column("x_nm") / size_nm,
            table.column("y_nm") / size_nm,
            table.column("frame").astype(np.float64),
        ]
    )


def block_edges(frame_count: int) -> Floats:
    """Return the frames at which the blocks of the bootstrap change."""
    blocks = int(min(_MOST_BLOCKS, max(frame_count // 2, 2)))
    return np.linspace(0, max(frame_count, 1), blocks + 1)[1:-1]


def per_block(frame: Floats, edges: Floats, weight: Floats | None = None) -> Floats:
    """Return how many spots, or how much weight, each block has."""
    return np.bincount(np.digitize(frame, edges), weights=weight, minlength=len(edges) + 1).astype(
        np.float64
    )


def count_supports(
    sets: Sequence[Floats],
    supporting: Floats,
    table: Localizations,
    apart_frames: int,
    rng: np.random.Generator,
) -> list[Support]:
    """Count in every set how many spots are supported, with the radius that tells most.

    Parameters
    ----------
    sets : sequence of (N, 3)
        Places; the radius is the one with the largest excess of the first.
    supporting : (M, 3)
        Spots that support others.
    table : Localizations
        Whose field and frames they are of.
    apart_frames : int
        A spot is supported by another that is more frames away than this.
    rng : Generator
        Of the control's directions.
    """
    size_px = np.array([table.field.width_px, table.field.height_px], np.float64)
    edges = block_edges(table.field.frame_count)
    asked = [_sample(spots, _MOST_ASKED, rng) for spots in sets]
    moved = [_moved(spots, size_px, rng) for spots in asked]
    supporting = _sample(supporting, _MOST_SHARED, rng)
    tree = cKDTree(supporting[:, :2])
    best: list[Support] = []
    for radius_px in _RADII_PX:
        found = [
            _support(spots, control, tree, supporting[:, 2], edges, radius_px, apart_frames).scaled(
                len(whole)
            )
            for spots, control, whole in zip(asked, moved, sets, strict=True)
        ]
        if not best or found[0].excess > best[0].excess:
            best = found
    return best


def count_echoes(own: Floats, shared: Floats, edges: Floats) -> tuple[Floats, Floats]:
    """Count spots that only follow, and spots that only precede, another one at their place.

    Of real spots that one table alone has as many are the beginning of a blink as its end, and
    so precede or follow what both tables have; afterimages only follow.

    Parameters
    ----------
    own, shared : (N, 3), (M, 3)
        Places of spots that one table alone has, and of those that both have.
    edges : (B - 1,)
        Frames at which blocks change.

    Returns
    -------
    (B,) float64, (B,) float64
        Following and preceding spots of each block; within 1 px and 8 frames.
    """
    scale = np.array([_ECHO_PX, _ECHO_PX, _ECHO_FRAMES])
    near = cKDTree(own / scale).sparse_distance_matrix(
        cKDTree(shared / scale), 1.0, p=np.inf, output_type="ndarray"
    )
    apart = own[near["i"]] - shared[near["j"]]
    is_near = np.hypot(apart[:, 0], apart[:, 1]) <= _ECHO_PX
    follows, precedes = np.zeros(len(own), bool), np.zeros(len(own), bool)
    follows[near["i"][is_near & (apart[:, 2] > 0)]] = True
    precedes[near["i"][is_near & (apart[:, 2] < 0)]] = True
    return (
        per_block(own[follows & ~precedes, 2], edges),
        per_block(own[precedes & ~follows, 2], edges),
    )


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
    supporting_frame: Floats,
    edges: Floats,
    radius_px: float,
    apart_frames: int,
) -> Support:
    """Count spots, supported ones and supported ones of the control, block by block."""

    def supported(of: Floats) -> Floats:
        """Return how many are supported in each block."""
        has = np.zeros(len(of), bool)
        for start in range(0, len(of), _ASKED_AT_ONCE):
            part = of[start : start + _ASKED_AT_ONCE]
            near = cKDTree(part[:, :2]).sparse_distance_matrix(
                tree, radius_px, output_type="ndarray"
            )
            apart = np.abs(supporting_frame[near["j"]] - part[near["i"], 2]) > apart_frames
            has[start + near["i"][apart]] = True
        return per_block(of[has, 2], edges)

    return Support(
        count=per_block(spots[:, 2], edges),
        supported=supported(spots),
        control=supported(control) / _MOVES,
    )
