"""Run the fuzzer: `make fuzz` for half an hour, `python -m tests.fuzz.fuzz_run` to the end.

The end is 100,000 bad inputs for each reader. Three in four are damaged as only their format can
be (another number, name or type in a file that is sound otherwise), the others byte by byte. It
tells which share of them was read all the same, and how many places of the code refused the
others: damage that is refused at the first glance would try nothing. `fuzz_guided` breeds inputs
by the lines they reach instead, where atheris is installed.

Each reader runs in a process of its own. The system ends that process when one input takes more
than 10 s of the processor (or 120 s of waiting), and a crash ends it too; both are findings, and
the next process goes on with the next input. What was found is kept under ``--keep`` with the
files that caused it, by the number from which ``--reader NAME --seed SEED --first NUMBER
--inputs 1`` makes it again.
"""

import argparse
import itertools
import json
import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, NamedTuple

_HERE = Path(__file__).parent
sys.path.insert(0, str(_HERE))
_CPU_SECONDS, _WAIT_SECONDS = 10, 120
_MOST_FINDINGS = 50
#: Twice what a reader may take, so that what takes too much is seen and the machine lives on.
_ADDRESSES = 4 << 30


def main() -> int:
    """Run all or one of the readers; return 1 when something was found."""
    options = _options()
    if options.child:
        _work(options)
        return 0
    from fuzz_readers import READERS

    keep = Path(options.keep)
    ends = time.monotonic() + options.minutes * 60 if options.minutes else float("inf")
    readers = options.reader or list(READERS)
    total = 0
    for left, reader in zip(range(len(readers), 0, -1), readers, strict=True):
        share = time.monotonic() + (ends - time.monotonic()) / left
        total += _fuzz(reader, options, keep / reader, share)
    print(f"{total} findings" + (f", kept in {keep}" if total else ""))
    return 1 if total else 0


def _options() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reader", action="append", help="one of them; may be repeated")
    parser.add_argument("--inputs", type=int, default=100_000, help="bad inputs for each reader")
    parser.add_argument("--seed", type=int, default=0, help="another one makes other inputs")
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument(
        "--minutes", type=float, default=0, help="stop after about so long; 0: never"
    )
    parser.add_argument("--keep", default="build/fuzz", help="folder for what is found")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


def _fuzz(reader: str, options: argparse.Namespace, keep: Path, ends: float) -> int:
    """Run one reader to the end of its inputs or its time; return how much was found."""
    shutil.rmtree(keep, ignore_errors=True)
    number, last, found, read = options.first, options.first + options.inputs, 0, 0
    places: set[str] = set()
    began, used = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory(dir=_fast_folder()) as name:
        while number < last and time.monotonic() < ends and found < _MOST_FINDINGS:
            told = one_process(
                [reader], number, last, Path(name), minutes=_minutes_to(ends), seed=options.seed
            )
            number, read = told.number + 1, read + told.read
            places.update(told.places)
            if told.fault is not None:
                found += 1
                _keep(keep, reader, told.number, told.fault, Path(name), options.seed)
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = max(0.0, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime)
    done = number - options.first
    asked = f" of {options.inputs}" if done < options.inputs else ""
    print(
        f"{reader}: {done}{asked} inputs, {100 * read / max(done, 1):.0f} % of them read, the "
        f"others refused in {len(places)} places of the code, {found} findings; {cpu_s:.0f} s of "
        f"the processor, {1000 * cpu_s / max(done, 1):.2f} s for 1,000, "
        f"{time.monotonic() - began:.0f} s in all",
        flush=True,
    )
    return found


def _fast_folder() -> str | None:
    """Return a folder in memory where the system has one; else None, for the usual one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _minutes_to(ends: float) -> float:
    """Return how long it is until a time, in minutes."""
    return max(0.01, min(ends - time.monotonic(), 1e9) / 60)


class Told(NamedTuple):
    """What a process says of the inputs it has read.

    Attributes
    ----------
    reader : str
        Who read the last input.
    number : int
        Number of that input.
    fault : str or None
        What is wrong with how its reading ended.
    read : int
        How many inputs were read and not refused.
    places : list of str
        Lines of code that refused the others; empty when the process did not come to its end.
    """

    reader: str
    number: int
    fault: str | None
    read: int
    places: list[str]


def one_process(
    readers: list[str], first: int, last: int, folder: Path, *, minutes: float, seed: int = 0
) -> Told:
    """Have a process of its own read bad inputs until something is found or all were read.

    Parameters
    ----------
    readers : list of str
        Who reads, one after the other.
    first, last : int
        Numbers of the first input for each of them, and of the one after the last.
    folder : Path
        For the inputs and what the process says.
    minutes : float
        After how long to stop.
    seed : int
        Another one gives other inputs.
    """
    state, said = folder / "state.json", folder / "said.txt"
    state.unlink(missing_ok=True)
    command = [sys.executable, str(_HERE / "fuzz_run.py"), "--child", str(folder)]
    command += ["--first", str(first), "--inputs", str(last - first), "--seed", str(seed)]
    command += ["--minutes", str(minutes)]
    command += [part for reader in readers for part in ("--reader", reader)]
    with said.open("wb") as stream:
        done = subprocess.run(command, stdout=stream, stderr=stream, check=False)
    if not state.exists():
        raise SystemExit(f"the fuzzer of {readers} cannot start: {said.read_text()[-3000:]}")
    told = Told(**json.loads(state.read_text()))
    if done.returncode == 0:
        return told
    name = signal.Signals(-done.returncode).name if done.returncode < 0 else done.returncode
    hangs = {"SIGPROF": f"takes more than {_CPU_SECONDS} s", "SIGALRM": "waits without end"}
    fault = hangs.get(str(name), f"crashes the caller ({name})")
    return told._replace(fault=f"{fault}\n{said.read_text(errors='replace')[-3000:]}")


def _work(options: argparse.Namespace) -> None:
    """Read inputs in this process until something is found, noting which one is being read."""
    import faulthandler

    from fuzz_hdf5 import read_hdf5_in_one_process
    from fuzz_seeds import seeds
    from fuzz_verdict import verdict_on

    folder = Path(options.child)
    read_hdf5_in_one_process()
    # What libraries remark on bad files would fill the disk.
    logging.getLogger().addHandler(logging.NullHandler())
    wholes = {reader: seeds(reader) for reader in options.reader}
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_DATA, (_ADDRESSES, _ADDRESSES))
    ends = time.monotonic() + options.minutes * 60
    numbers = range(options.first, options.first + options.inputs)
    read, places = 0, set()
    with (folder / "state.json").open("w") as state:
        for reader, number in itertools.product(options.reader, numbers):
            told = Told(reader, number, None, read, [])
            _note(state, told)
            signal.setitimer(signal.ITIMER_PROF, _CPU_SECONDS)
            signal.setitimer(signal.ITIMER_REAL, _WAIT_SECONDS)
            fault, place = verdict_on(reader, wholes[reader], number, folder, seed=options.seed)
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
            if place is not None:
                places.add(place)
            read += fault is None and place is None
            if fault is not None or time.monotonic() > ends:
                break
        _note(state, told._replace(fault=fault, read=read, places=sorted(places)))


def _note(state: IO[str], told: Told) -> None:
    """Write down which input is being read, where a crash does not reach it."""
    state.seek(0)
    state.write(json.dumps(told._asdict()))
    state.truncate()
    state.flush()


def _keep(keep: Path, reader: str, number: int, fault: str, folder: Path, seed: int) -> None:
    """Keep a finding with its input."""
    place = keep / str(number)
    shutil.copytree(
        folder / "input", place, symlinks=True, dirs_exist_ok=True,
        ignore=lambda where, names: [n for n in names if (Path(where) / n).is_fifo()],
    )  # fmt: skip
    again = f"--reader {reader} --seed {seed} --first {number} --inputs 1"
    (place / "finding.txt").write_text(
        f"{fault}\n\nmade again by: python -m tests.fuzz.fuzz_run {again}\n"
    )
    print(f"{reader} {number}: {fault.strip().splitlines()[-1][:240]}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
