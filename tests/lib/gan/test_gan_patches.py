"""Frames in parts: tiles have no seams, and cells with light hold what the whole frame holds."""

from dataclasses import replace

import numpy as np
import pytest
from gan_networks import FINE, champion, film_e, untrained

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.gan import denoise
from cellstorm_lib.gan.denoise import denoised_chunks
from cellstorm_lib.gan.denoiser import Denoiser
from cellstorm_lib.gan.engines import engine_named
from cellstorm_lib.gan.gate import CELL_PX, GateSettings, active_cells
from cellstorm_lib.gan.patches import PATCH_PX, compute_whole
from cellstorm_lib.video.array import ArraySource

NOISE_E = 1.2
GATE = GateSettings()


@pytest.mark.parametrize(("height", "width"), [(400, 208), (192, 192), (208, 592)])
def test_tiles_equal_the_whole_frame(height: int, width: int) -> None:
    checkpoint = untrained(replace(FINE, first_filters=8))
    engine = engine_named("torch", checkpoint, device="cpu")
    film = film_e((4, height, width), 1) / np.float32(16.0)
    numbers = np.arange(2)
    whole, tiled = (
        np.zeros((2, height, width), np.float32),
        np.zeros((2, height, width), np.float32),
    )
    compute_whole(engine, film, 3, numbers, whole, tile_px=None)
    compute_whole(engine, film, 3, numbers, tiled, tile_px=192)
    assert np.ptp(whole) > 0.01
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_active_cells_hold_what_the_whole_frame_holds(engine: str) -> None:
    checkpoint = champion(half_precision=False)
    frames_e = film_e((12, 176, 240), 2)
    whole = Denoiser(checkpoint, device="cpu", engine=engine).light(frames_e)
    gated = Denoiser(checkpoint, device="cpu", engine=engine, gate=GATE).denoised(
        frames_e, pixel_noise_e=NOISE_E
    )
    active = np.stack(
        [active_cells(frame, GATE, pixel_noise_e=NOISE_E) for frame in frames_e[1:-1]]
    )
    assert 0.02 < active.mean() < GATE.dense_share
    assert gated.active_share == pytest.approx(active.mean())
    shown = np.kron(active, np.ones((1, CELL_PX, CELL_PX), bool))
    assert (gated.light_e[~shown] == 0.0).all()
    light, apart = whole[shown], gated.light_e[shown] - whole[shown]
    assert np.sqrt(np.mean(apart**2)) < 0.02 * np.sqrt(np.mean(light**2))
    np.testing.assert_allclose(gated.light_e[shown].sum(), light.sum(), rtol=0.01)
    assert whole[~shown].sum() < 0.02 * whole.sum()


def test_crowded_and_small_frames_are_computed_whole() -> None:
    checkpoint = untrained(FINE)
    crowded = film_e((3, 96, 96), 3)
    crowded[1, 4::12, 4::12] += 2000.0
    small = film_e((4, 64, PATCH_PX - 16), 4)
    for frames_e in (crowded, small):
        whole = Denoiser(checkpoint, device="cpu").light(frames_e)
        gated = Denoiser(checkpoint, device="cpu", gate=GATE).light(frames_e, pixel_noise_e=1.0)
        np.testing.assert_array_equal(gated, whole)


def test_dark_frames_cost_nothing_and_stay_dark() -> None:
    def fail(*_: object) -> None:
        raise AssertionError("nothing is to be computed")

    network = Denoiser(untrained(FINE), device="cpu", gate=GATE)
    network._engine.run = fail  # type: ignore[method-assign]
    made = network.denoised(np.full((5, 64, 64), 9.0, np.float32), pixel_noise_e=1.0)
    assert made.active_share == 0.0
    assert not made.light_e.any()


def test_a_u_net_is_never_gated() -> None:
    recipe = replace(FINE, architecture="unet", depth=4, frames=1)
    network = Denoiser(untrained(recipe), device="cpu", gate=GATE)
    assert network.gate is None
    assert network.denoised(film_e((1, 64, 64), 5)).active_share == 1.0


@pytest.mark.parametrize(
    ("engine", "gate"),
    [
        ("torch", GATE),
        ("torch", None),
        ("openvino", GATE),
        ("openvino", None),
        ("openvino-int8", None),
    ],
)
def test_neither_chunks_nor_threads_change_a_single_bit(
    engine: str, gate: GateSettings | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = champion(half_precision=True)
    frames = np.clip(film_e((23, 80, 112), 6), 0, 255).astype(np.uint8)
    camera = CameraCalibration(
        name="c", source="s", offset_adu=0.0, gain_e_per_adu=1.0, read_noise_e=NOISE_E
    )
    made = []
    for workers, chunk_px in ((1, 1 << 20), (3, 80 * 112 * 4), (2, 1)):
        monkeypatch.setattr(denoise, "_GATED_CHUNK_PX", chunk_px)
        network = Denoiser(checkpoint, device="cpu", engine=engine, gate=gate, workers=workers)
        parts = list(denoised_chunks(ArraySource(frames), camera, network))
        made.append(np.concatenate([part.light_e for part in parts]))
        assert np.concatenate([part.frame for part in parts]).tolist() == list(range(len(frames)))
        share = np.average(
            [part.active_share for part in parts], weights=[len(part.frame) for part in parts]
        )
        assert share < GATE.dense_share if gate else share == 1.0
    assert made[0].any()
    np.testing.assert_array_equal(made[1], made[0])
    np.testing.assert_array_equal(made[2], made[0])
