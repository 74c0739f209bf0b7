"""Break a small lab in every way there is: `python tests/chaos/chaos_run.py --help`.

Prints what was done and when, and at the end a table: kinds of trials, how many, and what was
lost, duplicated, half-written or wrong. Everything is random from ``--seed`` on, except how fast
the machine is.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from chaos_disk import full_disk, read_only_folders, small_disk, two_at_once
from chaos_kills import Outcome, clear, kill_at_random
from chaos_lab import Lab, films

TRIALS = ("kills", "full-disk", "read-only", "two")


def main() -> int:
    """Run the trials; return 1 when anything was lost, duplicated, half-written or wrong."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="cellstorm-chaos-") as name:
        folder = Path(options.keep or name)
        made = films(folder / "films", options.films)
        undisturbed = Lab.at(folder / "undisturbed")
        outcomes = {
            kind: _tried(kind, folder, made, undisturbed, options) for kind in options.trial
        }
    return _told(outcomes)


def _tried(
    kind: str,
    folder: Path,
    made: list[Path],
    reference: Lab,
    options: argparse.Namespace,
) -> Outcome:
    """Run the trials of one kind in a lab of their own."""
    rng = np.random.default_rng(options.seed)
    began = time.monotonic()
    with ExitStack() as stack:
        is_small = kind != "full-disk" or stack.enter_context(small_disk(folder / kind))
        lab = Lab.at(folder / kind)
        try:
            if kind == "kills":
                outcome = kill_at_random(
                    lab, made, reference, kills=options.kills, rng=rng, seconds=options.seconds
                )
            elif not is_small:
                outcome = Outcome(remarks=["a small disk cannot be mounted here"])
            else:
                trial = {"full-disk": full_disk, "read-only": read_only_folders, "two": two_at_once}
                outcome = trial[kind](lab, made, reference, times=options.times, rng=rng)
        finally:
            clear(lab)
    outcome.remarks.append(f"took {time.monotonic() - began:.0f} s")
    for remark in (*outcome.remarks, *outcome.faults):
        print(f"  {kind}: {remark}", flush=True)
    return outcome


def _told(outcomes: dict[str, Outcome]) -> int:
    """Print the table."""
    print("\n| trials | moments | lost | duplicated | half-written | wrong |")
    print("|---|---|---|---|---|---|")
    for outcome in outcomes.values():
        counts = [
            len(found)
            for found in (outcome.lost, outcome.duplicated, outcome.half_written, outcome.wrong)
        ]
        row = " | ".join(map(str, counts))
        kinds = ", ".join(f"{name} {count}" for name, count in sorted(outcome.trials.items()))
        print(f"| {kinds or 'none'} | {Counter(outcome.trials).total()} | {row} |")
    return 0 if all(outcome.is_clean for outcome in outcomes.values()) else 1


def _options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trial", nargs="+", choices=TRIALS, default=list(TRIALS))
    parser.add_argument("--kills", type=int, default=50, help="random moments")
    parser.add_argument("--times", type=int, default=3, help="moments of each other kind")
    parser.add_argument("--films", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=900.0, help="time for the kills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", help="folder to work in, kept")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
