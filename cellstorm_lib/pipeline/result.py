"""What is known of one recording when all steps are done."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.evaluate.real_shares import Range
from cellstorm_lib.localize.localize import LocalizeReport
from cellstorm_lib.pipeline.quality import Quality
from cellstorm_lib.pipeline.strips import SpotStrips
from cellstorm_lib.reconstruct.frc import FrcReport
from cellstorm_lib.reconstruct.render import RenderedImage
from cellstorm_lib.recording import LossSummary, RecordingFacts
from cellstorm_lib.refine.drift import Drift
from cellstorm_lib.refine.merge import MergeReport
from cellstorm_lib.refine.select import SelectReport
from cellstorm_lib.tables import Localizations

Use = Literal["raw", "denoised", "cannot tell"]
Favours = Literal["raw", "denoised", "both alike", "cannot tell"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOutcome:
    """One question asked of a result: passed, failed, or could not be told (None), and why."""

    name: str
    passed: bool | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameFacts:
    """What the container and a first look say of every decoded frame.

    Attributes
    ----------
    frame : (N,) int64
        Frame numbers; a lost frame leaves a gap.
    time_s : (N,) float64
        Presentation time.
    is_key : (N,) bool
        Frames coded without reference to others.
    frames_since_key : (N,) int32
        0 at a key frame.
    packet_bytes : (N,) int64
        Size of the compressed frame.
    mean_adu : (N,) float64
        Mean grey value.
    is_tainted : (N,) bool
        Frames that may be wrong because of damage.
    loss : LossSummary
        Missing, tainted and dropped frames.
    """

    frame: npt.NDArray[np.int64]
    time_s: npt.NDArray[np.float64]
    is_key: npt.NDArray[np.bool_]
    frames_since_key: npt.NDArray[np.int32]
    packet_bytes: npt.NDArray[np.int64]
    mean_adu: npt.NDArray[np.float64]
    is_tainted: npt.NDArray[np.bool_]
    loss: LossSummary

    def table(self) -> pd.DataFrame:
        """Return one row per frame."""
        names = [entry.name for entry in fields(self) if entry.name != "loss"]
        return pd.DataFrame({name: getattr(self, name) for name in names})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RefinedTable:
    """The table people use, and what was done to get it.

    Attributes
    ----------
    localizations : Localizations
        Drift-corrected, merged and selected.
    merge_report : MergeReport
        What linking and merging did.
    select_report : SelectReport
        What was left out and why.
    """

    localizations: Localizations
    merge_report: MergeReport
    select_report: SelectReport


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrcReports:
    """The resolution of one table, split in every way.

    Attributes
    ----------
    reports : tuple of FrcReport
        The chosen split first.
    """

    reports: tuple[FrcReport, ...]

    @property
    def chosen(self) -> FrcReport:
        """The report of the split that was asked for."""
        return self.reports[0]

    def by_split(self) -> dict[str, FrcReport]:
        """Return the reports by their split, the chosen one first."""
        return {report.split: report for report in self.reports}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BranchResult:
    """Everything localized from one version of the frames (``raw`` or ``denoised``).

    Attributes
    ----------
    name : str
        The branch.
    spots : Localizations
        Fitted spots as found, one row per spot and frame.
    localize_report : LocalizeReport
        Counts, threshold and reasons of rejection.
    drift : Drift
        Estimated motion of the stage, applied or not.
    merge_report : MergeReport
        What linking and merging did.
    select_report : SelectReport
        What was left out and why.
    localizations : Localizations
        The refined table.
    image : RenderedImage
        The super-resolution image.
    frc : mapping of str to FrcReport
        Resolution by split; the first is the default one.
    checks : tuple of CheckOutcome
        Quality checks of this branch.
    quality : Quality or None
        Measures of quality; None in results made before there were any.
    """

    name: str
    spots: Localizations
    localize_report: LocalizeReport
    drift: Drift
    merge_report: MergeReport
    select_report: SelectReport
    localizations: Localizations
    image: RenderedImage
    frc: Mapping[str, FrcReport]
    checks: tuple[CheckOutcome, ...]
    quality: Quality | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DenoiseReport:
    """What was denoised, by what, and how far to trust it.

    Attributes
    ----------
    frames : int
        Frames in the stack; a frame that was lost in the recording is black.
    model, model_digest : str
        The network, and the SHA-256 of its file.
    engine : str
        What computed it.
    remarks : tuple of str
        In what the recording differs from the film the network was trained on.
    frames_per_second : float
        Frames over elapsed time, reading and writing included; 0 where it was not kept.
    active_share : float
        Share of the cells of 8 x 8 pixels that held light and were computed; 1 where every
        pixel was.
    missing : str
        Why the recording could not be denoised; empty where it was.
    """

    frames: int
    model: str
    model_digest: str
    engine: str
    remarks: tuple[str, ...]
    frames_per_second: float
    active_share: float = 1.0
    missing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One thing in which the two branches were compared.

    Attributes
    ----------
    question : str
        What was compared.
    raw, denoised : str
        What was found in either, with its unit.
    favours : str
        ``raw``, ``denoised``, ``both alike`` or ``cannot tell``.
    about : str
        How it was found, and its interval.
    """

    question: str
    raw: str
    denoised: str
    favours: Favours
    about: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Which branch of a recording to use.

    Attributes
    ----------
    use : str
        ``raw``, ``denoised``, or ``cannot tell``.
    reason : str
        Why, in one sentence.
    evidence : tuple of Evidence
        Everything that was compared.
    gain : Range or None
        Estimated Jaccard index of the denoised branch minus that of the raw one.
    common, only_raw, only_denoised : int
        Spots found in both branches, and in one alone.
    model : str
        The network.
    """

    use: Use
    reason: str
    evidence: tuple[Evidence, ...]
    gain: Range | None
    common: int
    only_raw: int
    only_denoised: int
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordingResult:
    """One recording with all its branches.

    Attributes
    ----------
    facts : RecordingFacts
        Facts of the file.
    loss : LossSummary
        Missing, tainted and dropped frames.
    calibration : CameraCalibration
        The camera used.
    pixel_size_nm : float
        Object-side pixel size used.
    frame_facts : pandas.DataFrame
        One row per frame, as in `FrameFacts`.
    widefield : (Y, X) float32
        Mean photoelectrons per pixel and frame.
    branches : mapping of str to BranchResult
        By name; the first is ``raw``.
    settings : mapping
        All settings as plain content.
    notes : tuple of str
        What the reader has to know, such as an estimated camera.
    verdict : Verdict or None
        Which branch to use; None with one branch only.
    strips : tuple of SpotStrips
        Spots that one branch alone has, cut out of the frames.
    records : mapping of str to (mapping of str to str)
        What each result was made from, as `lineage.record_of` tells it, by its name in
        `lineage.STEPS`; empty where that is not known.
    """

    facts: RecordingFacts
    loss: LossSummary
    calibration: CameraCalibration
    pixel_size_nm: float
    frame_facts: pd.DataFrame
    widefield: npt.NDArray[np.float32]
    branches: Mapping[str, BranchResult]
    settings: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    verdict: Verdict | None = None
    strips: tuple[SpotStrips, ...] = ()
    records: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordingEntry:
    """A recording as the steps use it: the file, what was chosen for it, and its camera.

    Attributes
    ----------
    file_name : str
        Name in the watched folder.
    roi : str or None
        The chosen region; None for the default field.
    facts : RecordingFacts
        Facts of the file.
    pixel_size_nm : float
        Object-side pixel size.
    calibration : CameraCalibration
        The camera, given or estimated.
    notes : tuple of str
        What the reader has to know, such as an estimated camera.
    """

    file_name: str
    roi: str | None
    facts: RecordingFacts
    pixel_size_nm: float
    calibration: CameraCalibration
    notes: tuple[str, ...] = ()
