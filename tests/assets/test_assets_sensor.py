"""The sensor of the watched folder asks for each new recording exactly once."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from watched_folder import FAILURE, SUCCESS, Folder

from cellstorm_assets import automation, watching
from cellstorm_assets.project import Project, recording_key
from cellstorm_assets.watching import Watch, WatchedFile, watch
from cellstorm_lib.pipeline.choice import sidecar_of


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


def test_a_file_of_its_full_size_from_the_start_is_waited_for(folder: Folder) -> None:
    path = folder.write("film.mp4", bytes(1000))
    for filled in (200, 600, 1000):
        path.write_bytes(b"a" * filled + bytes(1000 - filled))
        assert folder.tick() == []
    assert folder.ticks(2) == [recording_key(path)]


def test_a_file_that_changes_while_it_is_read_is_read_again(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder.write("film.mp4", b"half")
    folder.tick()

    def grow_after_reading(read: Path) -> str:
        digest = "0" * 64
        read.write_bytes(b"whole film")
        return digest

    with monkeypatch.context() as patch:
        patch.setattr(watching, "digest_of_file", grow_after_reading)
        assert folder.tick() == []
    assert folder.ticks(2) == [recording_key(path)]


def test_a_file_present_before_the_first_start_is_picked_up(folder: Folder) -> None:
    path = folder.write("film.mp4", b"a")
    assert folder.ticks(4) == [recording_key(path)]


def test_a_recording_that_was_run_by_hand_is_not_run_again(folder: Folder) -> None:
    path = folder.write("demo.mp4", b"a")
    folder.run_of(recording_key(path), SUCCESS)
    assert folder.ticks(4) == []


@pytest.mark.parametrize("has_same_times", [False, True])
def test_a_file_replaced_under_its_name_is_a_new_recording(
    folder: Folder, has_same_times: bool
) -> None:
    path = folder.write("film.mp4", b"one")
    times = path.stat()
    (first,) = folder.ticks(3)
    path.write_bytes(b"two")
    if has_same_times:
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    (second,) = folder.ticks(3)
    assert first != second == recording_key(path)


def test_what_was_processed_once_is_not_asked_for_when_it_comes_back(folder: Folder) -> None:
    path = folder.write("film.mp4", b"one")
    (key,) = folder.ticks(3)
    folder.end(key, is_success=True)
    path.unlink()
    folder.tick()
    folder.write("film.mp4", b"one")
    assert folder.ticks(4) == []


def test_the_same_content_under_two_names_is_processed_once(folder: Folder) -> None:
    first = folder.write("a.mp4", b"one")
    folder.write("b.mp4", b"one")
    assert folder.ticks(4) == [recording_key(first)]
    assert folder.said == "no new recording; b.mp4 has the content of a.mp4 and is left out"


def test_a_copy_is_processed_when_its_original_goes_or_it_is_chosen_otherwise(
    folder: Folder,
) -> None:
    first = folder.write("a.mp4", b"one")
    copy = folder.write("b.mp4", b"one")
    other = folder.write("c.mp4", b"one")
    sidecar_of(other).write_text("pixel_size_nm: 90\n")
    assert set(folder.ticks(4)) == {recording_key(first), recording_key(other)}
    first.unlink()
    assert folder.ticks(2) == [recording_key(copy)]


def test_a_bad_file_is_run_once_and_not_again(folder: Folder) -> None:
    path = folder.write("bad.mp4", b"no film")
    (key,) = folder.ticks(3)
    folder.end(key, is_success=False)
    os.utime(path)
    assert folder.ticks(5) == []
    assert folder.statuses(key) == [FAILURE]


def test_a_bad_file_is_run_again_when_its_sidecar_was_mended(folder: Folder) -> None:
    path = folder.write("film.tif", b"of unknown pixel size")
    (key,) = folder.ticks(3)
    sidecar_of(path).write_text("pixel_size_nm: 80\n")
    assert folder.ticks(2) == []  # the first run is not over yet
    folder.end(key, is_success=False)
    assert folder.ticks(3) == [key]
    folder.end(key, is_success=True)
    sidecar_of(path).write_text("pixel_size_nm: 90\n")
    assert folder.ticks(3) == []  # results that became stale are not this sensor's


def test_the_description_of_a_dax_may_come_later(folder: Folder) -> None:
    folder.write("film.dax", b"numbers")
    (key,) = folder.ticks(3)
    folder.end(key, is_success=False)
    folder.write("film.inf", b"frame dimensions = 4 x 4\n")
    assert folder.ticks(3) == [key]


def test_a_file_removed_before_it_was_read_is_run_when_it_is_put_back(folder: Folder) -> None:
    path = folder.write("film.mp4", b"one")
    (key,) = folder.ticks(3)
    path.unlink()
    folder.end(key, is_success=False)
    assert folder.ticks(2) == []
    folder.write("film.mp4", b"one")
    assert folder.ticks(3) == [key]


def test_hundreds_of_files_are_asked_for_in_portions(folder: Folder) -> None:
    for number in range(250):
        folder.write(f"film {number}.mp4", b"%d" % number)
    asked = [folder.tick() for _ in range(5)]
    assert [len(keys) for keys in asked] == [0, 100, 100, 50, 0]
    assert len(set(sum(asked, []))) == 250


def test_a_tick_reads_a_bounded_number_of_bytes(folder: Folder, tmp_path: Path) -> None:
    for number in range(6):
        folder.write(f"{number}.mp4", b"%d" % number * 100)
    project, seen, read = Project(home=tmp_path), Watch(), []
    for _ in range(5):
        seen = watch(project, seen, most_bytes=250)
        read.append(sum(bool(file.digest) for file in seen.files.values()))
    assert read == [0, 3, 6, 6, 6]


def test_a_file_larger_than_the_bound_is_read_all_the_same(folder: Folder, tmp_path: Path) -> None:
    folder.write("large.mp4", bytes(1000))
    seen = watch(Project(home=tmp_path), Watch(), most_bytes=1)
    assert watch(Project(home=tmp_path), seen, most_bytes=1).files["large.mp4"].digest


def test_a_file_that_vanishes_disturbs_nobody(folder: Folder) -> None:
    folder.write("gone.mp4", b"a")
    kept = folder.write("kept.mp4", b"b")
    folder.tick()
    (folder.recordings / "gone.mp4").unlink()
    assert folder.tick() == [recording_key(kept)]


def test_a_file_that_cannot_be_looked_at_disturbs_nobody(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write("away.mp4", b"a")
    kept = folder.write("kept.mp4", b"b")

    def digest(path: Path) -> str:
        if path.name == "away.mp4":
            raise OSError(5, "Input/output error")
        return "c" * 64

    monkeypatch.setattr(watching, "digest_of_file", digest)
    assert folder.ticks(3) == [f"{kept.stem}-cccccccc"]
    assert folder.said == (
        "no new recording; away.mp4 cannot be read now: Input/output error; tried again later"
    )
    monkeypatch.undo()
    assert len(folder.ticks(3)) == 1


@pytest.mark.parametrize(
    "name",
    [
        "two words.mp4", "Zellkern Ü.mp4", "细胞.mp4", "a..b.mp4", "-rf.mp4",
        "CON.mp4", "line\nbreak.mp4", "$(touch x).mp4", "a" * 251 + ".mp4", "%2e%2e%2f.mp4",
    ],
)  # fmt: skip
def test_files_of_any_name_are_asked_for_under_a_plain_key(folder: Folder, name: str) -> None:
    path = folder.write(name, name.encode())
    (key,) = folder.ticks(4)
    assert key == recording_key(path)
    assert set(key) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_")
    assert json.loads(folder.cursor or "")[name]["asked"]


def test_a_name_that_is_no_text_is_asked_for_too(folder: Folder) -> None:
    path = folder.write(os.fsdecode(b"caf\xe9.mp4"), b"x")
    assert folder.ticks(4) == [recording_key(path)]


def test_links_out_of_the_folder_are_not_followed(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    (folder.recordings / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    assert folder.ticks(4) == []
    assert folder.said == (
        "no new recording; link.mp4 is a link out of the folder, which is not followed; put the "
        "file itself there"
    )


def test_a_link_within_the_folder_is_a_copy(folder: Folder) -> None:
    path = folder.write("film.mp4", b"one")
    (folder.recordings / "other.mp4").symlink_to("film.mp4")
    assert folder.ticks(4) == [recording_key(path)]


def test_nothing_is_lost_when_the_daemon_is_killed_after_adding_the_partition(
    folder: Folder,
) -> None:
    path = folder.write("film.mp4", b"one")
    folder.tick()
    folder.instance.add_dynamic_partitions("recording", [recording_key(path)])
    assert folder.evaluate() is not None  # killed: no run, and the cursor was not kept
    assert folder.ticks(2) == [recording_key(path)]


def test_nothing_is_run_twice_when_the_daemon_is_killed_before_it_kept_the_cursor(
    folder: Folder,
) -> None:
    folder.write("film.mp4", b"one")
    folder.tick()
    before = folder.cursor
    (key,) = folder.tick()
    folder.cursor = before
    assert folder.ticks(3) == []
    folder.end(key, is_success=True)
    assert folder.ticks(3) == []


@pytest.mark.parametrize("cursor", ["not json", "[]", '{"film.mp4": {"size": 1}}', '{"a": 1}'])
def test_a_memory_that_makes_no_sense_is_begun_anew(folder: Folder, cursor: str) -> None:
    path = folder.write("film.mp4", b"one")
    folder.cursor = cursor
    assert folder.ticks(4) == [recording_key(path)]


def test_the_memory_is_read_as_it_was_written() -> None:
    seen = Watch(files={"a": WatchedFile(look=(1, 2, 3), digest="d", asked="x", remark="r")})
    assert Watch.parsed(seen.text()) == seen


def test_passing_failures_are_tried_again_a_bounded_number_of_times() -> None:
    policy = automation.process_recordings.op_retry_policy
    assert policy is not None
    assert policy.max_retries == 3
    assert sum(policy.calculate_delay(attempt) for attempt in (1, 2, 3)) < 300
