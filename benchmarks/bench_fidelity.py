"""A real dark clip of a phone beside simulated ones: every measure, and by how much it differs.

Two phones are judged on frames 18 to 35 of the clip: the preset `pixel-like`, filmed with a seed of
its own, and the phone that `cellstorm fit-camera` makes of frames 0 to 17 now. With names of
presets as arguments, only those are compared.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from cellstorm_lib.evaluate.fidelity import LIMIT, FidelityReport
from cellstorm_lib.pipeline.compare_clips import compare_clips
from cellstorm_lib.pipeline.film import film_scene
from cellstorm_lib.pipeline.fit_camera import fit_camera
from cellstorm_lib.simulate.background import BackgroundSettings
from cellstorm_lib.simulate.cameras import read_camera
from cellstorm_lib.simulate.scene import FieldSettings, Scene
from cellstorm_lib.video.read import open_recording

CLIP = Path(__file__).parents[1] / "tests/data/androidx-media/pixel7_videoOnly_cleaned.mp4"
JUDGED = (18, 36)
SEED = 20


def preset_report(name: str, folder: Path) -> FidelityReport:
    """Return how a named camera's film of the dark compares with the clip."""
    facts, phone = open_recording(CLIP).facts, read_camera(name)
    scene = Scene(
        name="dark",
        seed=SEED,
        frame_count=facts.frame_count,
        frame_rate_hz=facts.frame_rate_hz or 30.0,
        field=FieldSettings(width_px=facts.frame_width_px, height_px=facts.frame_height_px),
        structure=None,
        background=BackgroundSettings(photons=0.0, structure_share=0.0),
        camera=phone.camera,
        codec=phone.codec,
    )
    film = film_scene(scene, folder / name, stacks=())
    return compare_clips(CLIP, film.movie, frames=JUDGED)


def show(title: str, report: FidelityReport) -> None:
    """Print a comparison as a table, the largest difference below it."""
    print(f"\n### {title}\n")
    print("| group | measure | real | simulated | difference, % | standard error, % | |")
    print("|---|---|---:|---:|---:|---:|---|")
    for row in report.rows:
        error = f"{100 * row.error:.1f}" if np.isfinite(row.error) else ""
        print(
            f"| {row.group} | {row.measure}{', ' * bool(row.unit)}{row.unit} | {row.real:.4g} | "
            f"{row.simulated:.4g} | {100 * row.relative_difference:+.1f} | {error} | "
            f"{'' if row.passed else 'differs'} |"
        )
    passed, worst = sum(row.passed for row in report.rows), report.worst
    print(
        f"\n{passed} of {len(report.rows)} measures within {LIMIT:.0%}; largest "
        f"{worst.relative_difference:+.1%} ({worst.group}, {worst.measure})"
    )
    for remark in report.remarks:
        print(remark)


def main() -> None:
    """Print the comparisons."""
    names = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        for name in names or ["pixel-like"]:
            show(f"preset {name}", preset_report(name, Path(folder)))
    if not names:
        start = time.process_time()
        fitted = fit_camera(CLIP)
        taken_s = time.process_time() - start
        show(f"fitted now in {taken_s:.0f} s of CPU time", fitted.report)
        print(fitted.model)


if __name__ == "__main__":
    main()
