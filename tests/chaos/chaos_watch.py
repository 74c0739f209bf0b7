"""Reads every finished file of a store while things are killed: each must always be whole."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import tifffile
from chaos_lab import RESULTS
from PIL import Image


def fault_of(path: Path) -> str | None:
    """Return what is wrong with a finished file; None when it can be read to its end."""
    try:
        _read(path)
    except FileNotFoundError:
        return None  # replaced meanwhile
    except Exception as error:  # noqa: BLE001 - whatever a reader says
        return f"{path.name}: {type(error).__name__}: {error}"
    return None


def _read(path: Path) -> None:
    """Read a file to its end."""
    if path.suffix == ".parquet":
        with path.open("rb") as stream:
            pq.ParquetFile(stream).read()
    elif path.suffix == ".tif":
        with tifffile.TiffFile(path) as tif:
            count = tif.series[0].shape[0] if len(tif.series[0].shape) == 3 else 1
            if len(tif.pages) != count:
                raise ValueError(f"{len(tif.pages)} of {count} pages")
            for page in tif.pages:
                page.asarray()
    elif path.suffix == ".png":
        with Image.open(path) as image:
            image.load()
    elif path.suffix == ".html":
        if not path.read_text(encoding="utf-8").rstrip().endswith("</html>"):
            raise ValueError("the page has no end")
    elif path.suffix == ".json":
        json.loads(path.read_text(encoding="utf-8"))


class Watcher:
    """Reads what is new or changed, again and again, in a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[Path, tuple[int, int]] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._looking = threading.Lock()
        self.faults: list[str] = []
        self.reads = 0

    def __enter__(self) -> "Watcher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(0.2):
            self.look()

    @contextmanager
    def looking_away(self) -> Iterator[None]:
        """Hold still; what is changed meanwhile is not looked at."""
        with self._looking:
            yield
            for path in self._folder.rglob("*"):
                if path.suffix in RESULTS and path.is_file():
                    self._seen[path] = _look_of(path)

    def look(self) -> None:
        """Read every finished file that changed since it was read last."""
        with self._looking:
            self._look()

    def _look(self) -> None:
        for path in list(self._folder.rglob("*")):
            if path.suffix not in RESULTS or path.name.startswith("."):
                continue
            try:
                look = _look_of(path)
            except FileNotFoundError:
                continue
            if self._seen.get(path) == look:
                continue
            fault = fault_of(path)
            self.reads += 1
            self._seen[path] = look
            if fault is not None:
                self.faults.append(fault)


def _look_of(path: Path) -> tuple[int, int]:
    """Return what differs once a file was replaced."""
    status = path.stat()
    return status.st_mtime_ns, status.st_ino
