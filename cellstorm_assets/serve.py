"""The Dagster page with its daemon, and the MLflow page, on this machine only."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from types import FrameType
from urllib.parse import urlencode

import click

from cellstorm_assets.access import LOOPBACK, checked_address, renew_token, token_of
from cellstorm_assets.instance_file import bring_up_to_date
from cellstorm_assets.lineage import result_file, stored_keys
from cellstorm_assets.preflight import check_ready, held_alone
from cellstorm_assets.project import Project, find_project
from cellstorm_assets.tracking import PAGE_VARIABLE
from cellstorm_lib.errors import SettingsError
from cellstorm_lib.files import remove_leftovers

_START_TIMEOUT_S = 90.0
_STOP_TIMEOUT_S = 15.0
_POLL_S = 0.25
#: A tick of a sensor that reads many large files takes longer than Dagster's usual minute.
_SENSOR_TIMEOUT_S = 600


def serve(
    *,
    port: int,
    mlflow_port: int,
    address: str | None = None,
    mlflow_address: str | None = None,
    has_new_token: bool = False,
) -> None:
    """Start the servers, print both addresses, and stop them all when one ends or on Ctrl-C.

    Parameters
    ----------
    port, mlflow_port : int
        Where the pages listen, on this machine only.
    address, mlflow_address : str, optional
        Where people reach the pages through a proxy that knows who they are.
    has_new_token : bool
        Whether to forget the token that browsers have.

    Raises
    ------
    SettingsError
        When a port is taken, something that is needed is missing or cannot be reached, or a
        server does not come up.
    ExportError
        When the project's folder cannot be written.
    """
    project = find_project()
    addresses = [checked_address(text) if text else None for text in (address, mlflow_address)]
    check_ready(project, ports=(port, mlflow_port))
    if has_new_token:
        renew_token(project)
    token = token_of(project)
    page = addresses[1] or f"http://{LOOPBACK}:{mlflow_port}"
    environment = {**environment_of(project), PAGE_VARIABLE: page}
    signal.signal(signal.SIGTERM, _interrupt)
    click.echo("starting the pages, which takes up to a minute", err=True)
    with ExitStack() as stack:
        held = stack.enter_context(held_alone(project))
        if remark := bring_up_to_date(project):
            click.echo(remark, err=True)
        remove_leftovers(project.home / "data")
        servers = {
            name: stack.enter_context(closing(Server(name, command, environment, project, held)))
            for name, command in commands_of(port, mlflow_port, *addresses).items()
        }
        _wait_until_up(servers["dagster page"], f"http://{LOOPBACK}:{port}/server_info", token)
        _wait_until_up(servers["mlflow page"], f"http://{LOOPBACK}:{mlflow_port}/health", token)
        for line in _told(project, (port, mlflow_port), addresses, token):
            click.echo(line)
        while True:
            ended = [name for name, server in servers.items() if not server.is_running()]
            if ended:
                raise SettingsError(f"the {ended[0]} ended by itself; {servers[ended[0]].remedy}")
            time.sleep(_POLL_S)


def _told(
    project: Project, ports: tuple[int, int], addresses: list[str | None], token: str
) -> list[str]:
    """Return what people read when the pages are up."""
    places = (("Dagster", ports[0], _entrance(project)), ("MLflow", ports[1], "/?"))
    return [
        *(
            f"{name:7}  http://{LOOPBACK}:{port}{place}token={token}"
            for name, port, place in places
        ),
        *(f"through the proxy  {address}" for address in addresses if address),
        "the token opens both pages to whoever has it; --new-token makes another",
        f"watching {project.recordings_folder}; Ctrl-C stops everything",
        f"what the servers say is in {_log_folder(project)}",
    ]


def _entrance(project: Project) -> str:
    """Return where the address leads to: the newest report, or the graph before there is any.

    Dagster's own first page is an empty timeline.
    """
    keys = stored_keys(project)
    if not keys:
        return "/asset-groups?"

    def made_at(key: str) -> float:
        report = result_file(project, "recording_report", key)
        return report.stat().st_mtime if report.is_file() else 0.0

    newest = urlencode({"partition": max(keys, key=made_at)})
    return f"/assets/recording_report?view=partitions&{newest}&"


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
        "DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS": str(_SENSOR_TIMEOUT_S),
    }


def commands_of(
    port: int, mlflow_port: int, address: str | None = None, mlflow_address: str | None = None
) -> dict[str, list[str]]:
    """Return the command of each server, by its name."""
    python = [sys.executable, "-m"]
    return {
        "dagster page": [
            *python, "cellstorm_assets.page_dagster", str(port), *filter(None, [address])
        ],
        "daemon": [*python, "dagster._daemon", "run", "-m", "cellstorm_assets.definitions"],
        "mlflow page": [
            *python, "cellstorm_assets.page_mlflow", str(mlflow_port),
            *filter(None, [mlflow_address]),
        ],
    }  # fmt: skip


class Server:
    """A process with a log file, asked to stop when closed, and made to when it does not."""

    def __init__(
        self,
        name: str,
        command: list[str],
        environment: dict[str, str],
        project: Project,
        held: tuple[int, ...] = (),
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
            pass_fds=held,
        )

    def is_running(self) -> bool:
        """Return whether the process still runs."""
        return self._process.poll() is None

    def close(self) -> None:
        """Stop the process, and whatever it started and left behind."""
        if self.is_running():
            self._process.send_signal(signal.SIGTERM if sys.platform == "win32" else signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_TIMEOUT_S)
        if sys.platform != "win32":
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        if self.is_running():
            self._process.kill()
        self._process.wait()
        self._log.close()


def _log_folder(project: Project) -> Path:
    """Return where the servers write what they say.

    Not ``logs``: Dagster sends whatever lies in that folder to its makers, even when told to
    send nothing, and deletes it.
    """
    return project.home / "server-logs"


def _wait_until_up(server: Server, url: str, token: str) -> None:
    """Wait until a server answers.

    Raises
    ------
    SettingsError
        When it ends or does not answer in time.
    """
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - loopback
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        if not server.is_running():
            raise SettingsError(f"the server of {url} ended while starting; {server.remedy}")
        try:
            with urllib.request.urlopen(request, timeout=2):  # noqa: S310 - loopback
                return
        except (urllib.error.URLError, OSError):
            time.sleep(_POLL_S)
    raise SettingsError(f"{url} did not answer within {_START_TIMEOUT_S:.0f} s; {server.remedy}")
