"""The tables of a page: recording, camera, settings, versions, and how to do it again."""

import json
import platform
import shlex
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from cellstorm_lib import __version__
from cellstorm_lib.camera import CAMERA_PRESETS, CameraCalibration
from cellstorm_lib.files import digest_of
from cellstorm_lib.pipeline.result import RecordingResult
from cellstorm_lib.report.headline import duration_text, frame_count
from cellstorm_lib.report.rows import Row, number_text, rounded_text, rows_of, value_text

_KINDS = {
    "h264": "H.264 video",
    "hevc": "HEVC video",
    "tiff": "TIFF stack",
    "dax": "DAX stack",
    "sif": "Andor SIF stack",
    "array": "frames in memory",
}
#: Rounding of time stamps stays below this share of the time between two frames.
_EVEN = 0.1
_COUNTED_IN_FRAMES = ("Key frame interval",)
_LIBRARIES = ("numpy", "scipy", "numba", "av", "pandas", "matplotlib")


def recording_rows(result: RecordingResult) -> tuple[Row, ...]:
    """Return what is known of the file of frames."""
    facts, loss, roi = result.facts, result.loss, result.facts.roi
    promised = "" if loss.expected_count is None else f" of {loss.expected_count:,} promised"
    rows = [
        Row(name="File", value=facts.name, remark=_KINDS.get(facts.kind, facts.kind)),
        Row(
            name="Full frame",
            value=f"{facts.frame_width_px} x {facts.frame_height_px} px, {facts.bit_depth} bit",
        ),
        Row(
            name="Field used",
            value=f"{roi.width_px} x {roi.height_px} px at ({roi.x_px}, {roi.y_px}) px",
            remark=f"{_um(roi.width_px * result.pixel_size_nm)} x "
            f"{_um(roi.height_px * result.pixel_size_nm)} µm in the sample",
        ),
        Row(name="Pixel size", value=f"{number_text(result.pixel_size_nm)} nm in the sample"),
        Row(
            name="Frames",
            value=f"{frame_count(result):,}",
            remark=duration_text(result) or "no frame rate in the file",
        ),
        *_interval_rows(result),
        Row(
            name="Loss",
            value=f"{loss.missing_count:,} missing, {loss.tainted_count:,} tainted, "
            f"{loss.dropped_count:,} left out by the camera",
            remark=f"{loss.decoded_count:,} decoded{promised}"
            + (f"; {loss.reason}" if loss.reason else ""),
        ),
    ]
    if facts.is_video:
        rows += _video_rows(result)
    if facts.is_denoised:
        rows.append(Row(name="Denoised", value="yes", remark="the frames came out of a network"))
    return (*rows, *map(_in_frames, rows_of(facts.details)))


def _interval_rows(result: RecordingResult) -> list[Row]:
    """Return whether frames follow each other evenly; nothing where no one wrote down when."""
    facts = result.frame_facts
    if not result.facts.is_video or "time_s" not in facts or len(facts) < 3:
        return []
    intervals_ms = np.diff(facts["time_s"].to_numpy(np.float64)) * 1e3
    low, middle, high = np.percentile(intervals_ms, (1, 50, 99))
    is_even = high - low <= _EVEN * middle
    span = f"varies from {rounded_text(low)} to {rounded_text(high)} ms (98 % of them)"
    return [
        Row(
            name="Time between frames",
            value=f"{rounded_text(middle)} ms",
            remark="even" if is_even else f"median; {span}; drift and blinking count frames",
        )
    ]


def _in_frames(row: Row) -> Row:
    """Return a detail of the file with its unit, where that is frames."""
    return replace(row, value=f"{row.value} frames") if row.name in _COUNTED_IN_FRAMES else row


def is_estimated(calibration: CameraCalibration) -> bool:
    """Return whether the camera was guessed from the recording itself."""
    return calibration.source.startswith("estimated")


def calibration_text(calibration: CameraCalibration) -> str:
    """Return the calibration as the text of a CAL.json; maps of pixels are files of their own."""
    return json.dumps(replace(calibration, maps=None).plain(), indent=2)


def version_rows(result: RecordingResult) -> tuple[Row, ...]:
    """Return digests of what went in, and versions of what worked on it."""
    rows = [
        Row(name="Recording (SHA-256)", value=result.facts.digest),
        Row(name="Calibration (SHA-256)", value=result.calibration.digest),
        Row(name="Settings (SHA-256)", value=digest_of(result.settings)),
        Row(name="cellstorm", value=__version__),
        Row(name="Python", value=platform.python_version()),
    ]
    for library in _LIBRARIES:
        try:
            rows.append(Row(name=library, value=version(library)))
        except PackageNotFoundError:
            rows.append(Row(name=library, value="not installed"))
    return tuple(rows)


def provenance_rows(provenance: Mapping[str, object]) -> tuple[Row, ...]:
    """Return what the table of localizations says of its own origin."""
    elsewhere = {"calibration", "lineage"}  # the page has sections of their own for them
    return rows_of({name: value for name, value in provenance.items() if name not in elsewhere})


def command_line(result: RecordingResult) -> str:
    """Return the command that makes this page again, for a POSIX shell.

    A camera that is neither estimated nor a preset is given as CAL.json: its text is on the page.
    """
    roi, calibration = result.facts.roi, result.calibration
    name = result.facts.name
    parts = ["cellstorm", "process", f"./{name}" if name.startswith("-") else name]
    parts += ["--pixel-size-nm", f"{result.pixel_size_nm:g}"]
    parts += ["--roi", f"{roi.width_px}x{roi.height_px}+{roi.x_px}+{roi.y_px}"]
    if CAMERA_PRESETS.get(calibration.name) == calibration:
        parts += ["--camera", calibration.name]
    elif not is_estimated(calibration) and result.facts.photons_per_adu is None:
        parts += ["--camera", "CAL.json"]
    return shlex.join(parts)


def _video_rows(result: RecordingResult) -> list[Row]:
    """Return what a codec did."""
    facts = result.facts
    sparse = facts.bits_per_px is not None and facts.bits_per_px < 0.05
    return [
        Row(
            name="Compression",
            value=value_text(facts.bits_per_px, unit="bit/px"),
            remark="very strong: expect invented and lost spots" if sparse else "",
        ),
        Row(
            name="Range tag",
            value=facts.colour_range,
            remark="a tag only; grey values are used as decoded",
        ),
        Row(
            name="Rotation flag",
            value=f"{facts.rotation_deg}°",
            remark="for players; pixels are not rotated" if facts.rotation_deg else "",
        ),
    ]


def _um(length_nm: float) -> str:
    """Return a length in micrometres."""
    return f"{length_nm / 1000:.1f}"
