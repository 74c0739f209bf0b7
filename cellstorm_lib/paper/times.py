"""How long training and denoising take, beside what the paper says."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

from cellstorm_lib.camera import read_calibration
from cellstorm_lib.gan.devices import device_named
from cellstorm_lib.gan.recipe import recipe_named
from cellstorm_lib.gan.train import train
from cellstorm_lib.pairs.simulated import SimulatedPairsSettings, simulated_pairs
from cellstorm_lib.paper.cell import PHONE, cell_scene
from cellstorm_lib.paper.settings import PaperSettings
from cellstorm_lib.pipeline.denoise import Network, denoise_recording
from cellstorm_lib.pipeline.film import film_scene
from cellstorm_lib.progress import Announce
from cellstorm_lib.report.paper import PaperFigure, PaperRow
from cellstorm_lib.video.read import open_recording

#: The paper's stack, Supplement C, B.1.
_STACK_FRAMES = 15_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Elapsed times on the machine at hand.

    Attributes
    ----------
    pairs_s, training_s : float
        To simulate the training pairs, and to train.
    recipe, device : str
        How, and on what.
    steps : int
        Updates of the weights.
    denoised_frames : int
        Frames of 256 x 256 pixels that were denoised, read from video and written.
    denoising_s : float
        In that time.
    engine : str
        What computed it.
    """

    pairs_s: float
    training_s: float
    recipe: str
    device: str
    steps: int
    denoised_frames: int
    denoising_s: float
    engine: str


def measure_times(
    settings: PaperSettings, folder: Path, *, network: Network, announce: Announce
) -> Times:
    """Train a network by a recipe, and denoise a film with the one that is in use.

    Parameters
    ----------
    settings : PaperSettings
        Which recipe, and how many frames.
    folder : Path
        For the film.
    network : Network
        What denoises.
    announce : callable
        Told which step begins.
    """
    wanted = SimulatedPairsSettings()
    if settings.training_scenes:
        wanted = replace(wanted, scenes=settings.training_scenes)
    recipe = recipe_named(settings.recipe)
    began = time.perf_counter()
    pairs = simulated_pairs(wanted, progress=announce("training pairs"))
    pairs_s = time.perf_counter() - began
    told = announce("training")
    train(pairs, recipe, report=lambda at: told(at.step, recipe.steps))
    training_s = time.perf_counter() - began - pairs_s
    scene = cell_scene(PHONE, frame_count=settings.timed_frames)
    film = film_scene(scene, folder, stacks=(), progress=announce("a film to denoise"))
    stack = folder / "denoised.ome.tif"
    camera = read_calibration(folder / "camera.json")
    began = time.perf_counter()
    report = denoise_recording(
        open_recording(film.movie), camera, network, stack,
        pixel_size_nm=PHONE.pixel_size_nm, progress=announce("denoise"),
    )  # fmt: skip
    return Times(
        pairs_s=pairs_s,
        training_s=training_s,
        recipe=recipe.name,
        device=str(device_named("auto")),
        steps=recipe.steps,
        denoised_frames=report.frames,
        denoising_s=time.perf_counter() - began,
        engine=report.engine,
    )


def times_figure(times: Times) -> PaperFigure:
    """Return the paper's times beside ours."""
    per_frame_s = times.denoising_s / times.denoised_frames
    return PaperFigure(
        name="times",
        title="Time to train and to denoise",
        about=f"Measured on the machine that made this page, on its {times.device.upper()}, with "
        "whatever else it was doing.",
        rows=(
            PaperRow(
                what="Training",
                theirs="about 2 h on a Titan X",
                ours=_minutes(times.training_s),
                remark=f"recipe {times.recipe}, {times.steps:,} steps; its pairs were simulated in "
                f"{_minutes(times.pairs_s)}",
            ),
            PaperRow(
                what="15,000 frames of 256 x 256 pixels denoised",
                theirs="about 5 min on a Titan X",
                ours=_minutes(per_frame_s * _STACK_FRAMES),
                remark=f"from {times.denoised_frames:,} frames in {times.denoising_s:.0f} s, "
                f"reading and writing included ({times.engine})",
            ),
        ),
        panels=(),
        remarks=(
            (
                "The paper's network is larger, and trained to look right as well as to be right; "
                "it is here as the recipe named paper."
            ),
        ),
    )


def _minutes(seconds: float) -> str:
    """Return a time as people say it."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
