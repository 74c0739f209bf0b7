"""What each program calls its columns, in which unit, and from where it counts frames.

All of them give positions in nm from the outer corner of the first pixel, as we do
(ThunderSTORM puts the centre of the first pixel at half a pixel; the vendors do not say).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import TableError
from cellstorm_lib.export.adopt import ask_for_pixel_size, shown_names
from cellstorm_lib.tables import COLUMNS, REQUIRED_COLUMNS

#: Factor to nm; px needs the pixel size.
_LENGTHS_NM = {"nm": 1.0, "um": 1e3, "µm": 1e3, "μm": 1e3, "mm": 1e6, "m": 1e9}
_PIXELS = ("px", "pixel", "pixels")
_PHOTONS = ("", "photon", "photons", "photoelectrons", "e-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One program's text table.

    Attributes
    ----------
    program : str
        Who writes it.
    first_frame : int
        Number of the first frame.
    columns : mapping of str to str
        The program's name of a column, without unit, to ours; an empty name leaves it out.
    default_length : str or None
        Unit of lengths without one; None when a length without a unit is refused.
    """

    program: str
    first_frame: int
    columns: Mapping[str, str] = field(default_factory=dict)
    default_length: str | None = "nm"

    def reads(self, labels: Sequence[str]) -> bool:
        """Return whether the labels name a frame and both positions in this dialect."""
        found = {self.columns.get(split_label(label)[0]) for label in labels}
        return found.issuperset(REQUIRED_COLUMNS)


THUNDERSTORM = Dialect(
    program="ThunderSTORM",
    first_frame=1,
    default_length=None,
    columns={
        "id": "",
        "frame": "frame",
        "x": "x_nm",
        "y": "y_nm",
        "z": "z_nm",
        "sigma": "sigma_nm",
        "sigma1": "sigma_x_nm",
        "sigma2": "sigma_y_nm",
        "intensity": "photons",
        "offset": "background_photons",
        "bkgstd": "background_std_photons",
        "chi2": "chi_square",
        "uncertainty": "uncertainty_nm",
        "uncertainty_xy": "uncertainty_nm",
        "uncertainty_z": "uncertainty_z_nm",
    },
)
NANOIMAGER = Dialect(
    program="Nanoimager",
    first_frame=0,
    columns={
        "Channel": "channel",
        "Frame": "frame",
        "X": "x_nm",
        "Y": "y_nm",
        "Z": "z_nm",
        "Photons": "photons",
        "Background": "background_photons",
        "X precision": "uncertainty_x_nm",
        "Y precision": "uncertainty_y_nm",
    },
)
ELYRA = Dialect(
    program="Elyra",
    first_frame=1,
    columns={
        "Index": "",
        "First Frame": "frame",
        "Number Frames": "detections",
        "Position X": "x_nm",
        "Position Y": "y_nm",
        "Position Z": "z_nm",
        "Precision": "uncertainty_nm",
        "Number Photons": "photons",
        "Chi square": "chi_square",
        "Channel": "channel",
    },
)
CHALLENGE = Dialect(
    program="SMLM challenge",
    first_frame=1,
    columns={
        "Ground-truth": "",
        "frame": "frame",
        "xnano": "x_nm",
        "ynano": "y_nm",
        "znano": "z_nm",
        "intensity": "photons",
    },
)
LOCAN = Dialect(
    program="Locan",
    first_frame=0,
    columns={
        "frame": "frame",
        "position_x": "x_nm",
        "position_y": "y_nm",
        "position_z": "z_nm",
        "uncertainty": "uncertainty_nm",
        "uncertainty_x": "uncertainty_x_nm",
        "uncertainty_y": "uncertainty_y_nm",
        "psf_sigma": "sigma_nm",
        "psf_sigma_x": "sigma_x_nm",
        "psf_sigma_y": "sigma_y_nm",
    },
)
CELLSTORM = Dialect(
    program="cellstorm", first_frame=0, columns={name: name for name in REQUIRED_COLUMNS}
)
#: In the order they are tried on a .csv file.
CSV_DIALECTS = (CELLSTORM, THUNDERSTORM, NANOIMAGER, CHALLENGE, LOCAN)


def split_label(label: str) -> tuple[str, str]:
    """Return name and unit of a label such as ``x [nm]`` or ``X (nm)``."""
    label = label.strip()
    inside = label[:-1]
    begin = 1 + max(inside.rfind("]"), inside.rfind(")"))
    opened = [at for at in (inside.find(mark, begin) for mark in "[(") if at >= 0]
    if not label.endswith(("]", ")")) or not opened:
        return label, ""
    return inside[: min(opened)].rstrip(), inside[min(opened) + 1 :].strip()


def plain_name(label: str) -> str:
    """Return a label as a name that filter expressions can use."""
    name = re.sub(r"\W+", "_", label.strip().lower(), flags=re.ASCII).strip("_")
    return f"column_{name}" if not name or name[0].isdigit() else name


def choose_dialect(
    labels: Sequence[str], dialects: Sequence[Dialect], *, expected: str, path: Path
) -> Dialect:
    """Return the first dialect that finds a frame and both positions in a header.

    Parameters
    ----------
    labels : sequence of str
        The header.
    dialects : sequence of Dialect
        In the order they are tried.
    expected : str
        What to look like, for the message.
    path : Path
        For the message.

    Raises
    ------
    TableError
        When none does.
    """
    for dialect in dialects:
        if dialect.reads(labels):
            return dialect
    raise TableError(
        f"{path} has the columns {shown_names(list(labels))}; expected a frame and both positions "
        f"as {expected}: rename the columns so"
    )


def translate(
    labels: Sequence[str],
    values: Sequence[npt.NDArray[np.float64] | None],
    dialect: Dialect,
    *,
    pixel_size_nm: float | None,
    path: Path,
) -> tuple[dict[str, npt.NDArray[Any]], list[str]]:
    """Return columns under our names, in our units, frames from 0, and the labels left out.

    Raises
    ------
    TableError
        When a needed column holds text, or a length has a unit we do not know.
    """
    columns: dict[str, npt.NDArray[Any]] = {}
    left_out: list[str] = []
    for label, column in zip(labels, values, strict=True):
        name, factor = _meaning(label, dialect, pixel_size_nm, path)
        if name in columns or (column is None and name not in REQUIRED_COLUMNS):
            left_out.append(label)
        elif column is None:
            raise TableError(f"{path} holds text in the column {label!r}; expected numbers")
        elif name:
            columns[name] = column * factor if factor != 1 else column
    columns["frame"] = columns["frame"] - dialect.first_frame
    return columns, left_out


def _meaning(
    label: str, dialect: Dialect, pixel_size_nm: float | None, path: Path
) -> tuple[str, float]:
    """Return our name of a column (empty to leave it out) and its factor to our unit."""
    name, unit = split_label(label)
    ours = dialect.columns.get(name)
    if ours is None:
        return (name if name in COLUMNS else plain_name(label)), 1.0
    if ours.endswith("photons"):
        return (ours if unit in _PHOTONS else plain_name(label)), 1.0
    if not ours.endswith("_nm"):
        return ours, 1.0
    unit = unit or dialect.default_length or ""
    if unit in _PIXELS and pixel_size_nm is None:
        raise ask_for_pixel_size(path, f"gives {name} in pixels")
    factor = pixel_size_nm if unit in _PIXELS else _LENGTHS_NM.get(unit)
    if factor is None:
        raise TableError(
            f"{path} gives {name} in {unit[:20]!a}; expected a length in "
            f'{", ".join(_LENGTHS_NM)} or px, as in "{name} [nm]"'
        )
    return ours, factor
