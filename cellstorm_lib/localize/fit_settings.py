"""Settings of the fit."""

from dataclasses import dataclass, field

from cellstorm_lib.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSettings:
    """How a spot is fitted, and which fits are believed.

    Attributes
    ----------
    box_px : int
        Side of the square of pixels that is fitted; odd, 5 to 15. Of stacks 9, and of denoised
        frames 5, unless another one than 7 is asked for.
    sigma_px : float
        Standard deviation of a spot to start with; the width itself when it is not fitted.
    is_sigma_fitted : bool
        Whether the width of each spot is fitted.
    min_sigma_px, max_sigma_px : float
        Range of widths that are believed.
    min_photons, max_photons : float
        Range of photoelectrons that are believed.
    max_shift_px : float
        How far a fit may move from the brightest pixel's centre, along each axis.
    duplicate_px : float
        Two fits of a frame nearer than this are one spot.
    max_steps : int
        Scoring steps after which a fit is given up.
    max_emitters : int
        Spots whose light overlaps are fitted together, and one spot is taken for several where the
        pixels say so: at most this many at once, 1 to 10. 1 fits every spot alone.
    split_p_value : float
        A further spot is believed when it raises the likelihood so much as it would by chance with
        this probability (likelihood-ratio test with 3 degrees of freedom, scaled to the noise of
        the recording).
    common_sigma_px : float or None
        Width of the spots that are fitted together; None to measure that of lone spots of the
        recording.
    """

    box_px: int = field(default=7, metadata={"about": "side of the fitted square, pixels"})
    sigma_px: float = field(default=1.3, metadata={"about": "width to start with, pixels"})
    is_sigma_fitted: bool = field(default=True, metadata={"about": "fit the width of each spot"})
    min_sigma_px: float = field(default=0.5, metadata={"about": "smallest width, pixels"})
    max_sigma_px: float = field(default=3.5, metadata={"about": "largest width, pixels"})
    min_photons: float = field(default=10.0, metadata={"about": "fewest photoelectrons"})
    max_photons: float = field(default=1e7, metadata={"about": "most photoelectrons"})
    max_shift_px: float = field(
        default=2.0, metadata={"about": "how far a fit may move from its brightest pixel, pixels"}
    )
    duplicate_px: float = field(
        default=1.0, metadata={"about": "fits nearer than this are one spot, pixels"}
    )
    max_steps: int = field(default=30, metadata={"about": "steps after which a fit is given up"})
    max_emitters: int = field(
        default=6, metadata={"about": "most overlapping spots fitted together; 1: each alone"}
    )
    split_p_value: float = field(
        default=1e-3, metadata={"about": "chance at which one spot is taken for two"}
    )
    common_sigma_px: float | None = field(
        default=None, metadata={"about": "width of spots fitted together, pixels; none: measured"}
    )

    def __post_init__(self) -> None:
        if self.box_px not in range(5, 16, 2):
            raise SettingsError(f"box_px must be odd and between 5 and 15, got {self.box_px}")
        if not 0.2 <= self.min_sigma_px <= self.sigma_px <= self.max_sigma_px <= 10:
            raise SettingsError(
                "widths must obey 0.2 <= min_sigma_px <= sigma_px <= max_sigma_px <= 10, got "
                f"{self.min_sigma_px}, {self.sigma_px}, {self.max_sigma_px}"
            )
        if not 0 <= self.min_photons < self.max_photons:
            raise SettingsError(
                "photons must obey 0 <= min_photons < max_photons, got "
                f"{self.min_photons}, {self.max_photons}"
            )
        if not 0.5 <= self.max_shift_px <= self.box_px / 2:
            raise SettingsError(
                "max_shift_px must be between 0.5 and half the box, got "
                f"{self.max_shift_px} with box_px {self.box_px}"
            )
        if self.duplicate_px < 0:
            raise SettingsError(f"duplicate_px must be 0 or more, got {self.duplicate_px}")
        if not 1 <= self.max_steps <= 1000:
            raise SettingsError(f"max_steps must be between 1 and 1000, got {self.max_steps}")
        if not 1 <= self.max_emitters <= 10:
            raise SettingsError(f"max_emitters must be between 1 and 10, got {self.max_emitters}")
        if not 0 < self.split_p_value <= 0.5:
            raise SettingsError(
                f"split_p_value must be above 0 and at most 0.5, got {self.split_p_value}"
            )
        width = self.common_sigma_px
        if width is not None and not self.min_sigma_px <= width <= self.max_sigma_px:
            raise SettingsError(
                "common_sigma_px must be between min_sigma_px and max_sigma_px, got "
                f"{width} with {self.min_sigma_px} and {self.max_sigma_px}"
            )
