"""What somebody is told who does not know the commands, and while waiting for one."""

import io
import re
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from cellstorm_assets import command_options
from cellstorm_assets.command_guide import GUIDE, SECTIONS
from cellstorm_assets.command_options import announced, on_file, tell
from cellstorm_assets.commands import cellstorm, main
from cellstorm_lib.progress import CountedReader


def said(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Return how a command line ended and what it printed."""
    with pytest.raises(SystemExit) as left:
        main(list(words))
    return int(left.value.code or 0), *capfd.readouterr()


def test_alone_it_says_what_to_do_next(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capfd)
    assert (code, err) == (0, "")
    assert out.strip() == GUIDE
    for name in re.findall(r"^  cellstorm ([a-z]+)", GUIDE, re.MULTILINE):
        assert name in cellstorm.commands


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("film.mp4", "cellstorm process film.mp4 --pixel-size-nm NM"),
        ("stack.TIF", "cellstorm process stack.TIF --pixel-size-nm NM"),
        ("table.csv", "cellstorm render table.csv --out IMAGE.png"),
        ("cell.yaml", "cellstorm simulate cell.yaml --out FOLDER"),
        ("notes.md", "cellstorm COMMAND notes.md"),
    ],
)
def test_a_file_in_the_place_of_a_command_is_told_what_to_do_with_it(
    capfd, tmp_path: Path, monkeypatch, name: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).touch()
    code, out, err = said(capfd, name)
    assert (code, out) == (2, "")
    assert err.startswith(f"cellstorm: {name} is a file; say what to do with it, as: {told} (")
    assert err.count("\n") == 1


def test_a_misspelt_command_is_told_its_name(capfd) -> None:
    code, _, err = said(capfd, "localise")
    assert code == 2
    assert "localize" in err


def test_help_lists_every_command_once_and_in_sections(capfd) -> None:
    _, out, _ = said(capfd, "--help")
    listed = re.findall(r"^  ([a-z][a-z-]*) {2,}", out.partition("Start:")[2], re.MULTILINE)
    assert sorted(listed) == sorted(cellstorm.commands)
    named = [name for names in SECTIONS.values() for name in names]
    assert len(named) == len(set(named))
    assert set(named) <= set(cellstorm.commands)


class Terminal(io.StringIO):
    """Standard error that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    screen = Terminal()
    monkeypatch.setattr(command_options, "sys", SimpleNamespace(stderr=screen))
    return screen


def wait_for(screen: Terminal, pattern: str) -> None:
    """Wait until something is shown; give up after a time that is long on any machine."""
    for _ in range(300):
        if re.search(pattern, screen.getvalue()):
            return
        time.sleep(0.1)
    raise AssertionError(f"{pattern!r} is not in {screen.getvalue()!r}")


def test_a_step_without_progress_shows_the_time_it_took_so_far(terminal: Terminal) -> None:
    announced()("drift")
    wait_for(terminal, r"drift: 00:\d\d so far")
    command_options.STEPS.finish()


def test_a_step_that_tells_its_progress_shows_the_time_that_is_left(terminal: Terminal) -> None:
    progress = announced()("localize")
    for done in range(1, 300):
        progress(done, 1000)
        if re.search(
            r"localize: +\d+%.*\| \d+/1000 \[.*<\d\d:\d\d, .*frames/s\]", terminal.getvalue()
        ):
            break
        time.sleep(0.05)
    else:
        raise AssertionError(terminal.getvalue())
    progress(1000, 1000)
    command_options.STEPS.finish()


def test_a_step_in_parts_shows_its_share_and_the_time_that_is_left(terminal: Terminal) -> None:
    progress = announced()("quality", "")
    for done in range(1, 300):
        progress(done, 1000)
        if re.search(r"quality: +\d+%\|.*\| \[\d\d:\d\d<\d\d:\d\d\]", terminal.getvalue()):
            break
        time.sleep(0.05)
    else:
        raise AssertionError(terminal.getvalue())
    assert "/1000" not in terminal.getvalue()
    progress(1000, 1000)
    command_options.STEPS.finish()


def test_a_file_that_is_read_in_another_thread_shows_its_share(terminal: Terminal) -> None:
    # the reader of text reads blocks in a thread of its own, and tells how far it is from there
    stream = io.BytesIO(bytes(3000))
    reader = CountedReader(stream, on_file("reading", Path("folder/t.csv")))
    pattern = r"reading t\.csv: +\d+%\|.*\| \[\d\d:\d\d<\d\d:\d\d\]"

    def read() -> None:
        while reader.read(10) and not re.search(pattern, terminal.getvalue()):
            time.sleep(0.05)

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    assert re.search(pattern, terminal.getvalue())
    assert command_options.STEPS._bar is not None
    reader.read()
    assert command_options.STEPS._bar is None  # what is read to its end is off the screen


def test_a_step_is_off_the_screen_before_the_result_is_printed(
    terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    announced()("quality")
    wait_for(terminal, "quality: 00")
    tell({"precision": "12 nm"}, {}, wants_json=False)
    assert terminal.getvalue().endswith("\r")
    shown = terminal.getvalue()
    time.sleep(1.5)
    assert terminal.getvalue() == shown
    assert capsys.readouterr().out == "precision  12 nm\n"


def test_nothing_is_shown_in_a_pipe(capfd: pytest.CaptureFixture[str]) -> None:
    progress = announced()("localize")
    progress(1, 2)
    progress(2, 2)
    command_options.STEPS.finish()
    assert capfd.readouterr().err == ""
