"""The named dyes beside their source: what is measured back from simulated frames without noise.

Dempsey et al., Nat. Methods 8, 1027 (2011), Table 1: detected photons per blink, duty cycle, blinks
until bleaching, share not bleached after 400 s. One molecule sits in the middle of each tile.
"""

from dataclasses import replace

import numpy as np

from cellstorm_lib.simulate.background import BackgroundSettings
from cellstorm_lib.simulate.blinking import blinking_from
from cellstorm_lib.simulate.gaussian import GaussianSpotSettings
from cellstorm_lib.simulate.photophysics import draw_blinks
from cellstorm_lib.simulate.scatter import GridSettings
from cellstorm_lib.simulate.scene import FieldSettings, Scene
from cellstorm_lib.simulate.simulate import simulate_scene

TABLE = {
    "alexa-fluor-647-dstorm": (5202.0, 0.0012, 26.0, 0.73),
    "alexa-fluor-647-mea": (3823.0, 0.0005, 14.0, 0.83),
}
EMCCD_EFFICIENCY, SCENE_EFFICIENCY, FRAME_S, TILE_PX = 0.92, 0.75, 0.05, 10
MOLECULES, LIVES = 40**2, 6000


def traces_e(dye: str, first_blink: str, frame_count: int):
    """Return the light of each molecule in each frame, (N, molecules)."""
    scene = Scene(
        frame_count=frame_count,
        frame_rate_hz=1 / FRAME_S,
        field=FieldSettings(width_px=40 * TILE_PX, height_px=40 * TILE_PX),
        structure=GridSettings(spacing_nm=1000.0, jitter_nm=20.0),
        spot=GaussianSpotSettings(sigma_px=0.8),
        background=BackgroundSettings(photons=0.0),
        blinking=replace(blinking_from({"dye": dye}), first_blink=first_blink, brightness_cv=0.0),
    )
    simulation, parts = simulate_scene(scene), []
    for first in range(0, frame_count, 50):
        frames = simulation.expected_e(range(first, min(first + 50, frame_count)))
        tiles = frames.reshape(len(frames), 40, TILE_PX, 40, TILE_PX)
        parts.append(tiles.sum(axis=(2, 4), dtype=np.float64).reshape(len(frames), -1))
    return np.concatenate(parts)


def told(name: str, values, source: float) -> None:
    """Print a mean with its standard error beside the source."""
    mean, error = np.mean(values), np.std(values) / np.sqrt(len(values))
    off = (mean - source) / error
    print(f"  {name}: {mean:.5g} +- {error:.2g}, source {source:g} ({off:+.1f} s.e.)")


def main() -> None:
    for dye, (photons, duty_cycle, blinks, unbleached) in TABLE.items():
        print(f"{dye}, {MOLECULES} molecules:")
        blinking = blinking_from({"dye": dye})
        first_e = traces_e(dye, "on", 20).sum(axis=0)
        # within a second of its first blink a molecule blinks again with a chance of 1 / dark_s
        again = (1 - 1 / blinks) / blinking.dark_s
        detected = first_e / SCENE_EFFICIENCY * EMCCD_EFFICIENCY / (1 + again)
        told("detected photons of a blink", detected, photons)
        full_e = SCENE_EFFICIENCY * blinking.photons_per_s
        told("on time of a blink, ms", 1000 * first_e / full_e / (1 + again), blinking.on_ms)
        shares = traces_e(dye, "settled", 1000).mean(axis=0) / (full_e * FRAME_S)
        # over 50 s some molecules bleach
        alive = 1 - 25 / (blinks * blinking.dark_s)
        told("duty cycle", shares / alive, duty_cycle)
        on = draw_blinks(LIVES, duration_s=1e6, settings=blinking, rng=np.random.default_rng(1))
        told("blinks until bleaching, gaps below 50 ms not counted", _blinks(on), blinks)
        last = on.end_s[np.append(np.diff(on.molecule) > 0, True)]
        told("share not bleached after 400 s", (last > 400.0).astype(float), unbleached)


def _blinks(on):
    """Return the blinks of each molecule, those closer than a frame counted as one."""
    is_new = np.append(True, np.diff(on.molecule) > 0)
    gap_s = np.append(np.inf, on.start_s[1:] - on.end_s[:-1])
    return np.add.reduceat((is_new | (gap_s > FRAME_S)).astype(float), np.flatnonzero(is_new))


if __name__ == "__main__":
    main()
