"""Detection and fit beside Picasso's, on the same movie, in turn, on all cores.

Picasso is installed into an environment of its own in the temporary folder. Its net gradient is
set by hand for this movie, as its users do; cellstorm runs with its defaults.
"""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from cellstorm_lib.evaluate.scores import score
from cellstorm_lib.localize.fit_settings import FitSettings
from cellstorm_lib.localize.localize import LocalizeSettings, localize
from cellstorm_lib.simulate.exposure import calibration_of
from cellstorm_lib.simulate.scene import read_preset
from cellstorm_lib.simulate.simulate import simulate_scene
from cellstorm_lib.tables import Emitters, Localizations
from cellstorm_lib.video.array import ArraySource

FOLDER = Path(tempfile.gettempdir()) / "cellstorm-bench-picasso"
FRAMES, REPEATS, NET_GRADIENTS = 1000, 3, (60, 100, 150, 250, 400)
OURS = {
    "cellstorm, defaults": LocalizeSettings(),
    "cellstorm, each spot alone": LocalizeSettings(fit=FitSettings(max_emitters=1)),
}
SCRIPT = Path(__file__).with_name("run_picasso.py")


def picasso_python() -> Path:
    python = FOLDER / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if not (FOLDER / "ok").exists():
        subprocess.run([sys.executable, "-m", "venv", FOLDER / "venv"], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "picassosr"], check=True)
        (FOLDER / "ok").touch()
    return python


def picasso(movie: Path, camera, pixel_nm: float, net_gradient: float):
    out = FOLDER / "picasso.npz"
    command = [picasso_python(), SCRIPT, movie, out, str(camera.offset_adu),
               str(camera.gain_e_per_adu), str(pixel_nm), str(net_gradient)]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = np.load(out)
    return json.loads(done.stdout.splitlines()[-1]), found["frame"], found["xy_nm"]


def fastest(times):
    """Return the least of each kind of time."""
    return {kind: min(one[kind] for one in times) for kind in ("wall_s", "cpu_s")}


def described(name, scores, times):
    print(f"{name}: {FRAMES / times['wall_s']:.0f} frames/s, "
          f"{times['cpu_s'] * 1000 / FRAMES:.3f} CPU ms a frame, Jaccard {scores.jaccard:.3f}, "
          f"recall {scores.recall:.3f}, precision {scores.precision:.3f}, "
          f"RMSE {scores.rmse_nm:.1f} nm")  # fmt: skip


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    demo = read_preset("demo")
    scene = replace(demo, frame_count=FRAMES)
    simulation = simulate_scene(scene)
    stack = np.concatenate([chunk.levels for chunk in simulation.chunks(50)])
    np.save(FOLDER / "movie.npy", stack)
    camera, pixel_nm = calibration_of(scene.camera), scene.field.pixel_size_nm
    truth = simulation.emitters
    bright = truth.data[truth.data["photons"] >= 100]
    truth = Emitters(data=bright, field=truth.field, provenance={})
    source = ArraySource(stack)
    localize(ArraySource(stack[:40]), camera, pixel_size_nm=pixel_nm)  # compilation
    ours: dict[str, list[dict[str, float]]] = {name: [] for name in OURS}
    tables, theirs = {}, []
    best = None
    for net_gradient in NET_GRADIENTS:
        _, frame, xy = picasso(FOLDER / "movie.npy", camera, pixel_nm, net_gradient)
        data = pd.DataFrame({"frame": frame, "x_nm": xy[:, 0], "y_nm": xy[:, 1]})
        scores = score(Localizations(data=data, field=truth.field), truth)
        if best is None or scores.jaccard > best[0].jaccard:
            best = (scores, net_gradient)
    for _ in range(REPEATS):
        for name, settings in OURS.items():
            start, cpu = time.perf_counter(), time.process_time()
            tables[name], _ = localize(source, camera, pixel_size_nm=pixel_nm, settings=settings)
            ours[name].append(
                {"wall_s": time.perf_counter() - start, "cpu_s": time.process_time() - cpu}
            )
        theirs.append(picasso(FOLDER / "movie.npy", camera, pixel_nm, best[1])[0])
    described(f"Picasso MLE, net gradient {best[1]}", best[0], fastest(theirs))
    for name, times in ours.items():
        described(name, score(tables[name], truth), fastest(times))
        print(f"  ratio: {fastest(theirs)['wall_s'] / fastest(times)['wall_s']:.1f} in time, "
              f"{fastest(theirs)['cpu_s'] / fastest(times)['cpu_s']:.1f} in CPU time")  # fmt: skip


if __name__ == "__main__":
    main()
