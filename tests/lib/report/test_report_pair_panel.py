"""The panel of training pairs: every method is seen, at a frame that may be trained on."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cellstorm_lib.errors import TableError
from cellstorm_lib.pairs.mixture import no_pairs
from cellstorm_lib.pairs.pair_set import PairSet, joined
from cellstorm_lib.report.pair_panel import pair_panel
from cellstorm_lib.simulate.gaussian import add_gaussians

ORANGE = np.array([255, 140, 26])


def pairs_of(method: str, clips: int, *, side_px: int = 64) -> PairSet:
    """Return clips with a spot in the middle of frame 1, brighter ones in frame 2."""
    light = np.zeros((clips, 4, side_px, side_px), np.float32)
    for clip in light:
        add_gaussians(
            clip,
            frame=np.array([1, 2, 2]),
            x_px=np.array([side_px / 2, 10.0, 10.0]),
            y_px=np.array([side_px / 2, 10.0, 40.0]),
            photons=np.full(3, 1500.0),
            sigma_px=1.3,
        )
    film = np.random.default_rng(0).poisson(light + 8.0) + 4
    is_usable = np.zeros((clips, 4), bool)
    is_usable[:, :2] = True
    return PairSet(
        filmed=np.clip(film, 0, 255).astype(np.uint8),
        light_e=light.astype(np.float16),
        is_usable=is_usable,
        is_key=np.zeros((clips, 4), bool),
        offset_adu=np.full(clips, 4.0, np.float32),
        gain_e_per_adu=np.ones(clips, np.float32),
        bits_per_px=np.full(clips, 0.2, np.float32),
        split=np.array(["train"] * clips),
        origin=np.array([f"{method}-{number}" for number in range(clips)]),
        method=np.array([method] * clips),
    )


def pixels_of(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def outlines(pixels: np.ndarray) -> np.ndarray:
    """Return where the colour of the outlines is, (N, 2) rows and columns."""
    return np.argwhere(np.abs(pixels - ORANGE).max(axis=2) < 40)


def test_one_row_for_each_pair_and_the_light_is_outlined_over_the_film() -> None:
    pixels = pixels_of(pair_panel(pairs_of("simulated", 1)))
    height, width = pixels.shape[:2]
    assert width == 660
    found = outlines(pixels)
    assert len(found) > 20
    assert found[:, 1].min() > 0.66 * width  # only over the film in the third column
    two = pixels_of(pair_panel(pairs_of("simulated", 2)))
    assert two.shape[0] > 1.8 * height
    assert pixels_of(pair_panel(pairs_of("simulated", 9), rows=2)).shape == two.shape


def test_only_frames_that_may_be_trained_on_are_shown() -> None:
    pairs = pairs_of("simulated", 1)
    once = outlines(pixels_of(pair_panel(pairs)))  # frame 1: a single spot
    twice = outlines(pixels_of(pair_panel(replace(pairs, is_usable=np.ones((1, 4), bool)))))
    assert np.ptp(twice[:, 0]) > 3 * np.ptp(once[:, 0])  # frame 2: two spots
    assert pair_panel(replace(pairs, is_usable=np.zeros((1, 4), bool))) == pair_panel(no_pairs())


def test_every_method_is_seen() -> None:
    many, few = pairs_of("simulated", 8), pairs_of("localized", 1)
    mixed = pair_panel(joined([many, few]), rows=3)
    assert mixed != pair_panel(many, rows=3)
    dark = replace(few, light_e=np.zeros_like(few.light_e))
    left = [
        len(outlines(pixels_of(pair_panel(joined([many, one]), rows=3)))) for one in (few, dark)
    ]
    assert left[1] == pytest.approx(2 / 3 * left[0], rel=0.1)


def test_large_frames_are_cropped_around_the_light_and_small_ones_are_whole() -> None:
    large = pixels_of(pair_panel(pairs_of("simulated", 1, side_px=224)))
    small = pixels_of(pair_panel(pairs_of("simulated", 1, side_px=96)))
    found = [np.ptp(outlines(pixels)[:, 1]) for pixels in (large, small)]
    assert found[0] == pytest.approx(found[1], abs=3)
    tiny = pair_panel(pairs_of("simulated", 1, side_px=48))
    assert len(outlines(pixels_of(tiny))) > 20


def test_a_panel_of_nothing_says_so_and_no_rows_are_refused() -> None:
    assert pixels_of(pair_panel(no_pairs())).min() < 100
    with pytest.raises(TableError, match="at least 1 row, got 0"):
        pair_panel(no_pairs(), rows=0)
