"""The numbers of a camera as people read them: with unit, interval, and how far they reach."""

from collections.abc import Mapping
from dataclasses import dataclass

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.report.rows import Row, number_text, words

#: What people call a camera's numbers, and their units.
NUMBERS: Mapping[str, tuple[str, str]] = {
    "offset_adu": ("Offset", "grey values"),
    "gain_e_per_adu": ("Gain", "e⁻/grey value"),
    "read_noise_e": ("Read noise", "e⁻ RMS"),
    "fixed_pattern_e": ("Fixed pattern", "e⁻ RMS"),
    "gain_spread": ("Spread of the pixels' response", "of the response"),
}
_OF_PLANES = {
    **{name: NUMBERS[name] for name in list(NUMBERS)[:4]},
    "linear_to_adu": ("Linear to", "grey values"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table with a heading for each column; the first column names the row."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def camera_rows(calibration: CameraCalibration) -> tuple[Row, ...]:
    """Return the camera with the interval of each measured number, and the range they hold in."""
    rows = [
        Row(name="Name", value=calibration.name),
        Row(name="Where the numbers come from", value=calibration.source),
        *(_number_row(calibration, name) for name in NUMBERS),
        _linear_row(calibration),
        Row(name="Clipped at", value=f"{number_text(calibration.saturation_adu)} grey values"),
        Row(name="Holds for frames like", value=frames_text(calibration)),
    ]
    if calibration.maps is not None:
        names = ", ".join(words(name).lower() for name in calibration.maps.named())
        height, width = calibration.maps.shape
        rows.append(Row(name="Known of each pixel", value=names, remark=f"{width} x {height} px"))
    return tuple(rows)


def plane_grid(calibration: CameraCalibration) -> Grid | None:
    """Return the numbers of each colour plane of a mosaic; None for other sensors."""
    if not calibration.planes:
        return None
    headings = ("number", *calibration.planes)
    rows = tuple(
        (f"{title}, {unit}", *(_plane_text(each, name) for each in calibration.planes.values()))
        for name, (title, unit) in _OF_PLANES.items()
    )
    return Grid(headings=headings, rows=rows)


def frames_text(calibration: CameraCalibration) -> str:
    """Return what frames a calibration was made for; what is not known is left out."""
    parts = [f"{calibration.bit_depth} bit"]
    if calibration.iso is not None:
        parts.append(f"ISO {calibration.iso}")
    if calibration.frame_width_px is not None and calibration.frame_height_px is not None:
        parts.append(f"{calibration.frame_width_px} x {calibration.frame_height_px} px")
    if calibration.codec is not None:
        strength = calibration.bits_per_px
        rate = "" if strength is None else f" at {number_text(strength)} bit/px"
        parts.append(f"{calibration.codec} video{rate}")
    elif calibration.source.startswith("measured"):
        parts.append("uncompressed")
    return ", ".join(parts)


def interval_of(calibration: CameraCalibration, name: str) -> str:
    """Return the 95 % interval of a number as ``low to high``; empty where none was measured."""
    return " to ".join(number_text(end) for end in calibration.intervals.get(name, ()))


def _number_row(calibration: CameraCalibration, name: str) -> Row:
    """Return one number with its interval."""
    title, unit = NUMBERS[name]
    value, interval = getattr(calibration, name), interval_of(calibration, name)
    if name == "gain_spread" and not calibration.knows_gain_spread:
        return Row(name=title, value="not measured", remark="taken as 0")
    remark = f"95 % interval {interval}" if interval else ""
    return Row(name=title, value=f"{number_text(value)} {unit}", remark=remark)


def _linear_row(calibration: CameraCalibration) -> Row:
    """Return the grey values between which the camera is linear."""
    end = calibration.linear_to_adu
    if end is None:
        return Row(name="Linear range", value="not measured", remark="taken as all up to clipping")
    electrons = (end - calibration.offset_adu) * calibration.gain_e_per_adu
    value = (
        f"{number_text(calibration.linear_from_adu or 0.0)} to {number_text(end)} grey values "
        f"({electrons:,.0f} e⁻)"
    )
    low, high = calibration.intervals.get("linear_to_adu", (None, None))
    if low is None or high is None:
        return Row(name="Linear range", value=value)
    remark = (
        f"95 % interval of its end {number_text(low)} to {number_text(high)}"
        if low < end
        else "up to the brightest light measured; it may reach further"
    )
    return Row(name="Linear range", value=value, remark=remark)


def _plane_text(numbers: Mapping[str, float], name: str) -> str:
    """Return a number of one plane with its interval; "none" where it has none."""
    if name not in numbers:
        return "none"
    value, low, high = (numbers.get(f"{name}{ending}") for ending in ("", "_low", "_high"))
    text = number_text(numbers[name])
    if low is None or high is None:
        return text
    if name == "linear_to_adu" and low == value:
        return f"{text} or more"
    return f"{text} ({number_text(low)} to {number_text(high)})"
