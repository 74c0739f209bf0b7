"""What is said of a recording in which next to nothing was found."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.pipeline.few_spots import why_few_spots
from cellstorm_lib.pipeline.process import process_recording
from cellstorm_lib.report.headline import headline_of
from cellstorm_lib.video.array import ArraySource

CAMERA = CameraCalibration(
    name="test", source="test", offset_adu=100.0, gain_e_per_adu=1.0, read_noise_e=1.0, bit_depth=16
)


def told(frames: npt.NDArray[np.uint16], folder: Path) -> tuple[str | None, tuple[str, ...]]:
    """Return what is said of a stack, and what stands at the top of its page."""
    source = ArraySource(frames)
    result = process_recording(source, folder, camera=CAMERA, pixel_size_nm=100.0)
    return why_few_spots(result), headline_of(result).cautions


@pytest.mark.parametrize(
    ("frame_count", "spread", "message"),
    [
        (30, 0.0, "No molecule found: all frames have one and the same grey everywhere"),
        (30, 3.0, "found in 30 frames. Play the film"),
        (1, 3.0, "found in 1 frame: too few frames"),
    ],
)
def test_an_empty_film_is_followed_by_what_to_look_at(
    tmp_path: Path, frame_count: int, spread: float, message: str
) -> None:
    frames = np.random.default_rng(3).normal(110.0, spread, (frame_count, 48, 48))
    sentence, cautions = told(np.round(frames).astype(np.uint16), tmp_path)
    assert message in str(sentence)
    assert cautions[0] == sentence


def test_a_film_with_molecules_needs_no_such_advice(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    rows, columns = np.indices((48, 48))
    places = rng.uniform(8, 40, (30, 2))
    spots = [
        20.0 + 200.0 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * 1.3**2))
        for y, x in places
    ]
    sentence, _ = told((100 + rng.poisson(spots)).astype(np.uint16), tmp_path)
    assert sentence is None


def test_a_recording_without_a_widefield_image_is_told_the_same(tmp_path: Path) -> None:
    source = ArraySource(np.full((30, 48, 48), 120, np.uint16))
    result = process_recording(source, tmp_path, camera=CAMERA, pixel_size_nm=100.0)
    bare = replace(result, widefield=np.zeros((0, 0), np.float32))
    assert "found in 30 frames. Play the film" in str(why_few_spots(bare))
