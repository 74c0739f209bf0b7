"""Results in an object store say what they were made from, as those in the project's folder do."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from cellstorm_assets.commands_lineage import answer
from cellstorm_assets.lineage import (
    Present,
    RecordingLineage,
    file_name,
    has_results,
    lineages,
    result_file,
    stored_keys,
    stored_records,
)
from cellstorm_assets.project import Project, find_project, partition_key
from cellstorm_assets.schedules import stale_requests
from cellstorm_assets.store_notes import StoreNotes
from cellstorm_lib.errors import ExportError
from cellstorm_lib.export.lineage_text import LINEAGE
from cellstorm_lib.files import digest_of
from cellstorm_lib.pipeline.choice import RecordingChoice
from cellstorm_lib.pipeline.ledger import Ledger
from cellstorm_lib.pipeline.lineage import (
    STEPS,
    calibration_input,
    film_input,
    model_input,
    settings_inputs,
)
from cellstorm_lib.pipeline.lineage_files import note_picture, page_with
from cellstorm_lib.pipeline.settings import PipelineSettings
from cellstorm_lib.pipeline.store import write_records
from cellstorm_lib.report.picture import Picture, write_picture
from cellstorm_lib.video.tiff import write_image

FILMS = ("cell 1.mp4", "cell 2.mp4")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("CELLSTORM_HOME", str(tmp_path / "lab"))
    monkeypatch.delenv("CELLSTORM_STORE", raising=False)
    project = find_project()
    for name in FILMS:
        write_results(project, name)
    return project


@pytest.fixture
def store(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryFileSystem]:
    """Move the project's results into a store."""
    files = MemoryFileSystem()
    folder = project.assets_folder
    for path in sorted(folder.rglob("*.*")):
        files.pipe(f"/lab/results/{path.relative_to(folder).as_posix()}", path.read_bytes())
    shutil.rmtree(folder)
    monkeypatch.setenv("CELLSTORM_STORE", "memory://lab/results")
    yield files
    files.rm("/lab", recursive=True)


def key_of(name: str) -> str:
    return partition_key(name, digest_of(name))


def write_results(project: Project, name: str) -> None:
    """Write the results of a recording, as a champion of long ago made them."""
    inputs = {
        "film": film_input(name, digest_of(name)),
        "calibration": calibration_input(None, RecordingChoice()),
        "model": model_input("an older champion", "old"),
        **settings_inputs(PipelineSettings()),
    }
    (project.recordings_folder / name).write_bytes(b"a film")
    ledger = Ledger(recording=name, inputs=inputs)
    for result in STEPS:
        note, path = ledger.note(result), result_file(project, result, key_of(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".tif":
            image = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
            write_image(path, image, pixel_size_nm=1.0, details={LINEAGE: note.plain()})
            picture = Picture(values=image, pixel_nm=1.0, colours="grey", is_sparse=False)
            write_picture(picture, path.with_suffix(".png"))
            note_picture(path.with_suffix(".png"), note)
        elif path.suffix == ".html":
            path.write_text(page_with("<html><head></head></html>", note))
        else:
            write_records([], path, lineage=note.plain())


def told(project: Project) -> list[RecordingLineage]:
    return list(lineages(Present(project)))


def test_a_store_says_what_the_folder_says(
    project: Project, request: pytest.FixtureRequest
) -> None:
    before, keys = told(project), stored_keys(project)
    records = stored_records(project, key_of(FILMS[0]))
    assert [each.key for each in before] == keys == sorted(map(key_of, FILMS))
    assert all(each.stale() for each in before)
    assert set(records) == set(STEPS)
    request.getfixturevalue("store")
    assert told(project) == before
    assert stored_keys(project) == keys
    assert stored_records(project, key_of(FILMS[0])) == records
    assert list(records) == list(stored_records(project, key_of(FILMS[0])))


def test_the_command_and_the_schedule_read_the_store(
    project: Project, store: MemoryFileSystem
) -> None:
    key = key_of(FILMS[0])
    lines, figures = answer(key, project)
    assert lines["raw/spots"].startswith("up to date")
    assert lines["denoised/spots"].startswith("stale")
    assert figures["recording"] == FILMS[0]
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("recording", [key])
        asked = stale_requests(instance, project, None)
        assert isinstance(asked, list)
        assert asked[0].partition_key == key
        assert asked[0].asset_selection is not None
        store.rm(f"/lab/results/raw/spots/{key}.parquet")
        assert not has_results(project, ["raw/spots"], key)
        asked = stale_requests(instance, project, None)
        assert isinstance(asked, list)
        assert asked[0].asset_selection is None  # what is needed is gone


def test_notes_are_read_once_and_again_when_a_file_was_replaced(
    project: Project, store: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(project)
    read: list[str] = []
    inner = MemoryFileSystem.cat_file

    def counted(self: MemoryFileSystem, path: str, **rest: object) -> bytes:
        read.append(path)
        return inner(self, path, **rest)

    monkeypatch.setattr(MemoryFileSystem, "cat_file", counted)
    told(project)
    assert read == []
    path = f"/lab/results/verdict/{key_of(FILMS[1])}.parquet"
    other = store.store[f"/lab/results/raw/drift/{key_of(FILMS[1])}.parquet"].getvalue()
    store.pipe(path, other)
    found = {each.key: each for each in told(project)}
    assert set(read) == {path}
    assert found[key_of(FILMS[1])].standings["verdict"].state == "unknown"
    assert found[key_of(FILMS[0])].standings["verdict"].state == "stale"


def test_a_long_note_is_read_whole(
    project: Project, store: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cellstorm_assets.store_notes._TAIL_BYTES", 64)
    notes = StoreNotes.in_use()
    assert notes is not None
    found = notes.note("raw/drift", file_name("raw/drift", key_of(FILMS[0])))
    assert found is not None
    assert found.result == "raw/drift"


def test_an_empty_store_has_no_results_and_one_away_is_told(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CELLSTORM_STORE", "memory://nothing/here")
    assert stored_keys(project) == []

    def away(*_: object, **__: object) -> None:
        raise ConnectionError("could not connect to the endpoint")

    monkeypatch.setattr(MemoryFileSystem, "find", away)
    with pytest.raises(ExportError, match="start its server, or correct AWS_ENDPOINT_URL"):
        told(project)
