"""A trained network at work: frames of photoelectrons in, the light of molecules out."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.gan.checkpoint import Checkpoint
from cellstorm_lib.gan.devices import device_named
from cellstorm_lib.gan.engine import Frames
from cellstorm_lib.gan.engines import engine_named
from cellstorm_lib.gan.gate import GateSettings, active_cells, windows_over
from cellstorm_lib.gan.patches import (
    PATCH_PX,
    TILE_PX,
    compute_patches,
    compute_whole,
)
from cellstorm_lib.gan.recipe import GRID_PX


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """Pixels put around a frame so that the codec's grid lies where the network learned it."""

    left_px: int
    right_px: int
    top_px: int
    bottom_px: int

    @classmethod
    def around(
        cls, shape: tuple[int, int], *, x_px: int, y_px: int, multiple_px: int = GRID_PX
    ) -> "Margin":
        """Return the margin of frames whose corner is pixel (x_px, y_px) of the full frame."""
        top_px, left_px = y_px % GRID_PX, x_px % GRID_PX
        return cls(
            left_px=left_px,
            right_px=-(shape[1] + left_px) % multiple_px,
            top_px=top_px,
            bottom_px=-(shape[0] + top_px) % multiple_px,
        )

    def put_around(self, frames: Frames) -> Frames:
        """Return frames with their outermost pixels repeated."""
        sides = ((0, 0), (self.top_px, self.bottom_px), (self.left_px, self.right_px))
        return np.pad(frames, sides, mode="edge") if any(map(any, sides)) else frames


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Denoised:
    """What a network made of some frames.

    Attributes
    ----------
    light_e : (N, Y, X) float32
        Photoelectrons of molecules, without background; 0 or more.
    active_shares : (N,) float64
        Share of each frame's cells of 8 x 8 pixels that were active; 1 without a gate.
    """

    light_e: Frames
    active_shares: npt.NDArray[np.float64]

    @property
    def active_share(self) -> float:
        """Share of all cells that were active."""
        return float(self.active_shares.mean())


class Denoiser:
    """The network of a checkpoint, ready to work.

    Parameters
    ----------
    checkpoint : Checkpoint
        Network and weights.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    engine : str
        ``torch``, ``openvino``, ``openvino-int8`` or ``auto``, see `engine_named`.
    gate : GateSettings, optional
        Compute only where there is light; None computes every pixel. A U-Net, whose view has no
        end, always computes every pixel.
    workers : int, optional
        Threads; by default as many as this process may use. Never changes the result.
    half_precision : bool, optional
        Whether to compute in bfloat16 where the processor is faster with it; by default as the
        network was trained.

    Notes
    -----
    Pickled, it is what it was made from: where it is unpickled it is made again, with one worker,
    and refuses to be when another engine would compute it there.

    Raises
    ------
    SettingsError
        When there is no such device or engine here.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: str = "auto",
        engine: str = "torch",
        gate: GateSettings | None = None,
        workers: int | None = None,
        half_precision: bool | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self.recipe = checkpoint.recipe
        if half_precision is not None:
            recipe = replace(checkpoint.recipe, half_precision=half_precision)
            checkpoint = replace(checkpoint, recipe=recipe)
        self._engine = engine_named(engine, checkpoint, device=device, workers=workers)
        self._has_field = self.recipe.architecture == "lean"
        self.gate = gate if self._has_field else None
        self.engine = self._engine.label
        self.workers = self._engine.workers
        self.is_on_cpu = engine.startswith("openvino") or device_named(device).type == "cpu"
        self._given = (self.checkpoint, device, engine, self.gate, half_precision)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what it is made again from in another process."""
        return _made_again, (*self._given, self.engine)

    @property
    def reach(self) -> int:
        """Frames needed before and after each frame."""
        return self.recipe.frames // 2

    @property
    def frames_at_once(self) -> int:
        """Whole frames that are computed in one call."""
        return self._engine.windows_at_once

    def enter_thread(self) -> None:
        """Prepare a thread that will do nothing but denoise."""
        self._engine.enter_thread()

    def light(
        self, frames_e: Frames, *, x_px: int = 0, y_px: int = 0, pixel_noise_e: float = 0.0
    ) -> Frames:
        """Return the light of molecules in frames that have their neighbours, see `denoised`."""
        return self.denoised(frames_e, x_px=x_px, y_px=y_px, pixel_noise_e=pixel_noise_e).light_e

    def denoised(
        self, frames_e: Frames, *, x_px: int = 0, y_px: int = 0, pixel_noise_e: float = 0.0
    ) -> Denoised:
        """Denoise frames that have their neighbours, on the thread of the caller.

        Parameters
        ----------
        frames_e : (N + 2 * reach, Y, X) float32
            Consecutive frames, photoelectrons.
        x_px, y_px : int
            Pixel of the full frame at their corner.
        pixel_noise_e : float
            Noise of a pixel without light, electrons RMS; only the gate needs it.
        """
        height, width = frames_e.shape[1:]
        margin = Margin.around(
            (height, width), x_px=x_px, y_px=y_px, multiple_px=self.recipe.grid_px
        )
        padded = margin.put_around(frames_e)
        film = np.ascontiguousarray(padded / np.float32(self.recipe.input_scale_e))
        made = np.zeros((len(film) - 2 * self.reach, *film.shape[1:]), np.float32)
        shares = np.ones(len(made))
        if self.gate is not None and min(film.shape[1:]) >= PATCH_PX:
            shares = self._compute_gated(self.gate, padded, film, made, pixel_noise_e)
        else:
            self._compute_whole(film, np.arange(len(made)), made)
        light = made[:, margin.top_px :, margin.left_px :][:, :height, :width]
        np.maximum(light, np.float32(0.0), out=light)
        light *= np.float32(self.recipe.input_scale_e)
        return Denoised(light_e=light, active_shares=shares)

    def _compute_whole(self, film: Frames, numbers: npt.NDArray[np.int64], made: Frames) -> None:
        """Compute every pixel of some frames."""
        tile_px = TILE_PX if self._has_field else None
        compute_whole(self._engine, film, self.recipe.frames, numbers, made, tile_px=tile_px)

    def _compute_gated(
        self, gate: GateSettings, frames_e: Frames, film: Frames, made: Frames, noise_e: float
    ) -> npt.NDArray[np.float64]:
        """Compute the active cells of frames, crowded frames in full; return the active shares."""
        shown = frames_e[self.reach : self.reach + len(made)]
        active = np.stack([active_cells(frame_e, gate, pixel_noise_e=noise_e) for frame_e in shown])
        shares: npt.NDArray[np.float64] = active.mean(axis=(1, 2))
        self._compute_whole(film, np.flatnonzero(shares > gate.dense_share), made)
        places = [
            np.insert(windows_over(active[number]), 0, number, axis=1)
            for number in np.flatnonzero(shares <= gate.dense_share)
        ]
        if places:
            compute_patches(
                self._engine, film, self.recipe.frames, np.concatenate(places), active, made
            )
        return shares


#: The one made last in this process, by what it was made from: to make it takes a second.
_made: dict[tuple[Any, ...], Denoiser] = {}


def _made_again(
    checkpoint: Checkpoint,
    device: str,
    engine: str,
    gate: GateSettings | None,
    half_precision: bool | None,
    label: str,
) -> Denoiser:
    """Return the denoiser that was pickled, as one of one worker."""
    key = (checkpoint.digest, device, engine, gate, half_precision)
    found = _made.get(key) if checkpoint.digest else None
    if found is None:
        found = Denoiser(
            checkpoint, device=device, engine=engine, gate=gate, workers=1,
            half_precision=half_precision,
        )  # fmt: skip
        _made.clear()
        _made[key] = found
    if found.engine != label:
        raise SettingsError(
            f"a machine that denoises pieces computes with {found.engine}, and the run with "
            f"{label}; install the same extras everywhere, or set CELLSTORM_CHUNKS=threads"
        )
    return found
