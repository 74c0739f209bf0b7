"""The image signal processor: raw grey values in, the 8-bit luma of the video out."""

from dataclasses import dataclass, field
from typing import Literal

from cellstorm_lib.simulate.ranges import about, check_ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessingSettings:
    """Raw grey values to 8 bit; steps in the order of the chain, each off at its default.

    Settings in ``levels`` are 8-bit grey values on the linear scale before the tone curve.

    Where the steps come from: a black level that decays, arXiv 1804.06244 (the paper), Fig. 6; one
    that differs from centre to corner, noise correlated between neighbours (0.45 and 0.61) and a
    slope that grows from the dark on, measured on a dark clip of a Pixel phone (see
    ``cameras/pixel-like.yaml``); temporal denoising, sharpening and lens shading correction,
    arXiv 2102.09000, section 3; the form of the power, ITU-R BT.709-6. Toe and knee are the
    simplest curves of their kind, not a maker's.
    """

    black_level_adu: float = field(
        default=0.0, metadata=about("raw grey value that becomes 0", at_least=0)
    )
    lens_shading_correction: float = field(
        default=0.0,
        metadata=about(
            "how much of the sensor's vignetting is divided out; 1: all", at_least=0, at_most=1
        ),
    )
    adu_per_level: float = field(
        default=2.0, metadata=about("raw grey values per 8-bit grey value", above=0)
    )
    black_shading_levels: float = field(
        default=0.0,
        metadata=about(
            "black level of the centre above that of the corners", at_least=-255, at_most=255
        ),
    )
    black_shading_width: float = field(
        default=2.0,
        metadata=about(
            "s.d. of the bell by which the black level falls from the centre, in half diagonals "
            "of the frame; from 2 on like the square of the distance",
            at_least=0.05,
            at_most=100,
        ),
    )
    black_drift_levels: float = field(
        default=0.0,
        metadata=about(
            "black level above its later value when the recording starts",
            at_least=-255,
            at_most=255,
        ),
    )
    black_drift_s: float = field(
        default=10.0, metadata=about("time constant of its exponential decay", above=0)
    )
    black_wobble_levels: float = field(
        default=0.0, metadata=about("random change of the black level per frame, RMS", at_least=0)
    )
    denoises: Literal["noise", "image"] = field(
        default="noise",
        metadata=about(
            "'noise': an ideal denoiser that leaves the image alone; 'image': filters that blur "
            "and smear the image like its noise"
        ),
    )
    noise_correlation_x: float = field(
        default=0.0,
        metadata=about(
            "correlation of noise between neighbours in a row", at_least=0, at_most=0.66
        ),
    )
    noise_correlation_y: float = field(
        default=0.0,
        metadata=about(
            "correlation of noise between neighbours in a column", at_least=0, at_most=0.66
        ),
    )
    temporal_share: float = field(
        default=0.0,
        metadata=about(
            "share of the denoised frame before in each frame; the correlation of a pixel's "
            "noise from frame to frame",
            at_least=0,
            at_most=0.8,
        ),
    )
    edge_levels: float | None = field(
        default=None,
        metadata=about(
            "differences this large are smoothed half as much, larger ones less; empty: all alike",
            above=0,
        ),
    )
    toe_levels: float = field(
        default=0.0,
        metadata=about(
            "extent of a bend of the tone curve at the dark end", at_least=0, at_most=255
        ),
    )
    toe_slope: float = field(
        default=1.0,
        metadata=about(
            "slope of the tone curve in the dark; 1: no bend", at_least=0.02, at_most=10
        ),
    )
    gamma: float = field(
        default=1.0,
        metadata=about("power of the tone curve; 0.45: BT.709", at_least=0.2, at_most=5),
    )
    gamma_linear_share: float = field(
        default=0.018,
        metadata=about(
            "share of the range, at the dark end, where a curve with gamma is straight",
            above=0,
            at_most=0.5,
        ),
    )
    knee_level: float | None = field(
        default=None,
        metadata=about(
            "grey value from which highlights are compressed; empty: clipped", above=0, at_most=254
        ),
    )
    sharpening_amount: float = field(
        default=0.0, metadata=about("share of the detail that is added", at_least=0, at_most=10)
    )
    sharpening_radius_px: float = field(
        default=1.0,
        metadata=about(
            "s.d. of the Gaussian blur that tells detail from the rest", at_least=0.3, at_most=5
        ),
    )
    dither: bool = field(default=False, metadata=about("round at random, so that the mean is kept"))

    def __post_init__(self) -> None:
        check_ranges(self)
