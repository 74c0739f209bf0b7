"""A camera measured from the files that a phone writes, and the light told by a recording."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lib.video.raw_files import patched, write_dng

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import CalibrationError, RecordingError
from cellstorm_lib.localize.localize import localize
from cellstorm_lib.pipeline.calibrate_camera import calibrate_camera
from cellstorm_lib.pipeline.choice import calibration_for
from cellstorm_lib.recording import Roi
from cellstorm_lib.video.array import ArraySource

SIDE = 96
OFFSET_ADU, READ_NOISE_E = 64.3, 1.3
GAINS = {"R": 0.30, "G1": 0.34, "G2": 0.34, "B": 0.40}
CAMERA = CameraCalibration(
    name="camera", source="known", offset_adu=100.0, gain_e_per_adu=0.5, read_noise_e=1.5,
    bit_depth=16,
)  # fmt: skip


def in_mosaic(values: list[float]) -> np.ndarray:
    """Return an image of 2 x 2 repeated values."""
    return np.tile(np.reshape(values, (2, 2)), (SIDE // 2, SIDE // 2))


def write_series(folder: Path, light_e: float, seed: int, *, frames: int = 30) -> Path:
    """Write DNG files of a defocused object seen through a Bayer mosaic."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    picture = light_e * (0.05 + np.sin(np.pi * x) * np.sin(np.pi * y))
    picture = picture * in_mosaic([0.6, 1.0, 1.0, 0.7])
    folder.mkdir()
    for number in range(frames):
        electrons = rng.poisson(picture) + rng.normal(0, READ_NOISE_E, picture.shape)
        adu = np.rint(OFFSET_ADU + electrons / in_mosaic(list(GAINS.values())))
        write_dng(folder / f"IMG_{number:04d}.dng", adu.clip(0, 4095).astype(np.uint16))
    return folder


def test_raw_files_of_a_phone_are_measured_plane_by_plane(tmp_path: Path) -> None:
    bright = write_series(tmp_path / "bright", 900.0, 1)
    dark = write_series(tmp_path / "dark", 0.0, 2)
    measured = calibrate_camera([bright], [dark], name="phone")
    planes = measured.calibration.planes
    assert set(planes) == set(GAINS)
    for name, gain in GAINS.items():
        found = planes[name]
        half = (found["gain_e_per_adu_high"] - found["gain_e_per_adu_low"]) / 2
        # the half interval is 2 standard errors: 4 of them
        assert abs(found["gain_e_per_adu"] - gain) < 2 * half
        assert half < 0.02 * gain
        assert found["offset_adu"] == pytest.approx(OFFSET_ADU, abs=0.1)
        assert found["read_noise_e"] == pytest.approx(READ_NOISE_E, rel=0.05)
    assert any("differ beyond their intervals in gain_e_per_adu" in r for r in measured.remarks)


@pytest.mark.parametrize(("number", "name"), [(34892, "JPEG_LOSSY"), (52546, "JPEGXL_DNG")])
def test_raw_files_whose_compression_loses_are_refused(
    tmp_path: Path, number: int, name: str
) -> None:
    folder = write_series(tmp_path / "bright", 900.0, 1, frames=2)
    for path in folder.iterdir():
        patched(path, 259, number)
    with pytest.raises(RecordingError, match=f"IMG_0000.dng is compressed by {name}"):
        calibrate_camera([folder], [folder], name="phone")


def unevenly_lit(seed: int, *, frames: int = 64, spots: int = 20) -> tuple[ArraySource, np.ndarray]:
    """Return a recording of molecules of one brightness in light that falls off, and the light."""
    rng = np.random.default_rng(seed)
    y, x = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE - 0.5
    light = np.exp(-2.0 * (x**2 + y**2))
    light /= light.mean()
    expected_e = np.repeat(25 * light[None], frames, axis=0)
    pixel = np.arange(SIDE) + 0.5
    for frame in expected_e:
        at_y, at_x = rng.uniform(0, SIDE, (2, spots))
        rows, columns = (np.exp(-0.5 * ((pixel - at[:, None]) / 1.3) ** 2) for at in (at_y, at_x))
        bright = 1500 / (2 * np.pi * 1.3**2) * light[at_y.astype(int), at_x.astype(int)]
        np.add(frame, (bright[:, None] * rows).T @ columns, out=frame)
    adu = rng.poisson(expected_e) + rng.normal(0, CAMERA.read_noise_e, expected_e.shape)
    frames_adu = np.rint(CAMERA.offset_adu + adu / CAMERA.gain_e_per_adu).astype(np.uint16)
    return ArraySource(frames_adu, name="cell.tif"), light


def photons_by_light(source: ArraySource, camera: CameraCalibration, light: np.ndarray) -> float:
    """Return the slope of the logarithm of photons against that of the light."""
    spots, _ = localize(source, camera, pixel_size_nm=100.0)
    photons = spots.column("photons")
    if "relative_sensitivity" in spots.data:
        photons = photons / spots.column("relative_sensitivity")
    row, column = (
        np.clip(spots.column(name) / 100.0, 0, SIDE - 1).astype(int) for name in ("y_nm", "x_nm")
    )
    depth = np.log(light[row, column])
    is_single = photons < 2 * np.median(photons)
    return float(np.polyfit(depth[is_single], np.log(photons[is_single]), 1)[0])


def test_photons_follow_the_light_no_more_with_the_recordings_own_flat_field() -> None:
    source, light = unevenly_lit(3)
    plain, notes = calibration_for(source, CAMERA)
    assert not notes
    # molecules of one brightness shine as the light does: a slope of 1
    assert photons_by_light(source, plain, light) == pytest.approx(1.0, abs=0.1)
    flat, notes = calibration_for(source, CAMERA, own_flat_field=True)
    assert abs(photons_by_light(source, flat, light)) < 0.1
    assert "The flat field is estimated from the background of 64 frames" in notes[-1]


def test_the_flat_field_is_that_of_the_region_and_replaces_the_cameras() -> None:
    source, light = unevenly_lit(4)
    roi = Roi(width_px=SIDE, height_px=SIDE, x_px=32, y_px=16)
    source._facts = replace(
        source.facts, frame_width_px=SIDE + 48, frame_height_px=SIDE + 32, roi=roi
    )
    flat, _ = calibration_for(source, CAMERA, own_flat_field=True)
    assert flat.maps is not None
    found = flat.maps.relative_sensitivity
    assert found is not None
    np.testing.assert_allclose(found, light, rtol=0.05)
    whole = np.full((SIDE + 32, SIDE + 48), 100.0, np.float32)
    other = replace(CAMERA, maps=replace(flat.maps, relative_sensitivity=whole))
    again, _ = calibration_for(source, other, own_flat_field=True)
    assert again.maps is not None
    np.testing.assert_array_equal(again.maps.relative_sensitivity, found)


def test_a_background_that_tells_nothing_is_refused() -> None:
    source = ArraySource(np.full((20, SIDE, SIDE), 100, np.uint16), name="cell.tif")
    with pytest.raises(CalibrationError, match=r"cell\.tif: a flat field cannot be told because"):
        calibration_for(source, CAMERA, own_flat_field=True)
