"""Kill -9 at random moments, until every recording is done in spite of it."""

import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import numpy as np
from chaos_lab import Lab, digest
from chaos_watch import Watcher

#: What is killed, and how often of twenty times.
EVERYTHING = ("daemon", "code server", "worker", "other")
KINDS: dict[str, tuple[tuple[str, ...], int]] = {
    "worker of a run": (("worker",), 8),
    "daemon": (("daemon",), 4),
    "server that starts the workers": (("code server",), 3),
    "everything at once": (EVERYTHING, 3),
    "power cut: newest files cut off": (EVERYTHING, 1),
    "power cut: newest files end in zeros": (EVERYTHING, 1),
}
_FIRST_S, _LAST_S = 1.0, 14.0
#: For what is left to do when the last kill was done, at least.
_END_S = 420.0


@dataclass(kw_only=True)
class Outcome:
    """What came of trials of one kind or several; all but `trials` should be nothing."""

    trials: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    half_written: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        named = {
            "lost": self.lost,
            "duplicated": self.duplicated,
            "half-written": self.half_written,
            "wrong": self.wrong,
        }
        return [f"{name}: {text}" for name, found in named.items() for text in found]

    @property
    def is_clean(self) -> bool:
        return not self.faults


def kill_at_random(
    lab: Lab,
    films: list[Path],
    reference: Lab,
    *,
    kills: int,
    rng: np.random.Generator,
    seconds: float,
) -> Outcome:
    """Kill something at each of `kills` random moments, with a recording or two to be done.

    Another film is put into the watched folder whenever fewer than two are left to be done.
    """
    outcome = Outcome()
    inputs = {path.name: digest(path) for path in films}
    keys: list[str] = []
    names = list(KINDS)
    weights = np.array([weight for _, weight in KINDS.values()], float)
    began = time.monotonic()
    lab.start()
    with Watcher(lab.project.assets_folder) as watcher:
        while outcome.trials.total() < kills:
            if time.monotonic() - began > seconds:
                outcome.remarks.append(f"stopped after {outcome.trials.total()} kills: no time")
                break
            open_keys = [key for key in keys if not lab.is_done([key])]
            if len(open_keys) < 2 and len(keys) < len(films):
                keys.append(lab.add(films[len(keys)]))
            name = names[int(rng.choice(len(names), p=weights / weights.sum()))]
            wait_s = float(rng.uniform(_FIRST_S, _LAST_S))
            time.sleep(wait_s)
            killed = _kill(lab, name, rng)
            if not killed:
                continue
            outcome.trials[name] += 1
            if name.startswith("power cut"):
                killed += _harm(lab, keys, watcher, rng, has_zeros="zeros" in name)
            now = f"{time.monotonic() - began:7.1f} s"
            print(f"{now}  {name}: killed {', '.join(killed)}", flush=True)
            if not lab.is_up():
                lab.start()
        done = lab.wait(keys, seconds=max(seconds - (time.monotonic() - began), _END_S))
        if not done:
            outcome.lost += [key for key in keys if not lab.is_done([key])]
    lab.stop()
    watcher.look()
    outcome.half_written += watcher.faults
    outcome.remarks.append(f"{watcher.reads} finished files read while killing")
    judge(lab, films[: len(keys)], keys, inputs, reference, outcome)
    return outcome


def _kill(lab: Lab, name: str, rng: np.random.Generator) -> list[str]:
    """Kill a process of a kind, waiting for one to be there; return what was killed."""
    kinds, _ = KINDS[name]
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        killed = lab.kill(kinds, float(rng.random()))
        if killed:
            return killed
        if not lab.is_up():
            lab.start()
        time.sleep(0.2)
    return []


def _harm(
    lab: Lab, keys: list[str], watcher: Watcher, rng: np.random.Generator, *, has_zeros: bool
) -> list[str]:
    """Take the end of the files that were written last by runs that were under way."""
    working = [
        key
        for key in keys
        if (runs := lab.runs(key)) and runs[0].status == dg.DagsterRunStatus.STARTED
    ]
    folder = lab.project.assets_folder
    files = [folder / name for name in lab.results() if _key_of(name) in working]
    files.sort(key=lambda path: path.stat().st_mtime_ns)
    harmed = files[-int(rng.integers(1, 5)) :]
    with watcher.looking_away():
        for path in harmed:
            content = path.read_bytes()
            kept = int(rng.integers(len(content)))
            tail = bytes(len(content) - kept) if has_zeros else b""
            path.write_bytes(content[:kept] + tail)
    return [f"the end of {path.relative_to(folder)}" for path in harmed]


def judge(
    lab: Lab,
    films: list[Path],
    keys: list[str],
    inputs: dict[str, str],
    reference: Lab,
    outcome: Outcome,
) -> None:
    """Compare what a lab holds in the end with what an undisturbed one holds."""
    for name, content in inputs.items():
        path = lab.project.recordings_folder / name
        if path.exists() and digest(path) != content:
            outcome.lost.append(f"input {name}")
    with dg.DagsterInstance.from_config(str(lab.project.home)) as instance:
        known = instance.get_dynamic_partitions("recording")
    outcome.duplicated += [key for key in known if key not in keys or known.count(key) > 1]
    for key in keys:
        ended = [run for run in lab.runs(key) if run.status == dg.DagsterRunStatus.SUCCESS]
        if len(ended) > 1:
            outcome.duplicated.append(f"{key}: {len(ended)} runs succeeded")
        if not all(run.is_finished for run in lab.runs(key)):
            outcome.lost.append(f"{key}: a run has no end")
    found = lab.results()
    wanted = {
        name: value for name, value in reference.undisturbed(films).items() if _key_of(name) in keys
    }
    outcome.lost += [name for name in wanted if name not in found]
    outcome.duplicated += [name for name in found if name not in wanted]
    outcome.wrong += [name for name in wanted if name in found and found[name] != wanted[name]]
    outcome.remarks.append(f"{len(wanted)} results compared byte by byte")
    left = lab.leftovers()
    size = sum(path.stat().st_size for path in left)
    outcome.remarks.append(f"{len(left)} unfinished files left ({size / 1e6:.1f} MB)")


def _key_of(name: str) -> str:
    return Path(name).name.split(".")[0]


def clear(lab: Lab) -> None:
    """Remove a lab."""
    lab.stop()
    for path in lab.project.home.iterdir():
        shutil.rmtree(path, ignore_errors=True)
