"""Films that arrive in an object store: each is copied once into the watched folder.

There it is found as any other film is. A run of its own copies it, on whichever machine has room,
for a film may take longer than a sensor's tick may.
"""

import json
import os
import shutil
from pathlib import Path, PurePosixPath

import dagster as dg
from dagster._core.storage.tags import PRIORITY_TAG
from upath import UPath

from cellstorm_assets.metadata import said_plainly
from cellstorm_assets.object_store import look_of, store_path, store_told_plainly
from cellstorm_assets.project import RECORDINGS
from cellstorm_assets.resources import ProjectResource
from cellstorm_lib.errors import RecordingError
from cellstorm_lib.files import written_whole
from cellstorm_lib.pipeline.choice import sidecar_of

#: ``s3://BUCKET/PREFIX`` with films and their sidecars; without it there is only the folder.
FILMS_VARIABLE = "CELLSTORM_FILMS"
#: Runs asked for in one tick.
_MOST_RUNS = 20
_BLOCK_BYTES = 1 << 24


class FilmInStore(dg.Config):
    """Which film to copy."""

    name: str


@dg.op(retry_policy=dg.RetryPolicy(max_retries=3, delay=30, backoff=dg.Backoff.EXPONENTIAL))
def fetch_film(config: FilmInStore, project: ProjectResource) -> None:
    """Copy a film of the store into the watched folder, whole, with what belongs to it before."""
    with said_plainly():
        fetch(_films(), config.name, project)


@dg.job(description="Copies a film from the store of films into the watched folder.")
def fetch_films() -> None:
    """Copy one film."""
    fetch_film()


def fetch(films: UPath, name: str, project: ProjectResource) -> None:
    """Copy a film, its sidecar and, of a ``.dax``, its ``.inf``.

    Raises
    ------
    RecordingError
        When the name is no name of a film, or the film is gone.
    ExportError
        When the store cannot be used.
    """
    folder = project.project().recordings_folder
    target = folder / name
    if target.name != name or target.suffix.lower() not in RECORDINGS:
        raise RecordingError(f"{name!r} is no name of a film in {films}; rename it there")
    companions = [sidecar_of(target).name, *([f"{target.stem}.inf"] if _is_dax(name) else [])]
    with store_told_plainly(str(films)):
        for companion in companions:
            if (films / companion).exists():
                _copy(films / companion, folder / companion)
        if not (films / name).exists():
            raise RecordingError(f"{films / name} is gone; put it there again")
        _copy(films / name, target)


@dg.sensor(
    job_name="fetch_films",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for a copy of every film in the store of films that is new or was replaced.",
)
def films_in_store(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Look into the store; the cursor holds the state of each film that was asked for."""
    films, before = _films(), json.loads(context.cursor or "{}")
    with said_plainly(), store_told_plainly(str(films)):
        now = states(films)
    new = [name for name, state in now.items() if before.get(name) != state][:_MOST_RUNS]
    if not new:
        return dg.SkipReason(f"no new film in {films}")
    asked = {name: state for name, state in now.items() if name in new or name in before}
    kept = {name: before.get(name) for name in asked if name not in new}
    cursor = json.dumps({**kept, **{name: now[name] for name in new}}, sort_keys=True)
    return dg.SensorResult(
        cursor=cursor,
        run_requests=[
            dg.RunRequest(
                run_key=f"{name} {now[name]}",
                run_config={"ops": {"fetch_film": {"config": {"name": name}}}},
                tags={"cellstorm/film": name, PRIORITY_TAG: "1"},
            )
            for name in new
        ],
    )


def states(films: UPath) -> dict[str, str]:
    """Return what differs when a film was replaced, by its name; other files are left out."""
    files = films.fs
    files.invalidate_cache()
    listed = files.ls(films.path, detail=True) if files.exists(films.path) else []
    found = {}
    for entry in listed:
        name = PurePosixPath(entry["name"]).name
        is_film = PurePosixPath(name).suffix.lower() in RECORDINGS and not name.startswith(".")
        if entry.get("type") == "file" and is_film:
            found[name] = " ".join(map(str, look_of(entry)))
    return dict(sorted(found.items()))


def _films() -> UPath:
    """Return the store of films."""
    return store_path(os.environ.get(FILMS_VARIABLE, ""))


def _is_dax(name: str) -> bool:
    """Return whether a film has a second file."""
    return name.lower().endswith(".dax")


def _copy(source: UPath, target: Path) -> None:
    """Copy a file of the store to the disk, whole or not at all, a block at a time."""
    with (
        written_whole(target) as temporary,
        source.open("rb") as stream,
        temporary.open("wb") as out,
    ):
        shutil.copyfileobj(stream, out, _BLOCK_BYTES)
