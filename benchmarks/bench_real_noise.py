"""Known molecules in a phone's own noise: a real dark clip with light added, raw and denoised.

The molecules of the benchmark film `pixel` at several brightnesses are added to the decoded frames
of the clip, with their shot noise. Each film is scored as added (the clip's own noise and codec,
written without loss) and encoded once more at the bit rate of the clip. What a
photoelectron is in grey values is that of the phone fitted to the clip; `--empty` shows what is
found in the clip itself. The threshold for what is asked for is an eighth of the brightness.
"""

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from cellstorm_lib.gan import SHIPPED
from cellstorm_lib.gan.checkpoint import read_checkpoint
from cellstorm_lib.gan.denoiser import Denoiser
from cellstorm_lib.pipeline.benchmark_films import BenchmarkFilm, MadeFilm, benchmark_films
from cellstorm_lib.pipeline.film import encoder_of
from cellstorm_lib.pipeline.real_noise import LitDark, add_molecules
from cellstorm_lib.pipeline.score_denoiser import score_film
from cellstorm_lib.recording import FrameSource
from cellstorm_lib.simulate.cameras import read_camera
from cellstorm_lib.simulate.codec import CodecSettings
from cellstorm_lib.simulate.exposure import calibration_of
from cellstorm_lib.simulate.scene import Scene
from cellstorm_lib.video.read import open_recording
from cellstorm_lib.video.write import write_video

CLIP = Path(__file__).parents[1] / "tests/data/androidx-media/pixel7_videoOnly_cleaned.mp4"
COLUMNS = [
    "film", "name", "f1", "f1_error", "precision", "recall", "rmse_nm", "rmse_common_nm",
    "count_over_truth", "false_per_frame", "photons_ratio", "photons_correlation",
]  # fmt: skip
CODECS = {
    "as added": CodecSettings(bits_per_px=None, qp=0, gop_frames=30),
    "encoded again": CodecSettings(bits_per_px=0.37, gop_frames=30),
}
_ASKED_SHARE = 1 / 8
#: Molecules on at a time in 256 x 256 pixels.
_MOLECULES, _ON_FRAMES = 11.0, 2.5


def scene_of(photons: float, dark: FrameSource) -> Scene:
    """Return a scene of the molecules of the film `pixel` in the field of a clip."""
    scene, roi, frames = benchmark_films()["pixel"].scene, dark.facts.roi, len(dark.frame_range)
    fields = roi.width_px * roi.height_px / 256**2
    structure = replace(scene.structure, count=max(1, round(9 * fields)))
    per_um = _MOLECULES * fields * frames / (_ON_FRAMES * structure.count * structure.length_um)
    return replace(
        scene,
        frame_rate_hz=dark.facts.frame_rate_hz or 30.0,
        structure=replace(structure, labels_per_um=per_um / 0.75),
        blinking=replace(
            scene.blinking,
            on_ms=1000.0 * _ON_FRAMES / (dark.facts.frame_rate_hz or 30.0),
            dark_s=1000.0,
            blinks=1.0,
            photons_per_frame=photons,
        ),
    )


def films(dark: FrameSource, photons: float, folder: Path) -> Iterator[MadeFilm]:
    """Yield a film as added and one encoded again."""
    calibration = calibration_of(read_camera("pixel-like").camera)
    scene = scene_of(photons, dark)
    lit = add_molecules(dark, calibration, scene, np.random.default_rng(9))
    print(f"{photons:g} photoelectrons: {lit.saturated_share:.2%} of lit pixels saturated")
    rate_hz = lit.scene.frame_rate_hz
    roi = f"{lit.frames.shape[2]}x{lit.frames.shape[1]}+0+0"
    for name, codec in CODECS.items():
        movie = folder / f"{photons:g} {name}.mp4"
        write_video(movie, iter(lit.frames), encoder_of(codec, rate_hz))
        yield made_film(f"{photons:g} {name}", open_recording(movie, roi=roi), lit, photons)


def made_film(name: str, source: FrameSource, lit: LitDark, photons: float) -> MadeFilm:
    """Return what is scored."""
    bright = np.asarray(lit.truth.column("photons") >= _ASKED_SHARE * photons)
    return MadeFilm(
        film=BenchmarkFilm(name=name, about="a phone's own noise", scene=lit.scene),
        source=source,
        calibration=calibration_of(read_camera("pixel-like").camera),
        truth=replace(lit.truth, data=lit.truth.data[bright]),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clip", type=Path, nargs="?", default=CLIP, help="8-bit video of the dark")
    parser.add_argument("--roi", default="1024x1024+448+32", help="part of the clip")
    parser.add_argument("--photons", type=float, nargs="*", default=[60.0, 120.0, 250.0, 500.0])
    parser.add_argument("--checkpoint", type=Path, default=SHIPPED)
    parser.add_argument("--empty", action="store_true", help="score the clip itself, too")
    options = parser.parse_args()
    dark = open_recording(options.clip, roi=options.roi)
    denoisers = {"raw": None, "champion": Denoiser(read_checkpoint(options.checkpoint))}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for photons in options.photons:
            for made in films(dark, photons, Path(folder)):
                rows += score_film(made, denoisers)
                print(f"{made.film.name} done", flush=True)
        if options.empty:
            calibration = calibration_of(read_camera("pixel-like").camera)
            nothing = replace(scene_of(100.0, dark), structure=None)
            untouched = add_molecules(dark, calibration, nothing, np.random.default_rng(9))
            rows += score_film(made_film("empty", dark, untouched, 1.0), denoisers)
    table = pd.DataFrame(rows)[COLUMNS]
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))


if __name__ == "__main__":
    main()
