"""The short form of the chaos trials, and whether they would see what they look for."""

import sys
from pathlib import Path

import numpy as np
import pytest
from chaos_kills import Outcome, kill_at_random
from chaos_lab import Lab, films
from chaos_watch import Watcher, fault_of
from PIL import Image

from cellstorm_lib.pipeline.result import DenoiseReport
from cellstorm_lib.pipeline.store import write_records
from cellstorm_lib.video.tiff import write_image, write_stack

SEED = 20261128


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.usefixtures("own_environment")
def test_recordings_end_as_if_nothing_had_been_killed(tmp_path: Path) -> None:
    made = films(tmp_path / "films", 2)
    lab, undisturbed = Lab.at(tmp_path / "lab"), Lab.at(tmp_path / "undisturbed")
    try:
        outcome = kill_at_random(
            lab, made, undisturbed, kills=5, rng=np.random.default_rng(SEED), seconds=300.0
        )
    finally:
        lab.stop()
    assert outcome.faults == []
    assert outcome.trials.total() == 5


def stored(folder: Path) -> list[Path]:
    """Return a whole file of every kind that results have."""
    rng = np.random.default_rng(SEED)
    frames = rng.poisson(9, (12, 32, 32)).astype(np.uint16)
    stack, image = folder / "stack.ome.tif", folder / "image.tif"
    write_stack(stack, [frames], pixel_size_nm=100.0)
    write_image(image, frames[0], pixel_size_nm=100.0)
    report = DenoiseReport(
        frames=12, model="m", model_digest="d", engine="e", remarks=(), active_share=0.5,
        frames_per_second=0.0,
    )  # fmt: skip
    write_records([report], folder / "report.parquet")
    Image.fromarray(rng.integers(0, 255, (40, 40), np.uint8)).save(folder / "picture.png")
    (folder / "page.html").write_text("<html><body>" + "x" * 500 + "</body></html>\n")
    (folder / "camera.json").write_text('{"gain_e_per_adu": 1.5}')
    return sorted(folder.iterdir())


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_half_a_file_is_seen(tmp_path: Path, share: float) -> None:
    for path in stored(tmp_path):
        assert fault_of(path) is None, path
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        assert fault_of(path) is not None, path
        path.write_bytes(content)


def test_the_watcher_reads_what_changed_and_tells_of_halves(tmp_path: Path) -> None:
    paths = stored(tmp_path)
    watcher = Watcher(tmp_path)
    watcher.look()
    watcher.look()
    assert (watcher.reads, watcher.faults) == (len(paths), [])
    with watcher.looking_away():
        paths[0].write_bytes(b"")
    watcher.look()
    assert watcher.faults == []
    paths[1].write_bytes(paths[1].read_bytes()[:-3])
    watcher.look()
    assert len(watcher.faults) == 1
    assert paths[1].name in watcher.faults[0]


def test_an_outcome_names_its_faults() -> None:
    assert Outcome().is_clean
    outcome = Outcome(lost=["a"], wrong=["b"])
    assert outcome.faults == ["lost: a", "wrong: b"]
    assert not outcome.is_clean
