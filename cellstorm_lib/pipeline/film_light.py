"""How much light a recording itself shows at places where spots were found in frames made of it."""

import numpy as np
import numpy.typing as npt

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.progress import Progress
from cellstorm_lib.recording import FrameSource
from cellstorm_lib.tables import Localizations

_CHUNK_PX = 1 << 23
#: Light is summed over 5 x 5 pixels; the background is the median of a frame of pixels around.
_HALF_PX, _RING_PX = 2, 5


def film_light(
    film: FrameSource,
    calibration: CameraCalibration,
    spots: Localizations,
    *,
    progress: Progress | None = None,
) -> npt.NDArray[np.float64]:
    """Return the light of a recording at the places of spots.

    Parameters
    ----------
    film : FrameSource
        The recording; read once.
    calibration : CameraCalibration
        Its camera.
    spots : Localizations
        With its frame numbers and its field.
    progress : callable, optional
        Called with frames done and frames in all.

    Returns
    -------
    (N,) float64
        Photoelectrons in 5 x 5 pixels around each spot, less the background; 0 in frames that
        the recording lacks. Pixels beyond the edge are those at the edge.
    """
    roi, size_nm = film.facts.roi, spots.field.pixel_size_nm
    frame = spots.column("frame")
    row = np.floor(spots.column("y_nm") / size_nm).astype(np.int64)
    column = np.floor(spots.column("x_nm") / size_nm).astype(np.int64)
    light_e, done = np.zeros(len(spots)), 0
    size = max(1, _CHUNK_PX // (roi.width_px * roi.height_px))
    for chunk in film.chunks(size):
        rows, index = chunk.rows_of(frame)
        if len(rows):
            photons = calibration.photoelectrons(chunk.frames)
            light_e[rows] = _light_at(photons, index, row[rows], column[rows])
        done += len(chunk.frame)
        if progress is not None:
            progress(done, len(film.frame_range))
    return light_e


def _light_at(
    photons: npt.NDArray[np.float32],
    index: npt.NDArray[np.int64],
    row: npt.NDArray[np.int64],
    column: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Return the light around pixels of frames (N, Y, X)."""
    reach = np.arange(-_RING_PX, _RING_PX + 1)
    down, across = (axis.ravel() for axis in np.meshgrid(reach, reach, indexing="ij"))
    far = np.maximum(np.abs(down), np.abs(across))
    y = np.clip(row[:, None] + down, 0, photons.shape[1] - 1)
    x = np.clip(column[:, None] + across, 0, photons.shape[2] - 1)
    seen = photons[index[:, None], y, x].astype(np.float64)
    background = np.median(seen[:, far == _RING_PX], axis=1)
    return np.asarray((seen[:, far <= _HALF_PX] - background[:, None]).sum(axis=1))
