"""A benchmark film looked at closely: which spots are true, false or missing, and one frame of it.

The material of the paper's Fig. 7: how far every localization is from the nearest true molecule,
raw and denoised, and where the true, false and missing ones lie.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cellstorm_lib.evaluate.match import match_localizations
from cellstorm_lib.evaluate.scores import nearest_true_nm
from cellstorm_lib.pipeline.benchmark_films import MadeFilm
from cellstorm_lib.simulate.spot import add_spots, prepared_spot
from cellstorm_lib.tables import Emitters, Localizations

if TYPE_CHECKING:
    from cellstorm_lib.gan.denoiser import Denoiser  # torch takes seconds to import

#: Side of the part of a frame that is shown, px.
SIDE_PX = 64
_REACH, _BUSY = 2, 0.9

Image = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spots:
    """Places in a film.

    Attributes
    ----------
    frame : (K,) int64
        Frame numbers.
    xy_px : (K, 2) float64
        Positions; pixel ``[0, 0]`` spans 0 to 1.
    is_paired : (K,) bool
        Whether truth and localization were paired: found, or true.
    """

    frame: npt.NDArray[np.int64]
    xy_px: npt.NDArray[np.float64]
    is_paired: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BranchLook:
    """What one network, or none, made of a film.

    Attributes
    ----------
    name : str
        The network, or ``raw``.
    image_e : (Y, X) float32
        The part of the frame that is shown, photoelectrons.
    found, true : Spots
        The localizations, and the true molecules, with which of them were paired.
    nearest_nm : (K,) float64
        Distance of each localization to the nearest true molecule of its frame; infinite where
        the frame holds none.
    """

    name: str
    image_e: Image
    found: Spots
    true: Spots
    nearest_nm: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilmLook:
    """A film looked at closely.

    Attributes
    ----------
    film : str
        Its name.
    pixel_size_nm, tolerance_nm : float
        Object-side pixel size; largest distance of a pair.
    shape : (int, int)
        Rows and columns of the film.
    frame : int
        The frame that is shown.
    corner_px : (int, int)
        Row and column of the upper left pixel of the part that is shown.
    light_e : (Y, X) float32
        True light of molecules in that part, photoelectrons.
    branches : tuple of BranchLook
        Raw and denoised, in the order of the scores.
    """

    film: str
    pixel_size_nm: float
    tolerance_nm: float
    shape: tuple[int, int]
    frame: int
    corner_px: tuple[int, int]
    light_e: Image
    branches: tuple[BranchLook, ...]

    def of(self, names: Sequence[str]) -> "FilmLook":
        """Return the look with these branches only."""
        kept = tuple(branch for branch in self.branches if branch.name in names)
        return replace(self, branches=kept)


def look_closely(
    made: MadeFilm,
    compared: Sequence[tuple[str, "Denoiser | None", Localizations]],
    tolerance_nm: float,
) -> FilmLook:
    """Return where localizations are true, false and missing, and a part of a frame.

    Parameters
    ----------
    made : MadeFilm
        A film with molecules.
    compared : sequence of (str, Denoiser or None, Localizations)
        Name, network (None for the raw film) and what was found.
    tolerance_nm : float
        Largest distance of a pair.
    """
    field = made.film.scene.field
    shape = (field.height_px, field.width_px)
    frame = _busy_frame(made)
    corner = _corner_px(made, frame, shape)
    part = tuple(slice(first, first + SIDE_PX) for first in corner)
    branches = []
    for name, denoiser, table in compared:
        pairs = match_localizations(table, made.truth, tolerance_nm)
        branches.append(
            BranchLook(
                name=name,
                image_e=_frame_e(made, denoiser, frame)[part],
                found=_spots(table, pairs.localization, field.pixel_size_nm),
                true=_spots(made.truth, pairs.emitter, field.pixel_size_nm),
                nearest_nm=nearest_true_nm(table, made.truth),
            )
        )
    return FilmLook(
        film=made.film.name,
        pixel_size_nm=field.pixel_size_nm,
        tolerance_nm=tolerance_nm,
        shape=shape,
        frame=frame,
        corner_px=corner,
        light_e=_true_light_e(made, frame, shape)[part],
        branches=tuple(branches),
    )


def _busy_frame(made: MadeFilm) -> int:
    """Return a frame, not the first or last ones, with more molecules than nine of ten."""
    count = made.film.scene.frame_count
    per_frame = np.bincount(np.asarray(made.truth.column("frame"), np.int64), minlength=count)
    inner = per_frame[_REACH : count - _REACH]
    return _REACH + int(np.argsort(inner, kind="stable")[int(_BUSY * (len(inner) - 1))])


def _corner_px(made: MadeFilm, frame: int, shape: tuple[int, int]) -> tuple[int, int]:
    """Return row and column of the part of a frame around the molecule with most neighbours."""
    here = made.truth.column("frame") == frame
    yx_px = _xy_nm(made.truth)[here, ::-1] / made.film.scene.field.pixel_size_nm
    if not len(yx_px):
        return 0, 0
    apart_px = np.abs(yx_px[:, None] - yx_px).max(axis=2)
    middle = yx_px[np.argmax((apart_px < SIDE_PX / 2).sum(axis=1))]
    most = np.maximum(np.array(shape) - SIDE_PX, 0)
    row, column = np.clip(np.round(middle - SIDE_PX / 2), 0, most).astype(int)
    return int(row), int(column)


def _frame_e(made: MadeFilm, denoiser: "Denoiser | None", frame: int) -> Image:
    """Return one frame in photoelectrons, as filmed or denoised."""
    reach = 0 if denoiser is None else denoiser.reach
    part = made.source.part(frame - reach, frame + reach + 1)
    film = np.concatenate([chunk.frames for chunk in part.chunks(2 * reach + 1)])
    above_adu = film.astype(np.float32) - np.float32(made.calibration.offset_adu)
    film_e = above_adu * np.float32(made.calibration.gain_e_per_adu)
    return np.asarray((film_e if denoiser is None else denoiser.light(film_e))[0], np.float32)


def _true_light_e(made: MadeFilm, frame: int, shape: tuple[int, int]) -> Image:
    """Return the light of the molecules that are asked for, without background and noise."""
    here = np.flatnonzero(made.truth.column("frame") == frame)
    light = np.zeros((1, *shape), np.float32)
    pixel_size_nm = made.film.scene.field.pixel_size_nm
    xy_px = _xy_nm(made.truth)[here] / pixel_size_nm
    add_spots(
        light,
        frame=np.zeros(len(here), np.int64),
        x_px=xy_px[:, 0],
        y_px=xy_px[:, 1],
        photons=np.asarray(made.truth.column("photons")[here], np.float64),
        spot=prepared_spot(made.film.scene.spot, pixel_size_nm=pixel_size_nm),
    )
    return np.asarray(light[0])


def _spots(
    table: Localizations | Emitters, paired: npt.NDArray[np.int64], pixel_size_nm: float
) -> Spots:
    """Return the places of a table."""
    is_paired = np.zeros(len(table), np.bool_)
    is_paired[paired] = True
    return Spots(
        frame=np.asarray(table.column("frame"), np.int64),
        xy_px=_xy_nm(table) / pixel_size_nm,
        is_paired=is_paired,
    )


def _xy_nm(table: Localizations | Emitters) -> npt.NDArray[np.float64]:
    """Return the positions of a table."""
    return np.column_stack([table.column(name) for name in ("x_nm", "y_nm")]).astype(np.float64)
