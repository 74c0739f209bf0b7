"""Display movies filmed by a simulated phone with every fault at once, and read again.

Faults in all films: perspective, barrel distortion, defocus, exposures that see two frames, lost
and doubled frames, vignetting, flicker of the backlight, moire, rolling shutter, H.264. The
targets: held-out beads within 0.02 px RMS, no wrong number in 10,000 frames, and at least 90 % of
the usable frames kept. Usable is a new exposure to one frame of the data and, in the row where it
has least, at most 5 % of another. A film at high ISO and one at a very low bit rate show what lies
beyond the targets.
"""

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.spots import expected_frames
from cellstorm_lib.pairs.display_movie import make_display_movie
from cellstorm_lib.pairs.display_plan import DisplayPlan, DisplaySettings
from cellstorm_lib.pairs.displayed import DisplayedSettings, read_displayed
from cellstorm_lib.pairs.filming import Filming
from cellstorm_lib.pairs.filming_light import FilmingSettings
from cellstorm_lib.pairs.pairing import PairingSettings
from cellstorm_lib.video.read import open_recording
from cellstorm_lib.video.write import EncoderSettings, write_video

FRAMES, SIDE, PER_FRAME = 500, 160, 12
LEAST_PURITY = 0.95
DISPLAY = DisplaySettings(
    screen_width_px=640, screen_height_px=320, cell_px=14, bead_pitch_px=24, frame_rate_hz=10.0,
    repeats=2,
)  # fmt: skip
USUAL = FilmingSettings(frame_width_px=640, frame_height_px=352)
#: Name, what is worse than usual, and the bits per pixel of the codec.
FILMS: tuple[tuple[str, dict[str, float], float], ...] = (
    ("all faults as usual", {}, 0.4),
    ("turned, stronger codec", {"seed": 2, "rotation_deg": -4.0}, 0.2),
    ("sharp, strong moire", {"seed": 3, "defocus_px": 0.6, "moire_share": 0.06}, 0.3),
    ("out of focus", {"seed": 4, "defocus_px": 2.0, "k1": -0.05}, 0.3),
    ("slow shutter", {"seed": 5, "exposure_share": 0.9, "readout_share": 0.9}, 0.3),
    ("many lost", {"seed": 6, "drop_share": 0.1, "copy_share": 0.1, "flicker_share": 0.3}, 0.3),
)
#: What no target covers: a ninth of the light, and fewer bits than phones spend.
BEYOND: tuple[tuple[str, dict[str, float], float], ...] = (
    ("high ISO", {"seed": 8, "gain_e_per_adu": 0.34, "read_noise_e": 1.2, "white_adu": 150.0}, 0.4),
    ("0.1 bits per pixel", {"seed": 9}, 0.1),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one film."""

    frames: int
    wrong: int
    held_out_rms_px: float
    map_rms_px: float
    usable: int
    recognised: int
    shown: int
    paired: int
    read_cpu_s: float


def shown_frames(count: int) -> np.ndarray:
    """Return spots of various brightness, and no background."""
    rng = np.random.default_rng(1)
    frame = np.repeat(np.arange(count), PER_FRAME)
    x_px, y_px = rng.uniform(0, SIDE, (2, frame.size))
    photons = rng.uniform(300, 1500, frame.size)
    return expected_frames(
        frame, x_px, y_px, photons, shape=(SIDE, SIDE), frames=count, sigma_px=1.3, background=0.0
    )


def filmed(filming: Filming, path: Path, bits_per_px: float) -> np.ndarray:
    """Write the film; return number, purity and whether it is a copy of each of its frames."""
    told = []

    def levels():
        last = None
        for frame in filming.frames():
            told.append((frame.number, frame.purity, frame is last))
            last = frame
            yield frame.levels

    write_video(path, levels(), EncoderSettings(bits_per_px=bits_per_px))
    return np.array(told)


def outcome_of(plan: DisplayPlan, folder: Path, camera: FilmingSettings, bits: float) -> Outcome:
    """Film, read, and compare with what was filmed."""
    filming, path = Filming(plan, folder, camera), folder / "film.mp4"
    number, purity, is_copy = filmed(filming, path, bits).T
    film = open_recording(path, roi=f"{camera.frame_width_px}x{camera.frame_height_px}+0+0")
    start = time.process_time()
    thirds = read_displayed(film, plan, folder)
    read_cpu_s = time.process_time() - start
    every = DisplayedSettings(pairing=PairingSettings(keep_nth=1))
    whole = read_displayed(film, plan, folder, every).table["is_kept"].to_numpy()
    read = thirds.table["number"].to_numpy()
    data = plan.part("data")
    is_data = (number >= data.first) & (number < data.first + data.count)
    is_usable = is_data & (purity >= LEAST_PURITY) & (is_copy == 0)
    corners = plan.layout.inner.corners
    share = np.stack(np.meshgrid(*[np.linspace(0.05, 0.95, 20)] * 2), axis=-1)
    points = corners[0] + share * (corners[2] - corners[0])
    miss = thirds.registration.lens.to_camera(points) - filming.lens.to_camera(points)
    kept = thirds.table.loc[thirds.table["is_kept"], "number"]
    possible = set(number[is_usable].tolist())
    return Outcome(
        frames=len(read),
        wrong=int(((read >= 0) & (read != number)).sum()),
        held_out_rms_px=thirds.report.held_out_rms_px,
        map_rms_px=float(np.sqrt((miss**2).sum(axis=-1).mean())),
        usable=int(is_usable.sum()),
        recognised=int((whole & is_usable).sum()),
        shown=len(possible),
        paired=len(possible & set(kept.tolist())),
        read_cpu_s=read_cpu_s,
    )


def main() -> None:
    truth = shown_frames(FRAMES)
    found: list[Outcome] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = make_display_movie(lambda: [truth], folder, DISPLAY)
        print("film                  frames  wrong  held-out px  map px  usable kept  frames paired"
              "  ms to read")  # fmt: skip
        for title, worse, bits in (*FILMS, *BEYOND):
            one = outcome_of(plan, folder, replace(USUAL, **worse), bits)
            found.append(one)
            print(f"{title:20s} {one.frames:7d} {one.wrong:6d} {one.held_out_rms_px:12.4f} "
                  f"{one.map_rms_px:7.4f} {one.recognised / one.usable:11.1%} "
                  f"{one.paired / one.shown:13.1%} {1000 * one.read_cpu_s / one.frames:11.2f}",
                  flush=True)  # fmt: skip
    found = found[: len(FILMS)]
    frames, wrong = (sum(getattr(one, name) for one in found) for name in ("frames", "wrong"))
    worst_px = max(one.held_out_rms_px for one in found)
    least = min(one.recognised / one.usable for one in found)
    print(f"{wrong} wrong numbers in {frames} frames (target 0 in 10000); held-out beads at worst "
          f"{worst_px:.4f} px RMS (target 0.02); at least {least:.1%} of the usable frames kept "
          "(target 90 %)")  # fmt: skip


if __name__ == "__main__":
    main()
