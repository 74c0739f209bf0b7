"""Crowded frames, whose noise cannot be seen, and bright light that stays on."""

import numpy as np
import pandas as pd
import pytest
from localize_scenes import PHONE, SCIENTIFIC, expected_frame, exposed
from scipy import ndimage

from cellstorm_lib.evaluate.scores import score
from cellstorm_lib.localize.crowded import camera_threshold, is_crowded
from cellstorm_lib.localize.extrema import find_extrema
from cellstorm_lib.localize.filters import wavelet_band
from cellstorm_lib.localize.localize import localize
from cellstorm_lib.localize.threshold import calibrate_threshold
from cellstorm_lib.tables import Emitters, FieldOfView
from cellstorm_lib.video.array import ArraySource

CAMERAS = pytest.mark.parametrize("camera", [PHONE, SCIENTIFIC], ids=lambda camera: camera.name)
SIDE = 96


def crowd(camera, *, spots_per_um2, frames, seed):
    """Return a stack of spots at random in pixels of 100 nm, and the truth."""
    rng = np.random.default_rng(seed)
    drawn, rows = [], []
    for frame in range(frames):
        count = rng.poisson(spots_per_um2 * (0.1 * SIDE) ** 2)
        spots = np.column_stack(
            [*rng.uniform(4, SIDE - 4, (2, count)), rng.uniform(300, 1500, count)]
        )
        drawn.append(expected_frame((SIDE, SIDE), spots, background=7.5))
        rows += [(frame, 100 * x, 100 * y, photons) for x, y, photons in spots]
    data = pd.DataFrame(rows, columns=["frame", "x_nm", "y_nm", "photons"])
    data["emitter"] = np.arange(len(data))
    field = FieldOfView(width_px=SIDE, height_px=SIDE, pixel_size_nm=100.0, frame_count=frames)
    return exposed(np.array(drawn), camera, rng), Emitters(data=data, field=field)


@CAMERAS
@pytest.mark.parametrize("light_e", [0.3, 5.0, 50.0])
def test_noise_exceeds_the_threshold_of_its_camera_no_more_often_than_allowed(camera, light_e):
    rng = np.random.default_rng(5)
    frames = exposed(np.full((40, 256, 256), light_e), camera, rng)
    photons = camera.photoelectrons(frames)
    band = wavelet_band(photons)
    is_top = ndimage.maximum_filter(band, (1, 3, 3)) == band
    for allowed in (1.0, 10.0):
        height = camera_threshold(photons, camera, allowed)
        # at most as many as allowed, and 4 standard deviations
        assert np.count_nonzero(is_top & (band > height)) <= 40 * allowed + 4 * np.sqrt(
            40 * allowed
        )
    # and it is not needlessly high: without the allowance for skew there are some
    height = camera_threshold(photons, camera, 10.0) / 1.2
    assert np.count_nonzero(is_top & (band > height)) > 40


@CAMERAS
@pytest.mark.parametrize("light_e", [0.05, 1.0, 50.0])
def test_noise_alone_is_no_crowd(camera, light_e):
    rng = np.random.default_rng(6)
    photons = camera.photoelectrons(exposed(np.full((20, 128, 128), light_e), camera, rng))
    # a camera that is three times as noisy as one thinks makes many tops, but dips as deep
    for noisier in (1.0, 3.0):
        band = wavelet_band(noisier * photons)
        follows = np.zeros(20, np.bool_)
        tops = find_extrema(band, follows=follows)
        dips = find_extrema(band, follows=follows, are_minima=True)
        height = camera_threshold(photons, camera, 0.1)
        assert not is_crowded(tops, dips, height, float(photons.size))


@CAMERAS
def test_a_crowd_without_a_single_lone_spot_is_found(camera):
    frames, truth = crowd(camera, spots_per_um2=2.0, frames=16, seed=7)
    table, report = localize(ArraySource(frames), camera, pixel_size_nm=100.0)
    scores = score(table, truth, tolerance_nm=250.0)
    assert scores.precision > 0.97
    assert scores.jaccard > 0.65  # nothing at all with a threshold from the frames alone
    assert report.expected_false_per_frame < 0.1


def test_the_threshold_of_frames_that_are_no_crowd_is_their_own():
    frames, _ = crowd(PHONE, spots_per_um2=0.1, frames=20, seed=8)
    photons = PHONE.photoelectrons(frames)
    told = calibrate_threshold(photons, camera_photons=camera_threshold(photons, PHONE, 0.1))
    own = calibrate_threshold(photons)
    assert not told.is_crowded
    assert told.photons == own.photons


def test_bright_light_that_stays_on_is_still_searched_in_coded_frames():
    rng = np.random.default_rng(9)
    spots = [(30.0, 28.0, 2000.0), (64.0, 60.0, 2000.0)]
    frames = exposed(np.tile(expected_frame((SIDE, SIDE), spots), (24, 1, 1)), PHONE, rng)
    photons = PHONE.photoelectrons(frames)
    number = np.arange(24)
    camera_photons = camera_threshold(photons, PHONE, 0.1)
    coded = {"frame": number, "is_key": number == 0}
    alone = calibrate_threshold(photons, **coded)
    told = calibrate_threshold(photons, **coded, camera_photons=camera_photons)
    # what stands still counts as afterimages: by itself the search would lie above all of it
    assert alone.loose_photons > 5 * camera_photons
    assert told.loose_photons <= camera_photons
    assert told.photons == alone.photons
