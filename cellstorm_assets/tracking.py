"""MLflow: where trainings are written down, each as a run that ends as it went."""

# ruff: noqa: PLC0415 - MLflow takes more than a second to import; only those wait who need it.

import getpass
import io
import json
import math
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cellstorm_assets.code_version import code_tags
from cellstorm_assets.project import Project
from cellstorm_lib.errors import ExportError

#: Where the MLflow page of `cellstorm ui` is; it says so itself when it is elsewhere.
PAGE_VARIABLE = "CELLSTORM_MLFLOW_PAGE"
#: A lab's own MLflow server, instead of the database of the project.
SERVER_VARIABLE = "CELLSTORM_MLFLOW_URI"
_PAGE = "http://127.0.0.1:5000"
#: Lets the page show curves and scores first; it would take the runs for those of a chat program.
_MODEL_TRAINING = {"mlflow.experimentKind": "custom_model_development"}
_REASON_LENGTH = 300
_MOST_RETRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """An MLflow store.

    Attributes
    ----------
    uri : str
        Its database or server.
    artifacts : Path or None
        Where files go; None leaves that to the server.
    page : str
        Address of its web page.
    """

    uri: str
    artifacts: Path | None
    page: str

    @classmethod
    def of(cls, project: Project) -> "Tracking":
        """Return the store of a project: its own database, or the server that is set for it."""
        server = os.environ.get(SERVER_VARIABLE, "")
        if server:
            return cls(uri=server, artifacts=None, page=server.rstrip("/"))
        page = os.environ.get(PAGE_VARIABLE, _PAGE)
        return cls(uri=project.mlflow_uri, artifacts=project.mlflow_artifacts, page=page)

    @property
    def exists(self) -> bool:
        """Whether anything can have been written down there."""
        return not self.uri.startswith("sqlite:///") or self._database.exists()

    def address(self, place: str) -> str:
        """Return the address of a place on the page, shown for trainings, not for chat programs."""
        return f"{self.page}/#/{place}?workflowType=machine_learning"

    @property
    def _database(self) -> Path:
        """Return the file of the project's own database."""
        return Path(self.uri.removeprefix("sqlite:///"))

    @contextmanager
    def told_plainly(self) -> Iterator[None]:
        """Turn an error of the store into one sentence.

        Raises
        ------
        ExportError
            When it cannot be reached, read or written.
        """
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (MlflowException, SQLAlchemyError, OSError) as error:
            reason = " ".join(str(error).split())[:_REASON_LENGTH].rstrip(".")
            raise ExportError(
                f"MLflow at {self.uri} cannot be used: {reason}; see that its server runs and its "
                f"files can be written, or unset {SERVER_VARIABLE} to use the project's own"
            ) from error

    def client(self) -> Any:
        """Return what reads and writes the store, without any state of its own."""
        self._prepare()
        from mlflow import MlflowClient

        with self.told_plainly():
            if self.artifacts is not None:
                self._database.parent.mkdir(parents=True, exist_ok=True)
            return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    def _prepare(self) -> None:
        """Set what MLflow reads when it is imported: no telemetry, no long retries, no chatter."""
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", str(_MOST_RETRIES))
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")

    @contextmanager
    def run(
        self, experiment: str, name: str, tags: Mapping[str, str] | None = None
    ) -> Iterator["TrackedRun"]:
        """Write down what happens inside the block as one run.

        It ends FINISHED, FAILED with the reason as the tag ``failure``, or KILLED when a person
        stopped it.

        Parameters
        ----------
        experiment : str
            Runs of one experiment are compared with each other; made when it is new.
        name : str
            What to call the run.
        tags : mapping, optional
            What the run can be found by.

        Raises
        ------
        ExportError
            When the store cannot be reached.
        """
        client = self.client()
        with self.told_plainly():
            experiment_id = self._experiment(client, experiment)
            made = client.create_run(
                experiment_id,
                run_name=name,
                tags={"mlflow.user": _user(), **code_tags(), **(tags or {})},
            )
        run = TrackedRun(
            tracking=self, client=client, run_id=made.info.run_id, experiment_id=experiment_id
        )
        status = "KILLED"
        try:
            yield run
            status = "FINISHED"
        except Exception as error:
            status = "FAILED"
            with suppress(ExportError):
                run.tag({"failure": " ".join(str(error).split())})
            raise
        finally:
            with suppress(ExportError) if status != "FINISHED" else nullcontext():
                run.end(status)

    def reopened(self, run_id: str) -> "TrackedRun":
        """Return a run that has ended, to write more down."""
        client = self.client()
        with self.told_plainly():
            found = client.get_run(run_id)
        return TrackedRun(
            tracking=self,
            client=client,
            run_id=run_id,
            experiment_id=str(found.info.experiment_id),
        )

    def _experiment(self, client: Any, name: str) -> str:
        """Return the id of an experiment, made when it is new."""
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        place = None if self.artifacts is None else (self.artifacts / name).resolve().as_uri()
        return str(client.create_experiment(name, artifact_location=place, tags=_MODEL_TRAINING))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedRun:
    """A run that is being written down."""

    tracking: Tracking
    client: Any
    run_id: str
    experiment_id: str

    @property
    def url(self) -> str:
        """Address of its page."""
        return self.tracking.address(f"experiments/{self.experiment_id}/runs/{self.run_id}")

    def tag(self, tags: Mapping[str, str]) -> None:
        """Put tags on the run."""
        with self.tracking.told_plainly():
            for name, value in tags.items():
                self.client.set_tag(self.run_id, name, value)

    def log_settings(self, settings: Mapping[str, Any]) -> None:
        """Write settings down; they cannot be changed any more."""
        from mlflow.entities import Param

        with self.tracking.told_plainly():
            params = [Param(name, str(value)) for name, value in settings.items()]
            self.client.log_batch(self.run_id, params=params)

    def log_numbers(self, numbers: Mapping[str, float], *, step: int = 0) -> None:
        """Write numbers down, as points of curves; what is not finite is left out."""
        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        with self.tracking.told_plainly():
            metrics = [
                Metric(name, float(value), now_ms, step)
                for name, value in numbers.items()
                if math.isfinite(value)
            ]
            self.client.log_batch(self.run_id, metrics=metrics)

    def log_dataset(self, name: str, digest: str, source: str) -> None:
        """Say which data went in."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        entry = Dataset(
            name=name,
            digest=digest[:16],
            source_type="local",
            source=json.dumps({"uri": source}),
        )
        with self.tracking.told_plainly():
            tags = [InputTag(key="mlflow.data.context", value="training")]
            self.client.log_inputs(self.run_id, [DatasetInput(entry, tags)])

    def log_picture(self, png: bytes, name: str, *, step: int = 0) -> None:
        """Show a picture with the charts of the run, where runs can be compared by it."""
        from PIL import Image

        with Image.open(io.BytesIO(png)) as image, self.tracking.told_plainly():
            self.client.log_image(
                self.run_id, image.convert("RGB"), key=name, step=step, synchronous=True
            )

    def log_file(self, path: Path, folder: str | None = None) -> None:
        """Keep a file."""
        with self.tracking.told_plainly():
            self.client.log_artifact(self.run_id, str(path), folder)

    def log_text(self, text: str, name: str) -> None:
        """Keep a text as a file, which the page shows; one of the same name is replaced."""
        with self.tracking.told_plainly():
            self.client.log_text(self.run_id, text, name)

    def log_program(self, network: Any, example: Any, *, name: str, channels: int) -> str:
        """Keep a network as an exported program that takes frames of any height and width.

        Returns
        -------
        str
            Its address, for the registry.
        """
        with self.tracking.told_plainly(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MLflow's about its own types, torch's about its own
            import mlflow
            import mlflow.pytorch

            mlflow.set_tracking_uri(self.tracking.uri)
            with mlflow.start_run(run_id=self.run_id):
                info = mlflow.pytorch.log_model(
                    network,
                    name=name,
                    signature=_any_size(channels),
                    input_example=example,
                    serialization_format="pt2",
                    pip_requirements=["torch"],
                )
        return str(info.model_uri)

    def end(self, status: str) -> None:
        """Say how the run ended."""
        with self.tracking.told_plainly():
            self.client.set_terminated(self.run_id, status)


def _any_size(channels: int) -> Any:
    """Return the signature of a program that takes any number of frames of any size."""
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    kind = np.dtype("float32")
    return ModelSignature(
        inputs=Schema([TensorSpec(kind, (-1, channels, -1, -1))]),
        outputs=Schema([TensorSpec(kind, (-1, 1, -1, -1))]),
    )


def _user() -> str:
    """Return who runs this, as the system calls them."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
