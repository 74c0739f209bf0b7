"""A watched folder with the sensor's memory, and what the daemon does with its requests."""

from pathlib import Path

import dagster as dg
from dagster._core.test_utils import create_run_for_test

from cellstorm_assets.automation import PARTITION_TAG, new_recordings
from cellstorm_assets.resources import ProjectResource
from cellstorm_assets.schedules import stale_requests
from cellstorm_assets.watching import Watch

_RUN_KEY_TAG = "dagster/run_key"
WAITING = dg.DagsterRunStatus.NOT_STARTED
SUCCESS = dg.DagsterRunStatus.SUCCESS
FAILURE = dg.DagsterRunStatus.FAILURE


class Folder:
    """The folder, and a stand-in for the daemon: one run per run key, ended by the test."""

    def __init__(self, home: Path, instance: dg.DagsterInstance) -> None:
        self.recordings = home / "data" / "recordings"
        self.recordings.mkdir(parents=True)
        self._project = ProjectResource(home=str(home))
        self.instance = instance
        self.cursor: str | None = None
        self.said = ""

    def write(self, name: str, content: bytes) -> Path:
        path = self.recordings / name
        path.write_bytes(content)
        return path

    def evaluate(self) -> dg.SensorResult | None:
        """Evaluate the sensor without what the daemon does afterwards."""
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        result = new_recordings(context, project=self._project)
        self.said = str(result.skip_message) if isinstance(result, dg.SkipReason) else ""
        return result if isinstance(result, dg.SensorResult) else None

    def tick(self) -> list[str]:
        """Evaluate the sensor, keep its cursor, and create the runs it asks for."""
        result = self.evaluate()
        if result is None:
            return []
        self.cursor = result.cursor
        for request in result.dynamic_partitions_requests or []:
            self.instance.add_dynamic_partitions("recording", list(request.partition_keys))
        return [key for request in result.run_requests or [] if (key := self._launched(request))]

    def ticks(self, count: int) -> list[str]:
        return [key for _ in range(count) for key in self.tick()]

    def schedule_tick(self) -> list[str]:
        """Evaluate the schedule of stale and failed results, and create the runs it asks for."""
        films = Watch.parsed(self.cursor).names_by_key()
        told = stale_requests(self.instance, self._project.project(), films)
        requests = told if isinstance(told, list) else []
        for request in requests:
            self.run_of(str(request.partition_key), WAITING, dict(request.tags))
        return [str(request.partition_key) for request in requests]

    def _launched(self, request: dg.RunRequest) -> str | None:
        """Create a run unless one of that run key exists."""
        tags = {_RUN_KEY_TAG: str(request.run_key)}
        if self.instance.get_runs(dg.RunsFilter(tags=tags)):
            return None
        self.run_of(str(request.partition_key), WAITING, {**tags, **request.tags})
        return str(request.partition_key)

    def run_of(
        self, key: str, status: dg.DagsterRunStatus, tags: dict[str, str] | None = None
    ) -> dg.DagsterRun:
        """Create a run of a partition."""
        run: dg.DagsterRun = create_run_for_test(
            self.instance,
            job_name="process_recordings",
            tags={PARTITION_TAG: key, **(tags or {})},
            status=status,
        )
        return run

    def end(self, key: str, *, is_success: bool) -> None:
        """End the newest run of a partition."""
        run = self.instance.get_runs(dg.RunsFilter(tags={PARTITION_TAG: key}), limit=1)[0]
        if is_success:
            kind = dg.DagsterEventType.PIPELINE_SUCCESS
        else:
            kind = dg.DagsterEventType.PIPELINE_FAILURE
        self.instance.report_dagster_event(
            dg.DagsterEvent(event_type_value=kind.value, job_name=run.job_name), run.run_id
        )

    def statuses(self, key: str) -> list[dg.DagsterRunStatus]:
        """Return how the runs of a partition stand, the newest first."""
        return [
            run.status for run in self.instance.get_runs(dg.RunsFilter(tags={PARTITION_TAG: key}))
        ]
