"""A database with 1,000 recordings and 10,000 results: what the pages and a tick take.

`python tests/scale/large_database.py`: on PostgreSQL, where that is installed, started and stopped
here.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from scale_lab import Cluster, missing_part

ASSETS = (
    "recording", "frame_facts", "widefield", "raw/spots", "raw/drift", "raw/localizations",
    "raw/super_resolution", "raw/frc_report", "raw/quality", "recording_report",
)  # fmt: skip
INSTANCE = """\
telemetry: { enabled: false }
storage: { postgres: { postgres_url: { env: DAGSTER_PG_URL } } }
"""


@contextmanager
def database_of_a_lab() -> Iterator[tuple[Cluster, Path]]:
    """Start PostgreSQL for an empty project; give the services and the project's folder."""
    with tempfile.TemporaryDirectory(prefix="cs-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        cluster, home = Cluster(folder=folder / "cluster"), folder / "home"
        home.mkdir()
        (home / "dagster.yaml").write_text(INSTANCE)
        os.environ |= {
            "DAGSTER_PG_URL": cluster.environment["DAGSTER_PG_URL"],
            "CELLSTORM_HOME": str(home), "DAGSTER_HOME": str(home),
        }  # fmt: skip
        try:
            cluster.start_database()
            yield cluster, home
        finally:
            cluster.stop()


def fill(instance: dg.DagsterInstance, recordings: int) -> list[str]:
    """Add recordings, each with ten results."""
    keys = [f"film-{number:04d}-0badc0de" for number in range(recordings)]
    instance.add_dynamic_partitions("recording", keys)
    for key in keys:
        for asset in ASSETS:
            instance.report_runless_asset_event(
                dg.AssetMaterialization(asset_key=asset.split("/"), partition=key)
            )
    return keys


def measured(instance: dg.DagsterInstance) -> dict[str, float]:
    """Return the CPU and wall seconds of what a page asks for, and of a tick."""
    from cellstorm_assets.automation import new_recordings
    from cellstorm_assets.lost_runs import lost_runs
    from cellstorm_assets.resources import ProjectResource

    asset = dg.AssetKey(["raw", "spots"])
    actions = {
        "partitions of an asset": lambda: instance.get_materialized_partitions(asset),
        "its newest 100 results": lambda: instance.fetch_materializations(asset, limit=100),
        "all assets": lambda: instance.get_asset_records(
            [dg.AssetKey(name.split("/")) for name in ASSETS]
        ),
        "newest 100 runs": lambda: instance.get_run_records(limit=100),
    }
    for sensor in (new_recordings, lost_runs):
        actions[f"tick of {sensor.name}"] = lambda sensor=sensor: sensor(
            dg.build_sensor_context(instance=instance), project=ProjectResource()
        )
    found = {}
    for name, action in actions.items():
        began = time.perf_counter()
        action()
        found[name] = time.perf_counter() - began
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=1000)
    given = parser.parse_args()
    if missing := missing_part():
        print(f"cannot be tried here: {missing}")
        return 1
    with database_of_a_lab() as (_, home), dg.DagsterInstance.from_config(str(home)) as instance:
        fill(instance, given.recordings)
        for what, seconds in measured(instance).items():
            print(f"{what}: {seconds:.3f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
