"""Dim and bright spots on phone video: the automatic search against the best fixed threshold.

Scattered molecules of 150 to 400 photoelectrons, background 8 per px, 0.38 bit/px, and of 400 to
1,200; the best fixed threshold is the one of a ladder that has the highest Jaccard index, chosen
with the truth. Twice: what is found of a blink that shone for a small part of a frame counts as
false, and as neither true nor false.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial import KDTree

from cellstorm_lib.camera import read_calibration
from cellstorm_lib.evaluate.scores import score
from cellstorm_lib.localize.detect import DetectSettings
from cellstorm_lib.localize.localize import LocalizeSettings, localize
from cellstorm_lib.pipeline.film import film_scene
from cellstorm_lib.simulate.background import BackgroundSettings
from cellstorm_lib.simulate.blinking import BlinkingSettings
from cellstorm_lib.simulate.cameras import read_camera
from cellstorm_lib.simulate.codec import CodecSettings
from cellstorm_lib.simulate.scatter import RandomSettings
from cellstorm_lib.simulate.scene import FieldSettings, Scene
from cellstorm_lib.tables import Emitters, Localizations, read_emitters
from cellstorm_lib.video.read import open_recording

PIXEL_NM, SEEDS = 100.0, (501, 502, 503)
BRIGHTNESS = {"dim, 150 to 400 e": (260.0, 0.27), "bright, 400 to 1,200 e": (740.0, 0.3)}
RATES = (0.38, 0.1)
#: Fragments of a blink dimmer than this in a frame are not asked for.
LEAST_PHOTONS = 100.0
#: Fixed thresholds, photoelectrons of the band-passed image.
LADDER = tuple(round(float(height), 2) for height in np.geomspace(1.0, 20.0, 22))


def scene_of(photons: float, spread: float, rate: float, seed: int) -> Scene:
    """Return scattered molecules filmed by a Huawei P9."""
    return Scene(
        name="dim",
        seed=seed,
        frame_count=250,
        frame_rate_hz=20.0,
        field=FieldSettings(width_px=192, height_px=192, pixel_size_nm=PIXEL_NM),
        structure=RandomSettings(sites_per_um2=2.5),
        blinking=BlinkingSettings(
            photons_per_frame=photons, brightness_cv=spread, on_ms=150.0, dark_s=10.0, blinks=2.0
        ),
        background=BackgroundSettings(photons=8.0),
        camera=read_camera("huawei-p9-video").camera,
        codec=CodecSettings(bits_per_px=rate),
    )


TOLERANCE_NM = 250.0
#: Far apart, so that spots of two frames are never near each other.
_FRAME_NM = 1e9


def main() -> None:
    print("film | automatic: Jaccard, recall, precision | best fixed: the same, threshold; "
          "then without fragments")  # fmt: skip
    for rate in RATES:
        for name, (photons, spread) in BRIGHTNESS.items():
            found, fixed = [], {}
            for seed in SEEDS:
                with tempfile.TemporaryDirectory() as folder:
                    made = film_scene(scene_of(photons, spread, rate, seed), Path(folder))
                    source, truth = open_recording(made.movie), read_emitters(made.truth)
                    camera = read_calibration(made.camera)

                    def judged(detect, source=source, camera=camera, truth=truth):
                        spots, _ = localize(
                            source, camera, pixel_size_nm=PIXEL_NM, threads=1,
                            settings=LocalizeSettings(detect=detect),
                        )  # fmt: skip
                        return both_scores(spots, truth)

                    found.append(judged(DetectSettings()))
                    for height in LADDER:
                        detect = DetectSettings(threshold_photons=height)
                        fixed.setdefault(height, []).append(judged(detect))
            for about, part in (("", slice(0, 3)), (", without fragments", slice(3, 6))):
                means = {height: np.mean(rows, axis=0)[part] for height, rows in fixed.items()}
                best = max(means, key=lambda height: means[height][0])
                print(f"{name}, {rate} bit/px{about} | {numbers(np.mean(found, axis=0)[part])} | "
                      f"{numbers(means[best])}, {best}", flush=True)  # fmt: skip


def both_scores(spots: Localizations, truth: Emitters) -> tuple[float, ...]:
    """Return Jaccard, recall and precision, twice: fragments count as false, and not at all."""
    is_asked = truth.data["photons"] >= LEAST_PHOTONS
    asked, fragments = (
        replace(truth, data=truth.data[chosen].reset_index(drop=True))
        for chosen in (is_asked, ~is_asked)
    )
    is_fragment = _is_near(spots.data, fragments.data) & ~_is_near(spots.data, asked.data)
    values: list[float] = []
    for table in (spots, spots.take(~is_fragment)):
        scores = score(table, asked, TOLERANCE_NM)
        values += [scores.jaccard, scores.recall or 0.0, scores.precision or 0.0]
    return tuple(values)


def _is_near(spots: pd.DataFrame, others: pd.DataFrame) -> np.ndarray:
    """Return which spots have one of the others nearby in the same frame."""
    places, targets = (
        np.column_stack([table["x_nm"], table["y_nm"], table["frame"] * _FRAME_NM])
        for table in (spots, others)
    )
    distance_nm, _ = KDTree(targets).query(places, distance_upper_bound=TOLERANCE_NM)
    return np.isfinite(distance_nm)


def numbers(values: np.ndarray) -> str:
    """Return some scores as text."""
    return ", ".join(f"{value:.3f}" for value in values)


if __name__ == "__main__":
    main()
