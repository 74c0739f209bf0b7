"""A trained network with everything around it: photoelectrons in, photoelectrons out, any size."""

import numpy as np
import torch
from torch import Tensor, nn

from cellstorm_lib.gan.checkpoint import Checkpoint
from cellstorm_lib.gan.engine import Frames


class DenoiserProgram(nn.Module):
    """The network of a checkpoint as one program that needs no other code of ours.

    Frames are scaled, extended to a size the network takes by repeating their last pixels, and
    cut back. It gives what `Denoiser.light` gives, in full precision, for frames whose corner
    lies on the codec's grid; the U-Net is extended further, so that small frames fit too.

    Parameters
    ----------
    checkpoint : Checkpoint
        Network and weights.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        recipe = checkpoint.recipe
        self.network = checkpoint.network()
        self.scale_e = recipe.input_scale_e
        self.multiple_px = recipe.grid_px
        self.more_px = 0 if recipe.architecture == "lean" else recipe.grid_px

    def forward(self, frames_e: Tensor) -> Tensor:
        """Return the light of molecules, (B, 1, Y, X), of (B, C, Y, X) photoelectrons."""
        height, width = frames_e.shape[-2:]
        # Picked by index: a slice of the whole would be remembered as a rule about the size.
        rows, columns = (self._extended(size).to(frames_e.device) for size in (height, width))
        film = frames_e.index_select(-2, rows).index_select(-1, columns) / self.scale_e
        light: Tensor = self.network(film).clamp_min(0.0) * self.scale_e
        light = light.index_select(-2, torch.arange(height, device=light.device))
        return light.index_select(-1, torch.arange(width, device=light.device))

    def _extended(self, size: int) -> Tensor:
        """Return the pixels of one axis, the last one repeated up to a size the network takes."""
        extended = size + (-size % self.multiple_px) + self.more_px
        return torch.arange(extended).clamp_max(size - 1)


def example_frames(checkpoint: Checkpoint) -> Frames:
    """Return (2, C, Y, X) dark frames whose sides are no special case, to export a program with."""
    recipe = checkpoint.recipe
    return np.zeros((2, recipe.frames, recipe.grid_px + 6, recipe.grid_px + 26), np.float32)
