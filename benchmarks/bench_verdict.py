"""Whether the verdict on raw against denoised is right, on simulated films whose truth is known.

Films of chance samples, cameras and codecs are denoised by good and by harmful networks. The truth
says which branch is better: the Jaccard index counts, and positions that are moved as a whole. The
verdict, which knows no truth, is compared with it. Films of seeds below 3000 served to choose
rules and thresholds; those from 3000 on are only reported.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.ndimage import shift

from cellstorm_lib.camera import CameraCalibration, read_calibration
from cellstorm_lib.evaluate.agreement import EDGE_PX, compare_tables
from cellstorm_lib.evaluate.match import match_localizations
from cellstorm_lib.evaluate.scores import Scores, score
from cellstorm_lib.gan import SHIPPED
from cellstorm_lib.gan.checkpoint import Checkpoint, read_checkpoint
from cellstorm_lib.gan.denoise import DenoisedScale, denoised_chunks
from cellstorm_lib.gan.denoiser import Denoiser
from cellstorm_lib.gan.recipe import recipe_named
from cellstorm_lib.gan.train import train
from cellstorm_lib.localize.film_columns import with_columns_of_film
from cellstorm_lib.localize.localize import localize
from cellstorm_lib.pairs.simulated import SimulatedPairsSettings, simulated_pairs
from cellstorm_lib.pipeline.benchmark_films import LEAST_PHOTONS
from cellstorm_lib.pipeline.denoise import unlike_training
from cellstorm_lib.pipeline.film import film_scene
from cellstorm_lib.pipeline.film_light import film_light
from cellstorm_lib.pipeline.score_denoiser import TOLERANCE_PX
from cellstorm_lib.pipeline.settings import PipelineSettings
from cellstorm_lib.pipeline.steps import check_positions, refine_spots
from cellstorm_lib.pipeline.verdict import BranchFindings, judge
from cellstorm_lib.reconstruct.frc import measure_frc
from cellstorm_lib.recording import FrameSource
from cellstorm_lib.refine.drift import estimate_drift
from cellstorm_lib.simulate.background import BackgroundSettings
from cellstorm_lib.simulate.blinking import BlinkingSettings
from cellstorm_lib.simulate.cameras import PhoneSettings, read_camera
from cellstorm_lib.simulate.codec import CodecSettings
from cellstorm_lib.simulate.exposure import CameraSettings
from cellstorm_lib.simulate.filaments import FilamentSettings
from cellstorm_lib.simulate.pictures import TextSettings
from cellstorm_lib.simulate.processing import ProcessingSettings
from cellstorm_lib.simulate.scene import FieldSettings, Scene
from cellstorm_lib.simulate.structures import StructureSettings
from cellstorm_lib.simulate.vesicles import VesicleSettings
from cellstorm_lib.tables import Emitters, Localizations, read_emitters
from cellstorm_lib.video.array import ArraySource
from cellstorm_lib.video.read import open_recording

#: Differences of the Jaccard index, and shifts of all positions, that nobody would overlook.
CLEAR, MOVED_PX = 0.03, 0.1
#: Below this Jaccard index of the raw branch there is nothing to check the other with.
SEEN = 0.1
SIDE_PX, RATE_HZ, SPOT_PX = 128, 20.0, 1.3
STRUCTURES = ("filaments", "scattered", "text", "vesicles")
CAMERAS = ("huawei-p9-video", "pixel-like", "scaled")
Light = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Film:
    """A film with its truth, and what the raw branch makes of it."""

    seed: int
    scene: Scene
    source: FrameSource
    calibration: CameraCalibration
    molecules: Emitters
    raw: BranchFindings


def drawn_scene(seed: int) -> Scene:
    """Return a scene drawn by chance; every sixth is too short for anybody to tell."""
    rng = np.random.default_rng(seed)
    is_short = seed % 6 == 5
    frame_count = int(rng.integers(60, 151) if is_short else rng.integers(600, 1001))
    on_frames, blinks, spots = rng.uniform(1.3, 4.0), rng.uniform(1.0, 6.0), rng.uniform(1.5, 12.0)
    molecules = spots * frame_count / (blinks * on_frames)
    codec: CodecSettings | None = CodecSettings(
        bits_per_px=float(np.exp(rng.uniform(np.log(0.02), np.log(0.8)))), gop_frames=30
    )
    kind = rng.uniform()
    if kind < 0.4:
        crf = int(rng.integers(20, 37))
        codec = CodecSettings(
            bits_per_px=None, crf=crf, gop_frames=21, phone_like=False, preset="medium"
        )
    elif kind < 0.5:
        codec = None
    return Scene(
        name=STRUCTURES[seed % 4],
        seed=seed,
        frame_count=frame_count,
        frame_rate_hz=RATE_HZ,
        field=FieldSettings(width_px=SIDE_PX, height_px=SIDE_PX),
        structure=structure_of(STRUCTURES[seed % 4], molecules),
        blinking=BlinkingSettings(
            on_ms=1000 * on_frames / RATE_HZ,
            dark_s=0.2 * frame_count / RATE_HZ,
            blinks=blinks,
            photons_per_frame=float(np.exp(rng.uniform(np.log(220), np.log(1100)))),
        ),
        background=BackgroundSettings(photons=float(rng.uniform(2, 14)), structure_share=0.3),
        camera=drawn_camera(rng),
        codec=codec,
    )


def structure_of(name: str, molecules: float) -> StructureSettings:
    """Return a structure that holds about so many molecules within the field."""
    if name == "filaments":
        return FilamentSettings(
            count=6, length_um=12.0, persistence_length_um=15.0, labels_per_um=molecules / 54.0
        )
    if name == "text":
        return TextSettings(text="CELL\nSTORM", sites=round(molecules))
    if name == "vesicles":
        area_um2 = 4 * np.pi * 0.15**2
        return VesicleSettings(
            count=30, radius_nm=150.0, radius_cv=0.0, labels_per_um2=molecules / 30 / area_um2
        )
    # vesicles of one molecule each, smaller than anything that can be seen
    return VesicleSettings(
        count=round(molecules), radius_nm=5.0, radius_cv=0.0,
        labels_per_um2=1 / (4 * np.pi * 0.005**2),
    )  # fmt: skip


def drawn_camera(rng: np.random.Generator) -> CameraSettings:
    """Return a phone: two as they come, or the paper's at another scale of its grey values."""
    name = CAMERAS[rng.integers(3)]
    if name != "scaled":
        return read_camera(name).camera
    scaled = ProcessingSettings(adu_per_level=float(rng.uniform(1, 6)), black_level_adu=8.0)
    return CameraSettings(name="huawei-p9", processing=scaled)


def made_film(seed: int, folder: Path) -> Film:
    """Simulate, encode and read a film, and localize it raw."""
    scene = drawn_scene(seed)
    film_scene(scene, folder, stacks=())
    movie = folder / ("movie.ome.tif" if scene.codec is None else "movie.mp4")
    source = open_recording(movie, roi=f"{SIDE_PX}x{SIDE_PX}+0+0")
    calibration = read_calibration(folder / "camera.json")
    table, _ = localize(source, calibration, pixel_size_nm=scene.field.pixel_size_nm)
    return Film(
        seed=seed,
        scene=scene,
        source=source,
        calibration=calibration,
        molecules=read_emitters(folder / "truth.parquet"),
        raw=findings(table),
    )


def findings(spots: Localizations) -> BranchFindings:
    """Return of one branch what a verdict looks at, made as the pipeline makes it."""
    settings = PipelineSettings()
    refined = refine_spots(spots, estimate_drift(spots, settings.drift), settings).localizations
    return BranchFindings(
        spots=spots, frc=measure_frc(refined, settings.frc), checks=check_positions(refined)
    )


def denoised_branch(film: Film, light_e: Light) -> BranchFindings:
    """Return the findings in denoised frames."""
    scale = DenoisedScale.of(film.calibration)
    stack = ArraySource(scale.values(np.maximum(light_e, 0)), denoised_photons_per_adu=scale.step_e)
    table, _ = localize(stack, film.calibration, pixel_size_nm=film.scene.field.pixel_size_nm)
    return findings(with_columns_of_film(table, film.source))


def light_of(film: Film, checkpoint: Checkpoint) -> Light:
    """Return what a network makes of a film."""
    denoiser = Denoiser(checkpoint, workers=1)
    chunks = denoised_chunks(film.source, film.calibration, denoiser)
    return np.concatenate([chunk.light_e for chunk in chunks])


def perturbed(checkpoint: Checkpoint, strength: float) -> Checkpoint:
    """Return a network whose weights are off by so large a share of their spread."""
    made = torch.Generator().manual_seed(7)
    weights = {
        name: value
        + strength * value.std(unbiased=False) * torch.randn(value.shape, generator=made)
        for name, value in checkpoint.weights.items()
    }
    return replace(checkpoint, weights=weights)


def trained_networks() -> dict[str, Checkpoint]:
    """Return the champion, the champion damaged, and networks that learned too little."""
    champion = read_checkpoint(SHIPPED)
    few = simulated_pairs(SimulatedPairsSettings(scenes=16, side_px=128, seed=5))
    own = PhoneSettings(camera=read_camera("huawei-p9-video").camera,
                        codec=CodecSettings(bits_per_px=0.4))  # fmt: skip
    narrow = simulated_pairs(SimulatedPairsSettings(scenes=24, side_px=128, seed=6), phone=own)
    recipe = recipe_named("demo")
    return {
        "champion": champion,
        "weights off 10 %": perturbed(champion, 0.1),
        "weights off 25 %": perturbed(champion, 0.25),
        "under-trained": train(few, replace(recipe, steps=120), threads=1).last,
        "one camera": train(narrow, replace(recipe, steps=300), threads=1).last,
    }


def spots_at(shape: tuple[int, ...], places: npt.NDArray[np.float64], photons: float) -> Light:
    """Return frames with spots at (frame, x, y)."""
    light = np.zeros(shape, np.float32)
    row, column = np.arange(shape[1])[:, None] + 0.5, np.arange(shape[2])[None] + 0.5
    for frame, x, y in places:
        spot = np.exp(-((row - y) ** 2 + (column - x) ** 2) / (2 * SPOT_PX**2))
        light[int(frame)] += np.float32(photons / (2 * np.pi * SPOT_PX**2)) * spot
    return light


def added(light: Light, film: Film, *, per_frame: float, on_blocks: bool) -> Light:
    """Return light with made-up molecules: anywhere, or always at the corners of some blocks."""
    rng = np.random.default_rng(film.seed)
    count = rng.poisson(per_frame * len(light))
    places = np.column_stack(
        [rng.integers(len(light), size=count), *rng.uniform(3, SIDE_PX - 3, (2, count))]
    )
    if on_blocks:
        corners = 16.0 * rng.integers(1, SIDE_PX // 16, (12, 2))
        places[:, 1:] = corners[rng.integers(12, size=count)] + rng.normal(0, 0.3, (count, 2))
    photons = film.scene.blinking.photons_per_frame or 0.0
    return light + spots_at(light.shape, places, max(photons, 300.0))


def lingering(light: Light, film: Film) -> Light:  # noqa: ARG001
    """Return light in which every frame still shows the one before."""
    return light + np.concatenate([light[:1] * 0, 0.7 * light[:-1]])


def by_itself(light: Light, film: Film) -> Light:  # noqa: ARG001
    """Return the frames less their background: a network that does nothing."""
    frames = np.concatenate([chunk.frames for chunk in film.source.chunks(256)])
    photons = film.calibration.photoelectrons(frames)
    return np.asarray(photons - np.median(photons, axis=(1, 2), keepdims=True), np.float32)


#: What may be done to the champion's light: networks that harm in one way each.
HARMS: Mapping[str, Callable[[Light, Film], Light]] = {
    "does nothing": by_itself,
    "moves 0.3 px": lambda light, _: shift(light, (0, 0, 0.3), order=1),
    "halves the light": lambda light, _: 0.5 * light,
    "timid": lambda light, _: np.maximum(light - 12, 0),
    "adds anywhere": lambda light, film: added(light, film, per_frame=1.0, on_blocks=False),
    "adds on blocks": lambda light, film: added(light, film, per_frame=1.0, on_blocks=True),
    "lingers": lingering,
}


def pairs_of(
    film: Film, networks: Mapping[str, Checkpoint], wanted: list[str]
) -> Iterator[tuple[str, BranchFindings, tuple[str, ...]]]:
    """Yield the denoised branch of a film for each network: name, findings, remarks."""
    champion = light_of(film, networks["champion"])
    for name in wanted:
        checkpoint = networks.get(name, networks["champion"])
        remarks = unlike_training(film.source, film.calibration, Denoiser(checkpoint, workers=1))
        if name in HARMS:
            light = HARMS[name](champion, film)
        else:
            light = champion if name == "champion" else light_of(film, checkpoint)
        yield name, denoised_branch(film, light), remarks


def scores_of(film: Film, branch: BranchFindings) -> Scores:
    """Return how a branch agrees with the truth.

    Molecules fainter than `LEAST_PHOTONS` are neither asked for nor held against a branch that
    finds them, and neither is what lies at the edge, where the raw frames cannot be searched.
    """
    tolerance_nm = TOLERANCE_PX * film.scene.field.pixel_size_nm
    molecules, spots = inner(film.molecules), inner(branch.spots)
    is_bright = np.asarray(molecules.column("photons") >= LEAST_PHOTONS)
    bright, faint = (
        replace(molecules, data=molecules.data[chosen].reset_index(drop=True))
        for chosen in (is_bright, ~is_bright)
    )
    is_asked = np.ones(len(spots), bool)
    left = np.setdiff1d(
        np.arange(len(spots)), match_localizations(spots, bright, tolerance_nm).localization
    )
    is_asked[left[match_localizations(spots.take(left), faint, tolerance_nm).localization]] = False
    return score(spots.take(np.flatnonzero(is_asked)), bright, tolerance_nm)


def inner(table: Any) -> Any:
    """Return the rows of a table that are not at the edge."""
    xy_px = np.column_stack([table.column("x_nm"), table.column("y_nm")]) / (
        table.field.pixel_size_nm
    )
    rows = np.flatnonzero((np.minimum(xy_px, SIDE_PX - xy_px) >= EDGE_PX).all(axis=1))
    return replace(table, data=table.data.iloc[rows].reset_index(drop=True))


def bias_px(scores: Scores, pixel_size_nm: float) -> float:
    """Return by how much positions are moved as a whole."""
    return float(np.hypot(scores.bias_x_nm or 0.0, scores.bias_y_nm or 0.0)) / pixel_size_nm


def better_of(raw: Scores, denoised: Scores, pixel_size_nm: float) -> str:
    """Return which branch is clearly better in truth, else that they are alike."""
    moved = [bias_px(scores, pixel_size_nm) > MOVED_PX for scores in (raw, denoised)]
    if moved == [False, True]:
        return "raw"
    gain = (denoised.jaccard or 0.0) - (raw.jaccard or 0.0)
    if abs(gain) <= CLEAR:
        return "alike"
    return "denoised" if gain > 0 else "raw"


def judged(
    film: Film, name: str, branch: BranchFindings, remarks: tuple[str, ...]
) -> dict[str, Any]:
    """Return one row: the truth, the verdict, and what it rests on."""
    truths = scores_of(film, film.raw), scores_of(film, branch)
    agreement = compare_tables(
        film.raw.spots,
        branch.spots,
        shown_e=film_light(film.source, film.calibration, branch.spots),
    )
    verdict = judge(film.raw, branch, agreement=agreement, model=name, remarks=remarks)
    gain = verdict.gain
    return {
        "film": film.seed,
        "sample": film.scene.name,
        "frames": film.scene.frame_count,
        "network": name,
        "raw_jaccard": truths[0].jaccard,
        "true_gain": (truths[1].jaccard or 0.0) - (truths[0].jaccard or 0.0),
        "true_f1_gain": (truths[1].f1 or 0.0) - (truths[0].f1 or 0.0),
        "bias_px": bias_px(truths[1], film.scene.field.pixel_size_nm),
        "better": better_of(*truths, film.scene.field.pixel_size_nm),
        "verdict": verdict.use,
        "gain": np.nan if gain is None else gain.value,
        "low": np.nan if gain is None else gain.low,
        "high": np.nan if gain is None else gain.high,
        "reason": verdict.reason,
    }


def print_shares(rows: pd.DataFrame) -> None:
    """Print the table of truth against verdict, and how often the verdict is right."""
    print(pd.crosstab(rows["better"], rows["verdict"], margins=True).to_string())
    clear = rows[rows["better"] != "alike"]
    right, is_open = clear["better"] == clear["verdict"], clear["verdict"] == "cannot tell"
    print(
        f"clear cases {len(clear)}: right {right.mean():.1%}, wrong "
        f"{(~right & ~is_open).mean():.1%}, open {is_open.mean():.1%}; right of those decided "
        f"{right.sum() / max((~is_open).sum(), 1):.1%}"
    )
    short, dark = clear["frames"] < 200, clear["raw_jaccard"] < SEEN
    for name, part in (
        ("600 frames and more", ~short & ~dark),
        (f"the same, but the raw frames show less than {SEEN:.0%}", ~short & dark),
        ("60 to 150 frames", short),
    ):
        if part.any():
            wrong = ~right[part] & ~is_open[part]
            print(
                f"  {name}: {part.sum()} clear, right {right[part].mean():.1%}, "
                f"wrong {wrong.mean():.1%}, open {is_open[part].mean():.1%}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--first-seed", type=int, default=3000)
    parser.add_argument("--films", type=int, default=24)
    parser.add_argument("--networks", type=int, default=6, help="for each film, in turn")
    options = parser.parse_args()
    torch.set_num_threads(1)
    began = time.process_time()
    networks = trained_networks()
    names = [name for name in (*networks, *HARMS) if name != "champion"]
    rows = []
    for number in range(options.films):
        with tempfile.TemporaryDirectory() as folder:
            film = made_film(options.first_seed + number, Path(folder))
            others = [names[(number * 5 + k) % len(names)] for k in range(options.networks - 1)]
            rows += [
                judged(film, *pair) for pair in pairs_of(film, networks, ["champion", *others])
            ]
    table = pd.DataFrame(rows)
    shown = table.drop(columns="reason")
    print(shown.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    print_shares(table)
    print(f"{len(table)} pairs in {time.process_time() - began:.0f} CPU s")


if __name__ == "__main__":
    main()
