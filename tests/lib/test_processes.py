"""A process is told from all others, and is gone only when that is sure."""

import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellstorm_lib import processes
from cellstorm_lib.processes import ProcessMark, is_alive, is_gone, this_process

unix = pytest.mark.skipif(os.name == "nt", reason="processes cannot be asked there")
DIGESTS = st.text("0123456789abcdef", min_size=8, max_size=8)
MARKS = st.builds(
    ProcessMark,
    host=DIGESTS,
    boot=DIGESTS,
    space=DIGESTS,
    pid=st.integers(0, 2**32 - 1),
    began=st.integers(0, 2**63),
)


@given(MARKS)
def test_a_mark_is_read_as_it_was_written(mark: ProcessMark) -> None:
    assert ProcessMark.parsed(mark.text()) == mark


@given(st.text())
def test_anything_else_is_no_mark(text: str) -> None:
    found = ProcessMark.parsed(text)
    assert found is None or found.text() == text


@unix
def test_a_child_is_there_until_it_has_ended() -> None:
    code = (
        "import sys; from cellstorm_lib.processes import this_process; "
        "print(this_process().text(), flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        mark = ProcessMark.parsed(child.stdout.readline().strip())
        assert mark is not None
        assert mark.pid == child.pid
        assert is_gone(mark) is False
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # its ashes are still there
        assert mark.began == 0 or is_gone(mark) is True
    assert is_gone(mark) is True


@unix
def test_a_forked_process_has_a_mark_of_its_own() -> None:
    this_process()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, this_process().text().encode())
        os._exit(0)
    os.waitpid(pid, 0)
    mark = ProcessMark.parsed(os.read(reading, 200).decode())
    os.close(reading)
    os.close(writing)
    assert mark is not None
    assert mark.pid == pid


@unix
def test_only_what_is_sure_is_told() -> None:
    here = this_process()
    assert is_gone(here) is False
    assert is_gone(replace(here, host="0" * 8)) is None
    assert is_gone(replace(here, space="1" * 8)) is None
    assert is_gone(replace(here, boot="1" * 8)) is True
    assert is_gone(replace(here, pid=2**32 - 1)) is None
    if here.began:
        assert is_gone(replace(here, began=here.began + 1)) is True
        assert is_gone(replace(here, began=0)) is False


@unix
def test_a_process_that_has_the_number_of_another_is_not_it() -> None:
    now = time.time()
    assert is_alive(os.getpid(), since=now)
    assert not is_alive(os.getpid(), since=now - 30 * 86400)
    assert not is_alive(2**22 + 1, since=now)


@unix
def test_other_systems_are_asked_by_their_own_command(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"S 01-02:03:04": 93784.0, "S 03:04": 184.0, "Z 00:01": None, "": None}
    for text, age_s in told.items():
        answer = subprocess.CompletedProcess([], 0, stdout=text)
        monkeypatch.setattr(processes.subprocess, "run", lambda *_, a=answer, **__: a)
        assert processes._age_by_ps(1) == age_s
