"""The MLflow page inside its guard; a process of its own, started by `cellstorm ui`."""

# ruff: noqa: PLC0415 - MLflow reads its settings from the environment when it is imported.

import os
import sys
import uuid
from urllib.parse import urlsplit

from cellstorm_assets.access import access_to
from cellstorm_assets.guard import Guard, serve_app
from cellstorm_assets.project import Project, find_project

#: MLflow's assistant runs commands on this machine for whoever may open the page.
_CLOSED = ("/ajax-api/3.0/mlflow/assistant",)
#: Files go by way of the page, which keeps them where the project says.
_ARTIFACTS = "mlflow-artifacts:/"


def main(port: int, address: str | None) -> None:
    """Serve the page on a port of this machine until told to stop."""
    project = find_project()
    access = access_to(project, port=port, address=address)
    os.environ.update(_own_checks(access.hosts, address))
    from mlflow.server.fastapi_app import app
    from mlflow.server.handlers import initialize_backend_stores

    os.environ.update(_stores(project))
    initialize_backend_stores(project.mlflow_uri, project.mlflow_uri, _ARTIFACTS)
    serve_app(Guard(app, access, closed=_CLOSED), port=port)


def _own_checks(hosts: frozenset[str], address: str | None) -> dict[str, str]:
    """Return the names that MLflow's own check lets through; it reads them when imported."""
    names = sorted({*hosts, *(urlsplit(f"//{host}").hostname or "" for host in hosts)})
    return {
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(names),
        **({"MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": address} if address else {}),
    }


def _stores(project: Project) -> dict[str, str]:
    """Return what MLflow's own command tells its server."""
    from mlflow.environment_variables import (
        _MLFLOW_IN_JOB_EXECUTOR,
        _MLFLOW_SERVER_BOOT_ID,
        _MLFLOW_SGI_NAME,
    )
    from mlflow.server import constants

    return {
        constants.BACKEND_STORE_URI_ENV_VAR: project.mlflow_uri,
        constants.REGISTRY_STORE_URI_ENV_VAR: project.mlflow_uri,
        constants.ARTIFACT_ROOT_ENV_VAR: _ARTIFACTS,
        constants.ARTIFACTS_DESTINATION_ENV_VAR: project.mlflow_artifacts.as_uri(),
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
        _MLFLOW_SERVER_BOOT_ID.name: uuid.uuid4().hex,
        _MLFLOW_IN_JOB_EXECUTOR.name: "false",
        _MLFLOW_SGI_NAME.name: "uvicorn",
    }


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
