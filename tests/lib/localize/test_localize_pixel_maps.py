from dataclasses import replace

import numpy as np
import pytest
from localize_scenes import (
    PHONE,
    SCIENTIFIC,
    Recording,
    assert_honest,
    expected_frame,
    exposed,
    shares,
    spot_boxes,
)

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import CalibrationError
from cellstorm_lib.localize.blocks import fit_spots
from cellstorm_lib.localize.columns import SENSITIVITY, WRITTEN
from cellstorm_lib.localize.detect import DetectSettings
from cellstorm_lib.localize.even import EvenPixels
from cellstorm_lib.localize.fit_settings import FitSettings
from cellstorm_lib.localize.localize import LocalizeSettings, localize
from cellstorm_lib.localize.pixels import PixelResponse
from cellstorm_lib.pixel_maps import PixelMaps
from cellstorm_lib.recording import Roi
from cellstorm_lib.tables import COLUMNS

GIVEN = LocalizeSettings(detect=DetectSettings(threshold_photons=5.0))


def with_maps(camera, **maps):
    """Return a camera with maps given as arrays of any float type."""
    maps = {name: np.asarray(values, np.float32) for name, values in maps.items()}
    return replace(camera, maps=PixelMaps(**maps))


def constant_maps(camera, shape):
    """Return a camera whose maps say the same as its numbers."""
    one = np.ones(shape)
    return with_maps(
        replace(camera, fixed_pattern_e=0.0),
        offset_adu=camera.offset_adu * one,
        read_variance_e2=camera.read_noise_e**2 * one,
        gain_e_per_adu=camera.gain_e_per_adu * one,
        relative_sensitivity=one,
    )


def varied_camera(rng, shape):
    """Return an sCMOS camera whose pixels differ a lot, 2 % of them hot."""
    is_hot = rng.random(shape) < 0.02
    variance = np.where(is_hot, rng.uniform(100, 900, shape), rng.gamma(4, 0.5, shape))
    sensitivity = rng.normal(1, 0.08, shape).clip(0.7, 1.3) * np.linspace(1.4, 0.6, shape[1])
    camera = CameraCalibration(
        name="varied",
        source="given",
        offset_adu=100.0,
        gain_e_per_adu=0.45,
        read_noise_e=float(np.sqrt(np.median(variance))),
        bit_depth=16,
    )
    return with_maps(
        camera,
        offset_adu=rng.normal(100, 3, shape) + is_hot * rng.exponential(30, shape),
        read_variance_e2=variance,
        gain_e_per_adu=0.45 * rng.normal(1, 0.08, shape).clip(0.7, 1.3),
        relative_sensitivity=sensitivity / sensitivity.mean(),
    )


def exposed_by_pixel(expected, camera, rng):
    """Return grey values of a camera with all four maps; `expected` is even light."""
    maps = camera.maps
    electrons = rng.poisson(expected * maps.relative_sensitivity)
    electrons = electrons + rng.normal(0, np.sqrt(maps.read_variance_e2), np.shape(expected))
    adu = np.rint(electrons / maps.gain_e_per_adu + maps.offset_adu)
    return np.clip(adu, 0, camera.saturation_adu).astype(np.uint16)


def grid_scene(rng, frames, shape, photons=600.0, background=8.0):
    """Return expected frames with spots far from each other, and frame, x and y of each."""
    true, images = [], []
    for frame in range(frames):
        spots = [
            (x + rng.uniform(-2, 2), y + rng.uniform(-2, 2), photons)
            for y in range(12, shape[0] - 8, 20)
            for x in range(12, shape[1] - 8, 20)
        ]
        true += [(frame, x, y) for x, y, _ in spots]
        images.append(expected_frame(shape, spots, background=background))
    return np.array(images), np.array(true)


def compared(table, truth):
    """Return shifts and claimed bounds of the spots found (px), how many missed, how many false."""
    frame, xy = table.column("frame"), table.xy_nm / 100.0
    bounds = np.stack([table.column("crlb_x_nm"), table.column("crlb_y_nm")], 1) / 100.0
    shifts, claimed, missed, false = [], [], 0, 0
    for number in np.unique(truth[:, 0]):
        true, here = truth[truth[:, 0] == number, 1:], frame == number
        apart = np.hypot(*(true[:, None] - xy[here][None]).transpose(2, 0, 1))
        nearest = apart.argmin(1)
        is_found = apart.min(1) < 1
        shifts.append((xy[here][nearest] - true)[is_found])
        claimed.append(bounds[here][nearest][is_found])
        missed += np.count_nonzero(~is_found)
        false += np.count_nonzero(apart.min(0) > 2.5)
    return np.concatenate(shifts), np.concatenate(claimed), missed, false


@pytest.mark.parametrize(("camera", "box"), [(PHONE, 7), (PHONE, 11), (SCIENTIFIC, 7)])
def test_maps_that_say_nothing_new_change_nothing(camera, box):
    # the phone is clipped in most of these spots
    frames, _, _ = spot_boxes(
        np.random.default_rng(1), 800, box=box, photons=1500, camera=camera, spread=1.0
    )
    where = np.stack([np.arange(800), *np.full((2, 800), box // 2)]).astype(np.int32)
    settings = FitSettings(box_px=box)
    plain = fit_spots(frames, where, np.zeros((800, 2), np.float32), camera, settings)
    mapped = constant_maps(camera, (box, box))
    pixels = PixelResponse.of(mapped)
    by_pixel = fit_spots(frames, where, np.zeros((800, 2), np.float32), mapped, settings, pixels)
    np.testing.assert_array_equal(plain["is_active"], by_pixel["is_active"])
    np.testing.assert_array_equal(plain["out_of_range_px"], by_pixel["out_of_range_px"])
    at_rest = plain["is_active"] == 0
    assert at_rest.mean() > 0.99
    for name in ("x_px", "y_px", "sigma_px", "variance_x", "variance_y"):
        apart = np.abs(plain[name] - by_pixel[name])[at_rest]
        assert np.quantile(apart, 0.99) < 1e-3, name
        # a fit may stop a step earlier or later: a twentieth of its uncertainty
        assert (apart < 0.05 * np.sqrt(plain["variance_x"][at_rest]) + 1e-3).all(), name
    for name in ("photons", "log_likelihood_ratio"):
        np.testing.assert_allclose(by_pixel[name][at_rest], plain[name][at_rest], rtol=0.02)


@pytest.fixture(scope="module")
def varied():
    """Return a camera whose pixels differ, frames it took, and the truth."""
    rng = np.random.default_rng(2)
    shape = (124, 124)
    camera = varied_camera(rng, shape)
    expected, truth = grid_scene(rng, 100, shape)
    return camera, Recording(frames=exposed_by_pixel(expected, camera, rng), kind="tiff"), truth


def test_with_its_maps_a_camera_of_unequal_pixels_reaches_the_bound(varied):
    camera, recording, truth = varied
    table, _ = localize(recording, camera, pixel_size_nm=100.0, settings=GIVEN)
    shifts, claimed, missed, false = compared(table, truth)
    assert missed <= 2
    assert false <= 2
    pulls = shifts / claimed
    # 7200 pulls scatter by 0.8 %
    assert 0.97 < np.sqrt((pulls**2).mean()) < 1.04
    assert abs(pulls.mean()) < 4 / np.sqrt(pulls.size)
    even_photons = table.column("photons") / table.column(SENSITIVITY)
    assert abs(np.median(even_photons) / 600 - 1) < 0.015
    even_background = table.column("background_photons") / table.column(SENSITIVITY)
    assert abs(np.median(even_background) / 8 - 1) < 0.03

    alike, _ = localize(recording, replace(camera, maps=None), pixel_size_nm=100.0, settings=GIVEN)
    worse, optimistic, _, many = compared(alike, truth)
    assert np.sqrt((worse**2).mean()) > 1.2 * np.sqrt((shifts**2).mean())
    assert np.sqrt(((worse / optimistic) ** 2).mean()) > 1.25
    assert many > 5 * 100


def test_without_a_threshold_given_hot_pixels_are_no_spots():
    rng = np.random.default_rng(3)
    camera = varied_camera(rng, (96, 96))
    expected, truth = grid_scene(rng, 60, (96, 96), background=20.0)
    recording = Recording(frames=exposed_by_pixel(expected, camera, rng), kind="tiff")
    table, report = localize(recording, camera, pixel_size_nm=100.0)
    _, _, missed, false = compared(table, truth)
    assert missed <= 0.01 * len(truth)
    assert false / 60 < 0.5
    # without the maps of the noise the threshold has to rise above the hot pixels
    noisy = replace(camera, maps=replace(camera.maps, read_variance_e2=None))
    _, blunt = localize(recording, noisy, pixel_size_nm=100.0)
    assert blunt.threshold_photons > 2 * report.threshold_photons


def test_a_spot_on_a_hot_pixel_is_found_where_it_is():
    rng = np.random.default_rng(4)
    variance = np.full((41, 41), 2.0)
    variance[20, 21] = 2500.0  # beside the middle, where a pixel tells most of x
    camera = with_maps(SCIENTIFIC, read_variance_e2=variance)
    x, y = 20.5 + rng.uniform(-0.5, 0.5, (2, 400))
    expected = np.array([expected_frame((41, 41), [(*xy, 800.0)]) for xy in zip(x, y, strict=True)])
    one = np.ones((41, 41))
    complete = with_maps(
        camera,
        offset_adu=100 * one,
        gain_e_per_adu=0.25 * one,
        relative_sensitivity=one,
        read_variance_e2=variance,
    )
    frames = exposed_by_pixel(expected, complete, rng)
    table, _ = localize(
        Recording(frames=frames, kind="tiff"), camera, pixel_size_nm=100.0, settings=GIVEN
    )
    truth = np.column_stack([np.arange(400), x, y])
    shifts, claimed, missed, false = compared(table, truth)
    assert missed <= 2
    assert false <= 2
    assert_honest(shifts[:, 0], claimed[:, 0])
    assert_honest(shifts[:, 1], claimed[:, 1])


def information_by_differences(parameters, side, sensitivity, variance):
    """Return the Fisher information of one box from numerical derivatives."""

    def mean(values):
        x, y, photons, background, sigma = values
        light = photons * np.outer(shares(y, side, sigma), shares(x, side, sigma)) + background
        return (sensitivity * light).ravel()

    steps = 1e-4 * np.maximum(np.abs(parameters), 1e-2)
    slopes = [
        (mean(parameters + step) - mean(parameters - step)) / (2 * step.sum())
        for step in np.diag(steps)
    ]
    return np.einsum("ip,jp,p->ij", slopes, slopes, 1 / (mean(parameters) + variance.ravel()))


@pytest.mark.parametrize("side", [7, 11])
def test_the_bound_knows_the_noise_and_the_sensitivity_of_each_pixel(side):
    rng = np.random.default_rng(5)
    truth = np.array([side / 2 + 0.2, side / 2 - 0.3, 3000.0, 12.0, 1.3])
    variance = rng.uniform(1, 4, (side, side))
    variance[side // 2, side // 2 + 1] = 400.0
    sensitivity = rng.uniform(0.5, 1.5, (side, side))
    fine = 1e-3  # grey values so fine that rounding has no say
    camera = with_maps(
        replace(SCIENTIFIC, gain_e_per_adu=fine, bit_depth=32),
        read_variance_e2=variance,
        relative_sensitivity=sensitivity,
    )
    light = expected_frame((side, side), [tuple(truth[:3])], background=12.0)
    grey = np.rint(sensitivity * light / fine + SCIENTIFIC.offset_adu).astype(np.uint32)[None]
    where = np.array([[0], [side // 2], [side // 2]], np.int32)
    found = fit_spots(
        grey,
        where,
        np.zeros((1, 2), np.float32),
        camera,
        FitSettings(box_px=side),
        PixelResponse.of(camera),
    )
    covariance = np.linalg.inv(information_by_differences(truth, side, sensitivity, variance))
    np.testing.assert_allclose(found["x_px"], truth[0], atol=2e-3)
    np.testing.assert_allclose(found["y_px"], truth[1], atol=2e-3)
    np.testing.assert_allclose(found["variance_x"], covariance[0, 0], rtol=5e-3)
    np.testing.assert_allclose(found["variance_y"], covariance[1, 1], rtol=5e-3)
    at = found["relative_sensitivity"]
    np.testing.assert_allclose(found["photons"] / at, truth[2], rtol=2e-3)
    np.testing.assert_allclose(found["background"] / at, truth[3], rtol=5e-3)
    weight = np.outer(shares(truth[1], side, 1.3), shares(truth[0], side, 1.3))
    np.testing.assert_allclose(at, (sensitivity * weight).sum() / weight.sum(), rtol=0.01)
    assert found["log_likelihood_ratio"] < 0.05


def test_the_slope_of_a_flat_field_moves_no_spot():
    # light falls off by 8 % a pixel: the centre of mass moves by sigma^2 times that
    sensitivity = np.repeat(np.exp(-0.08 * (np.arange(41) + 0.5 - 20.5))[None], 41, axis=0)
    camera = with_maps(SCIENTIFIC, relative_sensitivity=sensitivity)
    x = np.linspace(20.0, 21.0, 9)
    expected = np.array(
        [expected_frame((41, 41), [(place, 20.5, 40000.0)], background=2.0) for place in x]
    )
    frames = np.rint(sensitivity * expected / 0.25 + 100).astype(np.uint16)
    recording = Recording(frames=frames, kind="tiff")
    table, _ = localize(recording, camera, pixel_size_nm=100.0, settings=GIVEN)
    np.testing.assert_allclose(table.xy_nm[:, 0] / 100, x, atol=0.002)
    detected = (sensitivity * (expected - 2.0)).sum((1, 2))
    np.testing.assert_allclose(table.column("photons"), detected, rtol=5e-3)
    np.testing.assert_allclose(
        table.column("photons") / table.column(SENSITIVITY), 40000, rtol=5e-3
    )
    biased, _ = localize(recording, replace(camera, maps=None), pixel_size_nm=100.0, settings=GIVEN)
    shift = biased.xy_nm[:, 0] / 100 - x
    np.testing.assert_allclose(shift, -0.08 * 1.3**2, rtol=0.2)


def test_the_sensitivity_is_a_column_where_there_is_a_flat_field():
    rng = np.random.default_rng(6)
    frames = exposed([expected_frame((40, 40), [(20.2, 20.7, 900.0)])] * 15, SCIENTIFIC, rng)
    recording = Recording(frames=frames, kind="tiff")
    flat = with_maps(SCIENTIFIC, relative_sensitivity=np.full((40, 40), 0.8))
    table, _ = localize(recording, flat, pixel_size_nm=100.0, settings=GIVEN)
    assert tuple(table.data.columns) == (*WRITTEN, SENSITIVITY)
    assert table.data[SENSITIVITY].dtype == COLUMNS[SENSITIVITY][0]
    np.testing.assert_allclose(table.column(SENSITIVITY), 0.8, rtol=1e-6)
    noise = with_maps(SCIENTIFIC, read_variance_e2=np.full((40, 40), 2.0))
    table, _ = localize(recording, noise, pixel_size_nm=100.0, settings=GIVEN)
    assert tuple(table.data.columns) == WRITTEN


def test_maps_of_the_full_frame_are_cropped_to_the_region_read(varied):
    camera, recording, _ = varied
    part = Recording(
        frames=recording.frames[:10, 20:100, 10:100], kind="tiff", roi_x_px=10, roi_y_px=20
    ).with_facts(frame_width_px=124, frame_height_px=124)
    whole, _ = localize(part, camera, pixel_size_nm=100.0, settings=GIVEN)
    cropped = camera.cropped(Roi(width_px=90, height_px=80, x_px=10, y_px=20))
    alike, _ = localize(part, cropped, pixel_size_nm=100.0, settings=GIVEN)
    assert len(whole) > 100
    assert whole.data.equals(alike.data)


def test_maps_of_other_frames_are_refused(varied):
    camera, recording, _ = varied
    part = Recording(frames=recording.frames[:5, :60], kind="tiff")
    message = (
        r"maps of the camera varied hold 124 x 124 pixels, but made.mp4 has frames of 124 x 60"
    )
    with pytest.raises(CalibrationError, match=message):
        localize(part, camera, pixel_size_nm=100.0, settings=GIVEN)


@pytest.mark.parametrize(("threads", "most"), [(1, 3), (2, 100)])
def test_chunks_and_threads_change_nothing_with_maps(varied, threads, most):
    camera, recording, _ = varied
    part = Recording(frames=recording.frames[:12], kind="tiff")
    whole, _ = localize(part, camera, pixel_size_nm=100.0)
    again, _ = localize(part.in_chunks_of(most), camera, pixel_size_nm=100.0, threads=threads)
    assert whole.data.equals(again.data)


def test_a_threshold_by_expression_sees_even_frames(varied):
    camera, recording, truth = varied
    part = Recording(frames=recording.frames[:10], kind="tiff")
    settings = LocalizeSettings(detect=DetectSettings(threshold="std(Wave.F1)*1.5"))
    table, report = localize(part, camera, pixel_size_nm=100.0, settings=settings)
    _, _, missed, false = compared(table, truth[truth[:, 0] < 10])
    assert missed <= 1
    assert false <= 5
    assert 2 < report.threshold_photons < 10


def test_even_frames_are_even():
    rng = np.random.default_rng(7)
    shape = (40, 50)
    camera = varied_camera(rng, shape)
    smooth = np.linspace(0.7, 1.3, 50) * np.ones(shape)
    fine = rng.normal(1, 0.1, shape).clip(0.8, 1.2)
    camera = replace(
        camera, maps=replace(camera.maps, relative_sensitivity=(smooth * fine).astype(np.float32))
    )
    light = smooth * fine * 50.0 / camera.maps.gain_e_per_adu + camera.maps.offset_adu
    frames = np.rint(light).astype(np.uint16)[None]
    pixels = PixelResponse.of(camera)
    even = EvenPixels.of(pixels, camera, frames)
    assert 0.01 < len(even.row) / fine.size < 0.03
    np.testing.assert_allclose(even.weight.sum((1, 2)), 1, rtol=1e-5)
    photoelectrons = even.photoelectrons(frames)[0]
    # what is left of 10 % are the slow field, rounding and what the B-spline takes for slow
    assert np.abs(photoelectrons / (50 * smooth) - 1)[4:-4, 4:-4].std() < 0.04
    grey = even.grey(frames)[0].astype(float)
    np.testing.assert_allclose(
        grey * even.unit_e - even.pedestal_e, photoelectrons, atol=0.51 * even.unit_e
    )


def test_a_smooth_flat_field_leaves_the_search_as_it_is():
    rng = np.random.default_rng(8)
    expected, _ = grid_scene(rng, 20, (64, 64))
    smooth = np.linspace(0.9, 1.1, 64)[:, None] * np.linspace(0.8, 1.2, 64)
    recording = Recording(frames=exposed(expected * smooth, PHONE, rng), kind="tiff")
    flat = with_maps(PHONE, relative_sensitivity=smooth)
    assert EvenPixels.of(PixelResponse.of(flat), flat, recording.frames) is None
    _, plain = localize(recording, PHONE, pixel_size_nm=100.0)
    _, report = localize(recording, flat, pixel_size_nm=100.0)
    assert report.candidates == plain.candidates
    assert report.threshold_photons == plain.threshold_photons
    # the brighter the light, the more pixels of unequal gain stand out
    uneven = with_maps(PHONE, gain_e_per_adu=rng.normal(0.34, 0.01, (64, 64)))
    assert EvenPixels.of(PixelResponse.of(uneven), uneven, recording.frames) is not None


def test_pixels_without_maps_of_their_own_have_the_cameras_numbers():
    gain = np.linspace(0.2, 0.3, 12).reshape(3, 4)
    camera = with_maps(replace(SCIENTIFIC, fixed_pattern_e=0.5), gain_e_per_adu=gain)
    pixels = PixelResponse.of(camera)
    np.testing.assert_array_equal(pixels.offset_adu, np.float32(100.0))
    np.testing.assert_array_equal(pixels.sensitivity, np.float32(1.0))
    expected = SCIENTIFIC.read_noise_e**2 + 0.25 + gain**2 / 12
    np.testing.assert_allclose(pixels.variance_e2, expected, rtol=1e-5)
    # mapped offsets have no spread any more
    mapped = PixelResponse.of(with_maps(camera, offset_adu=np.full((3, 4), 100.0)))
    np.testing.assert_allclose(mapped.variance_e2, SCIENTIFIC.pixel_noise_e**2, rtol=1e-5)
    assert PixelResponse.of(SCIENTIFIC) is None
