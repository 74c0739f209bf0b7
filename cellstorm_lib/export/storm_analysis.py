"""Read the tables of storm-analysis: Insight3 molecule lists and its HDF5.

Both count in camera pixels: Insight3 with the centre of the first pixel at 1 and frames from
1, the HDF5 with the centre of the first pixel at 0 and frames from 0. Both measured against
simulated recordings. Neither says the pixel size.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import TableError
from cellstorm_lib.export.adopt import ForeignTable, adopt, ask_for_pixel_size
from cellstorm_lib.export.hdf5 import Hdf5Tables
from cellstorm_lib.tables import Localizations

_HEADER_BYTES = 16
_MOLECULE = np.dtype(
    [(name, "<f4") for name in ("x", "y", "xc", "yc", "h", "a", "w", "phi", "ax", "bg", "i")]
    + [(name, "<i4") for name in ("c", "fi", "fr", "tl", "lk")]
    + [("z", "<f4"), ("zc", "<f4")]
)
_IN_PIXELS = "counts positions in pixels"


def read_insight3(path: Path, *, pixel_size_nm: float | None = None) -> Localizations:
    """Read an Insight3 molecule list (``.bin``, version M425).

    Positions are the drift-corrected ones; ``photons`` is the integrated area.

    Parameters
    ----------
    path : Path
        The binary file.
    pixel_size_nm : float or None
        Camera pixel; needed.

    Raises
    ------
    TableError
        When the file is no molecule list, is cut short, or no pixel size is given.
    """
    content = path.read_bytes()
    if content[:4] != b"M425":
        raise TableError(
            f"{path} starts with {content[:4]!a}; expected an Insight3 molecule list (M425)"
        )
    count = int.from_bytes(content[12:16], "little")
    if len(content) < _HEADER_BYTES + count * _MOLECULE.itemsize:
        raise TableError(
            f"{path} holds {max(0, len(content) - _HEADER_BYTES) // _MOLECULE.itemsize} of the "
            f"{count} molecules it claims; it is cut short: copy it again"
        )
    if pixel_size_nm is None:
        raise ask_for_pixel_size(path, _IN_PIXELS)
    rows = np.frombuffer(content, _MOLECULE, count=count, offset=_HEADER_BYTES)
    columns: dict[str, npt.NDArray[Any]] = {
        "frame": rows["fr"] - np.int64(1),
        "x_nm": (rows["xc"].astype(np.float64) - 0.5) * pixel_size_nm,
        "y_nm": (rows["yc"].astype(np.float64) - 0.5) * pixel_size_nm,
        "z_nm": rows["zc"].astype(np.float64),
        "photons": rows["a"],
        "background_photons": rows["bg"],
        "sigma_nm": rows["w"].astype(np.float64) / 2,
        "category": rows["c"],
        "track_length": rows["tl"],
    }
    table = ForeignTable(format_name="Insight3", columns=columns, pixel_size_nm=pixel_size_nm)
    return adopt(table, path)


def read_storm_analysis(
    path: Path, content: Hdf5Tables, *, pixel_size_nm: float | None = None
) -> Localizations:
    """Read storm-analysis's HDF5: a group ``fr_N`` for each frame.

    Parameters
    ----------
    path : Path
        The HDF5 file, for messages.
    content : Hdf5Tables
        What `read_hdf5` found in the file.
    pixel_size_nm : float or None
        Camera pixel; needed.

    Raises
    ------
    TableError
        When no pixel size is given, or a frame lacks positions.
    """
    if pixel_size_nm is None:
        raise ask_for_pixel_size(path, _IN_PIXELS)
    factors = {
        "x": ("x_nm", pixel_size_nm),
        "y": ("y_nm", pixel_size_nm),
        "z": ("z_nm", 1e3),
        "xsigma": ("sigma_x_nm", pixel_size_nm),
        "ysigma": ("sigma_y_nm", pixel_size_nm),
        "sum": ("photons", 1.0),
        "background": ("background_photons", 1.0),
    }
    columns: dict[str, npt.NDArray[Any]] = {}
    for theirs, values in content.columns.items():
        ours, factor = factors.get(theirs, (theirs, 1.0))
        columns[ours] = values.astype(np.float64) * factor
    for name in ("x_nm", "y_nm"):
        if name in columns:
            columns[name] = columns[name] + pixel_size_nm / 2
    if not columns:
        columns = dict.fromkeys(("frame", "x_nm", "y_nm"), np.empty(0))
    table = ForeignTable(
        format_name="storm-analysis HDF5", columns=columns, pixel_size_nm=pixel_size_nm
    )
    return adopt(table, path)
