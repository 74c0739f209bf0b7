"""The page of the paper made again, and everything that is on it made at once."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cellstorm_lib.paper.camera import (
    dark_figure,
    dark_video,
    measured_camera,
    table_figure,
    transfer_figure,
)
from cellstorm_lib.paper.cell import EMCCD, PHONE, cell_figure, view_cell
from cellstorm_lib.paper.networks import dim_figure, dim_scene, letters_figure, letters_scene
from cellstorm_lib.paper.settings import PaperSettings
from cellstorm_lib.paper.three_ways import film_three_ways
from cellstorm_lib.paper.times import measure_times, times_figure
from cellstorm_lib.pipeline.denoise import Network
from cellstorm_lib.progress import Announce
from cellstorm_lib.report.page import filled
from cellstorm_lib.report.paper import PaperFigure

COMMAND = "cellstorm reproduce"
#: Figures in the order of the paper.
_ORDER = ("cameras", "cell", "low-light", "photon-transfer", "dark-video", "letters", "times")

#: Makes figures of the paper into a folder that is thrown away.
Make = Callable[[PaperSettings, Path, Network, Announce], tuple[PaperFigure, ...]]


def _cell(
    settings: PaperSettings, folder: Path, _: Network, announce: Announce
) -> tuple[PaperFigure, ...]:
    """Make Fig. 1 and 2."""
    views = [
        view_cell(camera, folder / camera.name, frame_count=settings.cell_frames, announce=announce)
        for camera in (PHONE, EMCCD)
    ]
    return (cell_figure(*views),)


def _camera(
    settings: PaperSettings, folder: Path, _: Network, announce: Announce
) -> tuple[PaperFigure, ...]:
    """Make Table 1, Fig. 5 and 6."""
    calibration = measured_camera(
        folder, pictures=settings.raw_pictures, progress=announce("photon transfer", "")
    )
    stability = dark_video(
        folder / "dark", frame_count=settings.dark_frames, progress=announce("dark video", "")
    )
    return (
        table_figure(),
        transfer_figure(calibration, pictures=settings.raw_pictures),
        dark_figure(stability),
    )


def _dim(
    settings: PaperSettings, folder: Path, network: Network, announce: Announce
) -> tuple[PaperFigure, ...]:
    """Make Fig. 3."""
    scene = dim_scene(frame_count=settings.dim_frames)
    return (dim_figure(film_three_ways(scene, folder, network=network, announce=announce)),)


def _letters(
    settings: PaperSettings, folder: Path, network: Network, announce: Announce
) -> tuple[PaperFigure, ...]:
    """Make Fig. 7."""
    scene = letters_scene(frame_count=settings.letter_frames)
    return (letters_figure(film_three_ways(scene, folder, network=network, announce=announce)),)


def _times(
    settings: PaperSettings, folder: Path, network: Network, announce: Announce
) -> tuple[PaperFigure, ...]:
    """Measure how long training and denoising take."""
    return (times_figure(measure_times(settings, folder, network=network, announce=announce)),)


#: What makes each of the parts.
MAKERS: Mapping[str, Make] = {
    "camera": _camera,
    "cell": _cell,
    "low_light": _dim,
    "letters": _letters,
    "times": _times,
}


def make_part(
    name: str, settings: PaperSettings, *, network: Network, announce: Announce
) -> tuple[PaperFigure, ...]:
    """Make one part of the page; films and stacks are thrown away.

    Parameters
    ----------
    name : str
        Of `settings.PARTS`.
    settings : PaperSettings
        How much of it.
    network : Network
        What denoises.
    announce : callable
        Told which step begins.
    """
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        figures = MAKERS[name](settings, Path(folder), network, announce)
    seconds = (time.perf_counter() - began) / len(figures)
    return tuple(replace(figure, seconds=seconds) for figure in figures)


def paper_page(figures: Sequence[PaperFigure], *, missing: Sequence[str] = ()) -> str:
    """Return the self-contained HTML page of the figures that were made.

    Parameters
    ----------
    figures : sequence of PaperFigure
        In any order; the page has that of the paper.
    missing : sequence of str
        Parts that were not made.
    """
    minutes = sum(figure.seconds for figure in figures) / 60
    return filled(
        "paper.html",
        title="cellSTORM: super-resolution with a phone, theirs beside ours",
        sentence=f"{len(figures)} tables and figures of the paper, made again by simulation in "
        f"{minutes:.0f} min.",
        figures=sorted(figures, key=lambda figure: _place(figure.name)),
        missing="" if not missing else f"Left out: {', '.join(missing)}; {COMMAND} makes them.",
        command=COMMAND,
    )


def _place(name: str) -> int:
    """Return where a figure stands on the page; what is not of the paper comes last."""
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)
