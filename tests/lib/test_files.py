"""Files are written whole or not at all; digests identify content."""

import errno
import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellstorm_lib.camera import CAMERA_PRESETS
from cellstorm_lib.errors import ExportError, SettingsError
from cellstorm_lib.files import (
    copy_file,
    digest_of,
    digest_of_file,
    inside,
    is_inside,
    is_plain_name,
    remove_leftovers,
    written_whole,
)
from cellstorm_lib.processes import this_process

unix = pytest.mark.skipif(
    os.name == "nt", reason="Windows does not tell whether a process that wrote still runs"
)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "table.parquet"
    target.write_text("old")
    with pytest.raises(ValueError, match="stop"), written_whole(target) as temporary:
        temporary.write_text("half")
        raise ValueError("stop")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_write_makes_its_folder_and_keeps_the_ending(tmp_path: Path) -> None:
    target = tmp_path / "a" / "stack.ome.tif"
    with written_whole(target) as temporary:
        assert "".join(temporary.suffixes) == ".ome.tif"
        assert temporary.parent == target.parent
        temporary.write_text("new")
    assert target.read_text() == "new"
    assert list(target.parent.iterdir()) == [target]


def test_writing_where_one_cannot_is_said_in_one_sentence(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(ExportError, match=r"cannot write .*choose a folder"):  # noqa: SIM117
        with written_whole(blocker / "table.csv"):
            pass
    with pytest.raises(ExportError, match="is a folder"):  # noqa: SIM117
        with written_whole(tmp_path):
            pass


def test_a_full_disk_is_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="No space left"):  # noqa: SIM117
        with written_whole(tmp_path / "table.csv"):
            raise OSError(28, "No space left on device")
    assert not list(tmp_path.iterdir())


KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from cellstorm_lib.files import written_whole
with written_whole(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_while_writing(path: Path) -> Path:
    """Return what a process leaves that is killed while it writes a file."""
    subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, str(path)], check=False)
    (left,) = path.parent.glob(f".{path.stem}*")
    return left


@unix
def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path: Path) -> None:
    target = tmp_path / "table.parquet"
    left = killed_while_writing(target)
    with written_whole(tmp_path / "other.parquet") as temporary:
        temporary.write_text("another")
    assert left.exists()
    with written_whole(target) as temporary:
        temporary.write_text("whole")
        assert not left.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.parquet", "table.parquet"]


@unix
def test_leftovers_go_and_what_is_being_written_stays(tmp_path: Path) -> None:
    left = killed_while_writing(tmp_path / "a" / "table.parquet")
    forgotten, recent = tmp_path / ".pairs-x1", tmp_path / ".pairs-x2"
    for folder in (forgotten, recent):
        (folder / "deep").mkdir(parents=True)
    (tmp_path / ".hidden").write_text("of a person")
    os.utime(forgotten, (0, 0))
    with written_whole(tmp_path / "b.csv") as temporary:
        temporary.write_text("being written")
        assert remove_leftovers(tmp_path) == 2
        assert temporary.exists()
    assert not left.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"a", ".pairs-x2", ".hidden", "b.csv"}
    assert remove_leftovers(tmp_path / "missing") == 0


def test_a_name_with_the_number_of_no_process_is_left_alone(tmp_path: Path) -> None:
    odd = tmp_path / f".table-{replace(this_process(), pid=2**32 - 1).text()}-0123abcd.parquet"
    odd.write_text("of whomever")
    with written_whole(tmp_path / "table.parquet") as temporary:
        temporary.write_text("whole")
    assert remove_leftovers(tmp_path) == 0
    assert odd.exists()


@unix
def test_a_number_that_was_given_again_is_not_the_process_that_wrote(tmp_path: Path) -> None:
    here = this_process()
    if not here.began:
        pytest.skip("the system does not say when a process began")
    left = tmp_path / f".table-{replace(here, began=here.began - 1).text()}-0123abcd.parquet"
    left.write_text("half")
    assert remove_leftovers(tmp_path) == 1


@pytest.mark.parametrize(
    "process",
    [
        "00000000-1f",  # as an older version named it
        replace(this_process(), host="0" * 8, pid=2**22).text(),
        replace(this_process(), space="1" * 8, pid=2**22).text(),  # of another container here
    ],
)
def test_leftovers_of_another_machine_go_after_days(tmp_path: Path, process: str) -> None:
    foreign = tmp_path / f".table-{process}-0123abcd.parquet"
    foreign.write_text("half")
    assert remove_leftovers(tmp_path) == 0
    os.utime(foreign, (0, 0))
    assert remove_leftovers(tmp_path) == 1


def test_a_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, order = tmp_path / "table.csv", []
    monkeypatch.setattr(os, "fsync", lambda _: order.append(target.exists()))
    with written_whole(target) as temporary:
        temporary.write_text("x")
    assert order[0] is False
    assert order[1:] == ([] if os.name == "nt" else [True])


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_cannot_promise_it_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(_: int) -> None:
        raise OSError(number, "no such thing")

    monkeypatch.setattr(os, "fsync", refuse)
    with written_whole(tmp_path / "table.csv") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "table.csv").read_text() == "x"


def test_a_disk_that_fails_at_the_end_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "table.csv"
    target.write_text("old")

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with (
        pytest.raises(ExportError, match="cannot write .*Input/output"),
        written_whole(target) as temporary,
    ):
        temporary.write_text("new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_an_error_of_reading_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), written_whole(tmp_path / "copy.txt") as temporary:
        temporary.write_bytes((tmp_path / "missing.txt").read_bytes())


def test_digest_of_file_is_sha256(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc" * 1_000_000)
    assert digest_of_file(path) == hashlib.sha256(b"abc" * 1_000_000).hexdigest()


MB = 1 << 20


@pytest.mark.parametrize("size_bytes", [0, 5, 3 * MB, 3 * MB + 1])
def test_hashing_and_copying_tell_the_bytes_that_are_behind(
    tmp_path: Path, size_bytes: int
) -> None:
    film, copy = tmp_path / "film.mp4", tmp_path / "copy.mp4"
    film.write_bytes(os.urandom(size_bytes))
    hashed: list[tuple[int, int]] = []
    copied: list[tuple[int, int]] = []
    assert digest_of_file(film, progress=lambda *at: hashed.append(at)) == digest_of_file(film)
    copy_file(film, copy, progress=lambda *at: copied.append(at))
    assert copy.read_bytes() == film.read_bytes()
    ends = [min(end, size_bytes) for end in range(MB, size_bytes + MB, MB)]
    assert hashed == copied == [(end, size_bytes) for end in ends or [0]]
    copy_file(film, tmp_path / "silent.mp4")
    assert (tmp_path / "silent.mp4").read_bytes() == film.read_bytes()


@given(st.dictionaries(st.text(), st.integers() | st.floats(allow_nan=False, allow_infinity=False)))
def test_digest_does_not_depend_on_the_order_of_entries(content: dict[str, float]) -> None:
    assert digest_of(content) == digest_of(dict(reversed(content.items())))


def test_digest_sees_every_number_of_a_calibration() -> None:
    digests = {preset.digest for preset in CAMERA_PRESETS.values()}
    assert len(digests) == len(CAMERA_PRESETS)
    assert digest_of({"a": 1.0}) != digest_of({"a": 1.0000000000000002})


@pytest.mark.parametrize(
    "name",
    [
        "x" * 251 + ".tif",
        "é" * 125 + ".tif",
        "a." + "b" * 250,
        ".".join("abcdefgh" * 15),
        "ü.ome.tif",
    ],
)
def test_a_temporary_name_is_never_too_long(tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    with written_whole(target) as temporary:
        temporary.write_text("new")
        assert temporary.name != name
        assert len(temporary.name.encode()) <= 255
        if len(target.suffix) < 60:
            assert temporary.suffix == target.suffix
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a", "a.tif", "a b.c", "CONE.txt", "com0", "über.tif", ".hidden"])
def test_plain_names_are_those_of_files_in_one_folder(name: str) -> None:
    assert is_plain_name(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b", "a\\b", "c:a", "CON", "nul.txt", "Com1", "LPT9.tar.gz", "aux .x", "a.",
     "a ", "a\n", "a\0", "\x1b", "x" * 256, "é" * 128, "what?", 'a"', "a|b", "a<b>", "*"],
)  # fmt: skip
def test_other_names_are_refused(name: str) -> None:
    assert not is_plain_name(name)


def test_links_and_dots_that_lead_out_of_a_folder_are_seen(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "below").mkdir(parents=True)
    (tmp_path / "out.txt").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "out.txt")
    (folder / "round").symlink_to(folder / "round")
    (folder / "near").symlink_to(folder / "below")
    for name in ("below", "below/x", "near", "near/x", "new", "below/../new"):
        assert is_inside(folder, name), name
        assert inside(folder, name) == folder / name
    for name in (
        "",
        "..",
        "../in2",
        "link",
        "round",
        "/etc/passwd",
        "near/../../x",
        "a\0",
        "x" * 256,
    ):
        assert not is_inside(folder, name), name
        with pytest.raises(SettingsError, match="must name a file in"):
            inside(folder, name)
