"""How well `localize --like` agrees with the programs it imitates.

Picasso runs beside it, in an environment of its own, on the same movie. rapidSTORM's table lies
beside the recording it was made of. Of ThunderSTORM, which needs Java, the published equations
are evaluated by scipy, as the tests do. Same spots: nearer than one uncertainty, in the same
frame, counted in both tables; agreement: the distance of two same spots / the uncertainty.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import tifffile
from scipy.spatial import cKDTree

from benchmarks.bench_speed import FOLDER, picasso_python
from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.localize.like.run import localize_like
from cellstorm_lib.localize.like.settings import (
    PicassoSettings,
    RapidstormSettings,
    ThunderstormSettings,
)
from cellstorm_lib.simulate.exposure import calibration_of
from cellstorm_lib.simulate.scene import read_preset
from cellstorm_lib.simulate.simulate import simulate_scene
from cellstorm_lib.video.array import ArraySource

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS / "lib" / "localize"))
import like_references as published  # noqa: E402

FRAMES, THUNDERSTORM_FRAMES = 400, 20
NET_GRADIENT = 400


def agreement(name, table, frame, xy_nm, uncertainty_nm):
    """Print how many spots are the same, and how near."""
    apart = 1e6
    ours = np.column_stack([table.column("frame") * apart, table.xy_nm])
    theirs = np.column_stack([frame * apart, xy_nm])
    distance, _ = cKDTree(ours).query(theirs)
    relative = distance / uncertainty_nm
    same = relative < 1
    low, mid, high = np.percentile(relative[same], [5, 50, 95])
    print(f"{name}: {len(theirs)} spots, {len(ours)} of ours, "
          f"{2 * same.sum() / (len(theirs) + len(ours)):.4f} the same, "
          f"{np.mean(relative < 0.1):.4f} within a tenth of the uncertainty; "
          f"distance / uncertainty: median {mid:.5f}, 5-95 % {low:.5f} to {high:.5f}")  # fmt: skip


def against_picasso(stack, camera, pixel_nm) -> None:
    import json
    import subprocess

    movie, out = FOLDER / "like.npy", FOLDER / "like.npz"
    np.save(movie, stack)
    for method, estimator, eps in (
        ("gaussmle", "maximum-likelihood", ()),
        ("gausslq", "least-squares", ()),
        ("gausslq", "least-squares", ("1e-8",)),
    ):
        script = Path(__file__).with_name("run_picasso.py")
        command = [picasso_python(), script, movie, out, str(camera.offset_adu),
                   str(camera.gain_e_per_adu), str(pixel_nm), str(NET_GRADIENT),
                   method, *eps]  # fmt: skip
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        cpu_s = json.loads(done.stdout.splitlines()[-1])["cpu_s"]
        found = np.load(out)
        settings = PicassoSettings(min_net_gradient=NET_GRADIENT, estimator=estimator)
        source = ArraySource(stack)
        localize_like(ArraySource(stack[:20]), camera, pixel_size_nm=pixel_nm, settings=settings)
        start = time.process_time()
        table, _ = localize_like(source, camera, pixel_size_nm=pixel_nm, settings=settings)
        ours_s = time.process_time() - start
        uncertainty = np.sqrt((found["uncertainty_nm"] ** 2).mean(axis=1))
        name = f"Picasso {method}{', iterated to 1e-8' if eps else ''}"
        agreement(name, table, found["frame"], found["xy_nm"], uncertainty)
        print(f"  CPU ms a frame: {1e3 * cpu_s / len(stack):.2f} Picasso, "
              f"{1e3 * ours_s / len(stack):.2f} cellstorm --like picasso")  # fmt: skip


def against_thunderstorm(stack, camera, pixel_nm) -> None:
    threshold = 1.5
    for estimator in ("weighted-least-squares", "least-squares", "maximum-likelihood"):
        settings = ThunderstormSettings(estimator=estimator, threshold=f"{threshold}*std(Wave.F1)")
        table, _ = localize_like(
            ArraySource(stack), camera, pixel_size_nm=pixel_nm, settings=settings
        )
        rows = []
        for frame, levels in enumerate(stack):
            fits = published.thunderstorm_fits(
                levels, camera, estimator=estimator, factor=threshold
            )
            rows += [(frame, x, y) for x, y, *_ in fits]
        frame, x, y = np.array(rows).T
        uncertainty = float(np.median(table.column("uncertainty_nm")))
        xy_nm = np.column_stack([x, y]) * pixel_nm
        agreement(f"ThunderSTORM's equations, {estimator}", table, frame, xy_nm, uncertainty)


def against_rapidstorm() -> None:
    pixel_nm = 133.5
    rows = np.loadtxt(TESTS / "data" / "locan" / "rapidSTORM_from_images.txt")
    stack = tifffile.imread(TESTS / "data" / "locan" / "images.tif")
    rows = rows[rows[:, 2] < len(stack)]
    camera = CameraCalibration(
        name="unit", source="given", offset_adu=100.0, gain_e_per_adu=1.0, read_noise_e=0.0,
        bit_depth=16,
    )  # fmt: skip
    settings = RapidstormSettings(
        is_width_fitted=True, least_fwhm_nm=250, most_fwhm_nm=580, amplitude_adu=1500
    )
    table, _ = localize_like(ArraySource(stack), camera, pixel_size_nm=pixel_nm, settings=settings)
    uncertainty = float(np.median(table.column("uncertainty_nm")))
    xy_nm = rows[:, :2] + pixel_nm / 2
    agreement("rapidSTORM 3, Locan's recording", table, rows[:, 2], xy_nm, uncertainty)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    scene = replace(read_preset("demo"), frame_count=FRAMES)
    stack = np.concatenate([chunk.levels for chunk in simulate_scene(scene).chunks(50)])
    camera, pixel_nm = calibration_of(scene.camera), scene.field.pixel_size_nm
    against_picasso(stack, camera, pixel_nm)
    against_thunderstorm(stack[:THUNDERSTORM_FRAMES], camera, pixel_nm)
    against_rapidstorm()


if __name__ == "__main__":
    main()
