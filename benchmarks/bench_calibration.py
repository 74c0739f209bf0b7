"""Photon transfer of simulated cameras of which every number is known.

The series are made here with plain numpy, so that nothing is shared with the library's simulator
or with the estimators. Each camera is measured from 100 bright and 100 dark frames (a ladder: 100
bright ones per level), many times over with new sensors and new noise.
"""

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.bench_speed import FOLDER, picasso_python
from cellstorm_lib.calibrate.photon_transfer import measure_photon_transfer
from cellstorm_lib.video.array import ArraySource

FRAMES, SIDE_PX, LADDER_SIDE_PX, REPEATS = 100, 256, 128, 10
NUMBERS = {"gain_e_per_adu": 0.02, "offset_adu": 0.1, "read_noise_e": 0.05, "fixed_pattern_e": 0.1,
           "gain_spread": np.nan, "linear_to_adu": 0.05}  # fmt: skip
SCRIPT = Path(__file__).with_name("run_picasso_scmos.py")


def straight(electrons):
    return electrons


@dataclass(frozen=True)
class Camera:
    """A camera and how it is shown light: brightest electrons, or the levels of a ladder."""

    offset_adu: float
    gain_e_per_adu: float
    read_noise_e: float
    fixed_pattern_e: float
    gain_spread: float
    bits: int
    light_e: float | tuple[float, ...]
    response: Callable = straight
    excess: float = 0.0

    def linear_to_adu(self, share: float = 0.05) -> float:
        """Where the noise of the light departs from the line by 5 %, or the last level uncut."""
        electrons = np.linspace(1.0, 1.2 * np.max(self.light_e), 2_000_000)
        seen = self.response(electrons)
        slope = np.gradient(seen, electrons)
        departure = (slope**2 * electrons + self.excess * electrons**2) / seen - 1
        beyond = np.flatnonzero(np.abs(departure) > share)
        top = 2**self.bits - 2
        if not len(beyond):
            return top
        return min(self.offset_adu + seen[beyond[0]] / self.gain_e_per_adu, top)


def corner(at, steepness):
    return lambda e: np.where(e < at, e, at + steepness * (e - at))


def saturating(full):
    return lambda e: full * -np.expm1(-e / full)


P9 = {"offset_adu": 4.074, "gain_e_per_adu": 0.34, "read_noise_e": 1.23,
      "fixed_pattern_e": 0.343, "bits": 12}  # fmt: skip
SCMOS = {"offset_adu": 100.4, "gain_e_per_adu": 0.46, "read_noise_e": 1.6,
         "fixed_pattern_e": 0.3, "bits": 16}  # fmt: skip
CAMERAS = {
    "P9, noise bends up as in Fig. 5": Camera(**P9, gain_spread=0.01, light_e=1150, excess=3e-4),
    "P9, corner": Camera(**P9, gain_spread=0.01, light_e=1250, response=corner(900, 0.5)),
    "P9, cut at the top": Camera(**P9, gain_spread=0.005, light_e=1700),
    "sCMOS, bends gently": Camera(**SCMOS, gain_spread=0.008, light_e=15_000,
                                  response=saturating(40_000)),
    "sCMOS, ladder with a corner": Camera(
        **SCMOS, gain_spread=0.008, response=corner(20_000, 0.6),
        light_e=(5, 20, 100, 500, 2000, 8000, 14_000, 18_000, 19_000, 20_000, 21_000, 24_000),
    ),
    "8 bit, cut at the top": Camera(
        offset_adu=6.2, gain_e_per_adu=2.2, read_noise_e=2.6, fixed_pattern_e=0.8,
        gain_spread=0.01, bits=8, light_e=700,
    ),
    "14 bit, coarse": Camera(
        offset_adu=64.3, gain_e_per_adu=4.0, read_noise_e=1.5, fixed_pattern_e=0.9,
        gain_spread=0.01, bits=14, light_e=20_000, response=corner(15_000, 0.3),
    ),
}  # fmt: skip


def exposed(camera: Camera, light_e, pattern_e, rng):
    """Return FRAMES raw frames."""
    frames = np.empty((FRAMES, *pattern_e.shape), np.uint16)
    for frame in frames:
        electrons = camera.response(rng.poisson(light_e).astype(float))
        noise = rng.normal(0, camera.read_noise_e, pattern_e.shape) + pattern_e
        if camera.excess:
            noise += rng.normal(0, np.sqrt(camera.excess), pattern_e.shape) * light_e
        adu = np.rint(camera.offset_adu + (electrons + noise) / camera.gain_e_per_adu)
        frame[:] = np.clip(adu, 0, 2**camera.bits - 1)
    return frames.astype(np.uint8) if camera.bits == 8 else frames


def defocused(side_px: int, brightest: float):
    """Return the smooth picture of an object out of focus, from 0.2 % to full brightness."""
    y, x = np.mgrid[:side_px, :side_px] / side_px
    picture = np.sin(8.2 * x + 0.6) + np.cos(5.7 * y + 1.3 + x)
    picture = (picture - picture.min()) / np.ptp(picture)
    return brightest * (0.002 + 0.998 * picture)


def made_series(camera: Camera, seed: int):
    """Return bright stacks and the dark one of a new sensor."""
    rng = np.random.default_rng(seed)
    side_px = LADDER_SIDE_PX if isinstance(camera.light_e, tuple) else SIDE_PX
    shape = (side_px, side_px)
    pattern_e = rng.normal(0, camera.fixed_pattern_e, shape)
    relative = 1 + rng.normal(0, camera.gain_spread, shape)
    if isinstance(camera.light_e, tuple):
        lights = [np.full(shape, level) for level in camera.light_e]
    else:
        lights = [defocused(side_px, camera.light_e)]
    bright = [exposed(camera, light * relative, pattern_e, rng) for light in lights]
    return bright, exposed(camera, np.zeros(shape), pattern_e, rng)


def measured(bright, dark):
    """Return the calibration."""
    sources = [ArraySource(stack, name=f"bright {k}") for k, stack in enumerate(bright)]
    return measure_photon_transfer(
        sources, [ArraySource(dark, name="dark")], name="camera"
    ).calibration


def recovery() -> None:
    """Print errors and how often the intervals hold the truth, camera by camera and in all."""
    errors = {name: [] for name in NUMBERS}
    holds = {name: [] for name in NUMBERS}
    seconds = 0.0
    for number, (title, camera) in enumerate(CAMERAS.items()):
        own = {name: [] for name in NUMBERS}
        for repeat in range(REPEATS):
            bright, dark = made_series(camera, 1000 * number + repeat)
            begin = time.process_time()
            found = measured(bright, dark)
            seconds += time.process_time() - begin
            for name in NUMBERS:
                true = camera.linear_to_adu() if name == "linear_to_adu" else getattr(camera, name)
                error = getattr(found, name) - true
                own[name].append(error if name == "offset_adu" else error / true)
                low, high = found.intervals[name]
                holds[name].append(low <= true <= high)
        shown = ", ".join(f"{name} {np.abs(values).max():.4f}" for name, values in own.items())
        print(f"{title}: largest errors {shown}", flush=True)
        for name in NUMBERS:
            errors[name] += own[name]
    for name, aim in NUMBERS.items():
        values = np.array(errors[name])
        print(
            f"{name}: RMS error {np.sqrt(np.mean(values**2)):.4f}, largest "
            f"{np.abs(values).max():.4f} (aim {aim:g}), intervals hold the truth "
            f"{np.mean(holds[name]):.1%} of {len(values)}"
        )
    every = np.concatenate(list(holds.values()))
    print(f"all intervals: {np.mean(every):.1%} of {len(every)} hold the truth (aim 90 to 98 %)")
    print(f"CPU seconds a camera: {seconds / (REPEATS * len(CAMERAS)):.2f}")


def papers_camera() -> None:
    """Print the numbers of a simulated P9 of 256 x 256 pixels beside the paper's."""
    camera = CAMERAS["P9, noise bends up as in Fig. 5"]
    found = measured(*made_series(camera, 7))
    for name in ("offset_adu", "gain_e_per_adu", "read_noise_e", "fixed_pattern_e"):
        low, high = found.intervals[name]
        print(
            f"P9 {name}: paper {getattr(camera, name)}, found {getattr(found, name):.4f} "
            f"({low:.4f} to {high:.4f})"
        )


def beside_picasso() -> None:
    """Compare with Picasso's camera calibration (Huang 2013) on the same ladder of even light."""
    camera = Camera(**SCMOS, gain_spread=0.0, light_e=(50, 100, 200, 400, 800))
    bright, dark = made_series(camera, 11)
    python = picasso_python()
    np.savez(FOLDER / "ladder.npz", dark=dark, bright=np.stack(bright))
    done = subprocess.run(
        [python, SCRIPT, FOLDER / "ladder.npz"], check=True, capture_output=True, text=True
    )
    theirs = json.loads(done.stdout.splitlines()[-1])
    found = measured(bright, dark)
    for name, value in theirs.items():
        low, high = found.intervals[name]
        print(
            f"{name}: cellstorm {getattr(found, name):.4f} ({low:.4f} to {high:.4f}), Picasso "
            f"{value:.4f}, truth {getattr(camera, name)}"
        )


if __name__ == "__main__":
    recovery()
    papers_camera()
    beside_picasso()
