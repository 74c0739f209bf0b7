"""Where the laser shines."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cellstorm_lib.simulate.ranges import about, check_ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class IlluminationSettings:
    """The laser's profile: even, a Gaussian beam on the middle of the field, or a flatter one."""

    waist_um: float | None = field(
        default=None,
        metadata=about("1/e^2 radius of the beam; empty: even illumination", above=0),
    )
    flatness: float = field(
        default=1.0,
        metadata=about(
            "power to which the beam's exponent is raised: 1 a Gaussian, 5 a flat top",
            at_least=1,
            at_most=100,
        ),
    )

    def __post_init__(self) -> None:
        check_ranges(self)


def relative_illumination(
    settings: IlluminationSettings,
    x_nm: NDArray[np.float64],
    y_nm: NDArray[np.float64],
    *,
    width_nm: float,
    height_nm: float,
) -> NDArray[np.float64]:
    """Return the laser's intensity at positions, 1 in the middle of the field.

    Parameters
    ----------
    settings : IlluminationSettings
    x_nm, y_nm : array of float64
        Positions from the field's top-left corner.
    width_nm, height_nm : float
        The field.

    Returns
    -------
    array of float64
        ``exp(-2 (r / waist)^(2 flatness))``, of the shape of `x_nm` and `y_nm` together.
    """
    distance2 = np.square(x_nm - width_nm / 2.0) + np.square(y_nm - height_nm / 2.0)
    if settings.waist_um is None:
        return np.ones_like(distance2)
    within = distance2 / (settings.waist_um * 1000.0) ** 2
    return np.asarray(np.exp(-2.0 * within**settings.flatness))
