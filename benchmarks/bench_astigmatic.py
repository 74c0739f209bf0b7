"""Astigmatic 3D: z calibrated with drawn beads, then molecules whose heights are known."""

import time
from dataclasses import replace

import numpy as np
from scipy.special import erf

from cellstorm_lib.calibrate.astigmatism import AstigmatismSettings
from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.localize.astigmatic import fit_settings_in_depth, fit_spots_in_depth
from cellstorm_lib.localize.fit_settings import FitSettings
from cellstorm_lib.pipeline.calibrate_z import calibrate_z
from cellstorm_lib.video.array import ArraySource
from cellstorm_lib.z_calibration import DefocusCurve, ZCalibration

SCIENTIFIC = CameraCalibration(
    name="scientific", source="known", offset_adu=100.0, gain_e_per_adu=0.25, read_noise_e=1.5,
    bit_depth=16,
)  # fmt: skip
PHONE = replace(
    SCIENTIFIC, name="phone", offset_adu=4.0, gain_e_per_adu=0.34, read_noise_e=1.23, bit_depth=8
)
LENS = ZCalibration(
    name="lens", source="drawn", pixel_size_nm=100.0,
    along_x=DefocusCurve(width_px=1.3, centre_nm=-220.0, depth_nm=380.0, cubic=0.1, quartic=0.05),
    along_y=DefocusCurve(width_px=1.3, centre_nm=220.0, depth_nm=380.0, cubic=-0.1, quartic=0.05),
    z_from_nm=-450.0, z_to_nm=450.0,
)  # fmt: skip
PLANES, STEP_NM, SIDE, PITCH, SPOTS = 61, 20.0, 160, 32, 20_000


def shares(centre, count, sigma):
    edges = np.arange(count + 1) - np.asarray(centre)[:, None]
    return np.diff(0.5 * erf(edges / (np.sqrt(2) * sigma[:, None])), axis=1)


def spots(x, y, z_nm, shape):
    """Return the pixel shares of spots along y and x."""
    return shares(y, shape[0], LENS.along_y.sigma_px(z_nm)), shares(
        x, shape[1], LENS.along_x.sigma_px(z_nm)
    )


def filmed(expected, camera, rng):
    electrons = rng.poisson(expected) + rng.normal(0, camera.read_noise_e, expected.shape)
    adu = np.rint(electrons / camera.gain_e_per_adu + camera.offset_adu)
    return np.clip(adu, 0, camera.saturation_adu).astype(
        np.uint8 if camera.bit_depth == 8 else np.uint16
    )


def beads(rng, photons):
    """Return a stack of 25 beads at slightly different heights."""
    ticks = np.arange(PITCH / 2, SIDE, PITCH)
    x, y = (axis.ravel() + rng.uniform(-3, 3, axis.size) for axis in np.meshgrid(ticks, ticks))
    z_nm = rng.normal(0, 60, x.size)
    planes = []
    for stage_nm in STEP_NM * (np.arange(PLANES) - PLANES // 2):
        down, across = spots(x, y, z_nm + stage_nm, (SIDE, SIDE))
        planes.append(20.0 + photons * np.einsum("ni,nj->ij", down, across))
    return filmed(np.stack(planes), SCIENTIFIC, rng)


def calibrated(rng, photons):
    began = time.process_time()
    report = calibrate_z(
        ArraySource(beads(rng, photons)), SCIENTIFIC, pixel_size_nm=100.0, name="bench",
        settings=AstigmatismSettings(z_step_nm=STEP_NM),
    )  # fmt: skip
    found = report.calibration
    z_nm = np.linspace(found.z_from_nm, found.z_to_nm, 200)
    pairs = ((found.along_x, LENS.along_x), (found.along_y, LENS.along_y))
    off = max(np.abs(ours.sigma_px(z_nm) / true.sigma_px(z_nm) - 1).max() for ours, true in pairs)
    print(
        f"beads of {photons:g} photons: z {found.z_from_nm:.0f} to {found.z_to_nm:.0f} nm, "
        f"{found.bead_count} beads, off the stage {found.residual_nm:.2f} nm RMS (left out of the "
        f"fit), systematic {found.systematic_nm:.2f} nm, largest bias "
        f"{np.abs(report.held_out.bias_nm).max():.2f} nm, curves within {off:.2%}, "
        f"{time.process_time() - began:.1f} CPU s"
    )
    return found


def boxes(rng, z_nm, photons, background, box, camera):
    """Return one spot in each frame, the size of a box, in pieces that fit into memory."""
    x, y = box / 2 + rng.uniform(-0.5, 0.5, (2, z_nm.size))
    down, across = spots(x, y, z_nm, (box, box))
    expected = background + photons * down[:, :, None] * across[:, None, :]
    return filmed(expected, camera, rng), x


def measured(rng, calibration, camera, photons, background):
    fit = fit_settings_in_depth(FitSettings(min_photons=0.0), calibration)
    z_nm = rng.uniform(-430, 430, SPOTS)
    frames, x = boxes(rng, z_nm, photons, background, fit.box_px, camera)
    middle = np.full(SPOTS, fit.box_px // 2)
    where = np.stack([np.arange(SPOTS), middle, middle]).astype(np.int32)
    offset = np.zeros((SPOTS, 2), np.float32)
    given = {"z": calibration, "pixel_size_nm": 100.0}
    fit_spots_in_depth(frames[:8], where[:, :8], offset[:8], camera, fit, **given)  # compiles
    began = time.process_time()
    found = fit_spots_in_depth(frames, where, offset, camera, fit, **given)
    seconds = time.process_time() - began
    at_rest = found["is_active"] == 0
    error_nm, bound_nm = found["z_nm"] - z_nm, found["crlb_z_nm"]
    print(
        f"{camera.name}, {photons:g} photons, {background:g} per px: "
        f"{SPOTS / seconds:.0f} spots per CPU s, {np.mean(~at_rest):.2%} not at rest, "
        f"{np.mean(np.abs(error_nm) > 6 * bound_nm):.2%} far off; "
        f"x RMSE/bound {_ratio(found['x_px'] - x, np.sqrt(found['variance_x']), at_rest):.3f}"
    )
    for low in range(-430, 430, 172):
        here = at_rest & (z_nm >= low) & (z_nm < low + 172)
        print(
            f"  z {low:5d} to {low + 172:4d} nm: RMSE {np.sqrt(np.mean(error_nm[here] ** 2)):5.1f} "
            f"nm, RMSE/bound {_ratio(error_nm, bound_nm, here):.3f}, "
            f"bias {error_nm[here].mean():+.2f} nm"
        )
    print(f"  all: RMSE/bound {_ratio(error_nm, bound_nm, at_rest):.3f}")


class Diffracted:
    """Spots of an oil objective (NA 1.3, 680 nm) with 60 milliwaves of astigmatism."""

    FINE, SIDE = 4, 256

    def __init__(self):
        frequency = np.fft.fftfreq(self.SIDE, 100.0 / self.FINE)
        fx, fy = np.meshgrid(frequency, frequency)
        radius, angle = np.hypot(fx, fy) * 680.0 / 1.3, np.arctan2(fy, fx)
        self.pupil = radius <= 1
        self.wave = 2 * np.pi * 0.06 * np.sqrt(6) * radius**2 * np.cos(2 * angle)
        depth = np.maximum((1.515 / 680.0) ** 2 - (radius * 1.3 / 680.0) ** 2, 0)
        self.by_z, self.frequency = 2 * np.pi * np.sqrt(depth), np.fft.fftfreq(self.SIDE)
        self.known = {}

    def image(self, x, y, z_nm, side):
        """Return the pixel shares of one spot in a square, (side, side)."""
        if z_nm not in self.known:
            field = np.fft.fft2(self.pupil * np.exp(1j * (self.wave + self.by_z * z_nm)))
            self.known[z_nm] = np.fft.fft2(np.abs(field) ** 2 / np.sum(np.abs(field) ** 2))
        moved = np.exp(-2j * np.pi * self.frequency * (x * self.FINE - 0.5)) * np.exp(
            -2j * np.pi * self.frequency * (y * self.FINE - 0.5)
        ).reshape(-1, 1)
        fine = np.fft.ifft2(self.known[z_nm] * moved).real[: side * self.FINE, : side * self.FINE]
        return fine.reshape(side, self.FINE, side, self.FINE).sum((1, 3))


def diffracted(rng):
    """Calibrate with diffracted beads, with and without regard to the molecules' background."""
    spot, stack = Diffracted(), np.full((PLANES, SIDE, SIDE), 20.0)
    for column in range(16, SIDE - 15, PITCH):
        for row in range(16, SIDE - 15, PITCH):
            x, y = 15.5 + rng.uniform(-0.5, 0.5, 2)
            lift_nm, light = STEP_NM * rng.integers(-3, 4), 20_000 * rng.uniform(0.7, 1.3)
            for plane in range(PLANES):
                z_nm = float((plane - PLANES // 2) * STEP_NM + lift_nm)
                box = stack[plane, row - 15 : row + 16, column - 15 : column + 16]
                box += light * spot.image(x, y, z_nm, 31)
    beads_filmed = filmed(stack, SCIENTIFIC, rng)
    for share in (0.0, 0.01):
        found = calibrate_z(
            ArraySource(beads_filmed), SCIENTIFIC, pixel_size_nm=100.0, name="bench",
            settings=AstigmatismSettings(z_step_nm=STEP_NM, background_share=share),
        ).calibration  # fmt: skip
        fit = fit_settings_in_depth(FitSettings(min_photons=0.0), found)
        print(
            f"diffracted beads, background share {share:g}: z {found.z_from_nm:.0f} to "
            f"{found.z_to_nm:.0f} nm, off the stage {found.residual_nm:.1f} nm RMS"
        )
        for photons, background in ((1000.0, 10.0), (5000.0, 20.0), (20_000.0, 20.0)):
            bias_nm = []
            for z_nm in np.arange(-400.0, 401.0, 100.0):
                middle = np.full(150, fit.box_px // 2)
                places = fit.box_px / 2 + rng.uniform(-0.5, 0.5, (150, 2))
                light = np.stack([spot.image(x, y, z_nm, fit.box_px) for x, y in places])
                spots_found = fit_spots_in_depth(
                    filmed(background + photons * light, SCIENTIFIC, rng),
                    np.stack([np.arange(150), middle, middle]).astype(np.int32),
                    np.zeros((150, 2), np.float32), SCIENTIFIC, fit, z=found, pixel_size_nm=100.0,
                )  # fmt: skip
                bias_nm.append(np.median(spots_found["z_nm"]) - z_nm)
            print(
                f"  {photons:g} photons, {background:g} per px: bias at -400, -300, ... 400 nm: "
                + " ".join(f"{bias:+.0f}" for bias in bias_nm)
            )


def _ratio(error, bound, chosen):
    return float(np.sqrt(np.mean(error[chosen] ** 2) / np.mean(bound[chosen] ** 2)))


def main() -> None:
    rng = np.random.default_rng(1)
    calibrated(rng, 3000.0)
    calibration = calibrated(rng, 20_000.0)
    for camera, photons, background in (
        (SCIENTIFIC, 5000.0, 20.0),
        (SCIENTIFIC, 1000.0, 10.0),
        (SCIENTIFIC, 400.0, 5.0),
        (PHONE, 1000.0, 10.0),
    ):
        measured(rng, calibration, camera, photons, background)
    print("the same, with the curves as drawn:")
    measured(rng, LENS, SCIENTIFIC, 1000.0, 10.0)
    diffracted(rng)


if __name__ == "__main__":
    main()
