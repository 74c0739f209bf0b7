"""What a spot of denoised frames is judged by: its fit, its course in time, and its recording."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from cellstorm_lib.localize.course import MEASURED
from cellstorm_lib.localize.fit import Fits
from cellstorm_lib.localize.traits import NEXT_TRAITS, Kind, light_next_to_spots

#: The traits, in the order of the columns that `DenoisedLevel.traits_of` returns.
DENOISED_TRAITS = (
    "log_light",
    "log_light_over_threshold",
    "log_light_over_usual",
    "log_usual",
    "log_photons",
    "log_sigma",
    "log_bound",
    "log_misfit",
    "background",
    *NEXT_TRAITS,
    "log_change_before",
    "log_change_after",
    "log_ring",
    "log_ring_spread",
)
#: Photoelectrons for each one of the height, of spots 1.27 px wide: those of networks that leave
#: spots as wide as the lens makes them mostly have more. Fewer spots tell nothing: of those of
#: 0.85 px it is 16 to 28 then, where 18 would be right.
_MOST_PER_HEIGHT, _ENOUGH_SPOTS = 26.5, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DenoisedLevel:
    """What the spots of a denoised recording are compared with.

    Attributes
    ----------
    photons_per_adu : float
        Turns the values of the stack into photoelectrons.
    photons_per_height : float
        Photoelectrons of a spot for each one of its height in the band-passed image.
    threshold_photons : float
        The height at which a search by brightness alone would draw the line, photoelectrons of the
        band-passed image.
    usual_photons : float
        Median height of the spots that are sure.
    sure_spots : int
        How many of these there are in the frames that were looked at.
    """

    kind: ClassVar[Kind] = "denoised"
    enough_if_bright: ClassVar[float] = 0.75
    photons_per_adu: float
    photons_per_height: float
    threshold_photons: float
    usual_photons: float
    sure_spots: int

    @property
    def is_sharp(self) -> bool:
        """Whether spots are as narrow as those by which they are judged."""
        return self.photons_per_height <= _MOST_PER_HEIGHT or self.sure_spots < _ENOUGH_SPOTS

    def traits_of(self, fits: Fits, measured: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the traits of spots, (M, 21) float32, see `Level`.

        Their light is measured by the filter for film, of spots 1.3 px wide: in narrower ones it
        sees more than there is, always as much more.
        """
        seen = {
            name: self.photons_per_adu * measured[:, place] for place, name in enumerate(MEASURED)
        }
        light, photons = np.maximum(seen["light"], 1.0), np.maximum(fits.photons, 1.0)
        bound_px = np.sqrt(0.5 * (fits.crlb_x_px**2 + fits.crlb_y_px**2))
        found = {
            "log_light": np.log(light),
            "log_light_over_threshold": np.log(light / self.threshold_photons),
            "log_light_over_usual": np.log(light / self.usual_photons),
            "log_usual": np.full(len(fits), np.log(self.usual_photons)),
            "log_photons": np.log(photons),
            "log_sigma": np.log(fits.sigma_px),
            "log_bound": np.log(np.maximum(bound_px, 1e-4)),
            "log_misfit": np.log(np.maximum(fits.log_likelihood_ratio, 1e-2)),
            "background": fits.background,
            **light_next_to_spots(seen, photons),
            "log_change_before": np.log1p(np.nan_to_num(seen["change_before"])),
            "log_change_after": np.log1p(np.nan_to_num(seen["change_after"])),
            "log_ring": np.log1p(np.maximum(seen["ring_mean"], 0.0)),
            "log_ring_spread": np.log1p(seen["ring_std"]),
        }
        return np.stack([found[name] for name in DENOISED_TRAITS], axis=1).astype(np.float32)

    def least_probability(self, fits: Fits, least: float) -> npt.NDArray[np.float64]:
        """Return how probable each spot has to be; of those above the threshold, less.

        What looks like a fragment of a blink may be a whole one where molecules are dim.
        """
        is_bright = fits.photons >= self.photons_per_height * self.threshold_photons
        return np.where(is_bright, self.enough_if_bright * least, least)
