"""The Dagster page inside its guard; a process of its own, started by `cellstorm ui`."""

import sys

import dagster as dg
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster_webserver.app import create_app_from_workspace_process_context
from dagster_webserver.version import __version__ as webserver_version

from cellstorm_assets.access import access_to
from cellstorm_assets.guard import Guard, serve_app
from cellstorm_assets.project import find_project

_STATEMENT_TIMEOUT_MS = 15_000
_POOL_RECYCLE_S = 3600
_MOST_CONNECTIONS = 20
_POLL_MS = 2000


def main(port: int, address: str | None) -> None:
    """Serve the page on a port of this machine until told to stop."""
    access = access_to(find_project(), port=port, address=address)
    code = ModuleTarget(
        module_name="cellstorm_assets.definitions",
        attribute=None,
        working_directory=None,
        location_name=None,
    )
    with dg.DagsterInstance.get() as instance:
        instance.optimize_for_webserver(_STATEMENT_TIMEOUT_MS, _POOL_RECYCLE_S, _MOST_CONNECTIONS)
        with WorkspaceProcessContext(
            instance, workspace_load_target=code, version=webserver_version
        ) as workspace:
            app = create_app_from_workspace_process_context(workspace, "", _POLL_MS)
            serve_app(Guard(app, access), port=port)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
