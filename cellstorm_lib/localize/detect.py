"""Where a frame may hold molecules: settings of the search."""

from dataclasses import dataclass, field
from typing import Literal

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.localize.filters import wavelet_band

__all__ = ["FORGOTTEN_BELOW", "DetectSettings", "wavelet_band"]

#: Appraised spots less probable than this are forgotten at once: no choice would keep them.
FORGOTTEN_BELOW = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectSettings:
    """How bright spots are found in a frame.

    Attributes
    ----------
    filter : str
        Band-pass before the search: ``wavelet``, ThunderSTORM's B-spline difference V1 - V2.
    threshold : str
        ``automatic`` (one number per recording, from its own noise and `false_per_frame`) or a
        ThunderSTORM expression such as ``std(Wave.F1)*1.5``, evaluated frame by frame.
    threshold_photons : float or None
        A number that replaces `threshold`, in photoelectrons of the band-passed image.
    false_per_frame : float
        False detections allowed by ``automatic``, per 256 x 256 pixels of a frame. Spots of
        videos and of denoised frames are judged one by one instead, by the two that follow.
    least_probability : float
        Spots less probably molecules are left out. The Jaccard index J is highest at J / (1 + J).
        In denoised frames three quarters of it are enough for spots above the threshold.
    false_share : float
        Expected share of false spots among those of a video that are kept, at most.
    border_px : int
        Width of the frame's edge in which nothing is searched; at least half a fit box
        is always left out.
    """

    filter: Literal["wavelet"] = field(
        default="wavelet", metadata={"about": "band-pass: ThunderSTORM's B-spline wavelet V1 - V2"}
    )
    threshold: str = field(
        default="automatic",
        metadata={"about": "'automatic' or an expression such as 'std(Wave.F1)*1.5'"},
    )
    threshold_photons: float | None = field(
        default=None,
        metadata={"about": "fixed threshold, photoelectrons of the band-passed image"},
    )
    false_per_frame: float = field(
        default=0.1, metadata={"about": "false detections allowed per 256 x 256 pixels"}
    )
    least_probability: float = field(
        default=0.4,
        metadata={
            "about": "spots less probably molecules are left out, where they are judged one by one"
        },
    )
    false_share: float = field(
        default=0.05, metadata={"about": "expected share of false spots of videos, at most"}
    )
    border_px: int = field(default=0, metadata={"about": "edge that is not searched, pixels"})

    def __post_init__(self) -> None:
        if self.filter != "wavelet":
            raise SettingsError(f"filter must be 'wavelet', got {self.filter!r}")
        if self.threshold_photons is not None and not self.threshold_photons > 0:
            raise SettingsError(f"threshold_photons must be above 0, got {self.threshold_photons}")
        if not 0 < self.false_per_frame < 1000:
            raise SettingsError(
                f"false_per_frame must be above 0 and below 1000, got {self.false_per_frame}"
            )
        if not FORGOTTEN_BELOW <= self.least_probability < 1:
            raise SettingsError(
                f"least_probability must be from {FORGOTTEN_BELOW} to below 1, got "
                f"{self.least_probability}"
            )
        if not 0 < self.false_share <= 1:
            raise SettingsError(
                f"false_share must be above 0 and at most 1, got {self.false_share}"
            )
        if self.border_px < 0:
            raise SettingsError(f"border_px must be 0 or more, got {self.border_px}")

    @property
    def is_automatic(self) -> bool:
        """Whether no threshold was asked for."""
        return self.threshold_photons is None and self.threshold == "automatic"
