"""The light of a recording at the places of spots is what was put there."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import erf

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.pipeline.film_light import film_light
from cellstorm_lib.tables import FieldOfView, Localizations
from cellstorm_lib.video.array import ArraySource

SIDE_PX, SIGMA_PX, BACKGROUND_E, PHOTONS = 40, 1.0, 20.0, 900.0
CAMERA = CameraCalibration(
    name="c", source="given", offset_adu=10.0, gain_e_per_adu=0.1, read_noise_e=0.0, bit_depth=16
)


def film_and_spots():
    """Return a film with one spot in every other frame, and a table that has one in each."""
    rng = np.random.default_rng(3)
    x_px, y_px = np.floor(rng.uniform(8, SIDE_PX - 8, (2, 30))) + 0.5
    edge = np.arange(SIDE_PX + 1)
    frames = []
    for k in range(30):
        shares = [
            np.diff(0.5 * erf((edge - place) / (np.sqrt(2) * SIGMA_PX)))
            for place in (y_px[k], x_px[k])
        ]
        light_e = BACKGROUND_E + (PHOTONS if k % 2 == 0 else 0.0) * np.outer(*shares)
        frames.append(np.rint(light_e / CAMERA.gain_e_per_adu + CAMERA.offset_adu))
    field = FieldOfView(width_px=SIDE_PX, height_px=SIDE_PX, pixel_size_nm=100.0, frame_count=31)
    data = pd.DataFrame({"frame": np.arange(30), "x_nm": 100 * x_px, "y_nm": 100 * y_px})
    return np.stack(frames).astype(np.uint16), Localizations(data=data, field=field)


def test_light_is_that_of_the_pixels_around_a_spot():
    frames, spots = film_and_spots()
    light_e = film_light(ArraySource(frames), CAMERA, spots)
    share = erf(2.5 / (np.sqrt(2) * SIGMA_PX)) ** 2
    # 25 pixels and their background, each rounded to 0.1 photoelectrons
    np.testing.assert_allclose(light_e[::2], share * PHOTONS, atol=25 * 0.05 + 25 * 0.05)
    np.testing.assert_allclose(light_e[1::2], 0.0, atol=1e-3)


def test_frames_that_the_recording_lacks_show_no_light_and_chunks_change_nothing(monkeypatch):
    frames, spots = film_and_spots()
    whole = film_light(ArraySource(frames), CAMERA, spots)
    part = film_light(ArraySource(frames).part(4, 20), CAMERA, spots)
    np.testing.assert_array_equal(part[4:20], whole[4:20])
    assert not part[:4].any()
    assert not part[20:].any()
    monkeypatch.setattr("cellstorm_lib.pipeline.film_light._CHUNK_PX", 3 * SIDE_PX**2)
    np.testing.assert_array_equal(film_light(ArraySource(frames), CAMERA, spots), whole)


def test_an_empty_table_has_no_light():
    frames, spots = film_and_spots()
    assert film_light(ArraySource(frames), CAMERA, spots.take(np.arange(0))).shape == (0,)


@pytest.mark.parametrize("place", [0.2, SIDE_PX - 0.2])
def test_spots_at_the_edge_are_measured_with_the_pixels_there_are(place):
    frames = np.full((1, SIDE_PX, SIDE_PX), 210, np.uint16)
    data = pd.DataFrame({"frame": [0], "x_nm": [100 * place], "y_nm": [100 * place]})
    field = FieldOfView(width_px=SIDE_PX, height_px=SIDE_PX, pixel_size_nm=100.0, frame_count=1)
    spots = Localizations(data=data, field=field)
    assert film_light(ArraySource(frames), CAMERA, spots)[0] == pytest.approx(0.0, abs=1e-3)
