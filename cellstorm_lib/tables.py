"""Tables of positions: one type, one unit per column, always with their field of view.

Positions are nm from the outer top-left corner of the field, x right and y down, so the centre
of pixel ``[row, column]`` is ``((column + 0.5) * pixel_size_nm, (row + 0.5) * pixel_size_nm)``.
Frames start at 0. Uncertainties are one standard deviation per axis. Photons are detected
photoelectrons of one frame.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cellstorm_lib import __version__
from cellstorm_lib.errors import TableError, refusing
from cellstorm_lib.files import written_whole

FORMAT_VERSION = 1

#: name: (dtype, unit, meaning). Columns outside this list are kept as they are.
COLUMNS: Mapping[str, tuple[str, str, str]] = {
    "frame": ("int32", "", "frame number, from 0"),
    "x_nm": ("float64", "nm", "position to the right of the field's left edge"),
    "y_nm": ("float64", "nm", "position below the field's top edge"),
    "z_nm": ("float64", "nm", "axial position"),
    "sigma_nm": ("float32", "nm", "fitted standard deviation of the spot"),
    "sigma_x_nm": ("float32", "nm", "standard deviation of the spot along x"),
    "sigma_y_nm": ("float32", "nm", "standard deviation of the spot along y"),
    "photons": ("float32", "photoelectrons", "detected photoelectrons of the spot in this frame"),
    "photon_correction": (
        "float32",
        "",
        "photons / photons of the fit: what the codec took is added",
    ),
    "background_photons": ("float32", "photoelectrons/px", "background per pixel"),
    "uncertainty_x_nm": ("float32", "nm", "standard deviation of x_nm"),
    "uncertainty_y_nm": ("float32", "nm", "standard deviation of y_nm"),
    "uncertainty_z_nm": ("float32", "nm", "standard deviation of z_nm"),
    "uncertainty_nm": ("float32", "nm", "root mean square of the uncertainties of x and y"),
    "crlb_x_nm": ("float32", "nm", "Cramer-Rao bound of x_nm for an uncompressed camera"),
    "crlb_y_nm": ("float32", "nm", "Cramer-Rao bound of y_nm for an uncompressed camera"),
    "crlb_z_nm": ("float32", "nm", "Cramer-Rao bound of z_nm for an uncompressed camera"),
    "log_likelihood_ratio": (
        "float32",
        "",
        "2 ln(best possible / fitted likelihood)",
    ),
    "is_copied": ("bool", "", "the codec copied this block from the frame before"),
    "copy_age": ("int32", "frames", "frames since this block was last coded anew"),
    "frames_since_key": ("int32", "frames", "frames since the last key frame"),
    "is_tainted": ("bool", "", "the frame may be wrong because of damage in the file"),
    "temporal_difference": (
        "float32",
        "grey values",
        "mean |frame - frame before| at the spot",
    ),
    "out_of_range_px": (
        "int32",
        "px",
        "pixels of the fitted square in which the camera was saturated or not linear",
    ),
    "spots_together": ("int32", "", "spots fitted together with this one, itself included"),
    "relative_sensitivity": (
        "float32",
        "",
        "sensitivity of the pixels at the spot / mean of the field",
    ),
    "is_fiducial": ("bool", "", "lies on a bright spot that stays on, not on a molecule"),
    "molecule": ("int64", "", "number of the molecule after linking, from 0"),
    "detections": ("int32", "", "localizations merged into this row"),
    "independent_detections": ("int32", "", "merged localizations that the codec did not copy"),
    "molecule_probability": ("float32", "", "probability that this is a molecule"),
}
REQUIRED_COLUMNS = ("frame", "x_nm", "y_nm")
EMITTER_COLUMNS = ("frame", "emitter", "x_nm", "y_nm", "photons")
_WRITE_AGAIN = "write it again with the program it comes from"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldOfView:
    """The rectangle and the frames that a table covers.

    Attributes
    ----------
    width_px, height_px : int
        Camera pixels of the field.
    pixel_size_nm : float
        Object-side size of a camera pixel.
    frame_count : int
        Frames looked at, also those without localizations; frames lie in [0, frame_count).
    roi_x_px, roi_y_px : int
        Where the field lies in the full frame.
    is_inferred : bool
        True when the field was guessed from the extent of an imported table.
    """

    width_px: int
    height_px: int
    pixel_size_nm: float
    frame_count: int
    roi_x_px: int = 0
    roi_y_px: int = 0
    is_inferred: bool = False

    def __post_init__(self) -> None:
        if self.width_px < 1 or self.height_px < 1 or self.frame_count < 0:
            raise TableError(
                f"a field needs at least 1 x 1 pixels, got {self.width_px} x {self.height_px}, "
                f"{self.frame_count} frames"
            )
        if not (np.isfinite(self.pixel_size_nm) and self.pixel_size_nm > 0):
            raise TableError(f"pixel_size_nm must be above 0, got {self.pixel_size_nm}")

    @property
    def width_nm(self) -> float:
        """Width of the field."""
        return self.width_px * self.pixel_size_nm

    @property
    def height_nm(self) -> float:
        """Height of the field."""
        return self.height_px * self.pixel_size_nm


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Localizations:
    """Localized positions with their field of view and where they come from.

    Attributes
    ----------
    data : pandas.DataFrame
        One row per localization; columns as in `COLUMNS`, sorted by frame. No column holds NaN.
    field : FieldOfView
        What the positions refer to.
    provenance : mapping
        Plain content (settings, digests, program version) written into the file.
    """

    data: pd.DataFrame
    field: FieldOfView
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        data = _checked(self.data, REQUIRED_COLUMNS, "a table of localizations")
        if not data["frame"].is_monotonic_increasing:
            data = data.sort_values("frame", kind="stable")
        object.__setattr__(self, "data", data.reset_index(drop=True))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.data)

    def __contains__(self, column: str) -> bool:
        """Return whether the table has this column."""
        return column in self.data.columns

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return one column as an array.

        Raises
        ------
        TableError
            When the table has no such column.
        """
        if name not in self.data.columns:
            raise TableError(
                f"the table has no column {name!r}; it has {sorted(self.data.columns)}"
            )
        return self.data[name].to_numpy()

    @property
    def xy_nm(self) -> npt.NDArray[np.float64]:
        """Positions, (N, 2) float64."""
        return self.data[["x_nm", "y_nm"]].to_numpy(np.float64)

    def take(self, rows: npt.NDArray[Any]) -> Self:
        """Return the rows chosen by a boolean mask or by indices, in frame order."""
        chosen = self.data.iloc[np.flatnonzero(rows) if rows.dtype == bool else rows]
        return self.with_data(chosen)

    def with_columns(self, **columns: npt.NDArray[Any]) -> Self:
        """Return the table with columns added or replaced."""
        return self.with_data(self.data.assign(**columns))

    def with_data(self, data: pd.DataFrame) -> Self:
        """Return another table of the same field and provenance."""
        return type(self)(data=data, field=self.field, provenance=self.provenance)

    def with_provenance(self, **entries: Any) -> Self:
        """Return the same rows with entries added to the provenance."""
        return type(self)(
            data=self.data, field=self.field, provenance={**self.provenance, **entries}
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Emitters:
    """Ground truth: which molecule emitted how many photoelectrons where, frame by frame.

    Attributes
    ----------
    data : pandas.DataFrame
        Columns frame, emitter, x_nm, y_nm, photons.
    field : FieldOfView
        What the positions refer to.
    provenance : mapping
        The scene and its seed.
    """

    data: pd.DataFrame
    field: FieldOfView
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        data = _checked(self.data, EMITTER_COLUMNS, "a table of emitters")
        data = data.astype({"emitter": np.int64})
        if not data["frame"].is_monotonic_increasing:
            data = data.sort_values("frame", kind="stable")
        object.__setattr__(self, "data", data.reset_index(drop=True))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.data)

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return one column as an array."""
        return self.data[name].to_numpy()


def _checked(data: pd.DataFrame, required: tuple[str, ...], what: str) -> pd.DataFrame:
    """Return `data` with its dtypes set, or say what is wrong with it."""
    missing = [name for name in required if name not in data.columns]
    if missing:
        raise TableError(f"{what} needs the columns {list(required)}; {missing} are missing")
    if data.columns.has_duplicates:
        raise TableError(f"{what} names a column twice: {list(data.columns)}")
    broken = [
        str(name)
        for name in data.columns
        if data[name].dtype.kind == "f" and not np.isfinite(data[name].to_numpy()).all()
    ]
    if broken:
        raise TableError(f"{what} must hold finite numbers only; {broken} hold NaN or infinity")
    dtypes = {name: COLUMNS[name][0] for name in map(str, data.columns) if name in COLUMNS}
    data = data.astype({name: to for name, to in dtypes.items() if data[name].dtype != to})
    if len(data) and int(data["frame"].min()) < 0:
        raise TableError(f"frames start at 0; {what} holds frame {int(data['frame'].min())}")
    return data


def write_localizations(localizations: Localizations, path: Path) -> None:
    """Write a table as Parquet, with its field and provenance in the file's own metadata."""
    _write(localizations.data, localizations.field, localizations.provenance, path, "localizations")


def read_localizations(path: Path) -> Localizations:
    """Read a Parquet table; one written elsewhere gets a field inferred from its extent.

    Raises
    ------
    TableError
        When the file is missing, not Parquet, or lacks frame, x_nm or y_nm.
    """
    data, metadata = _read(path)
    with refusing(TableError, path, "holds no table", _WRITE_AGAIN):
        field_of_view = (
            FieldOfView(**metadata["field"]) if metadata else inferred_field(data, path=path)
        )
        return Localizations(
            data=data, field=field_of_view, provenance=dict(metadata.get("provenance", {}))
        )


def write_emitters(emitters: Emitters, path: Path) -> None:
    """Write ground truth as Parquet."""
    _write(emitters.data, emitters.field, emitters.provenance, path, "emitters")


def read_emitters(path: Path) -> Emitters:
    """Read ground truth written by `write_emitters`."""
    data, metadata = _read(path)
    with refusing(TableError, path, "is no table of emitters", _WRITE_AGAIN):
        return Emitters(
            data=data,
            field=FieldOfView(**metadata["field"]),
            provenance=dict(metadata.get("provenance", {})),
        )


def inferred_field(
    data: pd.DataFrame, *, pixel_size_nm: float = 100.0, path: Path | None = None
) -> FieldOfView:
    """Return the smallest field that holds a table, marked as inferred."""
    missing = [name for name in REQUIRED_COLUMNS if name not in data.columns]
    if missing:
        raise TableError(f"{path or 'the table'} lacks the columns {missing}")

    def pixels(name: str) -> int:
        extent_nm = float(data[name].max()) if len(data) else 0.0
        return max(1, int(np.floor(extent_nm / pixel_size_nm)) + 1)

    return FieldOfView(
        width_px=pixels("x_nm"),
        height_px=pixels("y_nm"),
        pixel_size_nm=pixel_size_nm,
        frame_count=int(data["frame"].max()) + 1 if len(data) else 0,
        is_inferred=True,
    )


def _write(
    data: pd.DataFrame,
    field_of_view: FieldOfView,
    provenance: Mapping[str, Any],
    path: Path,
    kind: str,
) -> None:
    """Write one table and its metadata under the schema key ``cellstorm``."""
    table = pa.Table.from_pandas(data, preserve_index=False)
    metadata = {
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "program": f"cellstorm {__version__}",
        "field": asdict(field_of_view),
        "columns": {
            name: {"unit": COLUMNS[name][1], "meaning": COLUMNS[name][2]}
            for name in map(str, data.columns)
            if name in COLUMNS
        },
        "provenance": dict(provenance),
    }
    schema_metadata = {b"cellstorm": json.dumps(metadata, sort_keys=True).encode()}
    with written_whole(path) as temporary:
        pq.write_table(table.replace_schema_metadata(schema_metadata), temporary)


def _read(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the rows and our metadata (empty when another program wrote the file)."""
    if not Path(path).is_file():
        raise TableError(f"{path} does not exist")
    with refusing(TableError, path, "is not a Parquet table", _WRITE_AGAIN):
        table = pq.read_table(path)
        metadata = dict(json.loads((table.schema.metadata or {}).get(b"cellstorm", b"{}")))
        version = int(metadata.get("format_version", 0))
        data = table.to_pandas()
    if version > FORMAT_VERSION:
        raise TableError(
            f"{path} has format version {version}; this program reads up to "
            f"{FORMAT_VERSION}: upgrade cellstorm"
        )
    return data, metadata
