"""A trained network at work: frames of photoelectrons in, the light of molecules out."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from cellstorm_lib.gan.checkpoint import Checkpoint
from cellstorm_lib.gan.devices import device_named, half_precision
from cellstorm_lib.gan.recipe import GRID_PX

Frames = npt.NDArray[np.float32]


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


class Denoiser:
    """The network of a checkpoint, ready to work.

    Parameters
    ----------
    checkpoint : Checkpoint
        Network and weights.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    """

    def __init__(self, checkpoint: Checkpoint, *, device: str = "auto") -> None:
        self.checkpoint = checkpoint
        self.recipe = checkpoint.recipe
        self._device = device_named(device)
        self._network: nn.Module = checkpoint.network().to(self._device)
        if self.recipe.architecture == "lean":
            self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.engine = f"torch {torch.__version__} on {self._device.type}"

    @property
    def reach(self) -> int:
        """Frames needed before and after each frame."""
        return self.recipe.frames // 2

    @property
    def multiple_px(self) -> int:
        """Sides of what the network works on are multiples of this."""
        return GRID_PX if self.recipe.architecture == "lean" else 2**self.recipe.depth

    def light(self, frames_e: Frames, *, x_px: int = 0, y_px: int = 0) -> Frames:
        """Return the light of molecules in frames that have their neighbours.

        Parameters
        ----------
        frames_e : (N + 2 * reach, Y, X) float32
            Consecutive frames, photoelectrons.
        x_px, y_px : int
            Pixel of the full frame at their corner.

        Returns
        -------
        (N, Y, X) float32
            Photoelectrons of molecules, without background; 0 or more.
        """
        height, width = frames_e.shape[1:]
        margin = Margin.around((height, width), x_px=x_px, y_px=y_px, multiple_px=self.multiple_px)
        film = torch.from_numpy(frames_e).to(self._device) / self.recipe.input_scale_e
        film = functional.pad(
            film[None],
            (margin.left_px, margin.right_px, margin.top_px, margin.bottom_px),
            mode="replicate",
        )[0]
        windows = film.unfold(0, self.recipe.frames, 1).permute(0, 3, 1, 2)
        with (
            torch.inference_mode(),
            half_precision(self._device, wanted=self.recipe.half_precision),
        ):
            made = torch.cat([self._network(window[None]).float() for window in windows])
        light = made[:, 0, margin.top_px :, margin.left_px :][:, :height, :width]
        light = light.clamp_min(0.0) * self.recipe.input_scale_e
        return np.ascontiguousarray(light.cpu().numpy())
