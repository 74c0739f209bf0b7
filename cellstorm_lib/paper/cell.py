"""Fig. 1 and 2: one cell seen by the phone and by the emCCD, widefield and super-resolved."""

from dataclasses import dataclass
from pathlib import Path

from cellstorm_lib.evaluate.scores import Scores, score
from cellstorm_lib.paper.settings import FRAME_RATE_HZ, PaperSettings
from cellstorm_lib.pipeline.benchmark_films import BenchmarkFilm, made_film
from cellstorm_lib.pipeline.process import process_recording
from cellstorm_lib.pipeline.result import BranchResult, RecordingResult
from cellstorm_lib.progress import Announce
from cellstorm_lib.report.headline import first_frc, median_of, resolution_text
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
from cellstorm_lib.report.resolution import frc_curves_figure
from cellstorm_lib.report.rows import rounded_text, share_text
from cellstorm_lib.simulate.background import BackgroundSettings
from cellstorm_lib.simulate.blinking import BlinkingSettings
from cellstorm_lib.simulate.cameras import read_camera
from cellstorm_lib.simulate.filaments import FilamentSettings
from cellstorm_lib.simulate.gaussian import GaussianSpotSettings
from cellstorm_lib.simulate.scene import FieldSettings, Scene

SIDE_UM = 20.48
_SPOT_SIGMA_NM = 130.0
#: Photons of the background that reach the sensor per square micrometre and frame.
_BACKGROUND_PER_UM2 = 1562.5
_CLOSE_UP_NM = 2000.0
#: A true spot dimmer than this share of the usual is a fragment of a blink.
_LEAST_SHARE = 0.125
_PHOTONS = 1000.0
#: Of a film of full length; a shorter one gets fewer, so that frames are as full.
_LABELS_PER_UM = 400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CellCamera:
    """A camera on the microscope: its preset, and its pixel in the sample."""

    name: str
    preset: str
    side_px: int

    @property
    def pixel_size_nm(self) -> float:
        """Size of a pixel in the sample."""
        return 1e3 * SIDE_UM / self.side_px


PHONE = CellCamera(name="phone", preset="huawei-p9-video", side_px=256)
EMCCD = CellCamera(name="emCCD", preset="andor-ixon-897", side_px=128)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CellView:
    """What one camera saw of the cell."""

    camera: CellCamera
    result: RecordingResult
    scores: Scores

    @property
    def branch(self) -> BranchResult:
        """What was found in the frames as filmed."""
        return self.result.branches["raw"]


def cell_scene(camera: CellCamera, *, frame_count: int) -> Scene:
    """Return the cell as a camera films it: the same molecules, blinks and light for all."""
    known = read_camera(camera.preset)
    pixel_nm = camera.pixel_size_nm
    return Scene(
        name=f"cell-{camera.name}",
        seed=2018,
        frame_count=frame_count,
        frame_rate_hz=FRAME_RATE_HZ,
        field=FieldSettings(
            width_px=camera.side_px, height_px=camera.side_px, pixel_size_nm=pixel_nm
        ),
        structure=FilamentSettings(
            count=14, length_um=30.0, persistence_length_um=20.0, ring_radius_nm=20.0,
            labels_per_um=_LABELS_PER_UM * frame_count / PaperSettings().cell_frames,
        ),
        blinking=BlinkingSettings(
            on_ms=75.0, dark_s=0.4 * frame_count / FRAME_RATE_HZ, blinks=2.0,
            photons_per_frame=_PHOTONS, brightness_cv=0.3,
        ),
        spot=GaussianSpotSettings(sigma_px=_SPOT_SIGMA_NM / pixel_nm),
        background=BackgroundSettings(
            photons=_BACKGROUND_PER_UM2 * (pixel_nm / 1e3) ** 2, structure_share=0.35, scale_um=8.0
        ),
        camera=known.camera,
        codec=known.codec,
    )  # fmt: skip


def view_cell(
    camera: CellCamera, folder: Path, *, frame_count: int, announce: Announce
) -> CellView:
    """Film the cell with one camera, process the film without a setting touched, and score it.

    Parameters
    ----------
    camera : CellCamera
        Which.
    folder : Path
        For the film and the results.
    frame_count : int
        Frames of the film.
    announce : callable
        Told which step begins.
    """
    scene = cell_scene(camera, frame_count=frame_count)
    made = made_film(
        BenchmarkFilm(name=scene.name, about="", scene=scene),
        folder,
        least_photons=_LEAST_SHARE * _PHOTONS * scene.camera.sensor.quantum_efficiency,
        progress=announce(f"the cell, filmed by the {camera.name}"),
    )
    result = process_recording(
        made.source, folder / "processed",
        camera=made.calibration, pixel_size_nm=camera.pixel_size_nm, announce=announce,
    )  # fmt: skip
    return CellView(
        camera=camera, result=result, scores=score(result.branches["raw"].spots, made.truth)
    )


def cell_figure(phone: CellView, emccd: CellView) -> PaperFigure:
    """Return Fig. 1 and 2 of the paper as they came out here."""
    return PaperFigure(
        name="cell",
        title="Fig. 1 and 2: a cell by phone and by emCCD",
        about=f"Microtubules of one simulated cell, {SIDE_UM:g} µm wide, filmed twice for "
        f"{phone.result.loss.decoded_count / FRAME_RATE_HZ / 60:.0f} min at {FRAME_RATE_HZ:g} "
        "frames per second: the same molecules, blinks and light, once through the phone's "
        "sensor, its processor and H.264, once through the emCCD. Both films are processed "
        "without a setting touched; no drift is simulated.",
        rows=_rows(phone, emccd),
        panels=_panels(phone, emccd),
        remarks=(
            (
                "The paper filmed two different cells, and its phone looked through an eyepiece at "
                "a light path of its own; here both cameras get the same light. So what is "
                "compared is what sensor and codec cost, not what the optics in front of them cost."
            ),
            (
                "The paper does not say how its table was split for the Fourier ring correlation. "
                "Here molecules are split, not frames, so that a molecule that stays on for "
                "several frames does not agree with itself; a further line also takes out "
                "molecules that come back later."
            ),
        ),
    )


def _rows(phone: CellView, emccd: CellView) -> tuple[PaperRow, ...]:
    """Return the figures of both cameras."""
    rows = [
        PaperRow(what="Resolution, phone (FRC, threshold 1/7)", theirs="75 nm", **_resolved(phone)),
        PaperRow(what="Resolution, emCCD", theirs="45 nm", **_resolved(emccd)),
    ]
    for view in (phone, emccd):
        name = view.camera.name
        quality = view.branch.quality
        repeats = None if quality is None else quality.repeats.corrected_nm
        rows += [
            PaperRow(
                what=f"The same without molecules that come back, {name}",
                theirs="not measured",
                ours="not to be told" if repeats is None else f"{rounded_text(repeats)} nm",
            ),
            PaperRow(what=f"Frames, {name}", theirs="about 18,000", ours=_frames(view)),
            PaperRow(
                what=f"Spots found, {name}",
                theirs="not given",
                ours=f"{view.scores.found:,}",
                remark=f"of {view.scores.true:,} that are there; {share_text(view.scores.recall)} "
                f"found, {share_text(view.scores.precision)} of those found are right",
            ),
            PaperRow(
                what=f"Photoelectrons per spot, median, {name}",
                theirs="not given",
                ours=_median(view, "photons"),
            ),
            PaperRow(
                what=f"True error of a position, root mean square, {name}",
                theirs="not known",
                ours="none" if view.scores.rmse_nm is None
                else f"{rounded_text(view.scores.rmse_nm)} nm",
                remark=_honesty(view),
            ),
        ]  # fmt: skip
    return tuple(rows)


def _panels(phone: CellView, emccd: CellView) -> tuple[PaperPanel, ...]:
    """Return pictures of both cameras, and both correlations."""
    panels = []
    regions = densest_regions(phone.branch.localizations, side_nm=_CLOSE_UP_NM, region_count=1)
    for view in (phone, emccd):
        name, result = view.camera.name, view.result
        widefield = Picture(
            values=result.widefield, pixel_nm=result.pixel_size_nm, colours="grey", is_sparse=False
        )
        image = Picture.of(view.branch.image)
        panels += [
            picture_panel(widefield, f"{name}, widefield", "The mean of all frames."),
            picture_panel(
                image, f"{name}, super-resolved", "Every molecule as sharp as it is known."
            ),
        ]
        panels += [
            close_panel(
                image.cropped(region), f"{name}, close up", "The same place for both cameras."
            )
            for region in regions
        ]
    curves = [
        (view.camera.name, report)
        for view in (phone, emccd)
        if (report := first_frc(view.branch)) is not None
    ]
    panels.append(
        drawn_panel(
            frc_curves_figure(curves),
            "Fourier ring correlation",
            "Split by molecules; dots mark the resolution.",
        )
    )
    return tuple(panels)


def _resolved(view: CellView) -> dict[str, str]:
    """Return the resolution and its interval."""
    value, remark = resolution_text(first_frc(view.branch))
    return {"ours": value, "remark": remark}


def _frames(view: CellView) -> str:
    """Return frames, and how strongly they are compressed."""
    bits_per_px = view.result.facts.bits_per_px
    how = "not compressed" if bits_per_px is None else f"{bits_per_px:.2f} bit per pixel"
    return f"{view.result.loss.decoded_count:,}, {how}"


def _median(view: CellView, column: str) -> str:
    """Return the median of a column of the molecules or, for light, of the spots."""
    table = view.branch.spots if column == "photons" else view.branch.localizations
    value = median_of(table, column)
    return "none" if value is None else rounded_text(value)


def _honesty(view: CellView) -> str:
    """Return how errors compare with what the program says of them."""
    ratio = view.scores.error_over_uncertainty_robust
    if ratio is None:
        return ""
    return f"of overlapping spots, too; the usual one is {ratio:.2f} times what the program claims"
