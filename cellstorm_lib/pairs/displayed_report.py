"""The figures that say how well a film of a display movie could be read."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cellstorm_lib.pairs.display_plan import DisplayPlan
from cellstorm_lib.pairs.pairing import whole_frames
from cellstorm_lib.pairs.register import Registration
from cellstorm_lib.pairs.response import Response
from cellstorm_lib.pairs.strips import smallest_cell_px
from cellstorm_lib.recording import Roi


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayedReport:
    """How well a film of a display movie could be read.

    Attributes
    ----------
    camera_frames : int
        Frames of the film.
    read_frames : int
        Those whose number is known.
    whole_frames : int
        Those that show one frame of the data and nothing else, copies and damaged ones left out.
    kept_frames : int
        Those that became pairs.
    shown_truth_frames, paired_truth_frames : int
        Frames of the data in the movie, and how many of them have a pair.
    dropped : dict
        Frames that are not kept, by reason.
    held_out_rms_px, fit_rms_px : float
        Miss of the registration, of beads kept out of the fit and of those in it.
    last_rms_px : float
        Miss of all beads after the data: whether something moved meanwhile.
    bead_count, held_out_count : int
        Beads found, and those among them kept out of the fit.
    cell_px : float
        Smallest side of a cell of the barcodes, camera pixels.
    camera_px_per_truth_px : float
        Scale in the middle of the data.
    blur_px : float
        Width of the camera's blur (defocus, lens and pixel), camera pixels.
    median_overlap, highest_overlap : float
        Share of another frame in the exposures that were kept.
    black_adu, adu_at_full_scale : float
        Grey value of black, and the range up to the brightest light, mean over the pairs' region.
    nonlinearity : float
        Distance of the uniform frames' grey values from a line, as a share of its height.
    brightness_spread : float
        Standard deviation of the screen's brightness from frame to frame, relative.
    """

    camera_frames: int
    read_frames: int
    whole_frames: int
    kept_frames: int
    shown_truth_frames: int
    paired_truth_frames: int
    dropped: dict[str, int]
    held_out_rms_px: float
    fit_rms_px: float
    last_rms_px: float
    bead_count: int
    held_out_count: int
    cell_px: float
    camera_px_per_truth_px: float
    blur_px: float
    median_overlap: float
    highest_overlap: float
    black_adu: float
    adu_at_full_scale: float
    nonlinearity: float
    brightness_spread: float


def report_of(
    table: pd.DataFrame,
    plan: DisplayPlan,
    registration: Registration,
    response: Response,
    roi: Roi,
    last_rms_px: float,
) -> DisplayedReport:
    """Return the figures of a film."""
    kept = table[table["is_kept"]]
    layout, residuals = plan.layout, registration.residuals
    middle = np.stack(registration.lens.scale_at(layout.data.corners.mean(axis=0)))
    scale = float(middle.mean() * plan.settings.magnification)
    slope = float(response.slope_adu[roi.slices].mean())
    dropped = table.loc[~table["is_kept"], "reason"].value_counts()
    brightness = table.loc[table["truth_frame"] >= 0, "brightness"]
    return DisplayedReport(
        camera_frames=len(table),
        read_frames=int((table["number"] >= 0).sum()),
        whole_frames=int(whole_frames(table).sum()),
        kept_frames=len(kept),
        shown_truth_frames=plan.truth_count,
        paired_truth_frames=int(kept["truth_frame"].nunique()),
        dropped={str(reason): int(count) for reason, count in sorted(dropped.items())},
        held_out_rms_px=registration.held_out_rms_px,
        fit_rms_px=registration.fit_rms_px,
        last_rms_px=last_rms_px,
        bead_count=len(residuals),
        held_out_count=int(residuals["is_held_out"].sum()),
        cell_px=smallest_cell_px(registration.lens, layout),
        camera_px_per_truth_px=scale,
        blur_px=registration.blur_px,
        median_overlap=float(kept["overlap"].median()),
        highest_overlap=float(kept["overlap"].max()),
        black_adu=float(response.black_adu[roi.slices].mean()),
        adu_at_full_scale=slope,
        nonlinearity=response.nonlinearity,
        brightness_spread=float(brightness.std() / brightness.mean()),
    )
