"""The screen found in a film of it: four round marks, checked by the barcodes between them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cellstorm_lib.errors import RecordingError
from cellstorm_lib.pairs.barcode import read_barcodes
from cellstorm_lib.pairs.display_plan import DisplayPlan
from cellstorm_lib.pairs.layout import DisplayLayout
from cellstorm_lib.pairs.lens import LensMap, coarse_map
from cellstorm_lib.pairs.strips import StripReader, smallest_cell_px
from cellstorm_lib.recording import FrameSource

_Floats = npt.NDArray[np.float64]

#: Camera pixels that a cell must measure, so that defocus leaves it readable.
LEAST_CELL_CAMERA_PX = 12.0

_MOST_FRAMES = 24
_MOST_MARKS = 14
_SMOOTH_PX = 1.5
_THRESHOLDS = (0.5, 0.3, 0.7)
_LEAST_AREA_PX = 30
_MOST_AREA_SHARE = 0.05
_DISTORTIONS = (0.0, -0.03, 0.03, -0.06, -0.1, 0.06)
#: Area over that of the ellipse with the same second moments: 1 for disks, 0.955 for squares.
_ROUNDNESS = (0.9, 1.08)
_AREA_RATIO, _SIDE_RATIO, _LEAST_SINE = 1.5, 1.35, 0.8
#: Frames that must show the same other movie: a single one may be chance.
_FOREIGN_FRAMES = 2
#: Clockwise orders of four corners: four turns of the camera, and the same for mirrored films.
_ORDERS = tuple(
    tuple((start + step * index) % 4 for index in range(4))
    for step in (1, -1)
    for start in range(4)
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sighting:
    """A screen that was found in one frame."""

    lens: LensMap
    mark: int
    weakest_cell: float


def locate_display(film: FrameSource, plan: DisplayPlan) -> LensMap:
    """Return roughly where the screen lies in a film, good to a few pixels.

    Raises
    ------
    RecordingError
        When no frame looked at shows the movie's marks and barcodes, when it is another display
        movie, or when the screen is too small in the picture.
    """
    name = film.facts.name
    foreign: Counter[int] = Counter()
    for frame in _few_frames(film):
        sighting = _sighted(frame, plan)
        if sighting is None:
            continue
        if sighting.mark == plan.mark:
            _refuse_small(film, plan.layout, sighting.lens)
            return sighting.lens
        foreign[sighting.mark] += 1
        if foreign[sighting.mark] == _FOREIGN_FRAMES:
            raise RecordingError(
                f"{name} shows another display movie: its barcodes have the mark "
                f"{sighting.mark:04x}, those of the plan {plan.mark:04x}; give the film of this "
                "display movie, or the folder of the one that was filmed"
            )
    raise RecordingError(
        f"{name} shows no display movie of this plan: none of the frames looked at has its four "
        "round corner marks with readable barcodes between them; film the whole screen, sharp and "
        "in the dark, or give the film that belongs to this display movie"
    )


def _few_frames(film: FrameSource) -> Iterator[npt.NDArray[Any]]:
    """Yield frames spread over a film, beginning in its middle."""
    numbers = film.frame_range
    count = min(_MOST_FRAMES, len(numbers))
    places = (np.arange(count) + 0.5) / max(count, 1)
    order = np.argsort(np.abs(places - 0.5), kind="stable")
    for place in places[order]:
        number = numbers.start + int(place * len(numbers))
        for chunk in film.part(number, number + 1).chunks(1):
            yield from chunk.frames


def _refuse_small(film: FrameSource, layout: DisplayLayout, lens: LensMap) -> None:
    """Raise when the cells are too small, or not all in the picture."""
    name, roi = film.facts.name, film.facts.roi
    smallest_px = smallest_cell_px(lens, layout)
    if smallest_px < LEAST_CELL_CAMERA_PX:
        raise RecordingError(
            f"the picture of the screen in {name} is too small: the cells of its barcodes measure "
            f"{smallest_px:.1f} camera pixels, at least {LEAST_CELL_CAMERA_PX:g} are needed; move "
            "the camera closer or make the display movie with a larger cell_px"
        )
    corners = lens.to_camera(layout.inner.corners)
    if (corners < 0).any() or (corners > (roi.width_px, roi.height_px)).any():
        raise RecordingError(
            f"{name} does not show the whole display movie: its data or beads reach out of the "
            f"{roi.width_px} x {roi.height_px} pixels read; film the whole screen and read the "
            "whole frame"
        )


def _sighted(frame: npt.NDArray[Any], plan: DisplayPlan) -> _Sighting | None:
    """Return the screen in a frame; one of this plan rather than of another."""
    smooth = ndimage.gaussian_filter(frame.astype(np.float32), _SMOOTH_PX)
    low, high = np.quantile(smooth, [0.1, 0.999])
    found: _Sighting | None = None
    if high - low < 8:
        return None
    for share in _THRESHOLDS:
        centres, areas = _round_spots(smooth > low + share * (high - low))
        for corners in _quadrilaterals(centres, areas, plan.layout):
            sighting = _checked(frame, corners, plan)
            if sighting is not None and sighting.mark == plan.mark:
                return sighting
            found = found or sighting
    return found


def _round_spots(is_bright: npt.NDArray[np.bool_]) -> tuple[_Floats, _Floats]:
    """Return centres (M, 2) and areas (M,) of round bright spots, the largest first."""
    labels, count = ndimage.label(is_bright)
    rows, columns = np.nonzero(labels)
    label = labels[rows, columns]
    x, y = columns + 0.5, rows + 0.5

    def sums(weights: npt.NDArray[Any] | None = None) -> _Floats:
        return np.bincount(label, weights, minlength=count + 1)[1:].astype(np.float64)

    area = sums()
    mean_x, mean_y = sums(x) / area, sums(y) / area
    away_x, away_y = x - mean_x[label - 1], y - mean_y[label - 1]
    xx, yy, xy = (sums(part) / area for part in (away_x**2, away_y**2, away_x * away_y))
    ellipse = 4 * np.pi * np.sqrt(np.maximum(xx * yy - xy**2, 1e-9))
    spread = np.sqrt((xx - yy) ** 2 + 4 * xy**2) / (xx + yy + 1e-9)
    roundness = area / ellipse
    is_round = (
        (area >= _LEAST_AREA_PX)
        & (area <= _MOST_AREA_SHARE * is_bright.size)
        & (roundness > _ROUNDNESS[0])
        & (roundness < _ROUNDNESS[1])
        & (spread < 0.6)
    )
    chosen = np.flatnonzero(is_round)
    chosen = chosen[np.argsort(-area[chosen], kind="stable")][:_MOST_MARKS]
    return np.column_stack([mean_x, mean_y])[chosen], area[chosen]


def _quadrilaterals(centres: _Floats, areas: _Floats, layout: DisplayLayout) -> Iterator[_Floats]:
    """Yield corners (4, 2) in the marks' order whose areas fit the perspective they imply."""
    disk = np.pi * layout.mark_radius_px**2
    aspect = _aspect(layout.marks)
    for four, sizes in _likely_fours(centres, areas, layout):
        for order in _ORDERS:
            index = list(order)
            if _unlikeness(_aspect(four[index]), aspect) > _SIDE_RATIO**2:
                continue  # lies on its side
            lens = coarse_map(layout.marks, four[index], (1, 1))
            with np.errstate(all="ignore"):
                expected = disk * np.prod(lens.scale_at(layout.marks), axis=0)
                unlikeness = _unlikeness(sizes[index], expected)
            if (unlikeness < _AREA_RATIO).all():  # not where it is no number
                yield four[index]


def _likely_fours(
    centres: _Floats, areas: _Floats, layout: DisplayLayout
) -> Iterator[tuple[_Floats, _Floats]]:
    """Yield four spots, clockwise, that lie like the marks of a screen seen nearly from the front.

    Sides that face each other are alike, corners nearly right, and the sides as long as the size
    of the spots says.
    """
    choices = np.array(list(combinations(range(len(centres)), 4)), np.int64).reshape(-1, 4)
    away = centres[choices] - centres[choices].mean(axis=1, keepdims=True)
    angles = np.arctan2(away[..., 1], away[..., 0])  # clockwise, as y goes down
    choices = np.take_along_axis(choices, angles.argsort(axis=1, kind="stable"), axis=1)
    radius_px = np.sqrt(areas[choices].mean(axis=1) / np.pi)
    sides = np.roll(centres[choices], -1, axis=1) - centres[choices]
    lengths = np.hypot(sides[..., 0], sides[..., 1]) / radius_px[:, None]
    width, height = np.ptp(layout.marks, axis=0) / layout.mark_radius_px
    wanted = np.array([[width, height] * 2, [height, width] * 2])
    is_alike = np.all(_unlikeness(lengths[:, None], wanted) < _SIDE_RATIO, axis=-1)
    after = np.roll(sides, -1, axis=1)
    sine = (sides[..., 0] * after[..., 1] - sides[..., 1] * after[..., 0]) / (
        lengths * np.roll(lengths, -1, axis=1) * radius_px[:, None] ** 2
    )
    for chosen in choices[is_alike.any(axis=1) & (sine > _LEAST_SINE).all(axis=1)]:
        yield centres[chosen], areas[chosen]


def _aspect(corners: _Floats) -> _Floats:
    """Return the first side over the second of corners (4, 2)."""
    sides = np.diff(corners[:3], axis=0)
    lengths = np.hypot(sides[:, 0], sides[:, 1])
    return np.asarray(lengths[0] / lengths[1], np.float64)


def _unlikeness(value: _Floats, expected: _Floats) -> _Floats:
    """Return by which factor numbers above 0 differ, 1 or more."""
    return np.asarray(np.maximum(value / expected, expected / value), np.float64)


def _checked(frame: npt.NDArray[Any], corners: _Floats, plan: DisplayPlan) -> _Sighting | None:
    """Return the map through four corners when both barcodes between them agree."""
    frame_px = (frame.shape[1], frame.shape[0])
    best: _Sighting | None = None
    for k1 in _DISTORTIONS:
        lens = coarse_map(plan.layout.marks, corners, frame_px, k1=k1)
        reader = StripReader(lens, plan.layout, frame_px)
        if not reader.is_inside:
            continue
        reading = read_barcodes(reader.cells(frame[None]), plan.mark)
        mark, weakest = int(reading.mark[0]), float(reading.weakest_cell[0])
        is_own, is_best_own = mark == plan.mark, best is not None and best.mark == plan.mark
        is_better = best is None or (is_own, weakest) > (is_best_own, best.weakest_cell)
        if mark >= 0 and is_better:
            best = _Sighting(lens=lens, mark=mark, weakest_cell=weakest)
    return best
