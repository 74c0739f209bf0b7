"""The frames that are shown of a training are the same each time."""

from dataclasses import replace

import numpy as np
import pytest
from gan_pairs import GAIN, OFFSET_ADU, small_pairs
from test_gan_program import LEAN, untrained

from cellstorm_lib.errors import CheckpointError
from cellstorm_lib.gan.denoiser import Denoiser
from cellstorm_lib.gan.samples import fixed_samples

DENOISER = Denoiser(untrained(LEAN), device="cpu")


def test_samples_come_from_clips_not_trained_on_and_have_the_most_light() -> None:
    pairs = small_pairs(clips=6)
    before, sample = fixed_samples(pairs, DENOISER)
    assert (before.origin, sample.origin) == ("scene-4", "scene-5")
    light = pairs.light_e[5].astype(np.float32)
    frame = 1 + int(np.argmax(light[1:-1].sum(axis=(1, 2))))
    np.testing.assert_array_equal(sample.light_e, light[frame])
    film_e = (pairs.filmed[5, frame] - np.float32(OFFSET_ADU)) * np.float32(GAIN)
    np.testing.assert_allclose(sample.film_e, film_e, rtol=1e-6)
    assert sample.made_e.shape == sample.light_e.shape


def test_samples_depend_on_the_pairs_alone() -> None:
    pairs = small_pairs(clips=9)
    tested = replace(pairs, split=np.array(["train"] * 2 + ["validation"] + ["test"] * 6))
    first, again = (fixed_samples(tested, DENOISER, count=3) for _ in range(2))
    assert [sample.origin for sample in first] == ["scene-2", "scene-5", "scene-8"]
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.made_e, other.made_e)


def test_pairs_without_a_frame_to_show_are_refused() -> None:
    pairs = small_pairs(clips=4)
    with pytest.raises(CheckpointError, match="no frame for testing or validation"):
        fixed_samples(replace(pairs, is_usable=np.zeros_like(pairs.is_usable)), DENOISER)
