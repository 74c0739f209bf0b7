"""A camera measured by photon transfer: what a grey value means, and how far that holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cellstorm_lib.calibrate.camera_maps import measure_maps
from cellstorm_lib.calibrate.pixel_statistics import (
    LEAST_FRAMES,
    PixelStatistics,
    merged,
    read_statistics,
)
from cellstorm_lib.calibrate.plane_transfer import PlaneTransfer, measure_plane
from cellstorm_lib.calibrate.planes import planes_of
from cellstorm_lib.calibrate.pooled_planes import joined_remarks, pooled_numbers
from cellstorm_lib.calibrate.series_checks import (
    KeyFrameQp,
    check_bright_levels,
    check_codec,
    check_dark_levels,
    check_series,
)
from cellstorm_lib.calibrate.transfer_curve import PhotonTransferCurve, curve_of, points_of
from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import SettingsError
from cellstorm_lib.progress import Progress, in_parts
from cellstorm_lib.recording import FrameSource

__all__ = [
    "PhotonTransfer",
    "PhotonTransferCurve",
    "PhotonTransferSettings",
    "measure_photon_transfer",
]

Series = dict[str, PixelStatistics]
#: How long it takes to read the series, to fit the curve, and to read whole frames for maps.
_READING_TIME, _FITTING_TIME, _MAPS_TIME = 1.0, 0.1, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotonTransferSettings:
    """How a camera is measured."""

    least_frames: int = field(
        default=10, metadata={"about": "frames a series needs, of a video key frames; at least 8"}
    )
    bend_share: float = field(
        default=0.05,
        metadata={
            "about": "departure of the light's variance from its line that ends the linear range, "
            "as a share"
        },
    )
    wants_maps: bool = field(
        default=False,
        metadata={
            "about": "also measure each pixel's offset and read variance, and with two bright "
            "series or more its gain"
        },
    )
    most_pixels: int = field(
        default=262_144,
        metadata={"about": "pixels used of each colour plane, spread over the frame"},
    )

    def __post_init__(self) -> None:
        if self.least_frames < LEAST_FRAMES:
            raise SettingsError(
                f"least_frames must be {LEAST_FRAMES} or more, got {self.least_frames}"
            )
        if not 0.01 <= self.bend_share <= 0.3:
            raise SettingsError(f"bend_share must be 0.01 to 0.3, got {self.bend_share}")
        if self.most_pixels < 4096:
            raise SettingsError(f"most_pixels must be 4096 or more, got {self.most_pixels}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PhotonTransfer:
    """A measured camera, the curve behind it, and what a reader should know."""

    calibration: CameraCalibration
    curve: PhotonTransferCurve
    remarks: tuple[str, ...]


def measure_photon_transfer(
    bright: Sequence[FrameSource],
    dark: Sequence[FrameSource],
    *,
    name: str,
    settings: PhotonTransferSettings | None = None,
    key_frame_qp: KeyFrameQp | None = None,
    progress: Progress | None = None,
) -> PhotonTransfer:
    """Measure offset, gain, read noise, fixed pattern and linear range of a camera.

    The variance that light adds to a grey value is in proportion to the light, because photons
    come at random; the slope is the grey values per electron. Every pixel is compared only with
    itself over time, so the light need not be even: one series of a defocused object serves as
    well as a ladder of even ones.

    Parameters
    ----------
    bright : sequence of FrameSource
        Series of pictures that do not change; at least one, 100 frames or more each are best.
    dark : sequence of FrameSource
        Series without light, same settings of the camera.
    name : str
        What to call the camera.
    settings : PhotonTransferSettings, optional
        How it is measured.
    key_frame_qp : callable, optional
        For videos: gives the mean quantiser parameter of a source's key frames (as
        `video.quantiser.key_frame_qp` does), or None where the video does not tell. Without it
        videos are refused.
    progress : callable, optional
        Called with what is done and the whole.

    Returns
    -------
    PhotonTransfer
        Read noise and fixed pattern are without rounding noise (1/12 of a squared grey value),
        which `CameraCalibration.pixel_noise_e` adds. The linear range is in grey values of single
        pixels; how its end is defined stands at `linear_range.find_bend`. Of a colour
        mosaic each plane is measured by itself (``planes``) and the numbers are weighted means.

    Raises
    ------
    CalibrationError
        When series are missing, too short, saturated, clipped, unlike each other, or show
        something that moves; when a codec took too much of the noise.

    References
    ----------
    Janesick, Photon Transfer, SPIE Press (2007). EMVA Standard 1288, Release 4.0 (2021).
    Diederich et al., arXiv 1804.06244, Supplement B and Fig. 5, for the defocused object.
    """
    settings = settings or PhotonTransferSettings()
    check_series(bright, dark, name=name, least_frames=settings.least_frames)
    planes = planes_of(bright[0].facts, most_pixels=settings.most_pixels)

    def read(
        sources: Sequence[FrameSource], told: Sequence[Progress], *, are_dark: bool
    ) -> list[Series]:
        found = []
        for source, part in zip(sources, told, strict=True):
            series = read_statistics(
                source, planes=planes, least_frames=settings.least_frames, progress=part
            )
            check_codec(source, series.values(), key_frame_qp)
            for plane in series.values():
                (check_dark_levels if are_dark else check_bright_levels)(plane)
            found.append(series)
        return found

    maps_time = _MAPS_TIME if settings.wants_maps else 0.0
    reading, fitting, mapping = in_parts(progress, _READING_TIME, _FITTING_TIME, maps_time)
    told = in_parts(reading, *(float(source.facts.frame_count) for source in (*dark, *bright)))
    still = read(dark, told[: len(dark)], are_dark=True)
    lit = read(bright, told[len(dark) :], are_dark=False)
    found = {
        colour: measure_plane(
            [series[colour] for series in lit],
            merged([series[colour] for series in still]),
            is_seam=plane.is_seam,
            bend_share=settings.bend_share,
            top_adu=float(2 ** bright[0].facts.bit_depth - 1),
        )
        for colour, plane in planes.items()
    }
    fitting(1, 1)
    numbers, remarks = pooled_numbers({name: plane.numbers for name, plane in found.items()})
    remarks = [*joined_remarks({name: plane.remarks for name, plane in found.items()}), *remarks]
    maps = None
    if settings.wants_maps:
        maps, said = measure_maps(bright, dark, found, progress=mapping)
        remarks += said
    curve = curve_of(found)
    stated: dict[str, Any] = {
        **{key: number.value for key, number in numbers.items()},
        **_facts_of([*bright, *dark]),
    }
    calibration = CameraCalibration(
        name=name,
        source=f"measured: photon transfer, {_count(lit)} bright and {_count(still)} dark frames",
        planes=_plane_numbers(found),
        transfer=points_of(curve),
        maps=maps,
        intervals={key: (number.low, number.high) for key, number in numbers.items()},
        **stated,
    )
    return PhotonTransfer(calibration=calibration, curve=curve, remarks=tuple(remarks))


def _count(read: Sequence[Series]) -> int:
    """Return how many frames were used."""
    return sum(next(iter(series.values())).frame_count for series in read)


def _facts_of(sources: Sequence[FrameSource]) -> dict[str, Any]:
    """Return what the frames were, for the calibration."""
    facts = [source.facts for source in sources]
    first = facts[0]
    rates = [each.bits_per_px for each in facts if each.is_video and each.bits_per_px is not None]
    return {
        "bit_depth": first.bit_depth,
        "iso": next((each.iso for each in facts if each.iso is not None), None),
        "frame_width_px": first.frame_width_px,
        "frame_height_px": first.frame_height_px,
        "codec": first.kind if first.is_video else None,
        "bits_per_px": float(np.mean(rates)) if rates else None,
    }


def _plane_numbers(found: Mapping[str, PlaneTransfer]) -> dict[str, dict[str, float]]:
    """Return the numbers of each plane of a mosaic, with the ends of their intervals."""
    if len(found) == 1:
        return {}
    return {
        plane: {
            f"{name}{ending}": float(value)
            for name, number in measured.numbers.items()
            for ending, value in zip(("", "_low", "_high"), number, strict=True)
        }
        for plane, measured in found.items()
    }
