"""What groups of localizations share at each spatial frequency.

Every localization is spread over 3 x 3 pixels by a quadratic B-spline. That weakens signal and
noise alike, so their ratio stays right up to a quarter of the sampling frequency, where counts
in plain pixels would already cost a few percent; pixels may be a quarter of the finest detail.
A field too large for one transform is cut into tiles that overlap by an eighth: the cosine
edges of neighbouring tiles add up to one.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.fft import next_fast_len, rfft2

from cellstorm_lib.progress import Progress, in_parts

#: Longest side of a tile; bounds the memory at about 34 MB for each group.
MAX_TILE_PX = 2048
EDGE_SHARE = 1 / 8
_CELLS = 16
#: Time for the spectra of a tile, beside that for their products.
_SPECTRA_TIME = 2.0
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RingSums:
    """Products of the groups' spectra, summed over rings of equal frequency.

    Attributes
    ----------
    frequency_per_nm : (R,) float64
        Frequency of each ring, from 0 to half the sampling frequency.
    products : (R, G, G) float64
        Sum of Re(F_g conj(F_h)) over the ring.
    samples : (R,) float64
        Independent samples that each ring adds to an average over several; fewer than Fourier
        pixels where the localizations fill only a part of the transformed square.
    pixel_nm : float
        Pixel of the canvas.
    """

    frequency_per_nm: _Floats
    products: _Floats
    samples: _Floats
    pixel_nm: float


def ring_sums(
    xy_nm: _Floats,
    group: npt.NDArray[np.int64],
    *,
    group_count: int,
    size_nm: tuple[float, float],
    pixel_nm: float,
    progress: Progress | None = None,
) -> RingSums:
    """Sum the products of the spectra of groups of localizations ring by ring.

    The mean density is taken out of each tile first, so that the outline of the field does not
    pass for structure.

    Parameters
    ----------
    xy_nm : (N, 2) float64
        Positions; those outside the field are left out.
    group : (N,) int64
        Group of each localization, from 0 to `group_count` - 1.
    group_count : int
        Number of groups, G.
    size_nm : (float, float)
        Width and height of the field.
    pixel_nm : float
        Pixel of the canvas.
    progress : callable, optional
        Called with what is done and the whole.

    Returns
    -------
    RingSums
        Up to half the sampling frequency.

    References
    ----------
    Nieuwenhuizen et al., Nat. Methods 10, 557 (2013). doi:10.1038/nmeth.2448 (edge mask)
    """
    tile_nm, origins = _tiles(size_nm, pixel_nm)
    side = int(next_fast_len(int(np.ceil(max(tile_nm) / pixel_nm)) + 3, real=True))
    rings = side // 2
    products = np.zeros((rings, group_count, group_count))
    counts = 2 * np.pi * np.maximum(np.arange(rings), 0.5)
    power, overlap = np.zeros(group_count), 0.0
    for origin, tile_told in zip(origins, in_parts(progress, *[1.0] * len(origins)), strict=True):
        spectra_told, products_told = in_parts(tile_told, _SPECTRA_TIME, 1.0)
        inside, weight = _masked(xy_nm - origin, tile_nm)
        if not inside.any():
            tile_told(1, 1)
            continue
        place, members = (xy_nm[inside] - origin) / pixel_nm, group[inside]
        canvas = (side, tile_nm, pixel_nm)
        spectra = _spectra(place, weight, members, group_count, canvas, spectra_told)
        counts = _add_products(spectra, products)
        cells = _cell_power(place * (pixel_nm / np.array(tile_nm)), weight, members, group_count)
        power += cells.sum(axis=0)
        overlap += _between_groups(cells)
        products_told(1, 1)
    upper = np.triu(np.ones((group_count, group_count), bool), 1)
    products += np.where(upper, products, 0).transpose(0, 2, 1)
    cell_px = tile_nm[0] * tile_nm[1] / (_CELLS * pixel_nm) ** 2
    cells_filled = _between_groups(power) / overlap if overlap > 0 else float(_CELLS**2)
    return RingSums(
        frequency_per_nm=np.arange(rings) / (side * pixel_nm),
        products=products,
        samples=counts * cells_filled * cell_px / side**2,
        pixel_nm=pixel_nm,
    )


def _tiles(
    size_nm: tuple[float, float], pixel_nm: float
) -> tuple[tuple[float, float], list[_Floats]]:
    """Return the size of a tile and the top left corners of all."""
    sides, starts = [], []
    step = 1 - EDGE_SHARE
    for length_nm in size_nm:
        count = 1
        while length_nm / (1 + step * (count - 1)) > MAX_TILE_PX * pixel_nm:
            count += 1
        sides.append(length_nm / (1 + step * (count - 1)))
        starts.append(np.arange(count) * step * sides[-1])
    origins = [np.array([x, y]) for y in starts[1] for x in starts[0]]
    return (sides[0], sides[1]), origins


def edge_mask(share: npt.NDArray[Any]) -> _Floats:
    """Return 1 inside and a cosine flank over the outer eighth; 0 outside 0 to 1.

    Parameters
    ----------
    share : any shape
        Position as a share of the width.
    """
    distance = np.clip(np.minimum(share, 1 - share) / EDGE_SHARE, 0, 1)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * distance))


def _masked(xy_nm: _Floats, tile_nm: tuple[float, float]) -> tuple[npt.NDArray[np.bool_], _Floats]:
    """Return which positions lie in the tile, and the mask at those."""
    weight = edge_mask(xy_nm[:, 0] / tile_nm[0]) * edge_mask(xy_nm[:, 1] / tile_nm[1])
    inside = weight > 0
    return inside, weight[inside]


def _spectra(
    place_px: _Floats,
    weight: _Floats,
    group: npt.NDArray[np.int64],
    group_count: int,
    canvas: tuple[int, tuple[float, float], float],
    progress: Progress,
) -> npt.NDArray[np.complex64]:
    """Return the spectra of the groups' images, mean density removed, (G, side, side/2 + 1)."""
    side, tile_nm, pixel_nm = canvas
    images = np.zeros((group_count, side, side), np.float32)
    _spread(place_px + 1.0, weight, group, images)  # one pixel of margin for the spline
    centres_nm = (np.arange(side) - 0.5) * pixel_nm
    mask = np.outer(edge_mask(centres_nm / tile_nm[1]), edge_mask(centres_nm / tile_nm[0]))
    means = np.bincount(group, weight, group_count) / mask.sum()
    mask = mask.astype(np.float32)
    spectra = np.empty((group_count, side, side // 2 + 1), np.complex64)
    for index, image in enumerate(images):
        image -= np.float32(means[index]) * mask  # noqa: PLW2901
        spectra[index] = rfft2(image)
        progress(index + 1, group_count)
    return spectra


@njit(cache=True, nogil=True)
def _spread(place_px: Any, weight: Any, group: Any, images: Any) -> None:
    """Add every localization to its group's image through a quadratic B-spline."""
    for i in range(len(weight)):
        column, row = int(place_px[i, 0]), int(place_px[i, 1])
        u, v = place_px[i, 0] - column - 0.5, place_px[i, 1] - row - 0.5
        across = (0.5 * (0.5 - u) ** 2, 0.75 - u * u, 0.5 * (0.5 + u) ** 2)
        down = (0.5 * (0.5 - v) ** 2, 0.75 - v * v, 0.5 * (0.5 + v) ** 2)
        image = images[group[i]]
        for a in range(3):
            for b in range(3):
                image[row + a - 1, column + b - 1] += weight[i] * down[a] * across[b]


@njit(cache=True, nogil=True)
def _add_products(spectra: Any, products: Any) -> Any:
    """Add the products of all pairs of groups (upper triangle); return the Fourier pixels."""
    groups, side, half = spectra.shape
    rings = products.shape[0]
    counts = np.zeros(rings)
    for i in range(side):
        ky = i if 2 * i <= side else i - side
        for j in range(half):
            ring = int(np.sqrt(ky * ky + j * j) + 0.5)
            if ring >= rings:
                break
            both = 1.0 if j == 0 or 2 * j == side else 2.0
            counts[ring] += both
            for g in range(groups):
                real, imag = both * spectra[g, i, j].real, both * spectra[g, i, j].imag
                for h in range(g, groups):
                    other = spectra[h, i, j]
                    products[ring, g, h] += real * other.real + imag * other.imag
    return counts


def _cell_power(
    share: _Floats, weight: _Floats, group: npt.NDArray[np.int64], group_count: int
) -> _Floats:
    """Return the squared weights of each group in 16 x 16 coarse cells, (cells, G)."""
    cell = np.clip((share * _CELLS).astype(np.int64), 0, _CELLS - 1)
    index = (cell[:, 1] * _CELLS + cell[:, 0]) * group_count + group
    power = np.bincount(index, weight**2, _CELLS**2 * group_count)
    return np.asarray(power.reshape(_CELLS**2, group_count), np.float64)


def _between_groups(power: _Floats) -> float:
    """Return the sum of products of different groups: free of pairs within one unit."""
    return float((power.sum(axis=-1) ** 2).sum() - (power**2).sum())
