"""The light of molecules on the pixels: the point spread functions a scene can have."""

import numpy as np
from numpy.typing import NDArray

from cellstorm_lib.simulate.airy import AirySpotSettings, airy_image
from cellstorm_lib.simulate.gaussian import GaussianSpotSettings, add_gaussians
from cellstorm_lib.simulate.spot_kernel import SpotKernel, add_kernels, kernel_of
from cellstorm_lib.simulate.spot_table import TableSpotSettings, table_image

SpotSettings = GaussianSpotSettings | AirySpotSettings | TableSpotSettings

#: A point spread function ready to be drawn.
Spot = GaussianSpotSettings | SpotKernel


def prepared_spot(settings: SpotSettings, *, pixel_size_nm: float) -> Spot:
    """Return a point spread function ready to be drawn on pixels of a size.

    Raises
    ------
    SettingsError
        When the spot is too large or its table cannot be used.
    """
    if isinstance(settings, GaussianSpotSettings):
        return settings
    if isinstance(settings, AirySpotSettings):
        return kernel_of(airy_image(settings, pixel_size_nm=pixel_size_nm))
    return kernel_of(table_image(settings, pixel_size_nm=pixel_size_nm))


def add_spots(
    frames: NDArray[np.float32],
    *,
    frame: NDArray[np.int64],
    x_px: NDArray[np.float64],
    y_px: NDArray[np.float64],
    photons: NDArray[np.float64],
    spot: Spot,
) -> None:
    """Add the expected light of molecules to frames, in place.

    Parameters
    ----------
    frames : (N, Y, X) float32
        Frames to draw into.
    frame : (M,) int64
        Index into `frames` of each molecule's image.
    x_px, y_px : (M,) float64
        Position; pixel ``[0, 0]`` spans 0 to 1, so its centre is at 0.5. May lie outside.
    photons : (M,) float64
        Photons of the whole spot, including those falling outside the frame.
    spot : GaussianSpotSettings or SpotKernel
        From `prepared_spot`.
    """
    if isinstance(spot, GaussianSpotSettings):
        add_gaussians(
            frames, frame=frame, x_px=x_px, y_px=y_px, photons=photons, sigma_px=spot.sigma_px
        )
    else:
        add_kernels(frames, frame=frame, x_px=x_px, y_px=y_px, photons=photons, kernel=spot)
