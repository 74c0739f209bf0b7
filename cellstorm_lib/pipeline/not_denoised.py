"""A recording that cannot be denoised: what stands in place of its denoised branch, and why.

That is a result like any other: it holds until film, camera, network or code change.
"""

import numpy as np
import pandas as pd

from cellstorm_lib.errors import CalibrationError, CheckpointError, RecordingError, SettingsError
from cellstorm_lib.localize.localize import LocalizeReport, field_of
from cellstorm_lib.pipeline.judged import JudgedRecording
from cellstorm_lib.pipeline.result import CheckOutcome, DenoiseReport, Verdict
from cellstorm_lib.recording import FrameSource
from cellstorm_lib.tables import COLUMNS, Localizations

#: Errors that say why a recording cannot be denoised. A disk that is full is none of them.
REASONS = (RecordingError, CalibrationError, SettingsError, CheckpointError)
#: Under which entry of its provenance a table without rows says why.
MISSING = "missing"
_COLUMNS = (
    "frame", "x_nm", "y_nm", "sigma_nm", "photons", "background_photons",
    "uncertainty_x_nm", "uncertainty_y_nm", "uncertainty_nm",
)  # fmt: skip


def no_stack(reason: str) -> DenoiseReport:
    """Return the report of a recording that could not be denoised."""
    return DenoiseReport(
        frames=0, model="", model_digest="", engine="", remarks=(), frames_per_second=0.0,
        active_share=0.0, missing=reason,
    )  # fmt: skip


def no_spots(
    film: FrameSource, pixel_size_nm: float, reason: str
) -> tuple[Localizations, LocalizeReport]:
    """Return a table without rows that says why, and the report of what was not looked for."""
    spots = Localizations(
        data=pd.DataFrame({name: np.zeros(0, COLUMNS[name][0]) for name in _COLUMNS}),
        field=field_of(film, pixel_size_nm),
        provenance={
            MISSING: reason,
            "recording": film.facts.name,
            "recording_digest": film.facts.digest,
        },
    )
    return spots, LocalizeReport(frames=0, localizations=0, candidates=0, rejected={})


def judged_by_raw_alone(reason: str) -> JudgedRecording:
    """Return the verdict on a recording that could not be denoised."""
    verdict = Verdict(
        use="raw", reason=f"the recording could not be denoised: {reason}", evidence=(), gain=None,
        common=0, only_raw=0, only_denoised=0,
    )  # fmt: skip
    return JudgedRecording(verdict=verdict, strips=())


def check_denoised(told: DenoiseReport) -> CheckOutcome:
    """Return whether a recording was denoised, and if not, why."""
    found = f"{told.frames} frames were denoised by {told.model}"
    return CheckOutcome(name="was_denoised", passed=not told.missing, reason=told.missing or found)
