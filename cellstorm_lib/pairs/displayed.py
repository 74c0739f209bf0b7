"""The film of a display movie understood: where the screen is, and which frame shows what."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from cellstorm_lib.errors import RecordingError, SettingsError
from cellstorm_lib.files import digest_of_file
from cellstorm_lib.pairs.display_plan import DisplayPlan, light_of, luma_of
from cellstorm_lib.pairs.displayed_report import DisplayedReport, report_of
from cellstorm_lib.pairs.lens import LensMap, Model
from cellstorm_lib.pairs.locate import locate_display
from cellstorm_lib.pairs.pairing import PairingSettings, pair_frames
from cellstorm_lib.pairs.register import Registration, bead_rms, register_beads
from cellstorm_lib.pairs.resample import seen_region
from cellstorm_lib.pairs.response import Response, fit_response, refuse_saturated
from cellstorm_lib.pairs.strips import StripReader
from cellstorm_lib.pairs.survey import StillFrames, average_still_frames, survey_film
from cellstorm_lib.recording import FrameSource, Roi
from cellstorm_lib.simulate.ranges import about, check_ranges
from cellstorm_lib.video.read import open_recording


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayedSettings:
    """How the film of a display movie is read."""

    model: Model = field(
        default="lens",
        metadata=about(
            "'lens': homography and radial distortion; 'affine': shift, rotation, scale and shear "
            "only, as the paper"
        ),
    )
    max_rms_px: float = field(
        default=0.05,
        metadata=about(
            "RMS miss of the registration above which the film is refused, camera pixels",
            above=0,
            at_most=10,
        ),
    )
    pairing: PairingSettings = field(
        default_factory=PairingSettings, metadata=about("which camera frames become pairs")
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.model not in ("lens", "affine"):
            raise SettingsError(f"model must be lens or affine, got {self.model!r}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DisplayedFilm:
    """The film of a display movie, understood.

    Attributes
    ----------
    film : FrameSource
        The film.
    plan : DisplayPlan
        The display movie.
    table : pandas.DataFrame
        The pairing: one row per camera frame, see `pair_frames`.
    report : DisplayedReport
        How well it went.
    registration : Registration
        Where the screen lies on the camera, with the residual of each bead.
    response : Response
        Black level and flat field of the frames as read.
    roi : Roi
        Region of the frames as read that shows nothing but data; its corner lies on the codec's
        16-px grid.
    shown : FrameSource
        The data as shown, luma.
    """

    film: FrameSource
    plan: DisplayPlan
    table: pd.DataFrame
    report: DisplayedReport
    registration: Registration
    response: Response
    roi: Roi
    shown: FrameSource


def read_displayed(
    film: FrameSource,
    plan: DisplayPlan,
    folder: Path,
    settings: DisplayedSettings | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> DisplayedFilm:
    """Read the film of a display movie: find the screen, every number, and the pairs.

    Reads the film once (its beginning three times), in bounded memory.

    Parameters
    ----------
    film : FrameSource
        The film; open it with the whole frame as its region.
    plan : DisplayPlan
        The plan that was made with the movie, see `read_plan`.
    folder : Path
        Folder of the plan, where the shown data lie.
    settings : DisplayedSettings or None
        None for the defaults.
    progress : callable, optional
        Called with frames done and frames in all.

    Raises
    ------
    RecordingError
        When the film shows no display movie or another one, too small or cut off, is saturated
        or too short, moved, or cannot be registered well enough; nothing is paired then.
    SettingsError
        When the shown data are missing or not those of the plan.
    """
    settings = settings or DisplayedSettings()
    shown = _shown_data(plan, Path(folder))
    name, layout = film.facts.name, plan.layout
    frame_px = (film.facts.roi.width_px, film.facts.roi.height_px)
    start = locate_display(film, plan)
    max_overlap = settings.pairing.max_overlap
    still = average_still_frames(
        film, plan, StripReader(start, layout, frame_px), max_overlap=max_overlap
    )
    refuse_saturated(film.facts, still.saturated_share)
    response = _response(still, plan, start, frame_px, name)
    registration = register_beads(
        response.light(still.beads),
        layout,
        start,
        model=settings.model,
        bead_sigma_px=plan.settings.bead_sigma_px,
        name=name,
    )
    _refuse_miss(registration.held_out_rms_px, settings, name)
    black = float(np.median(response.black_adu))
    reader = StripReader(registration.lens, layout, frame_px, dark_adu=black)
    roi = seen_region(registration.lens, layout, film.facts.roi)
    if roi is None:
        raise RecordingError(
            f"the data in {name} are smaller than 16 camera pixels; film closer or show them larger"
        )
    filmed, last_beads = survey_film(film, plan, reader, roi, max_overlap, progress)
    last_rms_px = bead_rms(response.light(last_beads.mean(name)), layout, registration)
    _refuse_moved(last_rms_px, settings, name)
    if not (filmed.number >= plan.part("end").first).any():
        raise RecordingError(
            f"{name} is too short: it stops before the end of the display movie; film on until "
            "the last frames of the movie have gone"
        )
    table = pair_frames(filmed, plan, settings.pairing)
    if not table["is_kept"].any():
        raise RecordingError(
            f"no frame of {name} shows a whole frame of the data ({_counts(table)}); let each "
            "frame stay longer on the screen, or expose shorter"
        )
    return DisplayedFilm(
        film=film,
        plan=plan,
        table=table,
        report=report_of(table, plan, registration, response, roi, last_rms_px),
        registration=registration,
        response=response,
        roi=roi,
        shown=shown,
    )


def _shown_data(plan: DisplayPlan, folder: Path) -> FrameSource:
    """Return the data as shown, or say that they are not those of the plan."""
    path = folder / plan.shown
    if not path.is_file():
        raise SettingsError(f"{path} does not exist; keep it beside the plan of the display movie")
    if digest_of_file(path) != plan.shown_digest:
        raise SettingsError(
            f"{path} does not belong to the plan of the display movie; give the folder that was "
            "made with the movie"
        )
    return open_recording(path)


def _response(
    still: StillFrames,
    plan: DisplayPlan,
    lens: LensMap,
    frame_px: tuple[int, int],
    name: str,
) -> Response:
    """Return the camera's response, judged where the screen shows the inner box."""
    width_px, height_px = frame_px
    rows, columns = np.indices((height_px, width_px))
    screen = lens.to_screen(np.stack([columns + 0.5, rows + 0.5], axis=-1))
    inner = plan.layout.inner.corners
    edge = plan.layout.mark_radius_px
    is_inner = ((screen > inner[0] + edge) & (screen < inner[2] - edge)).all(axis=-1)
    gamma = plan.settings.gamma
    levels = light_of(luma_of(np.array(plan.settings.uniform_levels), gamma), gamma)
    response = fit_response(still.uniform, levels.astype(np.float64), still.brightness, is_inner)
    if not response.means_adu[-1] > response.means_adu[0] + 4:
        raise RecordingError(
            f"the uniform frames in {name} do not get brighter (grey values "
            f"{response.means_adu.round(1).tolist()}); film again with a longer exposure"
        )
    return response


def _refuse_miss(rms_px: float, settings: DisplayedSettings, name: str) -> None:
    """Raise when the held-out beads are missed."""
    if not rms_px <= settings.max_rms_px:
        hint = " or fit the lens instead of an affine map" if settings.model == "affine" else ""
        raise RecordingError(
            f"the registration of {name} misses the beads kept out of it by {rms_px:.3f} px RMS, "
            f"at most {settings.max_rms_px:g} px is accepted; fix camera and screen and film again"
            f"{hint}"
        )


def _refuse_moved(rms_px: float, settings: DisplayedSettings, name: str) -> None:
    """Raise when the beads after the data are not where those before were."""
    if not rms_px <= settings.max_rms_px:
        raise RecordingError(
            f"camera or screen moved while {name} was filmed: the beads at its end lie "
            f"{rms_px:.3f} px RMS from where those at its start were, at most "
            f"{settings.max_rms_px:g} px is accepted; fix both and film again"
        )


def _counts(table: pd.DataFrame) -> str:
    """Return how many frames were dropped for which reason, in words."""
    counts = table["reason"].value_counts()
    return ", ".join(f"{count} {reason}" for reason, count in counts.items())
