"""How pairs are made from a localized recording, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cellstorm_lib.pairs.pair_set import LIGHT_SIGMA_PX, refuse_off_grid
from cellstorm_lib.simulate.ranges import about, check_ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalizedPairsSettings:
    """How many clips of a recording are taken, how spots are drawn, and what is trusted."""

    clips: int = field(
        default=100, metadata=about("clips of a recording, at most; the best ones", at_least=1)
    )
    side_px: int = field(default=192, metadata=about("side of a clip, a multiple of 16"))
    frames: int = field(default=8, metadata=about("frames of a clip", at_least=1))
    sigma_px: float | None = field(
        default=LIGHT_SIGMA_PX,
        metadata=about(
            "width of the drawn spots, camera pixels; empty: as filmed, the median of those fitted",
            at_least=0.2,
            at_most=50,
        ),
    )
    max_uncertainty_px: float = field(
        default=0.4,
        metadata=about("a spot whose position is less certain is doubtful, camera pixels", above=0),
    )
    near_threshold: float = field(
        default=1.3,
        metadata=about(
            "a spot dimmer than this times the dimmest hundredth of all is doubtful", at_least=0
        ),
    )
    max_doubtful_share: float = field(
        default=0.1,
        metadata=about(
            "share of a frame's light that doubtful spots may have", at_least=0, at_most=1
        ),
    )
    max_unexplained: float = field(
        default=10.0,
        metadata=about(
            "light that no spot explains and above which a frame is left out, in standard "
            "deviations of the noise",
            above=0,
        ),
    )
    least_usable_share: float = field(
        default=0.3,
        metadata=about("a clip with fewer good frames is left out", above=0, at_most=1),
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        refuse_off_grid(self.side_px)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalizedReport:
    """What pairs were made of a recording, and what was left out and why.

    Attributes
    ----------
    clips : int
        Clips that became pairs.
    usable_frames : int
        Frames of those that may stand in the middle of a training sample.
    spots : int
        Spots drawn whose centre lies in a clip.
    photons_per_spot : float
        Their mean photoelectrons.
    spots_per_1000_px : float
        How crowded they are, per frame; above 1, molecules overlap and light is missed.
    agreement : float
        Correlation of film and drawn light as they change from frame to frame, smoothed to the
        size of a spot: near 1 where the film shows what was drawn and nothing else.
    sigma_px : float
        Width they were drawn with.
    is_width_measured : bool
        Whether the width is the median of the fitted ones, not a chosen one.
    candidate_clips : int
        Clips there could be: all parts of the field at all times.
    left_out_clips : mapping of str to int
        Candidates that are no pairs, by reason.
    left_out_frames : mapping of str to int
        Frames of the clips looked at that may not be trained on, by the first reason found.
    """

    clips: int
    usable_frames: int
    spots: int
    photons_per_spot: float
    spots_per_1000_px: float
    agreement: float
    sigma_px: float
    is_width_measured: bool
    candidate_clips: int
    left_out_clips: Mapping[str, int]
    left_out_frames: Mapping[str, int]
