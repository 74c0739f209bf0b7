"""Settings of ThunderSTORM, Picasso and rapidSTORM, with those programs' own defaults."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.localize.expression import check_expression
from cellstorm_lib.localize.like.gaussian import Estimator
from cellstorm_lib.settings import settings_from


@dataclass(frozen=True, slots=True, kw_only=True)
class ThunderstormSettings:
    """ThunderSTORM's choices; the filter is its B-spline wavelet of order 3 and scale 2.

    Attributes
    ----------
    threshold : str
        Height of the filtered image, an expression of images in grey values.
    neighbours : int
        Neighbours that a maximum is compared with, 4 or 8.
    psf : str
        ``integrated-gaussian`` or ``gaussian``, taken at the pixels' centres.
    estimator : str
        How the fit weights the pixels. Version 1.3 starts with ``weighted-least-squares``.
    fit_radius_px : int
        The fitted square has 2 `fit_radius_px` + 1 pixels a side.
    sigma_px : float
        Width the fit starts with.
    uncertainty : str
        The formula of ``version-1.3``, or that of ``later`` ones.
    has_em_gain : bool
        Whether electrons were multiplied before they were read.
    """

    threshold: str = field(
        default="std(Wave.F1)", metadata={"about": "expression of images in grey values"}
    )
    neighbours: Literal[8, 4] = field(
        default=8, metadata={"about": "neighbours a maximum exceeds, 8 or 4"}
    )
    psf: Literal["integrated-gaussian", "gaussian"] = field(
        default="integrated-gaussian", metadata={"about": "shape of a spot"}
    )
    estimator: Estimator = field(
        default="weighted-least-squares", metadata={"about": "how pixels are weighted"}
    )
    fit_radius_px: int = field(default=3, metadata={"about": "half side of the square, pixels"})
    sigma_px: float = field(default=1.6, metadata={"about": "width to start with, pixels"})
    uncertainty: Literal["version-1.3", "later"] = field(
        default="version-1.3", metadata={"about": "whose formula, version-1.3 or later"}
    )
    has_em_gain: bool = field(
        default=False, metadata={"about": "electrons were multiplied before reading"}
    )

    def __post_init__(self) -> None:
        check_expression(self.threshold)
        if not 1 <= self.fit_radius_px <= 15:
            raise SettingsError(f"fit_radius_px must be 1 to 15, got {self.fit_radius_px}")
        _require_width("sigma_px", self.sigma_px, most=10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PicassoSettings:
    """Picasso's choices.

    Attributes
    ----------
    min_net_gradient : float
        A spot's least net gradient, grey values.
    box_px : int
        Side of the square that is searched and fitted; odd.
    estimator : str
        ``maximum-likelihood`` (Picasso's mle) or ``least-squares`` (lq); both fit two widths.
    psf : str
        ``gaussian``, taken at the pixels' centres, as Picasso fits from version 0.11 on and
        always with least squares; ``integrated-gaussian``, the likelihood before that.
    has_em_gain : bool
        Whether electrons were multiplied before they were read, which doubles the variances.
    """

    min_net_gradient: float = field(
        default=5000.0, metadata={"about": "least net gradient of a spot, grey values"}
    )
    box_px: int = field(default=7, metadata={"about": "side of the square, odd, pixels"})
    estimator: Literal["maximum-likelihood", "least-squares"] = field(
        default="maximum-likelihood", metadata={"about": "how pixels are weighted"}
    )
    psf: Literal["gaussian", "integrated-gaussian"] = field(
        default="gaussian", metadata={"about": "shape of a spot"}
    )
    has_em_gain: bool = field(
        default=False, metadata={"about": "electrons were multiplied before reading"}
    )

    def __post_init__(self) -> None:
        if self.box_px not in range(3, 32, 2):
            raise SettingsError(f"box_px must be odd and between 3 and 31, got {self.box_px}")
        if not self.min_net_gradient >= 0:
            raise SettingsError(f"min_net_gradient must be 0 or more, got {self.min_net_gradient}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RapidstormSettings:
    """rapidSTORM's choices.

    Attributes
    ----------
    fwhm_nm : float or None
        Full width of a spot at half its height: the width itself, or where its fit starts. It
        has no default unless the width is fitted.
    is_width_fitted : bool
        Whether the widths along x and y are fitted too.
    least_fwhm_nm, most_fwhm_nm : float
        Range of fitted widths that are believed, the min and max in the header of its table.
    amplitude_adu : float
        A fit is a spot when all its light is more than this, grey values.
    smoothing_px : int
        Side of the square whose mean replaces each pixel before maxima are looked for; odd.
    spot_distance_nm : float
        Of two maxima nearer than this the lower is left out.
    fit_radius_nm : float
        Half the side of the fitted square.
    max_move_nm : float
        How far a fit may end from the maximum it started at.
    motivation : int
        Fits that fail in a row before a frame is given up.
    """

    fwhm_nm: float | None = field(
        default=None, metadata={"about": "full width of a spot at half its height, nm"}
    )
    is_width_fitted: bool = field(default=False, metadata={"about": "fit both widths too"})
    least_fwhm_nm: float = field(default=0.0, metadata={"about": "smallest fitted width, nm"})
    most_fwhm_nm: float = field(default=10_000.0, metadata={"about": "largest fitted width, nm"})
    amplitude_adu: float = field(
        default=1000.0, metadata={"about": "least light of a spot, grey values"}
    )
    smoothing_px: int = field(default=5, metadata={"about": "side of the averaging mask, pixels"})
    spot_distance_nm: float = field(
        default=500.0, metadata={"about": "least distance of two maxima, nm"}
    )
    fit_radius_nm: float = field(default=600.0, metadata={"about": "half side of the square, nm"})
    max_move_nm: float = field(default=400.0, metadata={"about": "how far a fit may move, nm"})
    motivation: int = field(default=3, metadata={"about": "failures in a row that end a frame"})

    def __post_init__(self) -> None:
        if self.fwhm_nm is None and not self.is_width_fitted:
            raise SettingsError(
                "rapidSTORM fits spots of a known width: give fwhm_nm, their full width at half "
                "their height, or is_width_fitted=true"
            )
        if self.fwhm_nm is not None:
            _require_width("fwhm_nm", self.fwhm_nm, most=10_000.0)
        if not 0 <= self.least_fwhm_nm < self.most_fwhm_nm:
            raise SettingsError(
                "widths must obey 0 <= least_fwhm_nm < most_fwhm_nm, got "
                f"{self.least_fwhm_nm}, {self.most_fwhm_nm}"
            )
        if self.smoothing_px not in range(1, 32, 2):
            raise SettingsError(
                f"smoothing_px must be odd and between 1 and 31, got {self.smoothing_px}"
            )
        for name in ("spot_distance_nm", "fit_radius_nm", "max_move_nm"):
            _require_width(name, getattr(self, name), most=100_000.0)
        if not self.amplitude_adu >= 0:
            raise SettingsError(f"amplitude_adu must be 0 or more, got {self.amplitude_adu}")
        if self.motivation < 1:
            raise SettingsError(f"motivation must be 1 or more, got {self.motivation}")


LikeSettings = ThunderstormSettings | PicassoSettings | RapidstormSettings

PROGRAMS: Mapping[str, type[LikeSettings]] = {
    "thunderstorm": ThunderstormSettings,
    "picasso": PicassoSettings,
    "rapidstorm": RapidstormSettings,
}


def program_of(settings: LikeSettings) -> str:
    """Return the name of the program that has these settings."""
    return next(name for name, kind in PROGRAMS.items() if isinstance(settings, kind))


def side_of(settings: LikeSettings, pixel_size_nm: float) -> int:
    """Return the side of the square that a program fits, px."""
    if isinstance(settings, ThunderstormSettings):
        return 2 * settings.fit_radius_px + 1
    if isinstance(settings, PicassoSettings):
        return settings.box_px
    return 2 * max(int(settings.fit_radius_nm / pixel_size_nm), 1) + 1


def settings_like(
    program: str, given: Sequence[str] = (), *, start: LikeSettings | None = None
) -> LikeSettings:
    """Return a program's settings; what is not given keeps the program's default.

    Parameters
    ----------
    program : str
        ``thunderstorm``, ``picasso`` or ``rapidstorm``.
    given : sequence of str
        As ``min_net_gradient=400``, named as in the settings of that program.
    start : LikeSettings, optional
        Settings of that program that take the place of its defaults.

    Raises
    ------
    SettingsError
        When a setting is unknown, of the wrong type or impossible.
    """
    if program not in PROGRAMS:
        raise SettingsError(f"--like must be one of {list(PROGRAMS)}, got {program!r}")
    values: dict[str, object] = {} if start is None else asdict(start)
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise SettingsError(f"a setting of --like is written NAME=VALUE, got {text!r}")
        values[name.strip()] = _plain_value(value)
    try:
        return settings_from(PROGRAMS[program], values)
    except SettingsError as error:
        raise SettingsError(f"--like {program}: {error}") from error


def _plain_value(text: str) -> object:
    """Return a number, a truth value or the text itself."""
    text = text.strip()
    if text in {"true", "false"}:
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _require_width(name: str, value: float, *, most: float) -> None:
    """Raise unless a length is above 0 and not absurd."""
    if not 0 < value <= most:
        raise SettingsError(f"{name} must be above 0 and at most {most:g}, got {value}")
