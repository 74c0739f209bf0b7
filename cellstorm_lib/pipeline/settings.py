"""All settings of the path from recording to resolution, in one place and one file."""

from dataclasses import dataclass, field

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.localize.localize import LocalizeSettings
from cellstorm_lib.reconstruct.frc import FrcSettings
from cellstorm_lib.reconstruct.render import RenderSettings
from cellstorm_lib.refine.drift import DriftSettings
from cellstorm_lib.refine.merge import MergeSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSettings:
    """Settings of every step, each beside the function it steers.

    Attributes
    ----------
    localize : LocalizeSettings
        Detection and fit.
    drift : DriftSettings
        Drift estimation.
    merge : MergeSettings
        Linking and merging of blinks.
    render : RenderSettings
        The super-resolution image.
    frc : FrcSettings
        Resolution.
    keep : str
        Expression in column names that spots must fulfil; empty keeps all.
    calibration_days : float
        Age from which a camera's calibration is reported as old; changes no result.
    """

    localize: LocalizeSettings = field(default_factory=LocalizeSettings)
    drift: DriftSettings = field(default_factory=DriftSettings)
    merge: MergeSettings = field(default_factory=MergeSettings)
    render: RenderSettings = field(default_factory=RenderSettings)
    frc: FrcSettings = field(default_factory=FrcSettings)
    keep: str = field(
        default="",
        metadata={"about": "expression that spots must fulfil, as `photons > 300`; empty: all"},
    )
    calibration_days: float = field(
        default=180.0, metadata={"about": "days after which a calibration is reported as old"}
    )

    def __post_init__(self) -> None:
        if not self.calibration_days > 0:
            raise SettingsError(f"calibration_days must be above 0, got {self.calibration_days}")
