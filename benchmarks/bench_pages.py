"""Pages, ticks and checks of a project with 1,000 recordings.

One small film is processed; its runs, events and files are then written for 1,000 recordings, and
what people wait for is timed: seconds of CPU for the ticks and the check, by the clock for the
pages in a headless browser. `python -m benchmarks.bench_pages 200` takes another number;
`--keep FOLDER` keeps the project, and takes it when it is there.
"""

import argparse
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg

PAGES = {
    "catalog": "/assets",
    "graph": "/asset-groups",
    "results": "/assets/recording_report?view=partitions",
    "localizations": "/assets/raw/localizations?view=partitions",
    "checks": "/assets/raw/localizations?view=checks",
    "runs": "/runs",
    "automation": "/automation",
}
_IS_WAITING = "() => document.querySelector('[aria-label=Loading], .bp5-spinner') === null"


def first_recording(home: Path) -> str:
    """Process one small film; return its key."""
    from benchmarks.bench_platform import film_of
    from cellstorm_assets.definitions import build_defs
    from cellstorm_assets.project import add_recording, find_project, recording_key
    from cellstorm_lib.pipeline.choice import RecordingChoice

    project = find_project()
    path = add_recording(
        project, film_of(60, 64), RecordingChoice(pixel_size_nm=100.0), name="film.mp4"
    )
    key = recording_key(path)
    job = build_defs().resolve_job_def("process_recordings")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        if key not in instance.get_dynamic_partitions("recording"):
            instance.add_dynamic_partitions("recording", [key])
            job.execute_in_process(instance=instance, partition_key=key)
    return key


def fill(home: Path, key: str, count: int) -> int:
    """Write the events, runs and files of a recording for others; return how many events.

    One goes through Dagster; its rows are then copied inside the databases, with other keys.
    """
    from cellstorm_assets.project import find_project

    wanted = [f"recording-{number:04}-{key.rpartition('-')[2]}" for number in range(count)]
    with dg.DagsterInstance.from_config(str(home)) as instance:
        known = set(instance.get_dynamic_partitions("recording"))
        keys = [each for each in wanted if each not in known]
        if not keys:
            return 0
        run = instance.get_runs(dg.RunsFilter(tags={"dagster/partition": key}))[-1]
        logs = [
            entry.dagster_event
            for entry in instance.all_logs(run.run_id)
            if entry.dagster_event is not None
            and (entry.dagster_event.is_step_materialization
                 or entry.dagster_event.event_type_value == "ASSET_CHECK_EVALUATION")
        ]  # fmt: skip
        for event in logs:
            instance.report_runless_asset_event(_of(event, keys[0]))
        instance.add_dynamic_partitions("recording", keys)
    for path in find_project().assets_folder.rglob(f"{key}.*"):
        for each in keys:
            os.link(path, path.with_name(path.name.replace(key, each)))
    _copy_runs(home / "history" / "runs.db", run.run_id, key, keys)
    return _copy_events(home / "history" / "runs" / "index.db", keys)


def _copy_runs(path: Path, run_id: str, key: str, keys: list[str]) -> None:
    """Write a run of each recording, as that of another."""
    with closing(sqlite3.connect(path)) as base, base:
        columns = _columns(base, "runs")
        for each in keys:
            new = str(uuid.uuid4())
            changed = columns.replace("run_id", ":to", 1).replace(
                "run_body", "replace(replace(run_body, :run, :to), :key, :other)", 1
            )
            base.execute(
                f"insert into runs ({columns}) select {changed} from runs where run_id = :run",
                {"run": run_id, "to": new, "key": key, "other": each},
            )
            base.execute(
                "insert into run_tags (run_id, key, value) select ?, key, replace(value, ?, ?) "
                "from run_tags where run_id = ?",
                (new, key, each, run_id),
            )


def _copy_events(path: Path, keys: list[str]) -> int:
    """Write the newest events of the first recording for the others; return how many."""
    with closing(sqlite3.connect(path)) as base, base:
        first, last = base.execute(
            "select min(id), max(id) from event_logs where run_id = ''"
        ).fetchone()
        events, checks = _columns(base, "event_logs"), _columns(base, "asset_check_executions")
        for number, each in enumerate(keys[1:], start=1):
            moved = number * (last - first + 1)
            changed = events.replace("event,", "replace(event, :old, :new),", 1)
            values = {"moved": moved, "old": keys[0], "new": each, "first": first, "last": last}
            base.execute(
                f"insert into event_logs (id, {events}) select id + :moved, "
                f"{changed.replace('partition', 'replace(partition, :old, :new)')} "
                "from event_logs where id between :first and :last",
                values,
            )
            base.execute(
                "insert into asset_event_tags (event_id, asset_key, key, value, event_timestamp) "
                "select event_id + :moved, asset_key, key, replace(value, :old, :new), "
                "event_timestamp from asset_event_tags where event_id between :first and :last",
                values,
            )
            stored = "evaluation_event_storage_id"
            base.execute(
                f"insert into asset_check_executions ({checks}) select "
                f"{checks.replace(stored, f'{stored} + :moved', 1)} from asset_check_executions "
                f"where {stored} between :first and :last",
                values,
            )
    return len(keys) * (int(last) - int(first) + 1)


def _columns(base: sqlite3.Connection, table: str) -> str:
    """Return the names of a table's columns without its number."""
    found = [row[1] for row in base.execute(f"pragma table_info({table})")]
    return ", ".join(name for name in found if name != "id")


def _of(event: Any, key: str) -> Any:
    """Return what an event says, of another recording."""
    if event.is_step_materialization:
        made = event.step_materialization_data.materialization
        tags = {name: text for name, text in (made.tags or {}).items() if "input" not in name}
        return dg.AssetMaterialization(
            asset_key=made.asset_key, metadata=made.metadata, partition=key, tags=tags
        )
    checked = event.asset_check_evaluation_data
    return dg.AssetCheckEvaluation(
        asset_key=checked.asset_key, check_name=checked.check_name, passed=checked.passed,
        severity=checked.severity, metadata=checked.metadata,
    )  # fmt: skip


def timed(name: str, work: Callable[[], Any]) -> Any:
    """Print the seconds of CPU of something, and by the clock; return what it returns."""
    cpu, clock = time.process_time(), time.monotonic()
    told = work()
    print(f"{name}: {time.process_time() - cpu:.2f} s CPU, {time.monotonic() - clock:.2f} s by "
          "the clock", flush=True)  # fmt: skip
    return told


def ticks(home: Path) -> None:
    """Time what the daemon does every few minutes, and what the check does."""
    from cellstorm_assets.lineage import Present, lineages
    from cellstorm_assets.lineage_checks import tell_page
    from cellstorm_assets.lost_runs import lost_runs
    from cellstorm_assets.project import find_project
    from cellstorm_assets.resources import ProjectResource
    from cellstorm_assets.schedules import films_there, stale_requests

    project = find_project()
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for turn in ("first", "second", "third"):
            timed(
                f"reprocess_stale, {turn} tick",
                lambda: stale_requests(instance, project, films_there(instance)),
            )
        found = timed("up_to_date, notes known", lambda: list(lineages(Present(project))))
        timed("checks told to the page", lambda: tell_page(instance, found))
        resource = ProjectResource(home=str(home))
        with dg.build_sensor_context(instance=instance) as context:
            timed("lost_runs tick", lambda: lost_runs(context, project=resource))


def arrivals(home: Path, count: int) -> None:
    """Time the sensor's ticks while as many recordings arrive at once, and after."""
    from cellstorm_assets.automation import new_recordings
    from cellstorm_assets.project import find_project
    from cellstorm_assets.resources import ProjectResource

    film = next(find_project().recordings_folder.glob("*.mp4")).read_bytes()
    with tempfile.TemporaryDirectory() as other:
        folder = Path(other) / "data" / "recordings"
        folder.mkdir(parents=True)
        for number in range(count):
            filler = b"\x00\x00\x00\x10free" + number.to_bytes(8, "big")
            (folder / f"recording {number:04}.mp4").write_bytes(film + filler)
        resource = ProjectResource(home=other)
        cursor: str | None = None
        with dg.DagsterInstance.from_config(str(home)) as instance:
            for turn in range(count // 100 + 4):
                with dg.build_sensor_context(instance=instance, cursor=cursor) as context:
                    tick = partial(new_recordings, context, project=resource)
                    told = timed(f"new_recordings, tick {turn + 1}", tick)
                if isinstance(told, dg.SensorResult):
                    cursor = told.cursor
                    print(f"  {len(told.run_requests or [])} runs asked for, cursor "
                          f"{len(cursor or '') / 1e3:.0f} kB")  # fmt: skip


def pages(home: Path) -> None:
    """Start `cellstorm ui`, and time the pages in a browser, first and again."""
    from playwright.sync_api import sync_playwright

    ports = [_free_port(), _free_port()]
    log = home / "ui.log"
    clock = time.monotonic()
    with log.open("w") as stream:
        server = subprocess.Popen(
            [str(Path(sys.executable).with_name("cellstorm")), "ui", "--port", str(ports[0]),
             "--mlflow-port", str(ports[1])],
            stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    try:
        while not (found := re.search(r"http://\S+[?&]token=\S+", log.read_text())):
            if server.poll() is not None or time.monotonic() - clock > 120:
                sys.exit(f"no page: {log.read_text()}")
            time.sleep(0.1)
        print(f"cellstorm ui up in {time.monotonic() - clock:.1f} s by the clock, load "
              f"{os.getloadavg()[0]:.0f}", flush=True)  # fmt: skip
        root = f"http://127.0.0.1:{ports[0]}"
        with sync_playwright() as play:
            browser = play.chromium.launch(
                executable_path=shutil.which("chromium"),
                args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                      "--disable-background-networking", "--no-first-run"],
            )  # fmt: skip
            page = browser.new_page(viewport={"width": 1400, "height": 900})
            page.set_default_timeout(120_000)
            page.goto(found[0], wait_until="load")
            for name, path in PAGES.items():
                for turn in ("first", "again"):
                    clock = time.monotonic()
                    page.goto(root + path, wait_until="networkidle")
                    page.wait_for_function(_IS_WAITING)
                    print(f"page {name}, {turn}: {time.monotonic() - clock:.1f} s", flush=True)
                page.screenshot(path=str(home / f"page-{name}.png"))
            browser.close()
    finally:
        server.terminate()
        server.wait(60)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", type=int, nargs="?", default=1000)
    parser.add_argument("--keep", help="folder of the project, kept")
    parser.add_argument("--only", nargs="+", choices=("ticks", "pages"), default=["ticks", "pages"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cellstorm-pages-") as name:
        home = Path(options.keep or name)
        home.mkdir(parents=True, exist_ok=True)
        os.environ["CELLSTORM_HOME"] = os.environ["DAGSTER_HOME"] = str(home)
        key = first_recording(home)
        clock = time.monotonic()
        events = fill(home, key, options.recordings)
        print(f"{options.recordings} recordings, {events} events written in "
              f"{time.monotonic() - clock:.0f} s", flush=True)  # fmt: skip
        if "ticks" in options.only:
            ticks(home)
            arrivals(home, options.recordings)
        if "pages" in options.only:
            pages(home)


if __name__ == "__main__":
    main()
