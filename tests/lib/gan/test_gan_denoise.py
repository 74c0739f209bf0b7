"""Denoising: every frame size, the ends of a recording, no seams, the same however it is read."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from gan_pairs import GAIN, OFFSET_ADU, small_pairs

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import RecordingError
from cellstorm_lib.gan import denoise
from cellstorm_lib.gan.checkpoint import (
    Checkpoint,
    TrainingDomain,
    TrainingFacts,
    make_generator,
    weights_of,
)
from cellstorm_lib.gan.denoise import DenoisedScale, denoised_chunks
from cellstorm_lib.gan.denoiser import Denoiser, Margin
from cellstorm_lib.gan.recipe import Recipe
from cellstorm_lib.pixel_maps import PixelMaps
from cellstorm_lib.video.array import ArraySource

CAMERA = CameraCalibration(
    name="c", source="s", offset_adu=OFFSET_ADU, gain_e_per_adu=GAIN, read_noise_e=1.2
)


def denoiser(**changes: object) -> Denoiser:
    recipe = replace(Recipe(name="tiny", first_filters=4, half_precision=False), **changes)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        weights = weights_of(make_generator(recipe))
    return Denoiser(
        Checkpoint(
            recipe=recipe,
            weights=weights,
            domain=TrainingDomain.of(small_pairs(clips=3)),
            facts=TrainingFacts(),
        ),
        device="cpu",
    )


def film(frames: int, height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(frames * height + width)
    return rng.poisson(12.0, (frames, height, width)).astype(np.uint8)


def light_of(source, camera, network):
    chunks = list(denoised_chunks(source, camera, network))
    frames = np.concatenate([chunk.frame for chunk in chunks])
    np.testing.assert_array_equal(frames, np.arange(len(frames)))
    return np.concatenate([chunk.light_e for chunk in chunks])


def whole(source: ArraySource, network: Denoiser) -> np.ndarray:
    return light_of(source, CAMERA, network)


@pytest.mark.parametrize("frames", [1, 2, 3, 7])
@pytest.mark.parametrize("seen", [1, 3, 5])
def test_every_frame_comes_out_once(frames: int, seen: int) -> None:
    out = whole(ArraySource(film(frames, 32, 32)), denoiser(frames=seen))
    assert out.shape == (frames, 32, 32)
    assert out.dtype == np.float32
    assert out.min() >= 0.0


@pytest.mark.parametrize(("height", "width"), [(16, 16), (33, 47), (64, 18)])
def test_every_frame_size_is_denoised_whole(height: int, width: int) -> None:
    assert whole(ArraySource(film(3, height, width)), denoiser()).shape == (3, height, width)


def test_the_ends_of_a_recording_see_themselves_as_neighbours() -> None:
    network = denoiser()
    frames = film(4, 32, 32)
    out = whole(ArraySource(frames), network)
    padded = CAMERA.photoelectrons(frames[[0, 0, 1, 2, 3, 3]])
    np.testing.assert_array_equal(out, network.light(padded))


def test_a_flat_field_shows_the_network_even_light_and_is_put_back() -> None:
    network = denoiser()
    frames = film(4, 32, 32)
    light = np.linspace(0.5, 1.5, 32, dtype=np.float32) * np.ones((32, 1), np.float32)
    camera = replace(CAMERA, maps=PixelMaps(relative_sensitivity=light))
    out = light_of(ArraySource(frames), camera, network)
    shown = CAMERA.photoelectrons(frames[[0, 0, 1, 2, 3, 3]]) / light
    np.testing.assert_array_equal(out, network.light(shown) * light)


def test_chunks_never_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    network = denoiser()
    source = ArraySource(film(11, 48, 32))
    at_once = whole(source, network)
    for pixels in (1, 48 * 32 * 2, 48 * 32 * 5):
        monkeypatch.setattr(denoise, "_GATED_CHUNK_PX", pixels)
        np.testing.assert_array_equal(whole(source, network), at_once)


def test_a_region_is_denoised_as_in_the_whole_frame() -> None:
    # away from the region's edges the network sees the same pixels on the same grid
    network = denoiser(first_filters=4)
    frames = CAMERA.photoelectrons(film(3, 256, 256))
    full = network.light(frames)
    part = network.light(np.ascontiguousarray(frames[:, 24:232, 40:248]), x_px=40, y_px=24)
    inner = np.s_[:, 72:-72, 72:-72]
    np.testing.assert_allclose(part[inner], full[:, 24:232, 40:248][inner], atol=1e-4)


def test_the_margin_puts_frames_on_the_codecs_grid() -> None:
    margin = Margin.around((30, 50), x_px=20, y_px=32)
    assert (margin.left_px, margin.top_px) == (4, 0)
    assert (50 + margin.left_px + margin.right_px) % 16 == 0
    assert (30 + margin.top_px + margin.bottom_px) % 16 == 0
    assert Margin.around((32, 32), x_px=0, y_px=0) == Margin(
        left_px=0, right_px=0, top_px=0, bottom_px=0
    )


def test_photons_are_stored_to_a_fraction_of_their_noise() -> None:
    scale = DenoisedScale.of(CAMERA)
    light = np.array([0.0, 1.0, 100.0, 340.0], np.float32)
    np.testing.assert_allclose(scale.values(light) * scale.step_e, light, atol=scale.step_e)
    assert scale.step_e < 0.01
    assert scale.values(np.array([1e9], np.float32))[0] == 65535


def test_frames_too_small_or_missing_are_refused() -> None:
    with pytest.raises(RecordingError, match=r"frames of 12 x 40 pixels; .* at least 16 x 16"):
        whole(ArraySource(film(2, 40, 12)), denoiser())
    with pytest.raises(RecordingError, match="holds no frame"):
        whole(ArraySource(film(2, 32, 32)).part(2, 2), denoiser())
