"""Fig. 6 of the paper: the period of key-frame steps, found in dark videos without knowing it.

And where there must be none: a quantiser that is the same for all frames, and the real clip of a
Pixel phone. With x264's own constant QP (`ip_ratio` 1.4) key frames are coded 3 QP more finely,
and between QP 22 and 26 that shifts the mean of rounded noise: a step that is really there, which
the difference of the frames' means shows.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from cellstorm_lib.calibrate.dark_stability import measure_dark_stability
from cellstorm_lib.pipeline.film import film_scene
from cellstorm_lib.simulate.codec import CodecSettings
from cellstorm_lib.simulate.scene import read_preset
from cellstorm_lib.video.read import open_recording

PIXEL = Path("tests/data/androidx-media/pixel7_videoOnly_cleaned.mp4")
FRAMES, SIDE_PX, FRAME_RATE_HZ, REPEATS = 500, 256, 20.0, 3


def measured(codec: CodecSettings, seed: int):
    """Return the dark stability of the dark scene, filmed with a codec."""
    scene = replace(read_preset("dark"), frame_count=FRAMES, seed=seed, codec=codec)
    with tempfile.TemporaryDirectory() as folder:
        return measure_dark_stability(
            open_recording(film_scene(scene, Path(folder), stacks=()).movie)
        )


def told(found) -> str:
    """Return what was found, and what the means of key frames and others say by themselves."""
    rest = found.mean_adu - found.level_adu
    keys, others = rest[found.is_key], rest[~found.is_key]
    error = np.hypot(keys.std() / np.sqrt(len(keys)), others.std() / np.sqrt(len(others)))
    period = "no step" if found.period_frames is None else (
        f"every {found.period_frames:.2f} frames by {found.step_adu:.3f} grey values"
    )  # fmt: skip
    return f"{period} (key frames less others {keys.mean() - others.mean():+.3f} +- {error:.3f})"


def main() -> None:
    for kbit_per_s in (120, 500):
        rate = kbit_per_s * 1000 / FRAME_RATE_HZ / SIDE_PX**2
        off = []
        for gop in (15, 21, 30):
            for seed in range(REPEATS):
                found = measured(CodecSettings(bits_per_px=rate, gop_frames=gop), seed)
                off.append(np.inf if found.period_frames is None else found.period_frames - gop)
            print(f"{kbit_per_s} kbit/s, key frame every {gop}: {told(found)}", flush=True)
        print(
            f"{kbit_per_s} kbit/s: period off by at most {np.abs(off).max():.3f} frames in "
            f"{len(off)} videos (aim 1)"
        )
    for ip_ratio in (1.0, 1.4):
        for qp in range(16, 41, 4):
            codec = CodecSettings(bits_per_px=None, qp=qp, ip_ratio=ip_ratio)
            print(f"QP {qp}, ip_ratio {ip_ratio}: {told(measured(codec, 1))}", flush=True)
    print(f"Pixel clip: {told(measure_dark_stability(open_recording(PIXEL)))}")


if __name__ == "__main__":
    main()
