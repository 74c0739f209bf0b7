"""Samples for a training step: crops of clips, as the network will see frames."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from cellstorm_lib.errors import CheckpointError
from cellstorm_lib.gan.recipe import GRID_PX, Recipe
from cellstorm_lib.pairs.pair_set import PairSet

#: Least photoelectrons in a pixel for a sample to count as one with a molecule.
_LIT_E = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Samples of one step.

    Attributes
    ----------
    film : (B, C, Y, X) float32
        Consecutive frames as the network sees them.
    light : (B, 1, Y, X) float32
        What it is to make of the middle one, in the same scale.
    """

    film: torch.Tensor
    light: torch.Tensor


class BatchMaker:
    """Draws samples from pairs.

    Parameters
    ----------
    pairs : PairSet
        Clips to draw from.
    recipe : Recipe
        Frames, crop, scale and share of samples with a molecule.

    Raises
    ------
    CheckpointError
        When the clips are too short or too small, or none of their frames may be used.
    """

    def __init__(self, pairs: PairSet, recipe: Recipe) -> None:
        clips, frames, height, width = pairs.filmed.shape
        if frames < recipe.frames or min(height, width) < recipe.crop_px:
            raise CheckpointError(
                f"the pairs are clips of {frames} frames of {width} x {height} pixels, but the "
                f"recipe {recipe.name} needs {recipe.frames} frames of {recipe.crop_px} x "
                f"{recipe.crop_px}; make larger pairs or choose another recipe"
            )
        self._middle = np.argwhere(usable_frames(pairs, recipe.frames // 2))
        if not len(self._middle):
            raise CheckpointError(f"none of the {clips} clips has a frame that may be trained on")
        self._pairs = pairs
        self._recipe = recipe
        self._lit = self._lit_cells()

    def _lit_cells(self) -> npt.NDArray[np.int64]:
        """Return (clip, frame, row, column) of the 16-px cells that hold a molecule."""
        light = self._pairs.light_e
        rows, columns = (size // GRID_PX * GRID_PX for size in light.shape[2:])
        found = []
        for clip, frame in self._middle:
            cells = light[clip, frame, :rows, :columns].reshape(
                rows // GRID_PX, GRID_PX, columns // GRID_PX, GRID_PX
            )
            lit = np.argwhere(cells.max(axis=(1, 3)) > _LIT_E)
            found.append(np.column_stack([np.tile((clip, frame), (len(lit), 1)), lit]))
        return np.concatenate(found)

    def draw(self, rng: np.random.Generator) -> Batch:
        """Return the samples of one step, turned and mirrored by chance."""
        recipe = self._recipe
        film = np.empty((recipe.batch, recipe.frames, recipe.crop_px, recipe.crop_px), np.float32)
        light = np.empty((recipe.batch, 1, recipe.crop_px, recipe.crop_px), np.float32)
        for sample in range(recipe.batch):
            clip, frame, top, left = self._place(rng)
            where = np.s_[top : top + recipe.crop_px, left : left + recipe.crop_px]
            frames = slice(frame - recipe.frames // 2, frame + recipe.frames // 2 + 1)
            told = np.exp(rng.normal(0.0, recipe.camera_error)) if recipe.camera_error else 1.0
            gain = self._pairs.gain_e_per_adu[clip] * told / recipe.input_scale_e
            black = self._pairs.offset_adu[clip]
            if recipe.offset_error_e:
                black += rng.normal(0.0, recipe.offset_error_e) / self._pairs.gain_e_per_adu[clip]
            one_film = (self._pairs.filmed[clip, frames][:, *where] - black) * gain
            one_light = self._pairs.light_e[clip, frame][where] * (told / recipe.input_scale_e)
            film[sample], light[sample, 0] = _turned(one_film, one_light, int(rng.integers(8)))
        return Batch(film=torch.from_numpy(film), light=torch.from_numpy(light))

    def _place(self, rng: np.random.Generator) -> tuple[int, int, int, int]:
        """Return clip, frame, top and left of a crop on the codec's grid."""
        height, width = self._pairs.filmed.shape[2:]
        crop = self._recipe.crop_px
        tops, lefts = (height - crop) // GRID_PX, (width - crop) // GRID_PX
        if len(self._lit) and rng.uniform() < self._recipe.share_with_light:
            clip, frame, row, column = self._lit[rng.integers(len(self._lit))]
            top = row - rng.integers(crop // GRID_PX)
            left = column - rng.integers(crop // GRID_PX)
        else:
            clip, frame = self._middle[rng.integers(len(self._middle))]
            top, left = rng.integers(tops + 1), rng.integers(lefts + 1)
        return (
            int(clip),
            int(frame),
            int(np.clip(top, 0, tops)) * GRID_PX,
            int(np.clip(left, 0, lefts)) * GRID_PX,
        )


def usable_frames(pairs: PairSet, reach: int) -> npt.NDArray[np.bool_]:
    """Return the frames that may be used and have so many neighbours, (clips, frames)."""
    usable = pairs.is_usable.copy()
    usable[:, :reach] = False
    usable[:, usable.shape[1] - reach :] = False
    return usable


def _turned(
    film: npt.NDArray[np.float32], light: npt.NDArray[np.float32], way: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return both images in one of the eight ways a square can lie."""
    if way & 1:
        film, light = film[:, ::-1], light[::-1]
    if way & 2:
        film, light = film[:, :, ::-1], light[:, ::-1]
    if way & 4:
        film, light = film.transpose(0, 2, 1), light.T
    return film, light
