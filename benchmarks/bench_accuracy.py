"""Isolated 1000-photon spots on an uncompressed camera: error, honesty, bias by sub-pixel place."""

import numpy as np

from benchmarks.spots import crlb_x_px, expected_frames
from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.localize.localize import localize
from cellstorm_lib.video.array import ArraySource

PIXEL_NM, SIGMA_PX, PHOTONS, BACKGROUND, READ_NOISE_E = 100.0, 1.3, 1000.0, 10.0, 1.5
OFFSET_ADU, GAIN = 100.0, 0.5


def main() -> None:
    rng = np.random.default_rng(1)
    grid = np.arange(12, 128, 16.0)
    gx, gy = (a.ravel() for a in np.meshgrid(grid, grid))
    frames = 600
    frame = np.repeat(np.arange(frames), gx.size)
    x_px = np.tile(gx, frames) + rng.uniform(0, 1, frame.size)
    y_px = np.tile(gy, frames) + rng.uniform(0, 1, frame.size)
    expected = expected_frames(
        frame, x_px, y_px, np.full(frame.size, PHOTONS), shape=(140, 140), frames=frames,
        sigma_px=SIGMA_PX, background=BACKGROUND,
    )  # fmt: skip
    electrons = rng.poisson(expected) + rng.normal(0, READ_NOISE_E, expected.shape)
    stack = np.clip(np.rint(electrons / GAIN + OFFSET_ADU), 0, 65535).astype(np.uint16)
    camera = CameraCalibration(
        name="bench", source="known", offset_adu=OFFSET_ADU, gain_e_per_adu=GAIN,
        read_noise_e=READ_NOISE_E, bit_depth=16,
    )  # fmt: skip
    locs, report = localize(ArraySource(stack), camera, pixel_size_nm=PIXEL_NM)
    site = np.rint((locs.xy_nm / PIXEL_NM - 12.5) / 16).astype(int)
    key = locs.column("frame") * 10_000 + site[:, 1] * 100 + site[:, 0]
    truth_key = (
        frame * 10_000
        + (np.rint((gy - 12) / 16).astype(int) * 100)[np.arange(frame.size) % gx.size]
        + (np.rint((gx - 12) / 16).astype(int))[np.arange(frame.size) % gx.size]
    )
    _, rows, true_rows = np.intersect1d(key, truth_key, return_indices=True)
    dx = locs.column("x_nm")[rows] / PIXEL_NM - x_px[true_rows]
    dy = locs.column("y_nm")[rows] / PIXEL_NM - y_px[true_rows]
    bound_px = crlb_x_px(PHOTONS, BACKGROUND, SIGMA_PX, READ_NOISE_E)
    claimed = locs.column("uncertainty_x_nm")[rows] / PIXEL_NM
    claimed_y = locs.column("uncertainty_y_nm")[rows] / PIXEL_NM
    pulls = np.concatenate([dx / claimed, dy / claimed_y])
    phase = np.floor((x_px[true_rows] % 1) * 20).astype(int)
    bias = np.array([dx[phase == k].mean() for k in range(20)])
    phase_y = np.floor((y_px[true_rows] % 1) * 20).astype(int)
    bias_y = np.array([dy[phase_y == k].mean() for k in range(20)])
    error = bound_px * PIXEL_NM
    print(f"spots {frame.size}, found {len(locs)}, rejected {dict(report.rejected)}")
    print(f"sqrt(CRLB_x) {error:.3f} nm, 1.18 x {1.1774 * error:.3f} nm")
    median = np.median(np.hypot(dx, dy)) * PIXEL_NM
    print(
        f"median 2-D error {median:.3f} nm, ratio to 1.1774 x bound {median / (1.1774 * error):.4f}"
    )
    print(f"RMSE / CRLB {np.sqrt(np.mean(np.r_[dx, dy] ** 2)) / bound_px:.4f}")
    print(f"scatter / claimed {pulls.std():.4f}, mean pull {pulls.mean():+.4f}")
    standard = bound_px / np.sqrt(np.bincount(phase).min())
    print(f"largest bias of 20 sub-pixel places {np.abs(np.r_[bias, bias_y]).max():.5f} px "
          f"(its standard error {standard:.5f} px)")  # fmt: skip


if __name__ == "__main__":
    main()
