"""Parts of a lab with several machines that cannot be reached: one sentence each, and soon."""

import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy.exc import OperationalError

from cellstorm_assets.chunk_workers import fan_out_px_in_use, map_chunks_in_use
from cellstorm_assets.object_store import require_store, store_told_plainly
from cellstorm_assets.reach import (
    main,
    require_clock,
    require_cluster,
    require_database,
    require_parts,
)
from cellstorm_lib.chunks import FAN_OUT_PX, LocalProcesses
from cellstorm_lib.errors import ExportError, SettingsError

NOBODY = "http://127.0.0.1:9"
URL = "postgresql://lab:hidden-word@127.0.0.1:9/lab"


@contextmanager
def server(body: bytes, *, date: float | None = None, status: int = 200) -> Iterator[str]:
    """Serve one answer on loopback."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response_only(status)
            if date is not None:
                self.send_header("Date", formatdate(date, usegmt=True))
            self.end_headers()
            self.wfile.write(body)

    with HTTPServer(("127.0.0.1", 0), Answer) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{made.server_port}"
        finally:
            made.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def no_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "DAGSTER_PG_URL", "CELLSTORM_STORE", "CELLSTORM_RAY_JOBS", "CELLSTORM_CHUNKS",
        "AWS_ENDPOINT_URL", "RAY_AUTH_TOKEN",
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)


def test_without_parts_nothing_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert require_parts() == []
    assert main() == 0
    assert capsys.readouterr().out == ""


class Refusing:
    """An engine whose database says something."""

    def __init__(self, said: str) -> None:
        self.said = said

    def connect(self):
        raise OperationalError("", {}, RuntimeError(self.said))

    def dispose(self) -> None:
        pass


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("connection refused", "start its server"),
        ('password authentication failed for user "lab"', "correct user and password"),
        ('database "lab" does not exist', "create the database"),
    ],
)
def test_a_database_that_does_not_let_us_in(
    said: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlalchemy, "create_engine", lambda *_, **__: Refusing(said))
    with pytest.raises(SettingsError, match=r"database at 127\.0\.0\.1:9/lab.*" + remedy) as told:
        require_database(URL)
    assert "hidden-word" not in str(told.value)


def test_an_address_that_is_no_database() -> None:
    with pytest.raises(SettingsError, match="write postgresql://"):
        require_database("not an address")


def test_nobody_answers_for_ray(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CELLSTORM_RAY_JOBS", NOBODY)
    assert main() == 2
    said = capsys.readouterr().err
    assert said.startswith(f"the Ray cluster at {NOBODY} does not answer")
    assert said.count("\n") == 1


def test_another_program_is_no_ray() -> None:
    with server(b"hello") as address, pytest.raises(SettingsError, match="is no Ray cluster"):
        require_cluster(address)
    with (
        server(b"", status=404) as address,
        pytest.raises(SettingsError, match="usually port 8265"),
    ):
        require_cluster(address)


@pytest.mark.parametrize("status", [401, 403])
def test_a_cluster_that_asks_who_we_are(status: int) -> None:
    with (
        server(b"Unauthorized", status=status) as address,
        pytest.raises(SettingsError, match="does not let us in; set RAY_AUTH_MODE=token") as told,
    ):
        require_cluster(address)
    assert "\n" not in str(told.value)


def test_a_cluster_is_told_its_own_word(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str | None] = []
    inner = urllib.request.urlopen

    def listening(asked: urllib.request.Request, **rest: float):
        heard.append(asked.get_header("Authorization"))
        return inner(asked, **rest)

    monkeypatch.setattr(urllib.request, "urlopen", listening)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a-word")
    with server(b'{"ray_version": "2.60.0"}') as address:
        require_cluster(address)
        monkeypatch.delenv("RAY_AUTH_TOKEN")
        require_cluster(address)
    assert heard == ["Bearer a-word", None]


def test_ray_answers() -> None:
    with server(b'{"ray_version": "2.60.0"}') as address:
        assert require_cluster(address).endswith("answers")


def test_clocks_that_differ() -> None:
    import time

    with (
        server(b"", date=time.time() - 1000) as address,
        pytest.raises(SettingsError, match="differs by 1000|differs by 999|differs by 1001"),
    ):
        require_clock(address)
    with server(b"", date=time.time(), status=403) as address:
        require_clock(address)
    require_clock(NOBODY)


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (ConnectionError("could not connect to the endpoint"), "start its server"),
        (PermissionError("Access Denied"), "set AWS_ACCESS_KEY_ID"),
        (FileNotFoundError("The specified bucket does not exist"), "make the bucket"),
        (OSError("RequestTimeTooSkewed: the difference is large"), "set the clock"),
        (OSError(28, "No space left on device"), "empty the store"),
        (TimeoutError("read timed out"), "see that its server answers"),
    ],
)
def test_a_store_that_fails_is_told_in_one_sentence(error: Exception, remedy: str) -> None:
    with (
        pytest.raises(ExportError, match=f"the store at s3://b/p cannot be used.*{remedy}"),
        store_told_plainly("s3://b/p"),
    ):
        raise error


def test_a_missing_file_and_a_mistake_stay_what_they_are() -> None:
    for error in (FileNotFoundError("a.parquet"), ZeroDivisionError("of ours")):
        with pytest.raises(type(error)), store_told_plainly("s3://b/p"):
            raise error


def test_a_store_that_works(tmp_path: Path) -> None:
    require_store(tmp_path.as_uri())
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ExportError, match="there is no such bucket"):
        require_store((tmp_path / "missing").as_uri())


@pytest.mark.parametrize("given", ["", "threads"])
def test_threads_need_no_map(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELLSTORM_CHUNKS", given)
    assert map_chunks_in_use() is None


def test_processes_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELLSTORM_CHUNKS", "processes:3")
    assert map_chunks_in_use() == LocalProcesses(count=3)


@pytest.mark.parametrize("given", ["dask", "processes:x", "threads:2", "ray:3"])
def test_unknown_workers_are_refused(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELLSTORM_CHUNKS", given)
    with pytest.raises(SettingsError, match=f"got '{given}'"):
        map_chunks_in_use()


@pytest.mark.parametrize(("given", "expected"), [("", FAN_OUT_PX), ("4096", 4096)])
def test_size_of_a_piece(given: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELLSTORM_PIECE_PX", given)
    assert fan_out_px_in_use() == expected


@pytest.mark.parametrize("given", ["0", "-4", "1e6", "large"])
def test_an_impossible_size_of_a_piece_is_refused(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CELLSTORM_PIECE_PX", given)
    with pytest.raises(SettingsError, match=f"above 0, got '{given}'"):
        fan_out_px_in_use()


def test_ray_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELLSTORM_CHUNKS", "ray")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SettingsError, match=r"pip install 'cellstorm\[scale\]'"):
        map_chunks_in_use()
