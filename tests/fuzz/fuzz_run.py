"""Run the fuzzer: `python -m tests.fuzz.fuzz_run --help`, or `make fuzz`.

Each reader runs in a process of its own. The system ends that process when one input takes more
than 10 s of the processor (or 120 s of waiting), and a crash ends it too; both are findings, and
the next process goes on with the next input. What was found is kept under ``--keep`` with the
files that caused it, by the number from which ``--reader NAME --seed SEED --first NUMBER
--inputs 1`` makes it again.
"""

import argparse
import itertools
import json
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

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
    number, last, found = options.first, options.first + options.inputs, 0
    began, used = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as name:
        while number < last and time.monotonic() < ends and found < _MOST_FINDINGS:
            _, at, fault = one_process(
                [reader], number, last, Path(name), minutes=_minutes_to(ends), seed=options.seed
            )
            number = at + 1
            if fault is not None:
                found += 1
                _keep(keep, reader, number - 1, fault, Path(name), options.seed)
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = max(0.0, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime)
    done = number - options.first
    asked = f" of {options.inputs}" if done < options.inputs else ""
    print(
        f"{reader}: {done}{asked} inputs, {found} findings, {cpu_s:.0f} s of the processor, "
        f"{1000 * cpu_s / max(done, 1):.1f} s for 1,000, {time.monotonic() - began:.0f} s in all",
        flush=True,
    )
    return found


def _minutes_to(ends: float) -> float:
    """Return how long it is until a time, in minutes."""
    return max(0.01, min(ends - time.monotonic(), 1e9) / 60)


def one_process(
    readers: list[str], first: int, last: int, folder: Path, *, minutes: float, seed: int = 0
) -> tuple[str, int, str | None]:
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

    Returns
    -------
    (str, int, str or None)
        Reader and number of the last input, and what was found.
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
    told = json.loads(state.read_text())
    if done.returncode == 0:
        return told["reader"], told["number"], told["fault"]
    name = signal.Signals(-done.returncode).name if done.returncode < 0 else done.returncode
    hangs = {"SIGPROF": f"takes more than {_CPU_SECONDS} s", "SIGALRM": "waits without end"}
    fault = hangs.get(str(name), f"crashes the caller ({name})")
    fault = f"{fault}\n{said.read_text(errors='replace')[-3000:]}"
    return told["reader"], told["number"], fault


def _work(options: argparse.Namespace) -> None:
    """Read inputs in this process until something is found, noting which one is being read."""
    import faulthandler

    from fuzz_seeds import seeds
    from fuzz_verdict import findings_of, read_hdf5_in_forks

    folder = Path(options.child)
    if "hdf5" in options.reader:
        read_hdf5_in_forks()
    wholes = {reader: seeds(reader) for reader in options.reader}
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_DATA, (_ADDRESSES, _ADDRESSES))
    ends = time.monotonic() + options.minutes * 60
    numbers = range(options.first, options.first + options.inputs)
    with (folder / "state.json").open("w") as state:
        for reader, number in itertools.product(options.reader, numbers):
            _note(state, reader, number, None)
            signal.setitimer(signal.ITIMER_PROF, _CPU_SECONDS)
            signal.setitimer(signal.ITIMER_REAL, _WAIT_SECONDS)
            fault = findings_of(reader, wholes[reader], number, folder, seed=options.seed)
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
            if fault is not None:
                _note(state, reader, number, fault)
            if fault is not None or time.monotonic() > ends:
                return


def _note(state: IO[str], reader: str, number: int, fault: str | None) -> None:
    """Write down which input is being read, where a crash does not reach it."""
    state.seek(0)
    state.write(json.dumps({"reader": reader, "number": number, "fault": fault}))
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
