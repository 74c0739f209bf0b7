import numpy as np
import pytest
from localize_scenes import expected_frame

from cellstorm_lib.localize.around import Surroundings
from cellstorm_lib.localize.course import MEASURED, REACH, courses

PLACE = {name: number for number, name in enumerate(MEASURED)}
PHOTONS = (0.0, 300.0, 1200.0, 700.0, 100.0)


def film(background=40.0):
    """Return five frames with one spot whose light changes, grey values of 0.05 photons."""
    frames = [
        expected_frame((41, 43), [(20.5, 18.5, photons)], background=background)
        for photons in PHOTONS
    ]
    return np.rint(np.stack(frames) * 20).astype(np.uint16)


def measured_at(frames, number=None, x_px=20.5, y_px=18.5, index=2):
    around = Surroundings.alone(frames)
    if number is not None:
        around = Surroundings(
            frames=frames, before=frames[:0], after=frames[:0], number=np.array(number)
        )
    out = courses(around, np.array([index], np.int32), np.array([x_px]), np.array([y_px]))
    return dict(zip(MEASURED, out[0], strict=True))


def test_light_is_that_of_the_spot_in_each_frame():
    found = measured_at(film())
    names = ("light_before_2", "light_before", "light", "light_after", "light_after_2")
    light = np.array([found[name] for name in names]) / 20
    np.testing.assert_allclose(light, PHOTONS, rtol=0.01, atol=1.0)


def test_light_does_not_depend_on_the_background():
    for background in (1.0, 500.0):
        assert measured_at(film(background))["light"] / 20 == pytest.approx(1200, rel=0.01)


def test_changes_are_means_of_absolute_differences():
    frames = film()
    square = np.s_[18 - 3 : 18 + 4, 20 - 3 : 20 + 4]
    values = frames.astype(float)
    found = measured_at(frames)
    assert found["change_before"] == pytest.approx(np.abs(values[2] - values[1])[square].mean())
    assert found["change_after"] == pytest.approx(np.abs(values[3] - values[2])[square].mean())


def test_the_ring_holds_the_pixels_around_the_spot():
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 200, (1, 30, 30)).astype(np.uint8)
    found = measured_at(frames, x_px=15.2, y_px=14.9, index=0)
    down, across = np.mgrid[-5:6, -5:6]
    values = frames[0, 9:20, 10:21][np.hypot(down, across) > 3.6].astype(float)
    assert found["ring_mean"] == pytest.approx(values.mean(), rel=1e-6)
    assert found["ring_std"] == pytest.approx(values.std(), rel=1e-6)


def test_what_lies_beyond_the_recording_or_was_lost_is_not_known():
    first = measured_at(film(), index=0)
    assert np.isnan([first["light_before"], first["change_before"]]).all()
    assert np.isfinite(first["light_after_2"])
    gap = measured_at(film(), number=[0, 1, 3, 4, 6])
    assert np.isnan([gap["light_before"], gap["change_before"], gap["light_after_2"]]).all()
    assert np.isfinite(gap["light_after"])


def test_frames_before_and_after_are_looked_at():
    frames = film()
    around = Surroundings(
        frames=frames[2:3], before=frames[:2], after=frames[3:], number=np.arange(5)
    )
    place = np.array([0], np.int32), np.array([20.5]), np.array([18.5])
    whole = courses(Surroundings.alone(frames), place[0] + np.int32(2), *place[1:])
    np.testing.assert_array_equal(courses(around, *place), whole)
    assert REACH == 2


@pytest.mark.parametrize("corner", [(0.2, 0.1), (42.8, 40.9)])
def test_at_the_edge_the_outermost_pixels_are_repeated(corner):
    flat = np.full((3, 41, 43), 100, np.uint8)
    found = measured_at(flat, x_px=corner[0], y_px=corner[1], index=1)
    assert found["light"] == pytest.approx(0, abs=1e-3)
    assert found["ring_mean"] == 100
    assert found["ring_std"] == 0
