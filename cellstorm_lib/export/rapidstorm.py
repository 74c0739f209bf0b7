"""rapidSTORM's text tables: an XML comment names the columns, then numbers between spaces.

Positions are nm (or another length) with the centre of the first pixel at 0: the header's
largest position is ``(pixels - 1) * pixel size``, and measured on a recording with its table,
the positions are multiples of the pixel size at pixel centres. So half a pixel is added, for
which the pixel size is needed. Frames count from 0. Amplitudes in A/D counts are no photons
and keep their own names.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import TableError
from cellstorm_lib.export.adopt import (
    MAX_IMAGE_PX,
    ForeignTable,
    adopt,
    ask_for_pixel_size,
    known_pixel_size,
)
from cellstorm_lib.export.delimited import read_columns, write_columns
from cellstorm_lib.export.dialects import plain_name
from cellstorm_lib.export.lineage_text import as_attribute, lineage_text, of_attribute
from cellstorm_lib.files import written_whole
from cellstorm_lib.progress import Progress
from cellstorm_lib.tables import FieldOfView, Localizations

#: What the first line of a file starts with.
RAPIDSTORM_START = b"# <localizations"
_MAX_HEADER_BYTES = 1 << 20
#: Other programs read the columns of the header and pass over what else it says.
_LINEAGE = re.compile(rb'# <localizations\b[^<>]*\scellstorm-lineage="([^"<>]*)"')
_FWHM_PER_SIGMA = 2 * np.sqrt(2 * np.log(2))
_DECIMALS = 5
_LENGTHS_NM = {"nanometer": 1.0, "micrometer": 1e3, "meter": 1e9, "nm": 1.0, "um": 1e3, "m": 1e9}
#: rapidSTORM's identifier: our name, and what it means.
_FIELDS = {
    "Position-0-0": ("x_nm", "position in sample space in X"),
    "Position-1-0": ("y_nm", "position in sample space in Y"),
    "Position-2-0": ("z_nm", "position in sample space in Z"),
    "Position-0-0-uncertainty": ("uncertainty_x_nm", "position uncertainty in sample space in X"),
    "Position-1-0-uncertainty": ("uncertainty_y_nm", "position uncertainty in sample space in Y"),
    "Position-2-0-uncertainty": ("uncertainty_z_nm", "position uncertainty in sample space in Z"),
    "ImageNumber-0-0": ("frame", "frame number"),
    "Amplitude-0-0": ("photons", "emission strength"),
    "PSFWidth-0-0": ("sigma_x_nm", "PSF FWHM in X"),
    "PSFWidth-1-0": ("sigma_y_nm", "PSF FWHM in Y"),
    "FitResidues-0-0": ("chi_square", "fit residue chi square value"),
    "LocalBackground-0-0": ("background_photons", "local background"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """One column of the header."""

    identifier: str
    unit: str
    largest: str

    def largest_in(self, unit: str) -> float | None:
        """Return the largest value the header allows, in the unit it is given in."""
        found = re.fullmatch(rf"\s*([-+.\deE]+)\s+{unit}\s*", self.largest)
        try:
            return float(found[1]) if found else None
        except ValueError:
            return None


def read_rapidstorm(
    path: Path, *, pixel_size_nm: float | None = None, progress: Progress | None = None
) -> Localizations:
    """Read a rapidSTORM localization file.

    Parameters
    ----------
    path : Path
        The text file; not one of tracks.
    pixel_size_nm : float or None
        Camera pixel; needed, since the file counts positions from the first pixel's centre.
    progress : callable, optional
        Called with what is done and the whole, up to the columns of the file.

    Raises
    ------
    TableError
        Without a pixel size, or when the header or a row is damaged.
    """
    with path.open("rb") as stream:
        fields = _read_fields(stream.readline(_MAX_HEADER_BYTES), path)
        if pixel_size_nm is None:
            raise ask_for_pixel_size(path, "counts positions from the centre of the first pixel")
        labels = [field.identifier for field in fields]
        values = read_columns(stream, labels, delimiter=" ", path=path, progress=progress)
    columns: dict[str, npt.NDArray[Any]] = {}
    left_out = []
    for field, column in zip(fields, values, strict=True):
        name, factor = _meaning(field, path)
        if column is None or name in columns:
            left_out.append(field.identifier)
        else:
            columns[name] = column * factor
    for name in ("x_nm", "y_nm"):
        if name in columns:
            columns[name] = columns[name] + pixel_size_nm / 2
    field_of_view, notes = _field_of_view(fields, pixel_size_nm)
    table = ForeignTable(
        format_name="rapidSTORM text",
        columns=columns,
        pixel_size_nm=pixel_size_nm,
        field=field_of_view,
        left_out=tuple(left_out),
        notes=tuple(dict.fromkeys(notes)),
    )
    return adopt(table, path)


def write_rapidstorm(
    localizations: Localizations, path: Path, *, progress: Progress | None = None
) -> None:
    """Write a rapidSTORM localization file; columns rapidSTORM has no name for are left out.

    `progress`, where it is given, is called with the rows written and all rows.

    Raises
    ------
    TableError
        When the pixel size of the table is not known.
    """
    size_nm = known_pixel_size(localizations, path)
    data = localizations.data
    columns = {str(name): data[name].to_numpy() for name in data.columns}
    columns["x_nm"] = columns["x_nm"] - size_nm / 2
    columns["y_nm"] = columns["y_nm"] - size_nm / 2
    for stem in ("sigma", "uncertainty"):
        for axis in ("x", "y"):
            if f"{stem}_nm" in columns:
                columns.setdefault(f"{stem}_{axis}_nm", columns[f"{stem}_nm"])
    header, written = [], {}
    for identifier, (ours, semantic) in _FIELDS.items():
        if ours in columns:
            header.append(_header_field(identifier, ours, semantic, localizations.field))
            values = columns[ours].astype(np.int64 if ours == "frame" else np.float64)
            factor = _FWHM_PER_SIGMA if semantic.startswith("PSF FWHM") else 1
            written[identifier] = (
                values if ours == "frame" else np.round(values * factor, _DECIMALS)
            )
    lineage = as_attribute(lineage_text(localizations))
    said = f' cellstorm-lineage="{lineage}"' if lineage else ""
    opening = f'<localizations insequence="true" repetitions="variable"{said}>'
    with written_whole(path) as temporary, temporary.open("wb") as stream:
        stream.write(f"# {opening}{''.join(header)}</localizations>\n".encode())
        write_columns(written, stream, delimiter=" ", has_header=False, progress=progress)


def rapidstorm_lineage(path: Path) -> Any:
    """Return what the header says that a table was made from; None where it says nothing.

    Raises
    ------
    ValueError, RecursionError
        When that entry is damaged.
    """
    with path.open("rb") as stream:
        found = _LINEAGE.match(stream.readline(_MAX_HEADER_BYTES))
    return None if found is None else of_attribute(found[1])


def _read_fields(line: bytes, path: Path) -> list[_Field]:
    """Return the columns that the first line names."""
    text = line.decode("utf-8", errors="replace")
    if not line.startswith(RAPIDSTORM_START) or "</localizations>" not in text:
        raise TableError(
            f"{path} does not start with a whole rapidSTORM header; expected a first line "
            "'# <localizations ...>...</localizations>'"
        )
    if text.count("<localizations") > 1:
        raise TableError(f"{path} holds rapidSTORM tracks; expected the localizations file")
    fields: list[_Field] = []
    for entry in re.findall(r"<field\s([^<>]*)>", text):
        said = dict(re.findall(r'\b(\w+)\s*=\s*"([^"]*)"', entry))
        fields.append(
            _Field(
                identifier=said.get("identifier", f"field {len(fields)}"),
                unit=said.get("unit", ""),
                largest=said.get("max", ""),
            )
        )
    if not fields:
        raise TableError(f"{path} names no columns in its rapidSTORM header")
    return fields


def _meaning(field: _Field, path: Path) -> tuple[str, float]:
    """Return our name of a column and its factor to our unit."""
    ours, semantic = _FIELDS.get(field.identifier, (plain_name(field.identifier), ""))
    if ours.endswith("_nm") and semantic:
        if field.unit not in _LENGTHS_NM:
            raise TableError(
                f"{path} gives {field.identifier} in {field.unit[:20]!a}; expected one of "
                f"{', '.join(_LENGTHS_NM)}"
            )
        width = _FWHM_PER_SIGMA if semantic.startswith("PSF FWHM") else 1.0
        return ours, float(_LENGTHS_NM[field.unit] / width)
    if ours.endswith("photons") and field.unit not in ("photon", "photons"):
        return {"photons": "amplitude_adu", "background_photons": "background_adu"}[ours], 1.0
    return ours, 1.0


def _field_of_view(
    fields: list[_Field], pixel_size_nm: float
) -> tuple[FieldOfView | None, list[str]]:
    """Return the field that the largest values of the header state, and doubts about it."""
    by_name: Mapping[str, _Field] = {field.identifier: field for field in fields}
    sides = [
        by_name[name].largest_in("m")
        for name in ("Position-0-0", "Position-1-0")
        if name in by_name
    ]
    if len(sides) < 2 or not all(side is not None and side >= 0 for side in sides):
        return None, []
    widths = [(side or 0.0) * 1e9 / pixel_size_nm + 1 for side in sides]
    if max(widths) > MAX_IMAGE_PX:
        return None, []
    doubts = [
        f"the header's image is {width:.2f} pixels of {pixel_size_nm:g} nm: is that size right?"
        for width in widths
        if abs(width - round(width)) > 0.05
    ]
    last = by_name["ImageNumber-0-0"].largest_in("fr") if "ImageNumber-0-0" in by_name else None
    return FieldOfView(
        width_px=round(widths[0]),
        height_px=round(widths[1]),
        pixel_size_nm=pixel_size_nm,
        frame_count=int(last) + 1 if last is not None and 0 <= last < 2**31 - 1 else 0,
    ), doubts


def _header_field(identifier: str, ours: str, semantic: str, field: FieldOfView) -> str:
    """Return one column of the header, with the limits the field of view sets."""
    is_whole = ours == "frame"
    syntax = (
        "integer"
        if is_whole
        else "floating point with . for decimals and optional scientific e-notation"
    )
    unit = "frame" if is_whole else "nanometer" if ours.endswith("_nm") else "photon"
    unit = "dimensionless" if ours == "chi_square" else unit
    limits = ""
    if ours in ("x_nm", "y_nm"):
        pixels = field.width_px if ours == "x_nm" else field.height_px
        limits = f' min="0 m" max="{(pixels - 1) * field.pixel_size_nm * 1e-9:.9g} m"'
    elif is_whole:
        limits = f' min="0 fr" max="{max(0, field.frame_count - 1)} fr"'
    return (
        f'<field identifier="{identifier}" syntax="{syntax}" semantic="{semantic}" '
        f'unit="{unit}"{limits} />'
    )
