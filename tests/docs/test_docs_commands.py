"""What the documentation asks a reader to type works, page by page."""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astigmatic_beads import CAMERA, bead_stack, exposed, scene
from page_commands import PAGES, ROOT, Block, blocks_of, marked, page_name

from cellstorm_assets.commands import main
from cellstorm_lib.camera import read_calibration, write_calibration
from cellstorm_lib.pipeline.settings import PipelineSettings
from cellstorm_lib.pipeline.spots import find_spots
from cellstorm_lib.simulate.record import SimulatedRecording
from cellstorm_lib.tables import write_localizations
from cellstorm_lib.video.read import open_recording
from cellstorm_lib.video.tiff import write_image, write_stack

PROTOCOL = ROOT / "tests" / "data" / "cellstorm-pytorch" / "thunderstorm_result_realA-protocol.txt"
TYPED = [page for page in PAGES if any(block.is_runnable for block in blocks_of(page))]


@pytest.fixture(scope="module")
def spots(film: SimulatedRecording, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the table of the small film."""
    table, _ = find_spots(
        open_recording(film.movie), read_calibration(film.camera), 100.0, PipelineSettings()
    )
    path = tmp_path_factory.mktemp("spots") / "spots.parquet"
    write_localizations(table, path)
    return path


@pytest.fixture
def give(
    film: SimulatedRecording, spots: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str], None]:
    """Return what puts into the reader's folder what a page takes for granted."""
    monkeypatch.setenv("CELLSTORM_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def camera(name: str) -> None:
        folder = Path("data/cameras")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(film.camera, folder / f"{name}.json")

    def widefield(name: str) -> None:
        frames = np.concatenate([one.frames for one in open_recording(film.movie).chunks(64)])
        write_image(Path(name), frames.mean(axis=0).astype(np.float32), pixel_size_nm=100.0)

    makers: dict[str, Callable[[str], object]] = {
        "film": lambda name: shutil.copy(film.movie, name),
        "table": lambda name: shutil.copy(spots, name),
        "camera": camera,
        "widefield": widefield,
        "protocol": _protocol,
        "scientific": lambda name: write_calibration(CAMERA, Path(name)),
        "beads": _beads,
        "blinks": _blinks,
        "series": _series,
    }
    return lambda kind, name: makers[kind](name) and None


def _protocol(name: str) -> None:
    """Write a real protocol, with the offset of the frames it is for."""
    text = PROTOCOL.read_text(encoding="utf-8")
    assert '"offset": 414.0' in text
    Path(name).write_text(text.replace('"offset": 414.0', '"offset": 100.0'), encoding="utf-8")


def _beads(name: str) -> None:
    """Write beads through the focus, 20 nm apart."""
    beads = bead_stack(np.random.default_rng(0), planes=61, step_nm=20.0, side=96)[0]
    write_stack(Path(name), [beads], pixel_size_nm=100.0)


def _blinks(name: str) -> None:
    """Write blinks at four heights, at many places."""
    rng = np.random.default_rng(1)
    frame = np.repeat(np.arange(200), 4)
    x, y = np.tile([[20.0, 20.0, 60.0, 60.0], [20.0, 60.0, 20.0, 60.0]], 200)
    x, y = x + np.repeat(rng.uniform(-9, 9, 200), 4), y + np.repeat(rng.uniform(-9, 9, 200), 4)
    z_nm = np.tile([-200.0, -100.0, 100.0, 200.0], 200)
    expected = scene(frame, x, y, z_nm, np.full(800, 4000.0), shape=(80, 80), frames=200)
    write_stack(Path(name), [exposed(expected, CAMERA, rng)], pixel_size_nm=100.0)


def _series(name: str) -> None:
    """Write a bright and a dark series of an 8-bit camera: offset 10, 2 e-/grey value."""
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:96, :96] / 96
    light_e = 400 * (0.05 + np.sin(2 * np.pi * x) ** 2 * np.sin(np.pi * y))
    for kind, mean_e in (("bright", light_e), ("dark", 0 * light_e)):
        folder = Path(name) / kind
        folder.mkdir(parents=True)
        electrons = rng.poisson(mean_e, (60, 96, 96)) + rng.normal(0, 3.0, (60, 96, 96))
        grey = np.rint(10 + electrons / 2.0).clip(0, 255).astype(np.uint8)
        write_stack(folder / f"{kind}.tif", [grey], pixel_size_nm=100.0)


def typed(block: Block) -> None:
    """Do what a block says, in the working folder."""
    if block.language == "python":
        exec(compile(block.text, "page", "exec"), {"__name__": "page"})
        return
    for line in block.commands:
        words = shlex.split(line)
        if words[0] == "cellstorm":
            with pytest.raises(SystemExit) as left:
                main(words[1:])
            assert not left.value.code, line
        else:
            subprocess.run(["bash", "-c", line], check=True)


@pytest.mark.skipif(sys.platform == "win32", reason="the pages are written for a Unix shell")
@pytest.mark.parametrize("page", TYPED, ids=page_name)
def test_what_a_page_says_works(page: Path, give: Callable[[str, str], None]) -> None:
    for block in blocks_of(page):
        for kind, name in block.given:
            give(kind, name)
        if block.file is not None:
            Path(block.file).parent.mkdir(parents=True, exist_ok=True)
            Path(block.file).write_text(block.content, encoding="utf-8")
        if block.is_runnable:
            typed(block)


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_commands_stand_in_blocks_that_are_run(page: Path) -> None:
    blocks = blocks_of(page)
    for block in blocks:
        is_shell = any(line.startswith("cellstorm ") for line in block.text.splitlines())
        assert not is_shell or block.language == "bash", block.text
        assert block.reason_not_run is None or len(block.reason_not_run) > 20
    text = page.read_text(encoding="utf-8")
    assert "\n    cellstorm " not in text, "write commands between fences"


def test_python_that_ends_in_an_error_fails_a_page() -> None:
    with pytest.raises(ZeroDivisionError):
        typed(marked("python", "1 / 0", None))


def test_a_command_that_fails_fails_a_page(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssertionError, match=r"cellstorm frc missing\.parquet"):
        typed(marked("bash", "cellstorm frc missing.parquet\n", None))
    with pytest.raises(subprocess.CalledProcessError):
        typed(marked("bash", "cp missing.mp4 film.mp4\n", None))
