from dataclasses import replace

import numpy as np
import pytest

from cellstorm_lib.calibrate.flat_field import flat_field_from_recording, flat_field_from_series
from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import CalibrationError
from cellstorm_lib.pixel_maps import PixelMaps
from cellstorm_lib.recording import Roi
from cellstorm_lib.video.array import ArraySource

SIDE = 96
CAMERA = CameraCalibration(
    name="camera", source="known", offset_adu=100.0, gain_e_per_adu=0.5, read_noise_e=1.5,
    bit_depth=12,
)  # fmt: skip
Y, X = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE - 0.5


def vignetting(centre_y=0.05, centre_x=-0.08):
    """Return relative light (Y, X), mean 1."""
    light = np.exp(-1.5 * ((Y - centre_y) ** 2 + (X - centre_x) ** 2)) / (1 + 0.3 * (X**2 + Y**2))
    return light / light.mean()


def exposed(expected_e, rng):
    electrons = rng.poisson(expected_e) + rng.normal(0, CAMERA.read_noise_e, expected_e.shape)
    adu = np.rint(CAMERA.offset_adu + electrons / CAMERA.gain_e_per_adu)
    return np.clip(adu, 0, 4095).astype(np.uint16)


def blinking(light, rng, *, frames=64, spots=12, ground_e=25.0, spot_light=None):
    """Return frames (N, Y, X) of molecules that blink on an evenly fluorescent ground."""
    spot_light = light if spot_light is None else spot_light
    pixel = np.arange(SIDE) + 0.5
    expected_e = np.repeat(ground_e * light[None], frames, axis=0)
    for frame in expected_e:
        y, x = rng.uniform(0, SIDE, (2, spots))
        rows, columns = (np.exp(-0.5 * ((pixel - at[:, None]) / 1.3) ** 2) for at in (y, x))
        bright = 1200 / (2 * np.pi * 1.3**2) * spot_light[y.astype(int), x.astype(int)]
        bright *= rng.lognormal(-0.045, 0.3, spots)
        np.add(frame, (bright[:, None] * rows).T @ columns, out=frame)
    return ArraySource(exposed(expected_e, rng), name="cell.tif")


def rms_error(found, light):
    return float(np.sqrt(np.mean(np.square(found.relative_sensitivity / light - 1))))


def test_even_light_gives_its_fall_off_despite_dust_and_hot_pixels():
    rng = np.random.default_rng(1)
    light = vignetting()
    dust = 1 - 0.4 * np.exp(-((Y - 0.2) ** 2 + (X - 0.1) ** 2) / (2 * 0.03**2))
    frames = exposed(np.repeat((400 * light * dust)[None], 50, axis=0), rng)
    frames[:, 11, 70] = 4000
    found = flat_field_from_series([ArraySource(frames, name="flat")], CAMERA)
    error = rms_error(found, light)
    # photon noise of 20,000 e- per pixel is 0.7 %; a surface averages it over thousands of pixels
    assert error < 0.002
    assert error < 3 * found.relative_error
    assert found.relative_sensitivity.mean() == pytest.approx(1.0, abs=1e-4)
    corners = light[[0, 0, -1, -1], [0, -1, 0, -1]].mean()
    middle = light[SIDE // 2 - 1 : SIDE // 2 + 1, SIDE // 2 - 1 : SIDE // 2 + 1].mean()
    assert found.corner_share == pytest.approx(corners / middle, abs=0.01)


def test_saturated_series_are_left_out_while_others_remain():
    rng = np.random.default_rng(2)
    good = exposed(np.repeat(400 * vignetting()[None], 20, axis=0), rng)
    burnt = np.full_like(good, 4095)
    sources = [
        replace_bits(ArraySource(frames, name=name))
        for frames, name in ((good, "good"), (burnt, "burnt"))
    ]
    found = flat_field_from_series(sources, CAMERA)
    assert found.origin == "even light, 20 frames, 1 of 2 series left out"
    assert found.reason.startswith("burnt is saturated: 100% of its grey values are at 4095")
    with pytest.raises(CalibrationError, match="burnt is saturated"):
        flat_field_from_series(sources[1:], CAMERA)


def replace_bits(source):
    """Return a source that says it is of 12 bits."""
    source._facts = replace(source.facts, bit_depth=12)
    return source


def test_planes_of_a_mosaic_have_each_mean_1():
    rng = np.random.default_rng(3)
    light = vignetting()
    colour = np.ones((SIDE, SIDE))
    colour[::2, ::2], colour[1::2, 1::2] = 0.4, 0.7
    source = ArraySource(exposed(np.repeat((600 * light * colour)[None], 30, axis=0), rng))
    source._facts = replace(source.facts, details={"mosaic": "RGGB"})
    found = flat_field_from_series([source], CAMERA)
    assert rms_error(found, light) < 0.01
    for row in range(2):
        for column in range(2):
            plane = found.relative_sensitivity[row::2, column::2]
            assert plane.mean() == pytest.approx(1.0, abs=1e-4)


def test_the_background_between_molecules_gives_the_light():
    light = vignetting()
    found = flat_field_from_recording(blinking(light, np.random.default_rng(4)), CAMERA)
    error = rms_error(found, light)
    assert error < 0.01
    assert error < 3 * found.relative_error
    assert found.origin == "background of 64 frames of the recording"
    assert "where 1 is expected of the light" in found.reason


def test_a_strand_across_the_field_is_passed_over():
    light = vignetting()
    strand = 25 * light * (1 + 4 * (np.abs(X - 0.3 * np.sin(4 * Y)) < 0.04))
    source = blinking(strand, np.random.default_rng(9), ground_e=1.0, spots=20, spot_light=light)
    assert rms_error(flat_field_from_recording(source, CAMERA), light) < 0.02


def test_a_sample_that_varies_in_even_light_is_not_taken_for_the_light():
    source = blinking(
        vignetting(), np.random.default_rng(5), spots=30, spot_light=np.ones((SIDE, SIDE))
    )
    with pytest.raises(CalibrationError, match="the sample varies and not the light; take a ser"):
        flat_field_from_recording(source, CAMERA)


def test_without_molecules_a_part_of_the_fall_off_is_counted_as_error():
    light = np.sqrt(vignetting())
    found = flat_field_from_recording(blinking(light, np.random.default_rng(6), spots=0), CAMERA)
    assert "too few molecules tell" in found.reason
    assert found.relative_error == pytest.approx(np.log(light).std() / np.sqrt(3), rel=0.1)


def test_offsets_of_pixels_count_whether_mapped_for_the_frame_or_the_region():
    rng = np.random.default_rng(7)
    light = vignetting()
    offset_adu = np.full((SIDE + 16, SIDE + 32), 100.0, np.float32)
    offset_adu[8 : 8 + SIDE, 16 : 16 + SIDE] += 20 * np.sin(9 * X)
    frames = exposed(np.repeat(300 * light[None], 40, axis=0), rng)
    shift = np.rint(offset_adu[8 : 8 + SIDE, 16 : 16 + SIDE] - 100).astype(np.uint16)
    source = ArraySource(frames + shift, name="flat")
    source._facts = replace(
        source.facts, frame_width_px=SIDE + 32, frame_height_px=SIDE + 16,
        roi=Roi(width_px=SIDE, height_px=SIDE, x_px=16, y_px=8),
    )  # fmt: skip
    whole = replace(CAMERA, maps=PixelMaps(offset_adu=offset_adu))
    found = flat_field_from_series([source], whole)
    assert rms_error(found, light) < 0.01
    of_region = flat_field_from_series([source], whole.cropped(source.facts.roi))
    np.testing.assert_array_equal(of_region.relative_sensitivity, found.relative_sensitivity)


def flat(expected_e, *, frames=8, seed=8):
    rng = np.random.default_rng(seed)
    return ArraySource(exposed(np.repeat(expected_e[None], frames, axis=0), rng), name="flat.tif")


@pytest.mark.parametrize(
    ("sources", "sentence"),
    [
        (list, "a flat field needs a series of even light, but none is given"),
        (
            lambda: [flat(np.full((64, 64), 9.0)), flat(np.full((64, 80), 9.0))],
            "flat.tif, flat.tif differ in frame size or colour mosaic; give series of one camera",
        ),
        (
            lambda: [flat(np.full((40, 64), 9.0))],
            "flat.tif has frames of 64 x 40 pixels, but a flat field needs at least 64 x 64",
        ),
        (lambda: [flat(np.zeros((SIDE, SIDE)))], "hardly any light above the offset of 100 grey"),
        (
            lambda: [flat(400 * (1.2 + np.sin(40 * X) * np.sin(40 * Y)))],
            "the light of flat.tif is not even: .* of structure remains around a smooth surface",
        ),
        (
            lambda: [flat(400 * (1.0 + 8 * (X**2 + Y**2)))],
            "the light of flat.tif is not even: it rises again by .* away from its brightest",
        ),
    ],
)
def test_series_that_tell_nothing_are_refused(sources, sentence):
    with pytest.raises(CalibrationError, match=sentence):
        flat_field_from_series(sources(), CAMERA)


def test_a_series_beyond_the_linear_range_is_refused():
    camera = replace(CAMERA, linear_to_adu=500.0)
    with pytest.raises(CalibrationError, match="flat.tif leaves the linear range: .* above 500"):
        flat_field_from_series([flat(400 * vignetting())], camera)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (lambda: flat(25 * vignetting()), "only 8 frames can be read and 16 are needed"),
        (lambda: flat(np.zeros((SIDE, SIDE)), frames=20), "hardly any background is above the"),
        (
            lambda: flat(60 * (1.2 + np.sin(40 * X) * np.sin(40 * Y)), frames=20),
            "flat.tif: a flat field cannot be told because the background itself has .* of",
        ),
        (
            lambda: flat(vignetting() ** 4 * 25, frames=20),
            "because its error would be .* of the light \\(too few molecules tell",
        ),
    ],
)
def test_recordings_whose_background_tells_nothing_are_refused(source, sentence):
    with pytest.raises(CalibrationError, match=sentence):
        flat_field_from_recording(source(), CAMERA)


def test_progress_grows_with_the_frames_of_all_series():
    rng = np.random.default_rng(9)
    frames = exposed(np.repeat(400 * vignetting()[None], 60, axis=0), rng)
    sources = [ArraySource(frames[:20], name="short"), ArraySource(frames[20:], name="long")]
    told = []
    found = flat_field_from_series(
        sources, CAMERA, progress=lambda done, whole: told.append(done / whole)
    )
    assert told == sorted(told)
    assert 0.333 in told  # the short one is a third of all frames
    assert told[-1] == 1.0
    without = flat_field_from_series(sources, CAMERA)
    np.testing.assert_array_equal(found.relative_sensitivity, without.relative_sensitivity)
