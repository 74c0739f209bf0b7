"""What `cellstorm ui` needs, looked at before anything is started."""

import errno
import importlib.util
import os
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import dagster as dg
import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError

from cellstorm_assets.access import LOOPBACK
from cellstorm_assets.project import Project
from cellstorm_assets.reach import require_parts
from cellstorm_assets.tracking import SERVER_VARIABLE
from cellstorm_lib.errors import SettingsError
from cellstorm_lib.files import written_whole

#: Modules the pages are made of, and the packages that bring them.
_NEEDED = {
    "dagster_webserver": "dagster-webserver",
    "mlflow.server": "mlflow",
    "uvicorn": "dagster-webserver",
    "starlette": "dagster-webserver",
}
_ANSWER_S = 5.0


def check_ready(project: Project, *, ports: tuple[int, int]) -> None:
    """Raise when the pages cannot be served, saying the first reason in one sentence.

    Raises
    ------
    SettingsError
        When a package is missing, a port cannot be had, or a database cannot be reached.
    ExportError
        When a folder cannot be written.
    """
    _require_packages(_NEEDED)
    if ports[0] == ports[1]:
        raise SettingsError(
            f"both pages were given port {ports[0]}; choose two with --port and --mlflow-port"
        )
    for port in ports:
        _require_free(port)
    for folder in (
        project.home,
        project.recordings_folder,
        project.assets_folder,
        project.mlflow_artifacts,
        project.private_folder,
        project.home / "server-logs",
    ):
        _require_writable(folder)
    require_parts()
    _require_instance(project)
    _require_mlflow(project)


@contextmanager
def held_alone(project: Project) -> Iterator[tuple[int, ...]]:
    """Hold the project for one `cellstorm ui`; two daemons would get into each other's way.

    Yields
    ------
    tuple of int
        What the servers are to inherit: the project is held until the last of them has ended,
        also when this process was killed. Nothing where the system knows no such thing.

    Raises
    ------
    SettingsError
        When another one, or a server it left behind, still runs.
    """
    if sys.platform == "win32":
        yield ()
        return
    import fcntl  # noqa: PLC0415 - not on every system

    path = project.private_folder / "ui.lock"
    with path.open("a+", encoding="ascii") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            raise SettingsError(
                f"the pages of {project.home} are served already, by process "
                f"{stream.read(20).strip() or 'unknown'} or servers it left behind; stop them first"
            ) from error
        stream.truncate(0)
        stream.write(f"{os.getpid()}\n")
        stream.flush()
        yield (stream.fileno(),)


def _require_packages(needed: dict[str, str]) -> None:
    """Raise when a module is not installed."""
    for module, package in needed.items():
        try:
            found = importlib.util.find_spec(module)
        except ModuleNotFoundError:
            found = None
        if found is None:
            raise SettingsError(
                f"the pages need the package {package}, which is not installed; install it with "
                f"`pip install {package}`"
            )


def _require_free(port: int) -> None:
    """Raise when a port of this machine cannot be listened on."""
    if not 1 <= port <= 65535:
        raise SettingsError(f"a port is a number from 1 to 65535, got {port}")
    with closing(socket.socket()) as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                reason = "is taken by another program"
            else:
                reason = f"cannot be used: {error.strerror}"
            raise SettingsError(
                f"port {port} {reason}; choose one with --port or --mlflow-port"
            ) from error


def _require_writable(folder: Path) -> None:
    """Raise when nothing can be written in a folder."""
    probe = folder / "writable"
    with written_whole(probe) as temporary:
        temporary.write_bytes(b"x")
    probe.unlink(missing_ok=True)


def _require_instance(project: Project) -> None:
    """Raise when Dagster's databases cannot be reached."""
    where = project.home / "dagster.yaml"
    try:
        with dg.DagsterInstance.from_config(str(project.home)) as instance:
            _ = instance.run_launcher, instance.run_coordinator
            instance.get_runs(limit=1)
            instance.get_dynamic_partitions("recording")
            instance.all_instigator_state()
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{where} names {error.name}, which is not installed; install the package that brings "
            "it, or take the entry out"
        ) from error
    except Exception as error:
        raise SettingsError(
            f"Dagster's databases as {where} describes them cannot be used: {_first_line(error)}; "
            "start the database server, or correct that file"
        ) from error


def _require_mlflow(project: Project) -> None:
    """Raise when MLflow's database, or the lab's own server, cannot be reached."""
    engine = sqlalchemy.create_engine(project.mlflow_uri)
    try:
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT name FROM sqlite_master LIMIT 1"))
    except SQLAlchemyError as error:
        raise SettingsError(
            f"MLflow's database {project.mlflow_uri} cannot be used: {_first_line(error)}; put "
            "back a copy of it, or move it away to begin anew"
        ) from error
    finally:
        engine.dispose()
    server = os.environ.get(SERVER_VARIABLE, "")
    if not server.startswith(("http://", "https://")):
        return
    try:
        with urllib.request.urlopen(f"{server.rstrip('/')}/health", timeout=_ANSWER_S):  # noqa: S310
            return
    except urllib.error.HTTPError:
        return  # it answers; whether it lets us in is told by who asks for more
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"the MLflow server {server} does not answer: {_first_line(error)}; start it, or take "
            f"{SERVER_VARIABLE} out of the environment"
        ) from error


def _first_line(error: Exception) -> str:
    """Return what an error says first, and of an error that wraps another, what that says."""
    cause: BaseException = getattr(error, "orig", None) or error.__cause__ or error
    text = str(cause).strip() or type(cause).__name__
    return " ".join(text.splitlines()[0].split()).rstrip(".;:")[:300]
