"""Fig. 3 and 7: what the network does to frames in low light, and to strongly compressed ones."""

from dataclasses import replace

from cellstorm_lib.paper.settings import FRAME_RATE_HZ, PaperSettings
from cellstorm_lib.paper.three_ways import DENOISED, LIKE_PAPER, RAW, ThreeWays
from cellstorm_lib.report.film_look import look_figure, nearest_figure
from cellstorm_lib.report.paper import (
    PaperFigure,
    PaperPanel,
    PaperRow,
    close_panel,
    drawn_panel,
    picture_panel,
)
from cellstorm_lib.report.picture import Picture
from cellstorm_lib.report.regions import densest_regions
from cellstorm_lib.report.rows import share_text
from cellstorm_lib.simulate.background import BackgroundSettings
from cellstorm_lib.simulate.blinking import BlinkingSettings
from cellstorm_lib.simulate.cameras import read_camera
from cellstorm_lib.simulate.codec import CodecSettings
from cellstorm_lib.simulate.filaments import FilamentSettings
from cellstorm_lib.simulate.pictures import TextSettings
from cellstorm_lib.simulate.scene import Scene, read_preset

_CLOSE_UP_NM = 4000.0
_NONE = "not given"
#: Of films of full length; shorter ones get fewer, so that frames are as full.
_LABELS_PER_UM = 100.0
_LETTER_SITES = 5600


def dim_scene(*, frame_count: int) -> Scene:
    """Return microtubules in low light: 375 photoelectrons per spot, strongly compressed."""
    known = read_camera("huawei-p9-video")
    efficiency = known.camera.sensor.quantum_efficiency
    return Scene(
        name="low-light",
        seed=3,
        frame_count=frame_count,
        frame_rate_hz=FRAME_RATE_HZ,
        structure=FilamentSettings(
            count=10, length_um=30.0, persistence_length_um=20.0,
            labels_per_um=_LABELS_PER_UM * frame_count / PaperSettings().dim_frames,
        ),
        blinking=BlinkingSettings(
            on_ms=75.0, dark_s=0.4 * frame_count / FRAME_RATE_HZ, blinks=2.0,
            photons_per_frame=375.0 / efficiency, brightness_cv=0.3,
        ),
        background=BackgroundSettings(photons=8.0, structure_share=0.35, scale_um=8.0),
        camera=known.camera,
        codec=CodecSettings(bits_per_px=0.1, gop_frames=21),
    )  # fmt: skip


def letters_scene(*, frame_count: int) -> Scene:
    """Return the situation of the paper's Fig. 7."""
    preset, full = read_preset("fig7"), PaperSettings().letter_frames
    if not isinstance(preset.structure, TextSettings):
        raise TypeError("the scene of Fig. 7 shows letters")
    return replace(
        preset,
        name="letters",
        frame_count=frame_count,
        structure=replace(preset.structure, sites=round(_LETTER_SITES * frame_count / full)),
        blinking=replace(preset.blinking, dark_s=0.4 * frame_count / FRAME_RATE_HZ),
    )


def dim_figure(ways: ThreeWays) -> PaperFigure:
    """Return Fig. 3 of the paper as it came out here."""
    return PaperFigure(
        name="low-light",
        title="Fig. 3: low light, before and after the network",
        about=f"Simulated microtubules filmed by the phone at 375 photoelectrons per spot and "
        f"{ways.bits_per_px:.2f} bit per pixel, {ways.scene.frame_count:,} frames. Every spot is "
        "drawn as a count, so that what is false can be seen.",
        rows=tuple(
            row
            for name in ways.ways
            for row in _found_rows(ways, name, theirs=("a picture only", _NONE))
        ),
        panels=_panels(ways),
        remarks=(
            (
                "The paper shows the pattern of the codec's blocks in the picture of unprocessed "
                "frames, and that the network removes it. The frames as filmed are shown here "
                "twice: localized by the published algorithm and the default settings of the "
                "program the paper used, and by cellstorm, which judges every spot before it "
                "believes it."
            ),
            _network_remark(ways),
        ),
    )


def letters_figure(ways: ThreeWays) -> PaperFigure:
    """Return Fig. 7 of the paper as it came out here."""
    said = {LIKE_PAPER: "50,509", RAW: "no such way", DENOISED: "22,658"}
    rows = [PaperRow(what="Spots that are there", theirs="22,658", ours=f"{len(ways.truth):,}")]
    for name, theirs in said.items():
        rows += _found_rows(ways, name, theirs=(theirs, _NONE))
    return PaperFigure(
        name="letters",
        title="Fig. 7: letters under strong compression, against the truth",
        about=f"Letters of blinking molecules, {ways.scene.frame_count:,} frames at "
        f"{ways.bits_per_px:.3f} bit per pixel (H.264 at constant quality 38), filmed by the "
        "camera as the authors' program modelled it. Distances are those from each spot found to "
        "the nearest true one of its frame, as in the paper.",
        rows=tuple(rows),
        panels=(
            drawn_panel(
                nearest_figure(ways.look),
                "Distance to the nearest true spot",
                "Spots with no true one near are false. Several may have the same neighbour.",
            ),
            drawn_panel(
                look_figure(ways.look),
                "True, false and missing spots",
                "Above all spots of the film, below a part of one frame as each way saw it.",
            ),
            *_panels(ways),
        ),
        remarks=(
            (
                "The paper gives the same count for the truth and for the processed frames; how "
                "many of those are right it does not say. A count alone says little: one may find "
                "half of the spots and as many false ones."
            ),
            (
                "The paper's film came from another simulator and an unknown setting of an "
                "encoder; this one is as strongly compressed as gives its raw frames a like share "
                "of false spots."
            ),
            _network_remark(ways),
        ),
    )


def _found_rows(ways: ThreeWays, name: str, *, theirs: tuple[str, str]) -> tuple[PaperRow, ...]:
    """Return how many spots a way found, and how many are right."""
    scores = ways.ways[name].scores
    rmse = "none" if scores.rmse_nm is None else f"{scores.rmse_nm:.0f} nm"
    return (
        PaperRow(what=f"Spots found, {name}", theirs=theirs[0], ours=f"{scores.found:,}"),
        PaperRow(
            what=f"Right of those found, {name}",
            theirs=theirs[1],
            ours=share_text(scores.precision),
            remark=f"{share_text(scores.recall)} of the {scores.true:,} that are there; error "
            f"{rmse}, root mean square",
        ),
    )


def _panels(ways: ThreeWays) -> tuple[PaperPanel, ...]:
    """Return the pictures of the truth and of all ways, whole and a part of them."""
    pictures = {
        "truth": Picture.of(ways.true_image),
        **{name: Picture.of(way.image) for name, way in ways.ways.items()},
    }
    regions = densest_regions(ways.ways[RAW].spots, side_nm=_CLOSE_UP_NM, region_count=1)
    whole = [picture_panel(picture, name, "All spots.") for name, picture in pictures.items()]
    parts = [
        close_panel(picture.cropped(region), f"{name}, close up", "The same place in all pictures.")
        for region in regions
        for name, picture in pictures.items()
    ]
    return (*whole, *parts)


def _network_remark(ways: ThreeWays) -> str:
    """Return which network it was, and what it says of the film."""
    told = ways.denoised
    unlike = f" It says of this film: {'; '.join(told.remarks)}." if told.remarks else ""
    return f"The network is {told.model} (SHA-256 {told.model_digest[:16]}).{unlike}"
