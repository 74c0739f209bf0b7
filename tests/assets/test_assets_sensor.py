"""The sensor of the watched folder asks for each new recording exactly once."""

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from cellstorm_assets.automation import new_recordings
from cellstorm_assets.project import recording_key
from cellstorm_assets.resources import ProjectResource


class Folder:
    """A watched folder with the sensor's memory."""

    def __init__(self, home: Path, instance: dg.DagsterInstance) -> None:
        self.recordings = home / "data" / "recordings"
        self.recordings.mkdir(parents=True)
        self._project = ProjectResource(home=str(home))
        self._instance = instance
        self._cursor: str | None = None

    def write(self, name: str, content: bytes) -> Path:
        path = self.recordings / name
        path.write_bytes(content)
        return path

    def tick(self) -> list[str]:
        context = dg.build_sensor_context(instance=self._instance, cursor=self._cursor)
        result = new_recordings(context, project=self._project)
        if isinstance(result, dg.SkipReason):
            return []
        assert isinstance(result, dg.SensorResult)
        self._cursor = result.cursor
        for request in result.dynamic_partitions_requests or []:
            self._instance.add_dynamic_partitions("recording", list(request.partition_keys))
        return [str(request.partition_key) for request in result.run_requests or []]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Folder(tmp_path, instance)


def test_a_new_file_is_asked_for_once_it_has_stopped_growing(folder: Folder) -> None:
    path = folder.write("film.mp4", b"a")
    assert folder.tick() == []
    path.write_bytes(b"ab")
    assert folder.tick() == []
    assert folder.tick() == [recording_key(path)]
    assert folder.tick() == []


def test_a_file_present_before_the_first_start_is_picked_up(folder: Folder) -> None:
    path = folder.write("film.mp4", b"a")
    ticks = [folder.tick() for _ in range(4)]
    assert sum(ticks, []) == [recording_key(path)]


def test_a_file_replaced_under_its_name_is_a_new_recording(folder: Folder) -> None:
    path = folder.write("film.mp4", b"one")
    first = [folder.tick() for _ in range(3)]
    path.write_bytes(b"two")
    os.utime(path, (1, 1))
    second = [folder.tick() for _ in range(3)]
    assert len(sum(first, [])) == len(sum(second, [])) == 1
    assert sum(first, []) != sum(second, [])


def test_the_same_content_and_name_is_not_asked_for_again(folder: Folder) -> None:
    path = folder.write("film.mp4", b"one")
    assert len(sum([folder.tick() for _ in range(3)], [])) == 1
    path.unlink()
    folder.tick()
    folder.write("film.mp4", b"one")
    assert sum([folder.tick() for _ in range(3)], []) == []


def test_many_files_at_once_are_all_asked_for(folder: Folder) -> None:
    for number in range(50):
        folder.write(f"film {number}.mp4", b"%d" % number)
    asked = [folder.tick() for _ in range(3)]
    assert len(set(sum(asked, []))) == 50


def test_a_file_that_vanishes_disturbs_nobody(folder: Folder) -> None:
    folder.write("gone.mp4", b"a")
    kept = folder.write("kept.mp4", b"b")
    folder.tick()
    (folder.recordings / "gone.mp4").unlink()
    assert folder.tick() == [recording_key(kept)]
