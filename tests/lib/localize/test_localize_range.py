"""Pixels in which the camera is saturated or not linear: marked, counted, not believed."""

from dataclasses import replace

import numpy as np
import pytest
from localize_scenes import PHONE, SCIENTIFIC, Recording, expected_frame, exposed

from cellstorm_lib.localize.cut import end_of_range_adu
from cellstorm_lib.localize.detect import DetectSettings
from cellstorm_lib.localize.localize import LocalizeSettings, localize
from cellstorm_lib.pixel_maps import PixelMaps

GIVEN = LocalizeSettings(detect=DetectSettings(threshold_photons=8.0))


def mapped(camera, shape):
    """Return the same camera, each pixel stating its own offset."""
    offset_adu = np.full(shape, camera.offset_adu, np.float32)
    return replace(camera, maps=PixelMaps(offset_adu=offset_adu))


def bent(linear_adu, knee_adu):
    """Return the grey values of a response with a quarter of the slope above a knee."""
    above = np.maximum(linear_adu.astype(float) - knee_adu, 0.0)
    return np.rint(np.minimum(linear_adu, knee_adu) + 0.25 * above).astype(linear_adu.dtype)


@pytest.mark.parametrize(
    ("linear_to_adu", "expected"),
    [(None, 255), (300.0, 255), (255.0, 255), (200.0, 200), (199.3, 200)],
)
def test_the_range_ends_where_the_camera_clips_or_bends(linear_to_adu, expected):
    assert end_of_range_adu(replace(PHONE, linear_to_adu=linear_to_adu)) == expected


@pytest.mark.parametrize(("high_adu", "expected"), [(200.0, 200), (220.0, 220), (1e4, 255)])
def test_a_range_that_may_reach_further_ends_where_it_certainly_does(high_adu, expected):
    intervals = {"linear_to_adu": (180.0, high_adu)}
    camera = replace(PHONE, linear_to_adu=200.0, intervals=intervals)
    assert end_of_range_adu(camera) == expected


@pytest.mark.parametrize("has_maps", [False, True])
def test_a_bent_response_is_measured_within_its_range(has_maps):
    rng = np.random.default_rng(1)
    x, y = 20.5 + rng.uniform(-0.5, 0.5, (2, 600))
    expected = [expected_frame((41, 41), [(*xy, 2500.0)]) for xy in zip(x, y, strict=True)]
    frames = bent(exposed(expected, SCIENTIFIC, rng), 500.0)
    recording = Recording(frames=frames, kind="tiff")
    camera = replace(SCIENTIFIC, linear_to_adu=500.0)
    camera = mapped(camera, (41, 41)) if has_maps else camera
    table, report = localize(recording, camera, pixel_size_nm=100.0, settings=GIVEN)
    assert len(table) == 600
    assert abs(np.median(table.column("photons")) / 2500 - 1) < 0.03
    assert abs(np.median(table.column("sigma_nm")) / 130 - 1) < 0.02
    pulls = np.concatenate(
        [
            (table.xy_nm[:, 0] / 100 - x) / (table.column("crlb_x_nm") / 100),
            (table.xy_nm[:, 1] / 100 - y) / (table.column("crlb_y_nm") / 100),
        ]
    )
    assert 0.94 < pulls.std() < 1.06
    assert report.spots_out_of_range == 600
    # believed as they are, bent pixels make the spot look wide
    trusting, _ = localize(
        recording, replace(camera, linear_to_adu=None), pixel_size_nm=100.0, settings=GIVEN
    )
    assert np.median(trusting.column("sigma_nm")) > 1.1 * 130


@pytest.mark.parametrize("has_maps", [False, True])
@pytest.mark.parametrize("box_px", [7, 11])
def test_pixels_out_of_range_are_counted_spot_by_spot(has_maps, box_px):
    frame = expected_frame((60, 80), [(20.5, 20.5, 1500.0), (60.5, 40.5, 900.0)])
    grey = np.rint(frame / PHONE.gain_e_per_adu + PHONE.offset_adu).clip(0, 255).astype(np.uint8)
    grey[41, 61 - box_px // 2] = 5  # a dark pixel in the corner of the second box
    frames = np.repeat(grey[None], 20, axis=0)
    camera = replace(PHONE, linear_from_adu=10.5, linear_to_adu=199.5)
    camera = mapped(camera, (60, 80)) if has_maps else camera
    settings = replace(GIVEN, fit=replace(GIVEN.fit, box_px=box_px))
    table, report = localize(
        Recording(frames=frames, kind="tiff"), camera, pixel_size_nm=100.0, settings=settings
    )
    assert len(table) == 40
    half = box_px // 2
    counts = []
    for row, column in ((20, 20), (40, 60)):
        box = grey[row - half : row + half + 1, column - half : column + half + 1]
        counts.append(np.count_nonzero((box >= 200) | (box < 11)))
    assert counts[0] > 5
    assert counts[1] > 0
    np.testing.assert_array_equal(table.column("out_of_range_px"), np.tile(counts, 20))
    assert report.spots_out_of_range == 40
    assert report.pixels_out_of_range == 20 * sum(counts)


def test_dark_pixels_are_counted_and_change_nothing_else():
    rng = np.random.default_rng(2)
    frames = exposed([expected_frame((40, 40), [(20.3, 19.6, 500.0)])] * 30, PHONE, rng)
    recording = Recording(frames=frames, kind="tiff")
    plain, none = localize(recording, PHONE, pixel_size_nm=100.0, settings=GIVEN)
    marked, report = localize(
        recording, replace(PHONE, linear_from_adu=40.0), pixel_size_nm=100.0, settings=GIVEN
    )
    assert none.spots_out_of_range == none.pixels_out_of_range == 0
    assert not plain.column("out_of_range_px").any()
    assert report.spots_out_of_range == len(marked)
    names = [name for name in plain.data if name != "out_of_range_px"]
    assert marked.data[names].equals(plain.data[names])


def test_spots_within_the_range_are_not_counted():
    rng = np.random.default_rng(3)
    frames = exposed([expected_frame((40, 40), [(20.3, 19.6, 700.0)])] * 30, SCIENTIFIC, rng)
    table, report = localize(
        Recording(frames=frames, kind="tiff"),
        replace(SCIENTIFIC, linear_from_adu=50.0, linear_to_adu=5000.0),
        pixel_size_nm=100.0,
        settings=GIVEN,
    )
    assert len(table) == 30
    assert not table.column("out_of_range_px").any()
    assert report.pixels_out_of_range == 0
