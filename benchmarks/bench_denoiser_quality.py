"""What the shipped denoiser finds that the raw film does not show, and what it makes up.

Benchmark films localized raw and denoised, both with the settings the localizer chooses by itself.
`--tuned` adds the raw film at the threshold that is best with the truth known. `--paper-steps N`
trains the paper's recipe (pix2pix) for N steps, the default recipe for as many, and the default
recipe for as long (CPU time), on simulated pairs of the size that each takes; `--fine-tune FILM...`
continues the champion's training on the camera and codec of each of these. `--again N` films N
other samples with each camera and codec: how far one film can be believed; with the raw film by one
threshold, where nothing that was trained judges its spots. `--random N` takes N
films by chance, each with another camera and codec, none of which was trained on; `--wrong`
tells the network a wrong gain or offset of the camera.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from cellstorm_lib.evaluate.scores import score
from cellstorm_lib.gan import SHIPPED
from cellstorm_lib.gan.checkpoint import Checkpoint, read_checkpoint
from cellstorm_lib.gan.denoiser import Denoiser
from cellstorm_lib.gan.recipe import Recipe, recipe_named
from cellstorm_lib.gan.train import train
from cellstorm_lib.localize.detect import DetectSettings
from cellstorm_lib.localize.localize import LocalizeSettings, localize
from cellstorm_lib.localize.prepare import prepare
from cellstorm_lib.pairs.pair_set import PairSet
from cellstorm_lib.pairs.random_scenes import random_scene
from cellstorm_lib.pairs.simulated import SimulatedPairsSettings, simulated_pairs
from cellstorm_lib.pipeline.benchmark_films import (
    BenchmarkFilm,
    MadeFilm,
    benchmark_films,
    made_film,
    made_films,
)
from cellstorm_lib.pipeline.score_denoiser import (
    TOLERANCE_PX,
    localized_film,
    score_denoisers,
    score_film,
    score_tables,
)
from cellstorm_lib.simulate.cameras import PhoneSettings
from cellstorm_lib.tables import Localizations

SHARES = np.geomspace(0.4, 3.0, 15)
#: Enough for the few thousand samples of the steps that are affordable.
PAPER_SCENES = 40
#: By these it is known how long a step of the default recipe takes.
PROBE_STEPS = 400
#: Of a series of scenes that nothing learns from.
RANDOM_SEED = 90
COLUMNS = ["film", "name", "f1", "f1_error", "precision", "recall", "jaccard", "rmse_nm",
           "rmse_common_nm", "bias_x_px", "bias_y_px", "count_over_truth", "false_per_frame",
           "photons_ratio", "photons_correlation"]  # fmt: skip


def equal_trainings(steps: int) -> dict[str, Denoiser | None]:
    """Train the paper's recipe, and the default one for as many steps and for as long."""
    # the samples of the paper's network are clips of 256 pixels
    large = simulated_pairs(SimulatedPairsSettings(scenes=PAPER_SCENES, side_px=256, seed=1))
    paper, paper_s = trained(large, recipe_named("paper"), steps)
    pairs = simulated_pairs()
    same_steps, _ = trained(pairs, recipe_named("default"), steps)
    # the first steps take longest
    _, probe_s = trained(pairs, recipe_named("default"), PROBE_STEPS)
    as_many = max(steps, round(PROBE_STEPS * paper_s / probe_s))
    same_time, _ = trained(pairs, recipe_named("default"), as_many)
    return {"paper": paper, "same steps": same_steps, "same time": same_time}


def trained(pairs: PairSet, recipe: Recipe, steps: int) -> tuple[Denoiser, float]:
    """Train a recipe for some steps; with the CPU seconds it took."""
    began = time.process_time()
    checkpoint = train(pairs, replace(recipe, steps=steps), threads=1).last
    taken_s = time.process_time() - began
    print(f"{recipe.name}: {steps} steps in {taken_s:.0f} CPU s", flush=True)
    return Denoiser(checkpoint), taken_s


def fine_tuned(start: Checkpoint, film: str) -> Checkpoint:
    """Continue the training of a network on scenes filmed with the camera of one film."""
    scene = benchmark_films()[film].scene
    pairs = simulated_pairs(
        SimulatedPairsSettings(scenes=600, seed=2),
        phone=PhoneSettings(camera=scene.camera, codec=scene.codec),
    )
    began = time.process_time()
    trained = train(pairs, recipe_named("fine-tune"), start=start, threads=1)
    print(f"fine-tuned for {film} in {time.process_time() - began:.0f} CPU s")
    return trained.last


def print_again(
    denoisers: Mapping[str, Denoiser | None], names: Sequence[str], films: range
) -> None:
    """Print what a network adds to the raw branch, the mean of several films and its error."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            for number in films:
                film = benchmark_films()[name].again(number)
                made = made_film(film, Path(folder) / film.name)
                tables = [("one threshold", by_one_threshold(made))]
                tables += [(each, localized_film(made, one)) for each, one in denoisers.items()]
                rows += [{**row, "film": name} for row in score_tables(made, tables)]
    scores = pd.DataFrame(rows)
    best = list(denoisers)[-1]
    for name, group in scores.groupby("film", sort=False):
        means = group.groupby("name")[["f1", "rmse_nm", "rmse_common_nm"]].mean()
        by_name = {one: part["f1"].to_numpy() for one, part in group.groupby("name")}
        for other in (one for one in by_name if one != best):
            gain = by_name[best] - by_name[other]
            error = gain.std(ddof=1) / len(gain) ** 0.5
            print(f"{name}, {len(gain)} films: {best} against {other} {gain.mean():+.4f} "
                  f"({error:.4f}), from {gain.min():+.3f} to {gain.max():+.3f}")  # fmt: skip
        print(means.to_string(float_format=lambda value: f"{value:.4f}"))


def by_one_threshold(made: MadeFilm) -> Localizations:
    """Return what lies above the automatic threshold of the raw film, not judged one by one."""
    pixel_nm = made.film.scene.field.pixel_size_nm
    ready = prepare(made.source, made.calibration, LocalizeSettings(), pixel_size_nm=pixel_nm)
    chosen = ready.detector if ready.detector.level is None else ready.detector.level
    detect = DetectSettings(threshold_photons=float(chosen.threshold_photons))
    table, _ = localize(
        made.source,
        made.calibration,
        pixel_size_nm=pixel_nm,
        settings=LocalizeSettings(detect=detect),
    )
    return table


def print_random(denoisers: Mapping[str, Denoiser | None], count: int) -> None:
    """Print how many films by chance the network makes better, and what empty ones show."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            scene = random_scene(number, seed=RANDOM_SEED, side_px=192, frame_count=60)
            made = made_film(
                BenchmarkFilm(name=scene.name, about="by chance", scene=scene),
                Path(folder) / "film",
            )
            rows += score_film(made, denoisers)
    scores = pd.DataFrame(rows)
    lit = scores.pivot(index="film", columns="name", values="f1").dropna()
    gain = lit["champion"] - lit["raw"]
    means = f"raw {lit['raw'].mean():.3f}, champion {lit['champion'].mean():.3f}"
    worse = int((gain < -0.01).sum())
    print(f"{len(lit)} films: mean F1 {means}; worse by more than 0.01: {worse}")
    print(lit[gain < -0.01].to_string(float_format=lambda value: f"{value:.3f}"))
    empty = scores[scores["true"] == 0].pivot(
        index="film", columns="name", values="false_per_frame"
    )
    print(f"{len(empty)} without molecules, false spots a frame:")
    print(empty.to_string(float_format=lambda value: f"{value:.3f}"))


def print_wrong(champion: Denoiser, films: Sequence[str], folder: Path | None) -> None:
    """Print F1 where the camera is not what the network is told."""
    with made_films(films, folder=folder) as make:
        for name in films:
            made, told = make(name), []
            camera = made.calibration
            cameras = {"as it is": camera}
            for factor in (0.8, 1.25):
                gain = factor * camera.gain_e_per_adu
                cameras[f"gain x {factor}"] = replace(camera, gain_e_per_adu=gain)
            for error_e in (-2.0, 2.0):
                offset_adu = camera.offset_adu + error_e / camera.gain_e_per_adu
                cameras[f"offset {error_e:+.0f} e"] = replace(camera, offset_adu=offset_adu)
            for label, wrong in cameras.items():
                (row,) = score_film(replace(made, calibration=wrong), {"champion": champion})
                told.append(f"{label} {row['f1']:.3f}")
            print(f"{name}: {', '.join(told)}")


def print_best_raw(names: Sequence[str], folder: Path | None) -> None:
    """Print the raw film's F1 at the threshold that is best when the truth is known."""
    with made_films(names, folder=folder) as make:
        for name in names:
            made = make(name)
            pixel_nm = made.film.scene.field.pixel_size_nm
            automatic = localize(made.source, made.calibration, pixel_size_nm=pixel_nm)[1]
            best = (0.0, 0.0)
            for share in SHARES:
                threshold = max(share * automatic.threshold_photons, 0.1)
                settings = LocalizeSettings(detect=DetectSettings(threshold_photons=threshold))
                table, _ = localize(
                    made.source, made.calibration, pixel_size_nm=pixel_nm, settings=settings
                )
                f1 = score(table, made.truth, TOLERANCE_PX * pixel_nm).f1 or 0.0
                best = max(best, (f1, threshold / automatic.threshold_photons))
            print(f"{name}: raw at its best threshold F1 {best[0]:.3f} "
                  f"({best[1]:.2f} x the automatic one)")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--films", nargs="*", help="names of films; all by default")
    parser.add_argument("--checkpoint", type=Path, default=SHIPPED)
    parser.add_argument("--folder", type=Path, help="where to keep the films")
    parser.add_argument("--tuned", action="store_true", help="raw at its best threshold, too")
    parser.add_argument("--paper-steps", type=int, default=0)
    parser.add_argument("--again", type=int, default=0, help="films of other samples, each")
    parser.add_argument("--random", type=int, default=0, help="films by chance")
    parser.add_argument("--wrong", action="store_true", help="a wrong camera is told")
    parser.add_argument("--fine-tune", nargs="*", default=[], metavar="FILM")
    options = parser.parse_args()
    films = options.films or list(benchmark_films())
    champion = read_checkpoint(options.checkpoint)
    denoisers: dict[str, Denoiser | None] = {"raw": None, "champion": Denoiser(champion)}
    if options.again:
        others = range(1, options.again + 1)
        if not options.fine_tune:
            print_again(denoisers, films, others)
        for film in options.fine_tune:
            tuned = {"raw": None, "fine-tuned": Denoiser(fine_tuned(champion, film))}
            print_again(tuned, [film], others)
        return
    if options.random:
        print_random(denoisers, options.random)
        return
    if options.wrong:
        print_wrong(Denoiser(champion), films, options.folder)
        return
    if options.paper_steps:
        denoisers |= equal_trainings(options.paper_steps)
    print_rows(score_denoisers(denoisers, films, folder=options.folder))
    for film in options.fine_tune:
        tuned = {"raw": None, "fine-tuned": Denoiser(fine_tuned(champion, film))}
        print_rows(score_denoisers(tuned, [film], folder=options.folder))
    if options.tuned:
        lit = [name for name in films if not benchmark_films()[name].is_empty]
        print_best_raw(lit, options.folder)


def print_rows(scores) -> None:
    """Print the table."""
    print(scores[COLUMNS].to_string(index=False, float_format=lambda value: f"{value:.3f}"))


if __name__ == "__main__":
    main()
