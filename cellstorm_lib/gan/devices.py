"""Where a network computes, and how precisely."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from cellstorm_lib.errors import SettingsError

DEVICES = ("auto", "cpu", "cuda", "mps")


def device_named(name: str) -> torch.device:
    """Return a device; ``auto`` takes a GPU where there is one.

    Raises
    ------
    SettingsError
        When there is no such device here.
    """
    if name not in DEVICES:
        raise SettingsError(f"there is no device {name!r}; there are {', '.join(DEVICES)}")
    has = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next((kind for kind, there in has.items() if there), "cpu"))
    if not has.get(name, True):
        raise SettingsError(f"there is no {name} device on this machine; take auto or cpu")
    return torch.device(name)


def half_precision(device: torch.device, *, wanted: bool) -> AbstractContextManager[object]:
    """Return a context in which convolutions run in bfloat16 where the device is faster with it."""
    if not wanted or device.type == "mps":
        return nullcontext()
    if device.type == "cpu" and torch.backends.cpu.get_cpu_capability() != "AVX512":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


@contextmanager
def thread_count(threads: int | None) -> Iterator[int]:
    """Let torch compute with so many threads inside the block; the number decides the last bits."""
    before = torch.get_num_threads()
    if threads is not None:
        if threads < 1:
            raise SettingsError(f"threads must be 1 or more, got {threads}")
        torch.set_num_threads(threads)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
