"""An sCMOS camera of unequal pixels, localized with the maps of its pixels and without."""

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from benchmarks.spots import expected_frames
from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.localize.detect import DetectSettings
from cellstorm_lib.localize.localize import LocalizeSettings, localize
from cellstorm_lib.pixel_maps import PixelMaps
from cellstorm_lib.video.array import ArraySource

SIDE, FRAMES, PHOTONS, BACKGROUND, SIGMA_PX, PIXEL_NM = 124, 200, 600.0, 8.0, 1.3, 100.0
#: Photoelectrons of the band-passed image, the same with and without maps.
GIVEN = LocalizeSettings(detect=DetectSettings(threshold_photons=5.0))


def varied_camera(rng: np.random.Generator) -> CameraCalibration:
    """Gain and sensitivity vary by 8 %, and the latter falls off; 2 % of the pixels are hot."""
    shape = (SIDE, SIDE)
    is_hot = rng.random(shape) < 0.02
    variance = np.where(is_hot, rng.uniform(100, 900, shape), rng.gamma(4, 0.5, shape))
    sensitivity = rng.normal(1, 0.08, shape).clip(0.7, 1.3) * np.linspace(1.4, 0.6, SIDE)
    maps = PixelMaps(
        offset_adu=(rng.normal(100, 3, shape) + is_hot * rng.exponential(30, shape)).astype("f4"),
        read_variance_e2=variance.astype("f4"),
        gain_e_per_adu=(0.45 * rng.normal(1, 0.08, shape).clip(0.7, 1.3)).astype("f4"),
        relative_sensitivity=(sensitivity / sensitivity.mean()).astype("f4"),
    )
    return CameraCalibration(
        name="varied", source="known", offset_adu=100.0, gain_e_per_adu=0.45,
        read_noise_e=float(np.sqrt(np.median(variance))), bit_depth=16, maps=maps,
    )  # fmt: skip


def filmed(expected: np.ndarray, camera: CameraCalibration, rng: np.random.Generator) -> np.ndarray:
    maps = camera.maps
    electrons = rng.poisson(expected * maps.relative_sensitivity)
    electrons = electrons + rng.normal(0, np.sqrt(maps.read_variance_e2), expected.shape)
    return np.clip(np.rint(electrons / maps.gain_e_per_adu + maps.offset_adu), 0, 65535)


def main() -> None:
    rng = np.random.default_rng(1)
    camera = varied_camera(rng)
    places = np.arange(12, SIDE - 8, 20.0)
    x_px, y_px = (np.tile(a.ravel(), FRAMES) for a in np.meshgrid(places, places))
    x_px, y_px = (a + rng.uniform(-2, 2, a.size) for a in (x_px, y_px))
    frame = np.repeat(np.arange(FRAMES), len(places) ** 2)
    expected = expected_frames(
        frame, x_px, y_px, np.full(frame.size, PHOTONS), shape=(SIDE, SIDE), frames=FRAMES,
        sigma_px=SIGMA_PX, background=BACKGROUND,
    )  # fmt: skip
    stack = ArraySource(filmed(expected, camera, rng).astype(np.uint16))
    true = np.column_stack([x_px, y_px, 1000.0 * frame])
    print(f"{frame.size} spots of {PHOTONS:g} photons, {BACKGROUND:g} per px")
    bound_px = np.nan
    for name, used in (("with maps", camera), ("without", replace(camera, maps=None))):
        table, _ = localize(stack, used, pixel_size_nm=PIXEL_NM, settings=GIVEN)
        found = np.column_stack([table.xy_nm / PIXEL_NM, 1000.0 * table.column("frame")])
        apart, nearest = cKDTree(found).query(true)
        is_found = apart < 1.0
        errors_px = (found[nearest] - true)[is_found, :2]
        claimed_px = table.column("crlb_x_nm")[nearest[is_found]] / PIXEL_NM
        if name == "with maps":
            bound_px = float(np.sqrt(np.mean(claimed_px**2)))
        false = np.count_nonzero(cKDTree(true).query(found)[0] > 2.5) / FRAMES
        rmse_px = float(np.sqrt(np.mean(errors_px**2)))
        print(
            f"{name}: RMSE {rmse_px * PIXEL_NM:.2f} nm, {rmse_px / bound_px:.3f} x the bound, "
            f"missed {np.mean(~is_found):.2%}, false spots {false:.2f} a frame"
        )


if __name__ == "__main__":
    main()
