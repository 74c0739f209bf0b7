"""Networks that turn filmed frames into the light of molecules."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class ResidualLayer(nn.Module):
    """A 3 x 3 convolution added to what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Return (B, C, Y, X) as it came, plus what the layer adds."""
        return functional.relu(image + self.convolution(image))


class LeanGenerator(nn.Module):
    """A small U-shaped residual network over some consecutive frames.

    Works at 1/2, 1/4 and 1/8 of the resolution with additive skips; most of its layers at the
    lower ones, where they cost least. It has no normalisation layer, so what it makes of a frame
    depends on nothing but that frame and its neighbours in time, and brightness is not lost.

    Parameters
    ----------
    channels : int
        Images that go in: consecutive frames, the one to be denoised in the middle.
    widths : (int, int, int)
        Channels at 1/2, 1/4 and 1/8 of the resolution.
    """

    def __init__(self, channels: int = 3, widths: tuple[int, int, int] = (16, 32, 48)) -> None:
        super().__init__()
        half, quarter, eighth = widths
        self.enter = nn.Conv2d(4 * channels, half, 3, padding=1)
        self.to_quarter = nn.Conv2d(half, quarter, 3, stride=2, padding=1)
        self.at_quarter = ResidualLayer(quarter)
        self.to_eighth = nn.Conv2d(quarter, eighth, 3, stride=2, padding=1)
        self.at_eighth = ResidualLayer(eighth)
        self.from_eighth = nn.Conv2d(eighth, quarter, 1)
        self.back_at_quarter = ResidualLayer(quarter)
        self.from_quarter = nn.Conv2d(quarter, half, 1)
        self.back_at_half = ResidualLayer(half)
        self.leave = nn.Conv2d(half, 4, 3, padding=1)

    def forward(self, frames: Tensor) -> Tensor:
        """Return the light of molecules, (B, 1, Y, X), of (B, C, Y, X); Y and X of 8 n pixels."""
        half = functional.relu(self.enter(functional.pixel_unshuffle(frames, 2)))
        quarter = self.at_quarter(functional.relu(self.to_quarter(half)))
        eighth = self.at_eighth(functional.relu(self.to_eighth(quarter)))
        quarter = self.back_at_quarter(quarter + _doubled(self.from_eighth(eighth)))
        half = self.back_at_half(half + _doubled(self.from_quarter(quarter)))
        return functional.pixel_shuffle(self.leave(half), 2)


class UnetGenerator(nn.Module):
    """The paper's generator: a U-Net whose up steps are resize and convolution.

    Nearest-neighbour resizing and a 3 x 3 convolution replace the transposed convolutions of
    pix2pix, whose chequerboard pattern would pass for molecules. Batch normalisation uses the
    statistics of the training set when it denoises (`eval`), never those of the frame.

    Parameters
    ----------
    channels : int
        Images that go in.
    first_filters : int
        Filters of the first layer; doubled at each of the next three.
    depth : int
        Halvings of the resolution.

    References
    ----------
    Diederich et al., arXiv 1804.06244; Isola et al., arXiv 1611.07004; Odena et al.,
    Distill (2016), doi:10.23915/distill.00003.
    """

    def __init__(self, channels: int = 1, first_filters: int = 32, depth: int = 8) -> None:
        super().__init__()
        widths = [first_filters * min(2**level, 8) for level in range(depth)]
        entering = [channels, *widths[:-1]]
        self.down = nn.ModuleList(
            nn.Conv2d(inner, outer, 4, stride=2, padding=1)
            for inner, outer in zip(entering, widths, strict=True)
        )
        self.down_norms = nn.ModuleList(
            nn.BatchNorm2d(width) if 0 < level < depth - 1 else nn.Identity()
            for level, width in enumerate(widths)
        )
        leaving = [*widths[:-1][::-1], 1]
        inner_up = [widths[-1], *(2 * width for width in widths[:-1][::-1])]
        self.up = nn.ModuleList(
            nn.Conv2d(inner, outer, 3, padding=1)
            for inner, outer in zip(inner_up, leaving, strict=True)
        )
        self.up_norms = nn.ModuleList(
            nn.BatchNorm2d(width) if width > 1 else nn.Identity() for width in leaving
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Return the light of molecules, (B, 1, Y, X), of (B, C, Y, X); Y and X of 2^depth n."""
        passed: list[Tensor] = []
        image = frames
        for level, (halve, norm) in enumerate(zip(self.down, self.down_norms, strict=True)):
            image = norm(halve(functional.leaky_relu(image, 0.2) if level else image))
            passed.append(image)
        image = passed.pop()
        for double, norm in zip(self.up, self.up_norms, strict=True):
            image = norm(double(_doubled(functional.relu(image))))
            if passed:
                image = torch.cat([image, passed.pop()], dim=1)
        return image


def scale_light(network: nn.Module, factor: float) -> None:
    """Make what a generator makes brighter by a factor, by way of its last layer."""
    last = network.leave if isinstance(network, LeanGenerator) else network.up[-1]  # type: ignore[index]
    with torch.no_grad():
        for weights in last.parameters():  # type: ignore[union-attr]
            weights.mul_(factor)


def _doubled(image: Tensor) -> Tensor:
    """Return (B, C, Y, X) at twice the resolution, each pixel repeated."""
    return functional.interpolate(image, scale_factor=2.0, mode="nearest")
