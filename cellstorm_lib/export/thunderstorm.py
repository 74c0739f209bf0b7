"""Write ThunderSTORM's CSV: frames from 1, nm from the outer corner, at most five decimals.

The columns are those of ThunderSTORM's current version, in its order, as far as the table has
them; what it has no name for follows under our names, so that nothing is lost on the way back.
What the table was made from stands in the protocol beside it.
"""

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellstorm_lib.export.delimited import write_columns
from cellstorm_lib.export.lineage_text import lineage_text
from cellstorm_lib.export.thunderstorm_protocol import kept_protocol, protocol_of, protocol_with
from cellstorm_lib.files import written_whole
from cellstorm_lib.progress import Progress
from cellstorm_lib.tables import Localizations

_DECIMALS = 5
#: Our name, ThunderSTORM's label.
_PLANE = (("frame", "frame"), ("x_nm", "x [nm]"), ("y_nm", "y [nm]"))
_WIDTH = (("sigma_nm", "sigma [nm]"),)
_DEPTH = (("z_nm", "z [nm]"), ("sigma_x_nm", "sigma1 [nm]"), ("sigma_y_nm", "sigma2 [nm]"))
_REST = (
    ("photons", "intensity [photon]"),
    ("background_photons", "offset [photon]"),
    ("background_std_photons", "bkgstd [photon]"),
    ("chi_square", "chi2"),
    ("uncertainty_nm", "uncertainty_xy [nm]"),
    ("uncertainty_z_nm", "uncertainty_z [nm]"),
    ("detections", "detections"),
)


def write_thunderstorm(
    localizations: Localizations, path: Path, *, progress: Progress | None = None
) -> None:
    """Write a table as ThunderSTORM CSV.

    Parameters
    ----------
    localizations : Localizations
        With ``z_nm``, the width is written as ``sigma1`` and ``sigma2``, as ThunderSTORM does.
    path : Path
        Written whole or not at all. The format has no place for the field of view. A table that
        says what it was made from gets a ``-protocol.txt`` beside it that says so.
    progress : callable, optional
        Called with the rows written and all rows.
    """
    data = localizations.data
    data = data.drop(columns=[name for name in _AXES if _repeats(data, name)])
    if "z_nm" in data and "sigma_nm" in data:
        sides = {"sigma_x_nm": data["sigma_nm"], "sigma_y_nm": data["sigma_nm"]}
        data = data.assign(**{name: data.get(name, side) for name, side in sides.items()})
        data = data.drop(columns="sigma_nm")
    named = [*_PLANE, *(_DEPTH if "z_nm" in data else _WIDTH), *_REST]
    known = {ours for ours, _ in named}
    named += [(str(name), str(name)) for name in data.columns if name not in known]
    columns = {label: _written(data[ours], ours) for ours, label in named if ours in data.columns}
    lineage, protocol = lineage_text(localizations), protocol_of(path)
    kept = kept_protocol(protocol) if lineage else None
    with ExitStack() as files:
        temporary = files.enter_context(written_whole(path))
        write_columns(columns, temporary, progress=progress)
        if kept is not None:
            beside = files.enter_context(written_whole(protocol))
            beside.write_bytes(protocol_with(kept, lineage, temporary))


_AXES = ("uncertainty_x_nm", "uncertainty_y_nm")


def _repeats(data: pd.DataFrame, axis: str) -> bool:
    """Return whether an axis says no more than the uncertainty of both, which brings it back."""
    return (
        axis in data
        and "uncertainty_nm" in data
        and bool((data[axis] == data["uncertainty_nm"]).all())
    )


def _written(column: pd.Series, name: str) -> npt.NDArray[np.generic]:
    """Return a column as it is written: frames from 1, floats rounded, truth values as 0 and 1."""
    values = column.to_numpy()
    if name == "frame":
        return values.astype(np.int64) + 1
    if values.dtype.kind == "f":
        return np.round(values.astype(np.float64), _DECIMALS)
    return values.astype(np.uint8) if values.dtype == bool else values
