"""What is known of the spots of a group, and what is believed of them."""

from typing import NamedTuple

#: What is known of each spot of a frame before and while groups are fitted: as found alone, and
#: how wide it is taken to be in a group, which group that is, and what has become of it.
LIVE = (
    "x_px",
    "y_px",
    "photons",
    "sigma_px",
    "background",
    "parent",
    "group_sigma_px",
    "group",
    "state",
)
BACKGROUND, PARENT, GROUP_SIGMA, GROUP, STATE = range(4, 9)
#: States: fitted alone, in a group, or left out of it and why.
ALONE, JOINTLY, MERGED, FAINT = 0.0, 1.0, 2.0, 3.0
#: What is told of each spot that was fitted in a group.
JOINED = (
    "x_px",
    "y_px",
    "photons",
    "background",
    "sigma_px",
    "variance_x",
    "variance_y",
    "log_likelihood_ratio",
    "out_of_range_px",
    "spots_together",
)


class Rules(NamedTuple):
    """How groups are made, and what is believed of their spots.

    The caches of compiled functions name this class, so it must stay where it is.

    Attributes
    ----------
    half : int
        Pixels on each side of the middle of a spot that are fitted.
    link_px : float
        Spots nearer than this along both axes are fitted together.
    sigma_px : float
        How wide spots are.
    split_gain : float
        By how much a further spot must lower the deviance, times the usual deviance.
    least_wald : float
        (photons / their uncertainty)^2 below which a spot is not believed beside others.
    min_photons : float
        Fewest photoelectrons.
    apart_px : float
        Spots nearer than this are one spot.
    most_together : int
        Most spots in a group.
    usual_deviance, deviance_per_photon : float
        Deviance by degrees of freedom of spots that are alone for sure, and what their light adds.
    surprise : float
        Standard deviations above the usual deviance from which on a further spot is tried.
    end_adu : float
        End of the camera's range, grey values.
    least_noise : float
        Least noise of a pixel, electrons^2.
    max_steps : int
        Steps after which a fit is given up.
    """

    half: int
    link_px: float
    sigma_px: float
    split_gain: float
    least_wald: float
    min_photons: float
    apart_px: float
    most_together: int
    usual_deviance: float
    deviance_per_photon: float
    surprise: float
    end_adu: float
    least_noise: float
    max_steps: int
