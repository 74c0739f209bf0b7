"""Films in an object store come into the watched folder: whole, once, and again when replaced."""

from pathlib import Path

import dagster as dg
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from cellstorm_assets.definitions import build_defs
from cellstorm_assets.object_store import store_path
from cellstorm_assets.project import find_project
from cellstorm_assets.resources import ProjectResource
from cellstorm_assets.store_films import fetch, films_in_store
from cellstorm_lib.errors import ExportError, RecordingError

PLACE = "memory://films/today"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CELLSTORM_HOME", str(tmp_path / "lab"))
    monkeypatch.setenv("CELLSTORM_FILMS", PLACE)
    files = MemoryFileSystem()
    files.pipe("/films/today/cell.mp4", b"a film")
    files.pipe("/films/today/cell.mp4.cellstorm.yaml", b"pixel_size_nm: 100.0\n")
    files.pipe("/films/today/notes.txt", b"no film")
    files.pipe("/films/today/.hidden.mp4", b"no film")
    files.pipe("/films/today/older/cell.mp4", b"not looked at")
    yield files
    files.rm("/films", recursive=True)


def tick(cursor: str | None) -> tuple[list[str], str | None]:
    """Evaluate the sensor; return the films that it asks for, and what it remembers."""
    with dg.DagsterInstance.ephemeral() as instance:
        told = films_in_store(dg.build_sensor_context(instance=instance, cursor=cursor))
    if isinstance(told, dg.SkipReason):
        return [], cursor
    assert isinstance(told, dg.SensorResult)
    return [request.tags["cellstorm/film"] for request in told.run_requests or []], told.cursor


def watched() -> dict[str, bytes]:
    folder = find_project().recordings_folder
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_film_is_asked_for_once_and_again_when_it_was_replaced(store: MemoryFileSystem) -> None:
    asked, cursor = tick(None)
    assert asked == ["cell.mp4"]
    assert tick(cursor) == ([], cursor)
    store.pipe("/films/today/cell.mp4", b"another film")
    store.pipe("/films/today/second.tif", b"a stack")
    asked, cursor = tick(cursor)
    assert asked == ["cell.mp4", "second.tif"]
    store.rm("/films/today/second.tif")
    assert tick(cursor)[0] == []


def test_many_films_are_asked_for_in_turns(store: MemoryFileSystem) -> None:
    for number in range(25):
        store.pipe(f"/films/today/many-{number:02d}.mp4", b"a film")
    first, cursor = tick(None)
    second, cursor = tick(cursor)
    assert len(first) == 20
    assert sorted(first + second) == sorted(["cell.mp4", *(f"many-{n:02d}.mp4" for n in range(25))])
    assert tick(cursor)[0] == []


def test_the_job_copies_film_and_sidecar(store: MemoryFileSystem) -> None:
    job = build_defs().resolve_job_def("fetch_films")
    done = job.execute_in_process(
        run_config={"ops": {"fetch_film": {"config": {"name": "cell.mp4"}}}}
    )
    assert done.success
    assert watched() == {
        "cell.mp4": b"a film", "cell.mp4.cellstorm.yaml": b"pixel_size_nm: 100.0\n"
    }  # fmt: skip


def test_a_dax_brings_its_second_file(store: MemoryFileSystem) -> None:
    store.pipe("/films/today/a.dax", b"frames")
    store.pipe("/films/today/a.inf", b"what they are")
    fetch(store_path(PLACE), "a.dax", ProjectResource())
    assert set(watched()) == {"a.dax", "a.inf"}


@pytest.mark.parametrize("name", ["../cell.mp4", "notes.txt", "older/cell.mp4", ""])
def test_what_is_no_name_of_a_film_is_refused(store: MemoryFileSystem, name: str) -> None:
    with pytest.raises(RecordingError, match="is no name of a film in"):
        fetch(store_path(PLACE), name, ProjectResource())
    assert watched() == {}


def test_a_film_that_is_gone_and_a_store_that_is_away_are_told(
    store: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RecordingError, match=r"gone\.mp4 is gone; put it there again"):
        fetch(store_path(PLACE), "gone.mp4", ProjectResource())

    def breaks_off(*_: object, **__: object) -> None:
        raise ConnectionError("connection was reset")

    monkeypatch.setattr(MemoryFileSystem, "open", breaks_off)
    with pytest.raises(ExportError, match="start its server, or correct AWS_ENDPOINT_URL"):
        fetch(store_path(PLACE), "cell.mp4", ProjectResource())
    assert not [name for name in watched() if name == "cell.mp4"]


def test_without_a_store_of_films_there_is_no_such_sensor(
    store: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "films_in_store" in {each.name for each in build_defs().sensors or []}
    monkeypatch.delenv("CELLSTORM_FILMS")
    assert "films_in_store" not in {each.name for each in build_defs().sensors or []}


def test_a_project_cannot_be_in_a_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELLSTORM_HOME", "s3://bucket/lab")
    with pytest.raises(ExportError, match="films come from one with CELLSTORM_FILMS"):
        find_project()
    assert not Path("s3:").exists()
