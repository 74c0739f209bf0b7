"""Whether the servers of a lab grow while they work: memory and open files, fitted over time."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from chaos_lab import Process

#: Of what was done, before which caches fill.
WARM_UP = 0.25
#: Neighbouring samples say the same; their means over so many spans do not.
_SPANS = 12


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What a server holds, and how many recordings were done by then."""

    done: int
    memory_mb: float
    files: int


@dataclass(frozen=True, kw_only=True)
class Growth:
    """A straight line through what was seen after the warm-up.

    `per_1000` and `error` are of 1,000 recordings; `error` is one standard deviation.
    """

    first: float
    last: float
    most: float
    per_1000: float
    error: float

    @property
    def at_least(self) -> float:
        """What it grows by in 1,000 recordings, as far as two standard deviations are sure."""
        return self.per_1000 - 2.0 * self.error


def growth_of(done: Sequence[float], values: Sequence[float]) -> Growth:
    """Fit a line to the means of spans of samples; what came before the warm-up is left out."""
    x, y = np.asarray(done, float), np.asarray(values, float)
    late = x >= WARM_UP * x.max()
    spans = np.array_split(np.flatnonzero(late), min(_SPANS, int(late.sum())))
    x_means = np.array([x[span].mean() for span in spans])
    y_means = np.array([y[span].mean() for span in spans])
    spread = float(((x_means - x_means.mean()) ** 2).sum())
    slope = error = np.nan
    if len(spans) > 2 and spread > 0:
        slope = float(((x_means - x_means.mean()) * y_means).sum() / spread)
        rest = y_means - y_means.mean() - slope * (x_means - x_means.mean())
        error = float(np.sqrt((rest**2).sum() / (len(spans) - 2) / spread))
    return Growth(
        first=float(y_means[0]),
        last=float(y_means[-1]),
        most=float(y.max()),
        per_1000=1000.0 * slope,
        error=1000.0 * error,
    )


def held_by(pids: Iterable[int]) -> tuple[float, int]:
    """Return the memory of processes that no file backs, in MB, and how many files are open."""
    memory_mb, files = 0.0, 0
    for pid in pids:
        folder = Path("/proc") / str(pid)
        for line in (folder / "status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("RssAnon:"):
                memory_mb += int(line.split()[1]) / 1024.0
        files += len(list((folder / "fd").iterdir()))
    return memory_mb, files


@dataclass(kw_only=True)
class Scales:
    """Looks at the servers every few seconds, in a thread."""

    servers: Callable[[], list[Process]]
    done: Callable[[], int]
    every_s: float = 3.0
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    _end: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Scales":
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(self.every_s):
            self.weigh()

    def weigh(self) -> None:
        """Take one sample of each server."""
        done = self.done()
        by_kind: dict[str, list[int]] = {}
        for process in self.servers():
            by_kind.setdefault(process.kind, []).append(process.pid)
        for kind, pids in by_kind.items():
            try:
                memory_mb, files = held_by(pids)
            except OSError:
                continue  # it ended meanwhile
            sample = Sample(done=done, memory_mb=memory_mb, files=files)
            self.samples.setdefault(kind, []).append(sample)

    def growth(self, kind: str) -> tuple[Growth, Growth]:
        """Return how memory in MB and the number of open files of a server grew."""
        found = self.samples[kind]
        done = [sample.done for sample in found]
        return (
            growth_of(done, [sample.memory_mb for sample in found]),
            growth_of(done, [sample.files for sample in found]),
        )


def wait_until(is_so: Callable[[], bool], *, seconds: float, every_s: float = 2.0) -> bool:
    """Wait until something is so; return whether it became so in time."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if is_so():
            return True
        time.sleep(every_s)
    return is_so()
