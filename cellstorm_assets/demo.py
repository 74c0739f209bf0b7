"""The demo: a simulated cell, filmed by a simulated phone, processed on Dagster."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
import dagster as dg

from cellstorm_assets.definitions import build_defs
from cellstorm_assets.project import Project, add_recording, find_project, recording_key
from cellstorm_assets.reports import stored_result
from cellstorm_assets.summary import summary_of
from cellstorm_lib.camera import read_calibration, write_calibration
from cellstorm_lib.evaluate.scores import score
from cellstorm_lib.files import digest_of_file
from cellstorm_lib.pipeline.choice import RecordingChoice
from cellstorm_lib.pipeline.film import film_scene
from cellstorm_lib.progress import WHOLE, Announce, Progress
from cellstorm_lib.report.headline import recommended_first
from cellstorm_lib.simulate.scene import read_preset
from cellstorm_lib.tables import read_emitters

CAMERA = "demo-phone"
FILE_NAME = "demo.mp4"
#: About how long each step takes beside the others, which take 1.
_SECONDS = {
    "survey": 3.0,
    "raw__spots": 8.0,
    "denoised_stack": 15.0,
    "denoised__spots": 8.0,
    **dict.fromkeys(("raw__super_resolution", "denoised__super_resolution"), 3.0),
    **dict.fromkeys(("raw__frc_report", "denoised__frc_report"), 6.0),
    **dict.fromkeys(("raw__quality", "denoised__quality"), 10.0),
    "verdict": 8.0,
    "recording_report": 25.0,
}


def run_demo(announce: Announce) -> tuple[dict[str, str], dict[str, Any]]:
    """Film the demo scene once, materialize the recordings group for it, and tell the result.

    Returns
    -------
    (lines, figures)
        What people read, and what programs read.
    """
    project = find_project()
    truth = film_demo(project, announce)
    movie = project.recordings_folder / FILE_NAME
    key = recording_key(movie)
    click.echo(f"processing {FILE_NAME} on Dagster, as {key}: some minutes", err=True)
    os.environ.setdefault("DAGSTER_HOME", str(project.home))
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions("recording", [key])
        job = build_defs().resolve_job_def("process_recordings")
        run_id, told = str(uuid4()), announce("process on Dagster", "")
        instance.add_event_listener(run_id, steps_told(list(job.graph.node_names()), told))
        run = job.execute_in_process(
            instance=instance,
            partition_key=key,
            run_id=run_id,
            run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
        )
        result = stored_result(run.asset_value, project.settings())
    lines, figures = summary_of(result)
    emitters = read_emitters(truth)
    for branch in result.branches.values():
        scores = score(branch.spots, emitters)
        lines[f"{branch.name}, against the truth"] = (
            f"recall {scores.recall:.2f}, precision {scores.precision:.2f} of single spots, "
            f"{scores.rmse_nm:.0f} nm RMSE"
        )
    shown = recommended_first(result)[0].name
    folder = project.assets_folder
    lines |= {
        "image": str(folder / shown / "super_resolution" / f"{key}.png"),
        "widefield": str(folder / "widefield" / f"{key}.png"),
        "table": str(folder / shown / "localizations" / f"{key}.parquet"),
        "report": str(folder / "recording_report" / f"{key}.html"),
        "next": "open the report in a browser; cellstorm ui shows all of it in the Dagster page",
    }
    figures["report"] = lines["report"]
    return lines, figures


def steps_told(steps: Sequence[str], progress: Progress) -> Callable[[dg.EventLogEntry], None]:
    """Return what listens to the events of a run and tells how much of its work is done.

    Parameters
    ----------
    steps : sequence of str
        Names of the steps of the run.
    progress : callable
        Told the share that is done, by about how long each step takes.
    """
    seconds = {step: _SECONDS.get(step, 1.0) for step in steps}
    done: set[str] = set()

    def told(entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None or not event.is_step_success or event.step_key not in seconds:
            return
        done.add(event.step_key)
        told_s = sum(seconds[step] for step in done)
        progress(round(WHOLE * told_s / sum(seconds.values())), WHOLE)

    return told


def film_demo(project: Project, announce: Announce) -> Path:
    """Make the demo recording when it is not there, and return the path of its truth."""
    folder = project.home / "data" / "demo"
    movie, truth = folder / "movie.mp4", folder / "truth.parquet"
    if not (movie.exists() and truth.exists()):
        film_scene(read_preset("demo"), folder, stacks=(), progress=announce("simulate"))
    camera = project.cameras_folder / f"{CAMERA}.json"
    if not camera.exists():
        write_calibration(read_calibration(folder / "camera.json"), camera)
    target = project.recordings_folder / FILE_NAME
    if not target.exists() or digest_of_file(target) != digest_of_file(movie):
        scene = read_preset("demo")
        choice = RecordingChoice(camera=CAMERA, pixel_size_nm=scene.field.pixel_size_nm)
        add_recording(project, movie, choice, name=FILE_NAME)
    return truth
