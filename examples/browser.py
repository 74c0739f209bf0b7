"""A served project and a headless browser: what the pictures and the tests of the page share."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page

_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
]  # fmt: skip
#: Long enough for a machine that has much else to do.
_STARTED_S, _STOPPED_S, _LOADED_S = 600.0, 180.0, 300.0


def find_chromium() -> str | None:
    """Return the browser on this machine; None when there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


@contextmanager
def opened_page(playwright: object, *, width_px: int, height_px: int) -> Iterator[Page]:
    """Open an empty page in a headless browser."""
    browser = playwright.chromium.launch(executable_path=find_chromium(), args=_FLAGS)
    try:
        page = browser.new_page(viewport={"width": width_px, "height": height_px})
        page.set_default_timeout(_LOADED_S * 1000)
        yield page
    finally:
        browser.close()


@contextmanager
def served(home: Path, *, mlflow_port: int | None = None) -> Iterator[str]:
    """Run `cellstorm ui` for a project and yield the address of the Dagster page."""
    port, free_port = free_ports()
    mlflow_port = mlflow_port or free_port
    server = subprocess.Popen(
        [sys.executable, "-c", "from cellstorm_assets.commands import main; main()",
         "ui", "--port", str(port), "--mlflow-port", str(mlflow_port)],
        env={**os.environ, "CELLSTORM_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_until_up(server, address)
        yield address
    finally:
        server.terminate()
        server.wait(_STOPPED_S)


def let_in(page: Page, home: Path, address: str) -> None:
    """Show a page the token of the project, as the address that `cellstorm ui` prints does."""
    token = (home / "private" / "token").read_text(encoding="ascii").strip()
    page.goto(f"{address}/?token={token}")
    page.wait_for_url(lambda url: "token" not in url)


def show_asset(page: Page, address: str, asset: str, partition: str) -> None:
    """Go to one partition of an asset and wait for its metadata."""
    page.goto(f"{address}/assets/{asset}?view=partitions&partition={partition}")
    page.get_by_text("Latest materialization").first.wait_for()
    page.get_by_text("path", exact=True).or_(page.get_by_text("[Show Markdown]")).first.wait_for()


def settle(page: Page) -> None:
    """Wait until nothing on a page says that it is loading."""
    page.wait_for_timeout(2000)
    page.wait_for_function("() => !/Loading/.test(document.body.innerText)")
    page.wait_for_timeout(2000)


def open_picture(page: Page, name: str) -> dict[str, float]:
    """Open the picture that stands under a name in an asset's metadata; return its size in px."""
    row = page.get_by_role("row").filter(has=page.get_by_text(name, exact=True)).first
    row.get_by_text("[Show Markdown]").first.click()
    picture = page.locator("img[src^='data:image/png']").first
    picture.wait_for()
    size = "image => ({width: image.naturalWidth, height: image.naturalHeight})"
    return picture.evaluate(size)


def free_ports() -> tuple[int, int]:
    """Return two ports that nobody listens on."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1]), int(other.getsockname()[1])


def _wait_until_up(server: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + _STARTED_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/server_info", timeout=2):
                return
        except urllib.error.HTTPError:
            return  # it asks for the token
        except OSError:
            time.sleep(0.3)
    raise RuntimeError(f"{address} does not answer; see server-logs in the project's folder")
