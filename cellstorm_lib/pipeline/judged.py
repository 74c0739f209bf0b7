"""The verdict of a recording together with what it shows of the spots in dispute."""

from dataclasses import dataclass
from pathlib import Path

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.evaluate.agreement import compare_tables
from cellstorm_lib.pipeline.choice import calibration_for
from cellstorm_lib.pipeline.film_light import film_light
from cellstorm_lib.pipeline.result import DenoiseReport, Verdict
from cellstorm_lib.pipeline.strips import SpotStrips, cut_strips
from cellstorm_lib.pipeline.verdict import BranchFindings, judge
from cellstorm_lib.progress import Progress, in_parts
from cellstorm_lib.recording import FrameSource
from cellstorm_lib.video.read import open_recording

#: Times to look at the film, to compare, to judge and to cut out spots, beside each other.
_TIMES = (3.0, 1.0, 4.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JudgedRecording:
    """Which branch of a recording to use, and spots that one branch alone has.

    Attributes
    ----------
    verdict : Verdict
        Which branch, and why.
    strips : tuple of SpotStrips
        For the raw and for the denoised branch.
    """

    verdict: Verdict
    strips: tuple[SpotStrips, ...]


def judge_recording(
    raw: BranchFindings,
    denoised: BranchFindings,
    told: DenoiseReport,
    *,
    film: FrameSource,
    calibration: CameraCalibration,
    stack: Path,
    progress: Progress | None = None,
) -> JudgedRecording:
    """Judge both branches of a recording and cut out some spots that one of them alone has.

    Parameters
    ----------
    raw, denoised : BranchFindings
        What was found.
    told : DenoiseReport
        By which network, and whether it knows film like this.
    film : FrameSource
        The recording.
    calibration : CameraCalibration
        Its camera.
    stack : Path
        The denoised stack.
    progress : callable, optional
        Called with what is done and the whole.
    """
    looked, agreed, judged, cut = in_parts(progress, *_TIMES)
    shown_e = film_light(film, calibration, denoised.spots, progress=looked)
    agreement = compare_tables(raw.spots, denoised.spots, shown_e=shown_e)
    agreed(1, 1)
    light = open_recording(stack)
    frames = {
        "raw": (film, calibration),
        "denoised": (light, calibration_for(light, None)[0]),
    }
    verdict = judge(raw, denoised, agreement=agreement, model=told.model, remarks=told.remarks)
    judged(1, 1)
    strips = (
        cut_strips("raw", raw.spots, agreement.only_first, **frames),
        cut_strips("denoised", denoised.spots, agreement.only_second, **frames),
    )
    cut(1, 1)
    return JudgedRecording(verdict=verdict, strips=strips)
