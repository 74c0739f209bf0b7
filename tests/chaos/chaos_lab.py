"""A lab to break things in: small films, a project, its daemon, and what they left behind."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import dagster as dg

from cellstorm_assets.automation import PARTITION_TAG
from cellstorm_assets.project import Project, add_recording, find_project, recording_key
from cellstorm_assets.serve import commands_of, environment_of
from cellstorm_lib.pipeline.choice import RecordingChoice
from cellstorm_lib.pipeline.film import film_scene
from cellstorm_lib.simulate.scene import read_preset

#: The instance file of a lab in a hurry: it looks more often, and never gives up lost workers.
INSTANCE = """\
telemetry: { enabled: false }
nux: { enabled: false }
run_coordinator:
  module: dagster.core.run_coordinator
  class: QueuedRunCoordinator
  config: { max_user_code_failure_retries: 10, user_code_failure_retry_delay: 2 }
concurrency:
  runs: { max_concurrent_runs: 2 }
  pools: { granularity: op, default_limit: 1 }
run_launcher: { module: cellstorm_assets.launcher, class: MindedRunLauncher }
run_monitoring: { enabled: true, start_timeout_seconds: 120, poll_interval_seconds: 2 }
run_retries: { enabled: true, max_retries: 200, retry_on_asset_or_op_failure: false }
"""
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_SILENT = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
#: Files that people read; what begins with a dot is being written.
RESULTS = (".parquet", ".tif", ".png", ".html", ".json")


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process of a lab.

    `kind` is ``daemon``, ``code server``, ``worker`` or ``other``.
    """

    pid: int
    kind: str


@dataclass(kw_only=True)
class Lab:
    """A project with a daemon of its own."""

    project: Project
    daemon: subprocess.Popen[bytes] | None = None
    starts: int = 0
    sessions: list[int] = field(default_factory=list)

    @classmethod
    def at(cls, home: Path, *, instance: str = INSTANCE) -> "Lab":
        home.mkdir(parents=True, exist_ok=True)
        (home / "dagster.yaml").write_text(instance)
        os.environ["CELLSTORM_HOME"] = os.environ["DAGSTER_HOME"] = str(home)
        return cls(project=find_project())

    @property
    def environment(self) -> dict[str, str]:
        return {**environment_of(self.project), **_ONE_THREAD}

    def add(self, film: Path) -> str:
        """Put a film into the watched folder; return its partition key."""
        choice = RecordingChoice(pixel_size_nm=100.0)
        return recording_key(add_recording(self.project, film, choice, name=film.name))

    def start(self) -> None:
        """Start the daemon as `cellstorm ui` does."""
        log = self.project.home / "server-logs" / f"daemon-{self.starts}.log"
        log.parent.mkdir(exist_ok=True)
        with log.open("wb") as stream:
            self.daemon = subprocess.Popen(
                commands_of(0, 0)["daemon"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.sessions.append(self.daemon.pid)
        self.starts += 1

    def is_up(self) -> bool:
        return self.daemon is not None and self.daemon.poll() is None

    def processes(self) -> list[Process]:
        """Return what the daemon started, now or before it was killed."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError, ValueError, IndexError):
                fields = stat.read_text().rpartition(")")[2].split()
                if int(fields[3]) in self.sessions and fields[0] not in "ZX":
                    words = (stat.parent / "cmdline").read_bytes().decode().split("\0")
                    found.append(Process(pid=int(stat.parent.name), kind=_kind(words)))
        return found

    def kill(self, kinds: tuple[str, ...], chance: float = 0.0) -> list[str]:
        """Kill -9 one process of the kinds; all of them when there are several kinds."""
        found = [process for process in self.processes() if process.kind in kinds]
        if len(kinds) == 1 and found:
            found = [found[int(chance * len(found))]]
        for process in found:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        if self.daemon is not None and any(each.pid == self.daemon.pid for each in found):
            self.daemon.wait()
        return [process.kind for process in found]

    def power_cut(self) -> list[str]:
        """Kill everything at once."""
        return self.kill(("daemon", "code server", "worker", "other"))

    def stop(self) -> None:
        """End the lab."""
        if self.is_up():
            assert self.daemon is not None
            self.daemon.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self.daemon.wait(10)
        self.power_cut()

    def runs(self, key: str) -> list[dg.DagsterRun]:
        """Return the runs of a recording, the newest first."""
        with dg.DagsterInstance.from_config(str(self.project.home)) as instance:
            wanted = dg.RunsFilter(job_name="process_recordings", tags={PARTITION_TAG: key})
            return list(instance.get_runs(wanted))

    def is_done(self, keys: list[str]) -> bool:
        """Return whether the newest run of every recording succeeded."""
        for key in keys:
            runs = self.runs(key)
            if not runs or runs[0].status != dg.DagsterRunStatus.SUCCESS:
                return False
        return True

    def wait(self, keys: list[str], *, seconds: float) -> bool:
        """Wait until every recording is done."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            if self.is_done(keys):
                return True
            if not self.is_up():
                self.start()
            time.sleep(1.0)
        return False

    def undisturbed(self, films: list[Path]) -> dict[str, str]:
        """Process films in a process that nobody touches; return the digests of the results.

        What is there already is not made again.
        """
        os.environ["CELLSTORM_HOME"] = os.environ["DAGSTER_HOME"] = str(self.project.home)
        for film in films:
            self.add(film)
        subprocess.run([sys.executable, __file__], env=self.environment, check=True, **_SILENT)
        return self.results()

    def results(self) -> dict[str, str]:
        """Return the digest of every finished file of the store."""
        folder = self.project.assets_folder
        return {
            path.relative_to(folder).as_posix(): digest(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.suffix in RESULTS and not path.name.startswith(".")
        }

    def leftovers(self) -> list[Path]:
        """Return what was begun and not finished."""
        folder = self.project.assets_folder
        return [path for path in folder.rglob(".*") if path.is_file()]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def films(folder: Path, count: int, *, frames: int = 80, side_px: int = 64) -> list[Path]:
    """Return small films, each of other molecules; kept between calls."""
    demo = read_preset("demo")
    made = []
    for number in range(count):
        target = folder / f"film {number}.mp4"
        made.append(target)
        if target.exists():
            continue
        scene = replace(
            demo,
            name=f"chaos {number}",
            seed=1000 + number,
            frame_count=frames,
            field=replace(demo.field, width_px=side_px, height_px=side_px),
            codec=None if demo.codec is None else replace(demo.codec, bits_per_px=0.5),
        )
        filmed = film_scene(scene, folder / str(number), stacks=())
        shutil.move(filmed.movie, target)
    return made


def _kind(words: list[str]) -> str:
    text = " ".join(words)
    if "dagster._daemon" in text:
        return "daemon"
    if "code-server" in text or "grpc" in text:
        return "code server"
    if "spawn_main" in text:
        return "worker"
    return "other"


def _process_all() -> None:
    """Process every film of the project, one after the other."""
    from cellstorm_assets.definitions import build_defs

    project = find_project()
    job = build_defs().resolve_job_def("process_recordings")
    with dg.DagsterInstance.ephemeral() as instance:
        for path in project.recording_files():
            key = recording_key(path)
            if (project.assets_folder / "recording_report" / f"{key}.html").exists():
                continue
            instance.add_dynamic_partitions("recording", [key])
            done = job.execute_in_process(instance=instance, partition_key=key)
            print(json.dumps({"key": key, "success": done.success}))


if __name__ == "__main__":
    _process_all()
