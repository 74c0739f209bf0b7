"""Overlapping spots: Jaccard index and error against density, each fitted alone and together.

Spots at random, 300-1500 photoelectrons, sigma 1.3 px of 100 nm, background 7.5, the phone of the
paper without compression (8 bits, 0.34 e-/ADU, read noise 1.23 e-) and a scientific camera. CPU
time is that of one thread for all frames, the start (threshold, look at the sample) included. Then
how often a single spot is taken for several, against the probability that is stated.
"""

import time

import numpy as np
import pandas as pd

from benchmarks.spots import expected_frames
from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.evaluate.scores import score
from cellstorm_lib.localize.fit_settings import FitSettings
from cellstorm_lib.localize.localize import LocalizeSettings, localize
from cellstorm_lib.tables import Emitters, FieldOfView
from cellstorm_lib.video.array import ArraySource

SIDE, PIXEL_NM, SIGMA_PX, BACKGROUND, TOLERANCE_NM = 128, 100.0, 1.3, 7.5, 250.0
DENSITIES_PER_UM2 = (0.02, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0)
SPOTS, LEAST_FRAMES, REPEATS = 8000, 40, 3
CAMERAS = (
    CameraCalibration(
        name="phone", source="known", offset_adu=4.074, gain_e_per_adu=0.34, read_noise_e=1.23,
        bit_depth=8,
    ),
    CameraCalibration(
        name="scientific", source="known", offset_adu=100.0, gain_e_per_adu=0.46,
        read_noise_e=1.6, bit_depth=16,
    ),
)  # fmt: skip


def field(frames: int) -> FieldOfView:
    return FieldOfView(width_px=SIDE, height_px=SIDE, pixel_size_nm=PIXEL_NM, frame_count=frames)


def exposed(expected, camera, rng):
    electrons = rng.poisson(expected) + rng.normal(0, camera.read_noise_e, expected.shape)
    adu = np.rint(electrons / camera.gain_e_per_adu + camera.offset_adu)
    return np.clip(adu, 0, camera.saturation_adu).astype(
        np.uint8 if camera.bit_depth == 8 else np.uint16
    )


def movie(density, camera, rng):
    """Return frames with spots at random, and the truth."""
    mean_count = density * (SIDE * PIXEL_NM / 1000) ** 2
    frames = max(LEAST_FRAMES, round(SPOTS / mean_count))
    frame = np.repeat(np.arange(frames), rng.poisson(mean_count, frames))
    x_px, y_px = rng.uniform(4, SIDE - 4, (2, frame.size))
    photons = rng.uniform(300, 1500, frame.size)
    expected = expected_frames(
        frame, x_px, y_px, photons, shape=(SIDE, SIDE), frames=frames, sigma_px=SIGMA_PX,
        background=BACKGROUND,
    )  # fmt: skip
    truth = pd.DataFrame(
        {"frame": frame, "emitter": np.arange(frame.size), "x_nm": x_px * PIXEL_NM,
         "y_nm": y_px * PIXEL_NM, "photons": photons}
    )  # fmt: skip
    return exposed(expected, camera, rng), Emitters(data=truth, field=field(frames))


def found_in(stack, camera, **settings):
    """Return table, report and CPU seconds, the least of a few runs."""
    fit = LocalizeSettings(fit=FitSettings(**settings))
    seconds = []
    for _ in range(REPEATS):
        began = time.process_time()
        table, report = localize(
            ArraySource(stack), camera, pixel_size_nm=PIXEL_NM, settings=fit, threads=1
        )
        seconds.append(time.process_time() - began)
    return table, report, min(seconds)


def density_curve(camera, rng):
    print(f"{camera.name} camera")
    print("per um^2 | alone: Jaccard  RMSE nm  ms/frame | together: Jaccard  RMSE nm  ms/frame")
    for density in DENSITIES_PER_UM2:
        stack, truth = movie(density, camera, rng)
        row = []
        for settings in ({"max_emitters": 1}, {}):
            table, _, seconds = found_in(stack, camera, **settings)
            scores = score(table, truth, tolerance_nm=TOLERANCE_NM)
            rmse_nm = np.nan if scores.rmse_nm is None else scores.rmse_nm
            row.append(f"{scores.jaccard:.3f}  {rmse_nm:5.1f}  {1000 * seconds / len(stack):.3f}")
        print(f"{density:5.2f} | " + " | ".join(row), flush=True)


def false_splits(rng):
    print("single spots taken for several (1000 photoelectrons), of 20,000")
    grid = np.arange(8, SIDE - 8, 16.0)
    gx, gy = (axis.ravel() for axis in np.meshgrid(grid, grid))
    frames = -(-20_000 // gx.size)
    frame = np.repeat(np.arange(frames), gx.size)
    places = np.tile(np.stack([gx, gy]), frames) + rng.uniform(0, 1, (2, frame.size))
    expected = expected_frames(
        frame, *places, np.full(frame.size, 1000.0), shape=(SIDE, SIDE), frames=frames,
        sigma_px=SIGMA_PX, background=BACKGROUND,
    )  # fmt: skip
    for camera in CAMERAS:
        stack = exposed(expected, camera, rng)
        for p_value in (0.1, 0.01, 1e-3, 1e-4):
            _, report, _ = found_in(stack, camera, split_p_value=p_value)
            print(f"  {camera.name}: stated {p_value:g}, happened "
                  f"{report.spots_added / frame.size:.5f}")  # fmt: skip


def main() -> None:
    rng = np.random.default_rng(1)
    for camera in CAMERAS:
        density_curve(camera, rng)
    false_splits(rng)


if __name__ == "__main__":
    main()
