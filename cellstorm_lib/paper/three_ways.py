"""A film localized three ways: as the paper did, by us as filmed, and by us after the network."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cellstorm_lib.evaluate.scores import Scores, score
from cellstorm_lib.localize.like.run import localize_like
from cellstorm_lib.localize.like.settings import settings_like
from cellstorm_lib.pipeline.benchmark_films import BenchmarkFilm, made_film
from cellstorm_lib.pipeline.denoise import Network, denoise_recording
from cellstorm_lib.pipeline.film_look import FilmLook, look_closely
from cellstorm_lib.pipeline.result import DenoiseReport
from cellstorm_lib.pipeline.settings import PipelineSettings
from cellstorm_lib.pipeline.spots import find_denoised_spots, find_spots
from cellstorm_lib.progress import Announce, in_parts
from cellstorm_lib.reconstruct.render import RenderedImage, RenderSettings, render
from cellstorm_lib.simulate.scene import Scene
from cellstorm_lib.tables import Emitters, Localizations

#: As the paper: the program it used, on the frames as filmed, at its own settings.
LIKE_PAPER = "like ThunderSTORM"
RAW = "cellstorm, as filmed"
DENOISED = "cellstorm, after the network"
#: A true spot dimmer than this share of the usual is a fragment of a blink.
_LEAST_SHARE = 0.125
_PIXEL_NM = 20.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Way:
    """What one way found.

    Attributes
    ----------
    spots : Localizations
        As found, frame by frame.
    scores : Scores
        Against the truth.
    image : RenderedImage
        All spots, every one as a count, so that false ones weigh as much as true ones.
    """

    spots: Localizations
    scores: Scores
    image: RenderedImage


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ThreeWays:
    """A simulated film, what there is to find, and what each way found.

    Attributes
    ----------
    scene : Scene
        What was filmed.
    truth : Emitters
        Spots to find.
    true_image : RenderedImage
        All of them, drawn as the ways' images are.
    ways : mapping of str to Way
        By name.
    look : FilmLook
        Which spots are true, false and missing, and a part of a frame.
    bits_per_px : float
        Size of the film.
    denoised : DenoiseReport
        By which network.
    """

    scene: Scene
    truth: Emitters
    true_image: RenderedImage
    ways: Mapping[str, Way]
    look: FilmLook
    bits_per_px: float
    denoised: DenoiseReport


def film_three_ways(
    scene: Scene, folder: Path, *, network: Network, announce: Announce
) -> ThreeWays:
    """Film a scene and localize it three ways, without a setting touched.

    Parameters
    ----------
    scene : Scene
        With a structure and a codec.
    folder : Path
        For film and denoised stack.
    network : Network
        What denoises.
    announce : callable
        Told which step begins.
    """
    name, pixel_nm = scene.name, scene.field.pixel_size_nm
    photons = scene.blinking.photons_per_frame or 0.0  # not said: nothing is left out
    made = made_film(
        BenchmarkFilm(name=name, about="", scene=scene),
        folder,
        least_photons=_LEAST_SHARE * photons * scene.camera.sensor.quantum_efficiency,
        progress=announce(f"{name}: filmed"),
    )
    source, camera, settings = made.source, made.calibration, PipelineSettings()
    theirs, _ = localize_like(
        source, camera, pixel_size_nm=pixel_nm, settings=settings_like("thunderstorm"),
        progress=announce(f"{name}: {LIKE_PAPER}"),
    )  # fmt: skip
    raw, _ = find_spots(source, camera, pixel_nm, settings, progress=announce(f"{name}: raw"))
    stack = folder / "denoised.ome.tif"
    told = denoise_recording(
        source, camera, network, stack,
        pixel_size_nm=pixel_nm, progress=announce(f"{name}: denoise"),
    )  # fmt: skip
    clean, _ = find_denoised_spots(
        source, stack, told, pixel_nm, settings, progress=announce(f"{name}: denoised")
    )
    compared = (
        (LIKE_PAPER, None, theirs), (RAW, None, raw), (DENOISED, network.denoiser, clean)
    )  # fmt: skip
    *drawn, looked = in_parts(announce(f"{name}: compared", ""), 1.0, 1.0, 1.0, 3.0)
    ways = {}
    for (way, _, found), is_drawn in zip(compared, drawn, strict=True):
        ways[way] = Way(spots=found, scores=score(found, made.truth), image=_drawn(found))
        is_drawn(1, 1)
    look = look_closely(made, compared, ways[RAW].scores.tolerance_nm)
    looked(1, 1)
    return ThreeWays(
        scene=scene,
        truth=made.truth,
        true_image=_drawn(made.truth),
        ways=ways,
        look=look,
        bits_per_px=source.facts.bits_per_px or 0.0,
        denoised=told,
    )


def _drawn(table: Localizations | Emitters) -> RenderedImage:
    """Return every row as a count, however sure it is."""
    if isinstance(table, Emitters):
        table = Localizations(data=table.data[["frame", "x_nm", "y_nm"]], field=table.field)
    return render(table, RenderSettings(method="ash", pixel_nm=_PIXEL_NM))
