"""Molecules added to a dark recording: their light is theirs, the noise stays the recording's."""

from dataclasses import replace

import numpy as np
import pytest

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import RecordingError
from cellstorm_lib.pipeline.benchmark_films import benchmark_films
from cellstorm_lib.pipeline.real_noise import add_molecules
from cellstorm_lib.video.array import ArraySource

FRAMES, SIDE = 20, 96
GAIN_E_PER_ADU, DARK, NOISE = 0.5, 12.0, 2.0
CAMERA = CameraCalibration(
    name="stand-in", source="this test", offset_adu=DARK, gain_e_per_adu=GAIN_E_PER_ADU,
    read_noise_e=NOISE * GAIN_E_PER_ADU, bit_depth=8,
)  # fmt: skip


def scene(photons):
    """Return filaments with molecules as bright as said, in frames of another size."""
    film = benchmark_films()["D"].scene
    return replace(film, blinking=replace(film.blinking, photons_per_frame=photons))


def dark(dtype=np.uint8):
    """Return noise without light that stands in for a phone's clip."""
    noise = np.random.default_rng(3).normal(DARK, NOISE, (FRAMES, SIDE, SIDE))
    return ArraySource(np.clip(np.round(noise), 0, 255).astype(dtype), name="dark clip")


def frames_of(source):
    return np.concatenate([chunk.frames for chunk in source.chunks(7)])


def test_the_light_is_that_of_the_truth_and_the_rest_is_untouched():
    source = dark()
    lit = add_molecules(source, CAMERA, scene(60.0), np.random.default_rng(4))
    assert lit.frames.shape == (FRAMES, SIDE, SIDE)
    assert lit.frames.dtype == np.uint8
    assert lit.saturated_share == 0.0
    assert lit.scene.frame_count == FRAMES
    added_e = (lit.frames.astype(float) - frames_of(source)) * GAIN_E_PER_ADU
    # whole values plus a share below 1 that is rounded down leave what was there
    assert added_e.min() >= 0.0
    y, x = (lit.truth.column(name) / lit.scene.field.pixel_size_nm for name in ("y_nm", "x_nm"))
    row, column, frame = y.astype(int), x.astype(int), lit.truth.column("frame")
    inside = (np.minimum(row, column) >= 6) & (np.maximum(row, column) < SIDE - 6)
    assert inside.sum() > 20
    is_near = np.zeros(lit.frames.shape, bool)
    for number, down, across in zip(frame, row, column, strict=True):
        is_near[number, max(down - 9, 0) : down + 10, max(across - 9, 0) : across + 10] = True
    # light of molecules outside of the field may reach in at its edge
    beyond = ~is_near[:, 10:-10, 10:-10]
    np.testing.assert_array_equal(added_e[:, 10:-10, 10:-10][beyond], 0.0)
    # all their light, those at the edge left out of the sum's doubt: Poisson error, 5 sigma
    total = float(lit.truth.column("photons").sum())
    edge = float(lit.truth.column("photons")[~inside].sum())
    outside = 2.0 * edge + 5.0 * np.sqrt(total)
    assert added_e.sum() == pytest.approx(total, abs=outside)


def test_bright_molecules_are_said_to_saturate():
    lit = add_molecules(dark(), CAMERA, scene(5000.0), np.random.default_rng(4))
    assert lit.frames.max() == 255
    assert 0.0 < lit.saturated_share < 1.0


def test_only_8_bit_recordings_are_taken():
    with pytest.raises(RecordingError, match="dark clip has 16 bit; molecules are added to 8-bit"):
        add_molecules(dark(np.uint16), CAMERA, scene(60.0), np.random.default_rng(4))


def test_a_recording_with_missing_frames_is_refused():
    class Torn(ArraySource):
        def chunks(self, size):
            yield from list(super().chunks(size))[:-1]

    torn = Torn(frames_of(dark()), name="dark clip")
    with pytest.raises(RecordingError, match=r"dark clip is damaged: 4 of its frames cannot be"):
        add_molecules(torn, CAMERA, scene(60.0), np.random.default_rng(4))
