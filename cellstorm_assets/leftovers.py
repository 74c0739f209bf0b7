"""What killed processes left half-written is removed daily, not only when the pages start."""

import dagster as dg

from cellstorm_assets.resources import ProjectResource
from cellstorm_lib.files import remove_leftovers

_DAY_S = 86400


@dg.sensor(
    minimum_interval_seconds=_DAY_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Removes, once a day, what killed processes left half-written in the project's "
    "data: at once when the process is surely gone, else after three days.",
)
def leftovers(context: dg.SensorEvaluationContext, project: ProjectResource) -> dg.SkipReason:  # noqa: ARG001
    """Remove what nobody will finish."""
    removed = remove_leftovers(project.project().home / "data")
    return dg.SkipReason(f"{removed} half-written files and folders were removed")
