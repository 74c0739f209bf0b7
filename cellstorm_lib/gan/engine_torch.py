"""A network computed by torch, on the CPU or a GPU."""

import threading

import torch
from torch import Tensor, nn
from torch.nn import functional

from cellstorm_lib.gan.checkpoint import Checkpoint
from cellstorm_lib.gan.devices import half_precision
from cellstorm_lib.gan.engine import UNCUT, Cut, Frames
from cellstorm_lib.gan.generator import LeanGenerator

_GPU_WINDOWS = 16


class TorchEngine:
    """The network of a checkpoint on a device; see `Engine`.

    On the CPU each thread that was prepared by `enter_thread` computes alone.

    Parameters
    ----------
    checkpoint : Checkpoint
        Network and weights.
    device : torch.device
        Where it computes.
    workers : int
        Threads of the CPU.
    """

    def __init__(self, checkpoint: Checkpoint, device: torch.device, *, workers: int) -> None:
        self._device = device
        self._wants_half = checkpoint.recipe.half_precision
        self._checkpoint = checkpoint
        self._networks: dict[Cut, nn.Module] = {}
        self._lock = threading.Lock()
        is_cpu = device.type == "cpu"
        self.workers = workers if is_cpu else 1
        self.windows_at_once = 1 if is_cpu else _GPU_WINDOWS
        self.label = f"torch {torch.__version__} on {device.type}"

    def enter_thread(self) -> None:
        """Let this thread compute alone, beside the other ones."""
        if self._device.type == "cpu":
            torch.set_num_threads(1)

    def run(self, windows: Frames, cut: Cut = UNCUT) -> Frames:
        """Return (B, Y, X) of (B, C, Y, X), both in the network's own units."""
        network = self._network(cut)
        with torch.inference_mode(), half_precision(self._device, wanted=self._wants_half):
            made: Tensor = network(torch.from_numpy(windows).to(self._device))
        found: Frames = made[:, 0].float().cpu().numpy()
        return found

    def _network(self, cut: Cut) -> nn.Module:
        """Return the network for windows cut on some sides."""
        with self._lock:
            if cut not in self._networks:
                network = self._checkpoint.network()
                if isinstance(network, LeanGenerator):
                    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
                    if cut != UNCUT:
                        _continue(network, network.enter, cut)
                self._networks[cut] = network.to(self._device)
            return self._networks[cut]


def _continue(network: nn.Module, first: nn.Module, cut: Cut) -> None:
    """Let all convolutions of a network see their outermost values again on the cut sides."""
    for module in list(network.modules()):
        for name, layer in list(module.named_children()):
            if isinstance(layer, nn.Conv2d) and layer.padding != (0, 0):
                setattr(module, name, _CutConvolution(layer, cut, repeats=layer is not first))


class _CutConvolution(nn.Module):
    """A 3 x 3 convolution of windows that were cut on some sides."""

    def __init__(self, layer: nn.Conv2d, cut: Cut, *, repeats: bool) -> None:
        super().__init__()
        self.layer = layer
        again = (int(cut.left), int(cut.right), int(cut.top), int(cut.bottom))
        self.black = tuple(1 - side for side in again)
        self.again = again if repeats else (0, 0, 0, 0)

    def forward(self, image: Tensor) -> Tensor:
        """Return (B, C, Y, X) convolved."""
        image = functional.pad(functional.pad(image, self.again, mode="replicate"), self.black)
        return functional.conv2d(image, self.layer.weight, self.layer.bias, self.layer.stride)
