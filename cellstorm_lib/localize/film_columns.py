"""What the film tells of spots that were found in frames made from it, such as denoised ones."""

import numpy as np

from cellstorm_lib.localize.copies import ages_at, temporal_differences, with_copy_ages
from cellstorm_lib.recording import FrameSource
from cellstorm_lib.tables import COLUMNS, Localizations

_CHUNK_PX = 1 << 23
_NAMES = ("is_copied", "copy_age", "frames_since_key", "is_tainted", "temporal_difference")


def with_columns_of_film(spots: Localizations, film: FrameSource) -> Localizations:
    """Return spots with the columns that only the film itself can fill.

    A stack of denoised frames knows nothing of key frames, of blocks that the codec copied, and
    of damage; without them copies would pass for independent sightings of a molecule.

    Parameters
    ----------
    spots : Localizations
        Found in frames made from the film, with its frame numbers and its field; those of frames
        that the film lacks keep what they have.
    film : FrameSource
        The recording; read once.

    Returns
    -------
    Localizations
        The same rows with ``is_copied``, ``copy_age``, ``frames_since_key``, ``is_tainted`` and
        ``temporal_difference`` of the film at their places.
    """
    roi = film.facts.roi
    size = max(1, _CHUNK_PX // (roi.width_px * roi.height_px))
    size_nm = spots.field.pixel_size_nm
    frame = spots.column("frame")
    x_px, y_px = spots.column("x_nm") / size_nm, spots.column("y_nm") / size_nm
    columns = {
        name: spots.column(name).copy() if name in spots else np.zeros(len(spots), COLUMNS[name][0])
        for name in _NAMES
    }
    for chunk, ages in with_copy_ages(film.chunks(size), film.facts):
        rows, index = chunk.rows_of(frame)
        columns["frames_since_key"][rows] = chunk.frames_since_key[index]
        columns["is_tainted"][rows] = chunk.is_tainted[index]
        if ages is not None:
            columns["copy_age"][rows] = ages_at(ages, roi, index, x_px[rows], y_px[rows])
            columns["is_copied"][rows] = columns["copy_age"][rows] > 0
            row = np.clip(np.floor(y_px[rows]).astype(np.int64), 0, roi.height_px - 1)
            column = np.clip(np.floor(x_px[rows]).astype(np.int64), 0, roi.width_px - 1)
            columns["temporal_difference"][rows] = temporal_differences(chunk, index, row, column)
    return Localizations(
        data=spots.data.assign(**columns), field=spots.field, provenance=spots.provenance
    )
