"""The gate: light of molecules is never missed, noise and background hardly ever pass for it."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.gan.gate import (
    CELL_PX,
    WINDOW_CELLS,
    GateSettings,
    active_cells,
    windows_over,
)

GATE = GateSettings()


def spot(photons: float, y_px: float, x_px: float, side_px: int = 96) -> np.ndarray:
    rows, columns = np.mgrid[:side_px, :side_px] + 0.5
    square = (rows - y_px) ** 2 + (columns - x_px) ** 2
    return photons / (2 * np.pi * 1.69) * np.exp(-square / (2 * 1.69))


@settings(max_examples=60, deadline=None)
@given(y_px=st.floats(0.5, 95.5), x_px=st.floats(0.5, 95.5), background=st.floats(1.0, 20.0))
def test_the_pixels_that_a_fit_needs_are_active(
    y_px: float, x_px: float, background: float
) -> None:
    # box of 4 x 4 px at steps of 2 px: at least 0.6 of a spot of 1.3 px, half of it at an edge
    photons = 1.3 * 2 / 0.6 * 4.0 * GATE.noise_multiple * math.sqrt(background + 1.0)
    frame = (spot(photons, y_px, x_px) + background).astype(np.float32)
    active = active_cells(frame, GATE, pixel_noise_e=1.0)
    shown = np.kron(active, np.ones((CELL_PX, CELL_PX), bool))
    y, x = int(y_px), int(x_px)
    assert shown[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].all()
    assert active.mean() < 0.1


@pytest.mark.parametrize("background", [0.5, 8.0, 200.0])
def test_noise_seldom_passes_for_light(background: float) -> None:
    rng = np.random.default_rng(1)
    frames = rng.poisson(background, (40, 128, 128)) + rng.normal(0.0, 1.5, (40, 128, 128))
    share = np.mean(
        [active_cells(frame.astype(np.float32), GATE, pixel_noise_e=1.5) for frame in frames]
    )
    # 16 boxes begin in a cell, each wakes at most 4 cells; photon noise has a heavier tail
    beyond = 0.5 * math.erfc(GATE.noise_multiple / math.sqrt(2.0))
    assert share < 3 * 16 * 4 * beyond


@pytest.mark.parametrize("level", [0.0, 3.0, 5000.0])
def test_even_and_slowly_falling_light_is_no_molecule(level: float) -> None:
    assert not active_cells(np.full((64, 80), level, np.float32), GATE, pixel_noise_e=1.0).any()
    # lenses lose a few percent over so many pixels
    ramp = np.linspace(level, 1.03 * level, 80, dtype=np.float32) * np.ones((64, 1), np.float32)
    assert not active_cells(ramp, GATE, pixel_noise_e=1.0).any()


def test_the_threshold_is_counted_in_noise() -> None:
    frame = (spot(100.0, 48.0, 48.0) + 4.0).astype(np.float32)
    assert active_cells(frame, GATE, pixel_noise_e=1.0).any()
    assert not active_cells(frame, GATE, pixel_noise_e=20.0).any()
    blunt = GateSettings(noise_multiple=20.0)
    assert not active_cells(frame, blunt, pixel_noise_e=1.0).any()


@settings(max_examples=80, deadline=None)
@given(arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_windows_cover_every_active_cell_and_none_is_idle(active: np.ndarray) -> None:
    left_over = active.copy()
    for row, column in windows_over(active):
        window = np.s_[row : row + WINDOW_CELLS, column : column + WINDOW_CELLS]
        assert left_over[window].any()
        left_over[window] = False
    assert not left_over.any()


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(SettingsError, match="noise_multiple must be from 0 to 100, got -1"):
        GateSettings(noise_multiple=-1.0)
    with pytest.raises(SettingsError, match=r"dense_share must be from 0 to 1, got 1\.5"):
        GateSettings(dense_share=1.5)
