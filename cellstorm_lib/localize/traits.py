"""What a spot of a video is judged by: its fit, surroundings, course in time, and recording."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.localize.course import MEASURED
from cellstorm_lib.localize.detect import FORGOTTEN_BELOW
from cellstorm_lib.localize.fit import Fits
from cellstorm_lib.localize.threshold import FrameSample

#: What frames are: those of a video, or denoised ones.
Kind = Literal["film", "denoised"]
#: The frames next to that of a spot.
_NEXT = ("before_2", "before", "after", "after_2")
#: What `light_next_to_spots` tells: of each of them a share, and whether it is known.
NEXT_TRAITS = tuple(trait for name in _NEXT for trait in (name, f"has_{name}"))
#: The traits, in the order of the columns that `FilmLevel.traits_of` returns.
TRAITS = (
    "log_light",
    "log_light_over_noise",
    "log_noise_over_sensor",
    "log_sensor_noise",
    "log_rounding",
    "log_bits_per_px",
    "unchanged_share",
    "log_change_of_film",
    "log_change_at_keys",
    "log_light_over_threshold",
    "log_photons",
    "log_sigma",
    "log_bound",
    "log_misfit",
    "log_background",
    *NEXT_TRAITS,
    "log_change_before",
    "log_change_after",
    "log_ring_spread",
    "background_over_ring",
    "ring_over_field",
)
#: Light in a neighbouring frame counts at most, and at least, as this share of the spot's photons.
_MOST_SHARE, _LEAST_SHARE = 4.0, -2.0


class Level(Protocol):
    """What the spots of a recording are compared with."""

    @property
    def kind(self) -> Kind:
        """What its frames are."""
        ...

    @property
    def enough_if_bright(self) -> float:
        """Share of the probability asked for that is enough of spots above the threshold."""
        ...

    @property
    def threshold_photons(self) -> float:
        """Where a search by brightness alone would draw the line, see `FilmLevel`."""
        ...

    def traits_of(self, fits: Fits, measured: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the traits of spots, (M, K) float32, all finite.

        Parameters
        ----------
        fits : Fits
            Their fits.
        measured : (M, 9) float32
            Their surroundings, as `courses` measures them.
        """
        ...

    def least_probability(self, fits: Fits, least: float) -> npt.NDArray[np.float64]:
        """Return how probable each spot has to be not to be left out at once, (M,).

        Parameters
        ----------
        fits : Fits
            Their fits.
        least : float
            How probable one has to be in general.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmLevel:
    """What the spots of a recording are compared with.

    Attributes
    ----------
    calibration : CameraCalibration
        Turns grey values into photoelectrons.
    threshold_photons : float
        The height at which a search by brightness alone would draw the line, photoelectrons of the
        band-passed image.
    noise_photons : float
        Standard deviation of the band-passed image between the spots, photoelectrons.
    background_e : float
        Median of all pixels, photoelectrons.
    bits_per_px : float
        What the codec spent; 0 for frames that are no video.
    unchanged_share : float
        Share of pixels that are those of the frame before, key frames left out.
    change_e, key_change_e : float
        Mean change of a pixel from frame to frame, and to a key frame, photoelectrons.
    """

    kind: ClassVar[Kind] = "film"
    enough_if_bright: ClassVar[float] = 1.0
    calibration: CameraCalibration
    threshold_photons: float
    noise_photons: float
    background_e: float
    bits_per_px: float
    unchanged_share: float
    change_e: float
    key_change_e: float

    @classmethod
    def of(
        cls,
        sample: FrameSample,
        calibration: CameraCalibration,
        *,
        threshold_photons: float,
        noise_photons: float,
        bits_per_px: float,
    ) -> Self:
        """Return it for a sample of the frames."""
        frames, gain = sample.frames, calibration.gain_e_per_adu
        median_adu = float(np.median(frames[:, ::3, ::3])) if frames.size else 0.0
        unchanged, change_adu = _changes(sample, at_keys=False)
        _, key_change_adu = _changes(sample, at_keys=True)
        return cls(
            calibration=calibration,
            threshold_photons=threshold_photons,
            noise_photons=noise_photons,
            background_e=(median_adu - calibration.offset_adu) * gain,
            bits_per_px=bits_per_px,
            unchanged_share=unchanged,
            change_e=gain * change_adu,
            key_change_e=gain * (key_change_adu or change_adu),
        )

    @property
    def sensor_noise_e(self) -> float:
        """Standard deviation of a dark pixel had no codec smoothed it, photoelectrons."""
        return float(np.hypot(self.calibration.pixel_noise_e, max(self.background_e, 0.1) ** 0.5))

    def traits_of(self, fits: Fits, measured: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the traits of spots, (M, 28) float32, see `Level`."""
        gain, offset = self.calibration.gain_e_per_adu, self.calibration.offset_adu
        seen = {name: gain * measured[:, place] for place, name in enumerate(MEASURED)}
        ring_e = seen["ring_mean"] - gain * offset
        sensor_e, noise_e = self.sensor_noise_e, max(self.noise_photons, 1e-2)
        light, photons = np.maximum(seen["light"], 1.0), np.maximum(fits.photons, 1.0)
        background_e = np.maximum(fits.background, 0.1)
        bound_px = np.sqrt(0.5 * (fits.crlb_x_px**2 + fits.crlb_y_px**2))
        found = {
            "log_light": np.log(light),
            "log_light_over_noise": np.log(light / noise_e),
            "log_noise_over_sensor": np.full(len(fits), np.log(noise_e / sensor_e)),
            "log_sensor_noise": np.full(len(fits), np.log(sensor_e)),
            "log_rounding": np.full(len(fits), np.log(gain / sensor_e)),
            "log_bits_per_px": np.full(len(fits), np.log(self.bits_per_px + 1e-3)),
            "unchanged_share": np.full(len(fits), self.unchanged_share),
            "log_change_of_film": np.full(len(fits), np.log(self.change_e / sensor_e + 1e-2)),
            "log_change_at_keys": np.full(len(fits), np.log(self.key_change_e / sensor_e + 1e-2)),
            "log_light_over_threshold": np.log(light / max(self.threshold_photons, 0.1)),
            "log_photons": np.log(photons),
            "log_sigma": np.log(fits.sigma_px),
            "log_bound": np.log(np.maximum(bound_px, 1e-4)),
            "log_misfit": np.log(np.maximum(fits.log_likelihood_ratio, 1.0)),
            "log_background": np.log(background_e),
            **light_next_to_spots(seen, photons),
            "log_change_before": np.log1p(np.nan_to_num(seen["change_before"]) / sensor_e),
            "log_change_after": np.log1p(np.nan_to_num(seen["change_after"]) / sensor_e),
            "log_ring_spread": np.log(np.maximum(seen["ring_std"], 0.05) / sensor_e),
            "background_over_ring": (fits.background - ring_e) / sensor_e,
            "ring_over_field": (ring_e - self.background_e) / sensor_e,
        }
        return np.stack([found[name] for name in TRAITS], axis=1).astype(np.float32)

    def least_probability(self, fits: Fits, least: float) -> npt.NDArray[np.float64]:
        """Return what no choice would keep; the line is drawn when all spots are known."""
        return np.full(len(fits), min(FORGOTTEN_BELOW, least))


def light_next_to_spots(
    seen: Mapping[str, npt.NDArray[np.float32]], photons: npt.NDArray[np.float32]
) -> dict[str, npt.NDArray[Any]]:
    """Return the light in the frames before and after as shares of the spots, and if it is known.

    Parameters
    ----------
    seen : mapping of (M,) float32
        What `courses` measured, photoelectrons, by name.
    photons : (M,) float32
        Of the spots.
    """
    shares = {
        name: np.clip(np.nan_to_num(seen[f"light_{name}"] / photons), _LEAST_SHARE, _MOST_SHARE)
        for name in _NEXT
    }
    return {**shares, **{f"has_{name}": np.isfinite(seen[f"light_{name}"]) for name in _NEXT}}


def _changes(sample: FrameSample, *, at_keys: bool) -> tuple[float, float]:
    """Return the share of unchanged pixels and the mean change, grey values; 0 if none is known."""
    chosen = (np.diff(sample.frame) == 1) & (sample.is_key[1:] == at_keys)
    if not chosen.any():
        return 0.0, 0.0
    rows = np.flatnonzero(chosen)
    change = np.abs(sample.frames[rows + 1].astype(np.int32) - sample.frames[rows])
    return float(np.mean(change == 0)), float(change.mean())
