"""The adversary, which asks whether a patch of light belongs to a patch of film."""

import torch
from torch import Tensor, nn


class PatchDiscriminator(nn.Module):
    """A PatchGAN that looks at 70 x 70 pixels, conditional on the filmed frame.

    Parameters
    ----------
    channels : int
        Images of the film that it sees.
    first_filters : int
        Filters of the first layer.

    References
    ----------
    Isola et al., arXiv 1611.07004.
    """

    def __init__(self, channels: int = 1, first_filters: int = 32) -> None:
        super().__init__()
        widths = [first_filters, 2 * first_filters, 4 * first_filters, 8 * first_filters]
        layers: list[nn.Module] = [nn.Conv2d(channels + 1, widths[0], 4, stride=2, padding=1)]
        for inner, outer, stride in zip(widths, widths[1:], (2, 2, 1), strict=False):
            layers += [
                nn.LeakyReLU(0.2),
                nn.Conv2d(inner, outer, 4, stride=stride, padding=1),
                nn.BatchNorm2d(outer),
            ]
        layers += [nn.LeakyReLU(0.2), nn.Conv2d(widths[-1], 1, 4, padding=1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, frames: Tensor, light: Tensor) -> Tensor:
        """Return a score per patch, (B, 1, y, x); above 0 means true."""
        scores: Tensor = self.layers(torch.cat([frames, light], dim=1))
        return scores
