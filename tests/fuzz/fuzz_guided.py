"""Run one reader on inputs that are bred by which lines of it they reach.

``python -m tests.fuzz.fuzz_guided --reader csv --inputs 100000``. It needs atheris
(``pip install atheris``, which has files for Linux and CPython 3.11 to 3.13), so it is no part of
``make fuzz``. It sees the lines of this program alone, not of libraries in C or of the child
process that reads HDF5: it is of use for text and JSON, less for videos. It ends at the first
finding, which it keeps.
"""

import argparse
import importlib
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))


def main() -> None:
    """Breed inputs until their number or something is found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reader", required=True)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", default="build/fuzz/guided", help="folder for what is found")
    options = parser.parse_args()
    atheris = importlib.import_module("atheris")
    with tempfile.TemporaryDirectory() as name, atheris.instrument_imports(["cellstorm_lib"]):
        _breed(atheris, options, Path(name))


def _breed(atheris: Any, options: argparse.Namespace, folder: Path) -> None:
    """Hand the whole files of a reader to libFuzzer, and to the reader what that makes of them."""
    from fuzz_hdf5 import read_hdf5_in_one_process
    from fuzz_readers import READERS, bad_content
    from fuzz_seeds import seeds
    from fuzz_verdict import verdict_on_file

    wholes = seeds(options.reader)
    places = [folder / place for place in ("input", "scratch", "whole")]
    for place in places:
        place.mkdir()
    files, scratch, whole = places
    first, *beside = wholes[0]
    for name in beside:
        (files / name).write_bytes(wholes[0][name])
    contents = [next(iter(content.values())) for content in wholes]
    for number, content in enumerate(contents):
        (whole / str(number)).write_bytes(content)
    read_hdf5_in_one_process()
    (files / first).write_bytes(contents[0])
    READERS[options.reader](files / first)  # imports what is to be watched

    def change(content: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < 0.5:
            return bytes(atheris.Mutate(content, most))
        return bad_content(content, Path(first).suffix, contents, rng)[:most]

    def read(content: bytes) -> None:
        (files / first).write_bytes(content)
        fault = verdict_on_file(options.reader, files / first, scratch).fault
        if fault is not None:
            raise AssertionError(fault)

    keep = Path(options.keep) / options.reader
    keep.mkdir(parents=True, exist_ok=True)
    limits = ["-timeout=10", "-rss_limit_mb=2048", f"-seed={options.seed}", "-print_final_stats=1"]
    said = [sys.argv[0], f"-runs={options.inputs}", f"-artifact_prefix={keep}/", *limits]
    atheris.Setup([*said, str(whole)], read, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
