"""The Dagster page with its daemon, and the MLflow page, on this machine only."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, closing
from pathlib import Path
from types import FrameType

import click

from cellstorm_assets.project import Project, find_project
from cellstorm_assets.tracking import PAGE_VARIABLE
from cellstorm_lib.errors import SettingsError

_LOOPBACK = "127.0.0.1"
_START_TIMEOUT_S = 90.0
_STOP_TIMEOUT_S = 15.0
_POLL_S = 0.25


def serve(*, port: int, mlflow_port: int) -> None:
    """Start the servers, print both addresses, and stop them all when one ends or on Ctrl-C.

    Raises
    ------
    SettingsError
        When a port is taken, or a server does not come up.
    """
    project = find_project()
    for number in (port, mlflow_port):
        _require_free(number)
    page = f"http://{_LOOPBACK}:{mlflow_port}"
    environment = {**environment_of(project), PAGE_VARIABLE: page}
    signal.signal(signal.SIGTERM, _interrupt)
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(closing(Server(name, command, environment, project)))
            for name, command in commands_of(project, port, mlflow_port).items()
        }
        _wait_until_up(servers["dagster page"], f"http://{_LOOPBACK}:{port}/server_info")
        _wait_until_up(servers["mlflow page"], f"{page}/health")
        click.echo(f"Dagster  http://{_LOOPBACK}:{port}")
        click.echo(f"MLflow   {page}")
        click.echo(f"watching {project.recordings_folder}; Ctrl-C stops everything")
        click.echo(f"what the servers say is in {_log_folder(project)}")
        while True:
            ended = [name for name, server in servers.items() if not server.is_running()]
            if ended:
                raise SettingsError(f"the {ended[0]} ended by itself; {servers[ended[0]].remedy}")
            time.sleep(_POLL_S)


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    """Treat a request to end like Ctrl-C, so that the servers are stopped too."""
    raise KeyboardInterrupt


def environment_of(project: Project) -> dict[str, str]:
    """Return the environment the servers run in."""
    return {
        **os.environ,
        "CELLSTORM_HOME": str(project.home),
        "DAGSTER_HOME": str(project.home),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def commands_of(project: Project, port: int, mlflow_port: int) -> dict[str, list[str]]:
    """Return the command of each server, by its name."""
    code = ["-m", "cellstorm_assets.definitions"]
    python = [sys.executable, "-m"]
    return {
        "dagster page": [
            *python, "dagster_webserver", "--host", _LOOPBACK, "--port", str(port), *code
        ],
        "daemon": [*python, "dagster._daemon", "run", *code],
        "mlflow page": [
            *python, "mlflow", "server", "--backend-store-uri", project.mlflow_uri,
            "--artifacts-destination", project.mlflow_artifacts.as_uri(),
            "--host", _LOOPBACK, "--port", str(mlflow_port), "--workers", "1",
        ],
    }  # fmt: skip


class Server:
    """A process with a log file, asked to stop when closed, and made to when it does not."""

    def __init__(
        self, name: str, command: list[str], environment: dict[str, str], project: Project
    ) -> None:
        log = _log_folder(project) / f"{name.replace(' ', '-')}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        self.remedy = f"see {log}"
        self._log = log.open("w", encoding="utf-8")
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and modules
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def is_running(self) -> bool:
        """Return whether the process still runs."""
        return self._process.poll() is None

    def close(self) -> None:
        """Stop the process."""
        if self.is_running():
            self._process.send_signal(signal.SIGTERM if sys.platform == "win32" else signal.SIGINT)
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._log.close()


def _log_folder(project: Project) -> Path:
    """Return where the servers write what they say.

    Not ``logs``: Dagster sends whatever lies in that folder to its makers, even when told to
    send nothing, and deletes it.
    """
    return project.home / "server-logs"


def _require_free(port: int) -> None:
    """Raise when something already listens on a port of this machine."""
    with socket.socket() as probe:
        if probe.connect_ex((_LOOPBACK, port)) == 0:
            raise SettingsError(
                f"port {port} is taken by another program; choose one with --port or --mlflow-port"
            )


def _wait_until_up(server: Server, url: str) -> None:
    """Wait until a server answers.

    Raises
    ------
    SettingsError
        When it ends or does not answer in time.
    """
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        if not server.is_running():
            raise SettingsError(f"the server of {url} ended while starting; {server.remedy}")
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - loopback
                return
        except (urllib.error.URLError, OSError):
            time.sleep(_POLL_S)
    raise SettingsError(f"{url} did not answer within {_START_TIMEOUT_S:.0f} s; {server.remedy}")
