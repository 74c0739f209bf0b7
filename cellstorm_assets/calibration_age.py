"""Whether the cameras were calibrated lately: phones change with every update of their software."""

import time
from collections.abc import Iterable
from pathlib import Path

import dagster as dg

from cellstorm_assets.cameras import CALIBRATION
from cellstorm_assets.metadata import said_plainly, table
from cellstorm_assets.project import Project
from cellstorm_assets.resources import ProjectResource

_DAY_S = 86_400.0
AGE_CHECK = dg.AssetCheckKey(CALIBRATION, "calibration_is_recent")


@dg.asset_check(
    asset=CALIBRATION,
    name=AGE_CHECK.name,
    description="The newest file of every camera's series is younger than calibration_days of "
    "the project's settings.",
)
def calibration_is_recent(project: ProjectResource) -> dg.AssetCheckResult:
    """Warn of cameras whose series, or stated numbers, are old."""
    home = project.project()
    with said_plainly():
        limit = home.settings().calibration_days
    ages = ages_days(home, time.time())
    old = {name: age for name, age in ages.items() if age > limit}
    reason = f"all {len(ages)} cameras were calibrated in the last {limit:g} days"
    if old:
        named = ", ".join(f"{name} {age:.0f} days ago" for name, age in old.items())
        reason = (
            f"calibrated more than {limit:g} days ago: {named}; film new series into the camera's "
            "folder, or set calibration_days in data/settings.yaml"
        )
    rows = [(name, f"{age:.0f}", "old" if name in old else "recent") for name, age in ages.items()]
    return dg.AssetCheckResult(
        passed=not old,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "reason": reason,
            **({"ages": table(("camera", "days", "which is"), rows)} if rows else {}),
        },
    )


def ages_days(project: Project, now_s: float) -> dict[str, float]:
    """Return the age of the newest file of each of the project's cameras, the oldest first."""
    folder = project.cameras_folder
    newest = {
        name: _newest_s([*folder.glob(f"{name}.*"), *(folder / name).rglob("*")])
        for name in project.cameras.names()
    }
    ages = {name: (now_s - when) / _DAY_S for name, when in newest.items() if when is not None}
    return dict(sorted(ages.items(), key=lambda item: -item[1]))


def _newest_s(paths: Iterable[Path]) -> float | None:
    """Return when the newest of these files was changed."""
    times = [path.stat().st_mtime for path in paths if path.is_file()]
    return max(times, default=None)


check_calibrations = dg.define_asset_job(
    "check_calibrations",
    selection=dg.AssetSelection.checks(AGE_CHECK),
    description="Looks for cameras that were calibrated long ago.",
)

review_calibrations = dg.ScheduleDefinition(
    name="review_calibrations",
    job=check_calibrations,
    cron_schedule="0 6 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Looks once a day for cameras that were calibrated long ago.",
)
