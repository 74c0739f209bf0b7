"""A small display movie, and its film by a phone with every fault, for the tests."""

from dataclasses import replace

import numpy as np
from scipy.special import erf

from cellstorm_lib.pairs.display_movie import make_display_movie
from cellstorm_lib.pairs.display_plan import DisplaySettings
from cellstorm_lib.pairs.filming import Filming
from cellstorm_lib.pairs.filming_light import FilmingSettings
from cellstorm_lib.video.read import open_recording
from cellstorm_lib.video.write import EncoderSettings, write_video

DISPLAY = DisplaySettings(
    screen_width_px=640, screen_height_px=320, cell_px=14, bead_pitch_px=24, start_frames=2,
    bead_frames=5, uniform_frames=4, uniform_levels=(0.0, 0.5, 1.0),
    frame_rate_hz=10.0, repeats=2,
)  # fmt: skip
CAMERA = FilmingSettings(frame_width_px=640, frame_height_px=352, lead_s=0.3)
FRAME = "640x352+0+0"


def spots(frame_count, side_px=160, *, per_frame=12, sigma_px=1.3, seed=1):
    """Return frames of Gaussian spots (N, Y, X), float32."""
    rng = np.random.default_rng(seed)
    frames = np.zeros((frame_count, side_px, side_px), np.float32)
    edges = np.arange(side_px + 1)
    for frame in frames:
        for x, y in rng.uniform(0, side_px, (per_frame, 2)):
            columns, rows = (
                np.diff(0.5 * erf((edges - centre) / (np.sqrt(2) * sigma_px))) for centre in (x, y)
            )
            np.add(
                frame,
                (rng.uniform(300, 1500) * np.outer(rows, columns)).astype(np.float32),
                out=frame,
            )
    return frames


def filmed(plan, folder, path, *, bits_per_px=0.4, **changes):
    """Film a display movie, encode it as a phone does, and return filming, frames and film."""
    filming = Filming(plan, folder, replace(CAMERA, **changes))
    frames = []

    def levels():
        for frame in filming.frames():
            frames.append((frame.number, frame.purity))
            yield frame.levels

    write_video(path, levels(), EncoderSettings(bits_per_px=bits_per_px))
    return filming, np.array(frames), open_recording(path, roi=FRAME)


def displayed(folder, frame_count=16, *, side_px=160, sigma_px=1.3, **changes):
    """Make a display movie of random spots."""
    frames = spots(frame_count, side_px, sigma_px=sigma_px)
    return make_display_movie(lambda: [frames], folder, replace(DISPLAY, **changes))
