"""Flat fields of known light: from series of even light, and from recordings of blinking molecules.

Series and recordings are made here with plain numpy; the videos pass through a real encoder.
"""

import tempfile
from pathlib import Path

import numpy as np

from cellstorm_lib.calibrate.flat_field import flat_field_from_recording, flat_field_from_series
from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import CalibrationError
from cellstorm_lib.localize.localize import localize
from cellstorm_lib.pipeline.calibrate_camera import with_flat_field
from cellstorm_lib.video.array import ArraySource
from cellstorm_lib.video.read import open_recording
from cellstorm_lib.video.write import EncoderSettings, write_video

SIDE_PX, SERIES_FRAMES, FRAMES, REPEATS = 256, 100, 128, 6
RAW = CameraCalibration(name="raw", source="known", offset_adu=100.0, gain_e_per_adu=0.46,
                        read_noise_e=1.6, bit_depth=16)  # fmt: skip
PHONE = CameraCalibration(name="phone", source="known", offset_adu=4.0, gain_e_per_adu=0.7,
                          read_noise_e=1.3, bit_depth=8)  # fmt: skip


def light_of(rng):
    """Return relative light (Y, X), mean 1: a Gaussian beam off the centre, times vignetting."""
    y, x = (np.mgrid[:SIDE_PX, :SIDE_PX] + 0.5) / SIDE_PX - 0.5
    at_y, at_x = rng.uniform(-0.1, 0.1, 2)
    beam = np.exp(-2 * ((y - at_y) ** 2 + (x - at_x) ** 2) / rng.uniform(0.8, 1.6) ** 2)
    light = beam / (1 + rng.uniform(0.0, 0.5) * (y**2 + x**2)) ** 2
    return light / light.mean()


def exposed(camera, expected_e, response, rng):
    """Return one frame of a camera."""
    electrons = rng.poisson(expected_e * response) + rng.normal(
        0, camera.read_noise_e, (SIDE_PX,) * 2
    )
    adu = np.rint(camera.offset_adu + electrons / camera.gain_e_per_adu)
    return np.clip(adu, 0, 2**camera.bit_depth - 1).astype(camera_type(camera))


def camera_type(camera):
    return np.uint8 if camera.bit_depth == 8 else np.uint16


def sensor(rng):
    """Return the response of pixels (PRNU 1 %), with dust and a few dead pixels."""
    response = 1 + rng.normal(0, 0.01, (SIDE_PX, SIDE_PX))
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    for at_y, at_x in rng.uniform(0, SIDE_PX, (4, 2)):
        response *= 1 - 0.3 * np.exp(-((y - at_y) ** 2 + (x - at_x) ** 2) / (2 * 4.0**2))
    response.reshape(-1)[rng.choice(SIDE_PX**2, 30, replace=False)] = 0.0
    return response


def molecules_e(rng, spot_count, photons, light, strand_share=0.0):
    """Return photoelectrons of blinking spots of one frame, dimmer where there is less light."""
    pixel = np.arange(SIDE_PX) + 0.5
    at = rng.uniform(0, SIDE_PX, (2, spot_count))
    on_strand = rng.random(spot_count) < strand_share
    at[0, on_strand] = SIDE_PX / 2 + 60 * np.sin(at[1, on_strand] / 30)
    inner = np.minimum(at.astype(int), SIDE_PX - 1)
    rows, columns = (np.exp(-0.5 * ((pixel - p[:, None]) / 1.3) ** 2) for p in at)
    bright = photons * light[inner[0], inner[1]] * rng.lognormal(-0.045, 0.3, spot_count)
    return ((bright / (2 * np.pi * 1.3**2))[:, None] * rows).T @ columns, at, bright


def recording(camera, rng, *, background_e=20.0, spot_count=25, photons=900.0, strand_share=0.5,
              is_sample_uneven=False):  # fmt: skip
    """Return true light, frames (N, Y, X) and the mean photons of all molecules of light 1."""
    light = light_of(rng)
    ground = background_e * light
    if is_sample_uneven:
        light = np.ones_like(light)
    frames = np.empty((FRAMES, SIDE_PX, SIDE_PX), camera_type(camera))
    response = 1 + rng.normal(0, 0.01, (SIDE_PX, SIDE_PX))
    for frame in frames:
        spots, _, _ = molecules_e(rng, spot_count, photons, light, strand_share)
        frame[:] = exposed(camera, ground + spots, response, rng)
    return light, frames


def errors(found, light):
    """Return RMS error of the relative light, and of its corners."""
    off = found.relative_sensitivity / light - 1
    corners = off[[0, 0, -1, -1], [0, -1, 0, -1]]
    return float(np.sqrt(np.mean(off**2))), float(np.abs(corners).max())


def tell(title, rows, refused=()):
    rows = np.array(rows).reshape(-1, 4)
    text = f"{title}: {len(rows)} measured, {len(refused)} refused"
    if len(rows):
        rms, corner, stated, flat = rows.T
        text += (
            f"; RMS error {np.sqrt(np.mean(rms**2)):.2%} (largest {rms.max():.2%}), worst corner "
            f"{corner.max():.2%}; stated error {np.sqrt(np.mean(stated**2)):.2%}, error / stated "
            f"at most {np.max(rms / stated):.2f}; uncorrected the light varies by {flat.mean():.1%}"
        )
    print(text, flush=True)
    for reason in sorted(set(refused)):
        print(f"  refused: {reason}")


def measured(title, make):
    """Print the errors of many flat fields."""
    rows, refused = [], []
    for repeat in range(REPEATS):
        light, find = make(np.random.default_rng(repeat))
        try:
            found = find()
        except CalibrationError as error:
            refused.append(str(error))
            continue
        rows.append((*errors(found, light), found.relative_error, light.std()))
    tell(title, rows, refused)


def from_series(camera, level_e):
    def make(rng):
        light, response = light_of(rng), sensor(rng)
        frames = np.stack(
            [exposed(camera, level_e * light, response, rng) for _ in range(SERIES_FRAMES)]
        )
        source = ArraySource(frames, name="flat")
        return light, lambda: flat_field_from_series([source], camera)

    return make


def from_recording(camera, **sample):
    def make(rng):
        light, frames = recording(camera, rng, **sample)
        source = ArraySource(frames, name="cell")
        return light, lambda: flat_field_from_recording(source, camera)

    return make


def from_video(bits_per_px, folder, **sample):
    def make(rng):
        light, frames = recording(PHONE, rng, **sample)
        path = folder / "cell.mp4"
        write_video(path, iter(frames), EncoderSettings(bits_per_px=bits_per_px))
        return light, lambda: flat_field_from_recording(open_recording(path), PHONE)

    return make


def corner_photons() -> None:
    """Print photons of molecules near the corners over those in the middle, with and without."""
    rng = np.random.default_rng(5)
    _, frames = recording(RAW, rng, spot_count=40, photons=1500.0, strand_share=0.0)
    source = ArraySource(frames, name="cell")
    found = flat_field_from_recording(source, RAW)
    y, x = (np.mgrid[:SIDE_PX, :SIDE_PX] + 0.5) / SIDE_PX - 0.5
    for title, camera in (("without", RAW), ("with", with_flat_field(RAW, found))):
        spots, _ = localize(source, camera, pixel_size_nm=100.0)
        row, column = (
            np.clip(spots.column(name) / 100.0, 0, SIDE_PX - 1).astype(int)
            for name in ("y_nm", "x_nm")
        )
        photons = spots.column("photons")
        if "relative_sensitivity" in spots.data:
            photons = photons / spots.column("relative_sensitivity")
        is_corner = (np.abs(y[row, column]) > 0.35) & (np.abs(x[row, column]) > 0.35)
        is_middle = np.hypot(y[row, column], x[row, column]) < 0.15
        share = np.median(photons[is_corner]) / np.median(photons[is_middle])
        print(f"photons at the corners / in the middle, {title} flat field: {share:.3f} "
              f"({is_corner.sum()} and {is_middle.sum()} molecules)")  # fmt: skip


def main() -> None:
    measured("even light, raw, 500 e-", from_series(RAW, 500.0))
    measured("even light, raw, 20 e-", from_series(RAW, 20.0))
    measured("even light, 8 bit, 60 e-", from_series(PHONE, 60.0))
    measured("recording, raw", from_recording(RAW))
    measured("recording, raw, dense", from_recording(RAW, spot_count=120))
    measured("recording, raw, dim background", from_recording(RAW, background_e=5.0))
    measured("recording, raw, few molecules", from_recording(RAW, spot_count=1))
    measured("recording, 8 bit", from_recording(PHONE))
    with tempfile.TemporaryDirectory() as folder:
        for rate in (0.8, 0.4, 0.1):
            measured(f"recording, H.264 of {rate} bit/px", from_video(rate, Path(folder)))
    measured("uneven sample in even light", from_recording(RAW, is_sample_uneven=True))
    corner_photons()


if __name__ == "__main__":
    main()
