"""Traits of spots in denoised frames, against spots that are known."""

from dataclasses import replace

import numpy as np
import pytest
from localize_scenes import PHONE, expected_frame, shares

from cellstorm_lib.localize.around import Surroundings
from cellstorm_lib.localize.course import courses
from cellstorm_lib.localize.denoised_traits import DENOISED_TRAITS
from cellstorm_lib.localize.prepare import LocalizeSettings, prepare
from cellstorm_lib.video.array import ArraySource

#: The light of one spot, frame by frame.
PHOTONS = (0.0, 400.0, 800.0, 200.0, 0.0, 0.0)


def shine() -> float:
    """Return how much brighter than it is the spot of these films looks to a filter for 1.3 px."""
    wide = np.outer(shares(4.5, 9, 1.3), shares(4.5, 9, 1.3))
    narrow = np.outer(shares(4.6, 9, 0.85), shares(4.4, 9, 0.85))
    weights = wide - wide.mean()
    return float((weights * narrow).sum() / (weights * wide).sum())


def traits_in(photons=PHOTONS, step_e=0.02):
    """Return the traits of all spots of a film with one place that blinks, by name."""
    light = np.stack(
        [
            expected_frame((41, 43), [(20.4, 18.6, one)], background=0.0, sigma=0.85)
            for one in photons
        ]
    )
    values = np.rint(light / step_e).astype(np.uint16)
    source = ArraySource(values, denoised_photons_per_adu=step_e)
    ready = prepare(source, PHONE, LocalizeSettings(), pixel_size_nm=100.0)
    candidates, fits = ready.candidates_and_fits(values)
    index = candidates.index[fits.rows]
    measured = courses(Surroundings.alone(values), index, fits.x_px, fits.y_px)
    level = ready.detector.level
    traits = level.traits_of(fits, measured)
    assert traits.dtype == np.float32
    assert np.isfinite(traits).all()
    return dict(zip(DENOISED_TRAITS, traits.T, strict=True)), level, index


def test_light_is_told_in_photoelectrons_and_beside_that_of_the_recording() -> None:
    found, level, index = traits_in()
    np.testing.assert_array_equal(index, [1, 2, 3])
    truth = np.log([400.0, 800.0, 200.0])
    np.testing.assert_allclose(found["log_photons"], truth, atol=0.02)
    np.testing.assert_allclose(found["log_light"], truth + np.log(shine()), atol=0.02)
    for name, of_recording in (
        ("log_light_over_threshold", level.threshold_photons),
        ("log_light_over_usual", level.usual_photons),
    ):
        expected = found["log_light"] - np.log(of_recording)
        np.testing.assert_allclose(found[name], expected, atol=1e-5)


def test_the_frames_before_and_after_are_told_as_shares() -> None:
    found, _, _ = traits_in()
    of_the_spot = {
        "before_2": (0.0, 0.0, 2.0),
        "before": (0.0, 0.5, 4.0),
        "after": (2.0, 0.25, 0.0),
        "after_2": (0.5, 0.0, 0.0),
    }
    for name, expected in of_the_spot.items():
        seen = np.minimum(shine() * np.array(expected), 4.0)  # more is not told
        np.testing.assert_allclose(found[name], seen, atol=0.03 * max(1.0, *expected))
    np.testing.assert_array_equal(found["has_before_2"], [0, 1, 1])
    np.testing.assert_array_equal(found["has_after_2"], [1, 1, 1])


@pytest.mark.parametrize("step_e", [0.01, 0.04])
def test_the_scale_of_the_stack_says_nothing(step_e) -> None:
    found, level, _ = traits_in(step_e=step_e)
    usual, same, _ = traits_in()
    for name in DENOISED_TRAITS:
        # five standard deviations of a pixel rounded to the coarser of the two scales
        np.testing.assert_allclose(found[name], usual[name], atol=5 * 0.04 / np.sqrt(12))
    assert replace(level, photons_per_adu=1.0).usual_photons == pytest.approx(
        same.usual_photons, rel=0.01
    )


def test_of_spots_above_the_threshold_three_quarters_of_the_probability_are_enough() -> None:
    source = ArraySource(
        np.rint(
            expected_frame(
                (41, 80), [(20.4, 18.6, 160.0), (60.3, 21.2, 80.0)], background=0.0, sigma=0.85
            )
            / 0.02
        ).astype(np.uint16)[None],
        denoised_photons_per_adu=0.02,
    )
    ready = prepare(source, PHONE, LocalizeSettings(), pixel_size_nm=100.0)
    (chunk,) = source.chunks(1)
    _, fits = ready.candidates_and_fits(chunk.frames)
    level = ready.detector.level
    level = replace(level, threshold_photons=100.0 / level.photons_per_height)
    needed = dict(
        zip(np.rint(fits.photons / 80.0).tolist(), level.least_probability(fits, 0.4), strict=True)
    )
    assert needed == {2.0: pytest.approx(0.3), 1.0: 0.4}
