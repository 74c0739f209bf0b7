"""Where materialized values are kept: Parquet for tables and records, TIFF + PNG, HTML, Zarr."""

import tempfile
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar, get_args, get_origin

import dagster as dg
import numpy as np
import numpy.typing as npt
import pandas as pd
from upath import UPath

from cellstorm_assets.lineage_notes import note_for, remember
from cellstorm_assets.object_store import store_path, store_told_plainly
from cellstorm_assets.resources import ProjectResource
from cellstorm_lib.calibrate.flat_field import FlatField
from cellstorm_lib.camera import CameraCalibration, read_calibration, write_calibration
from cellstorm_lib.export.lineage_text import LINEAGE
from cellstorm_lib.files import written_whole
from cellstorm_lib.pairs.pair_set import PairSet, read_pairs, write_pairs
from cellstorm_lib.pipeline.lineage_files import Note, note_in, note_picture, page_with
from cellstorm_lib.pipeline.result import FrcReports
from cellstorm_lib.pipeline.store import read_records, write_records
from cellstorm_lib.pixel_maps import read_map, write_map
from cellstorm_lib.reconstruct.frc import FrcReport
from cellstorm_lib.reconstruct.render import RenderedImage
from cellstorm_lib.report.drawing import figure_png
from cellstorm_lib.report.flat_field import flat_field_figure
from cellstorm_lib.report.picture import Picture, write_picture
from cellstorm_lib.tables import (
    Emitters,
    Localizations,
    read_emitters,
    read_localizations,
    write_emitters,
    write_localizations,
)
from cellstorm_lib.video.tiff import read_image, read_image_details, write_image

Stored = TypeVar("Stored")


class _WholeFiles(dg.UPathIOManager):
    """Stores a value by a library function that writes a local file, whole or not at all.

    Into the same file goes what the value was made from, where that is known.
    """

    @abstractmethod
    def write(self, value: Any, path: Path, note: Note | None) -> None:
        """Write a value to a local file, and what it was made from."""

    @abstractmethod
    def read(self, kind: Any, path: Path) -> Any:
        """Read a value as a type from a local file."""

    def dump_to_path(self, context: dg.OutputContext, obj: Any, path: UPath) -> None:
        """Write the value; to a store that is not a disk, by way of a local file."""
        note = note_for(context)
        if path.protocol in {"", "file"}:
            self.write(obj, Path(str(path)), note)
            return
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / path.name
            self.write(obj, local, note)
            with store_told_plainly(str(path)):
                self._upload(Path(folder), path)

    def _upload(self, folder: Path, path: UPath) -> None:
        """Copy the files of a local folder to beside `path`."""
        for file in sorted(folder.iterdir()):
            (path.parent / file.name).write_bytes(file.read_bytes())

    def _download(self, path: UPath, local: Path) -> None:
        """Copy what is at `path` to a local file."""
        local.write_bytes(path.read_bytes())

    def stored(self, kind: type[Stored], asset: dg.AssetKey, partition: str) -> Stored:
        """Read the value of one partition of an asset, for those that choose it while they run.

        Raises
        ------
        FileNotFoundError
            When it was not materialized.
        """
        value: Stored = self._read_from(kind, self._path_of(asset, partition))
        return value

    def has_stored(self, asset: dg.AssetKey, partition: str) -> bool:
        """Return whether one partition of an asset was materialized."""
        path = self._path_of(asset, partition)
        with store_told_plainly(str(path)):
            return path.exists()

    def _path_of(self, asset: dg.AssetKey, partition: str) -> UPath:
        """Return where one partition of an asset is kept."""
        path = self.make_safe_partition_path(self._base_path.joinpath(*asset.path), partition)
        return self._with_extension(path)

    def load_input(self, context: dg.InputContext) -> Any:
        """Read the value; all partitions at once come by key, also when there is only one."""
        wants_all = get_origin(context.dagster_type.typing_type) is dict
        keys = context.asset_partition_keys if wants_all else []
        if len(keys) != 1:
            return super().load_input(context)
        value = super().load_input(context)
        if isinstance(value, dict):  # empty: the only one there could be is missing
            return value
        return {} if value is None else {keys[0]: value}

    def load_from_path(self, context: dg.InputContext, path: UPath) -> Any:
        """Read the value as the type its reader asks for."""
        kind = context.dagster_type.typing_type
        if get_origin(kind) is dict:  # all partitions of a recording's asset at once
            return self._read_from(get_args(kind)[1], path)
        return self._read_from(kind, path, context)

    def _read_from(self, kind: Any, path: UPath, context: dg.InputContext | None = None) -> Any:
        """Read a value as a type, from a store that is not a disk by way of a local file."""
        with store_told_plainly(str(path)):
            is_there = path.exists()
        if not is_there:
            raise FileNotFoundError(f"{path} does not exist; materialize it first")
        if path.protocol in {"", "file"}:
            return self._read_noted(kind, Path(str(path)), context)
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / path.name
            with store_told_plainly(str(path)):
                self._download(path, local)
            return self._read_noted(kind, local, context)

    def _read_noted(self, kind: Any, path: Path, context: dg.InputContext | None) -> Any:
        """Read a value, and remember what it was made from; not when it was replaced meanwhile."""
        note = None if context is None else note_in(path)
        value = self.read(kind, path)
        if note is not None and context is not None and note == note_in(path):
            remember(context, note)
        return value


class ParquetFiles(_WholeFiles):
    """Tables of positions, facts per frame, and records with arrays."""

    extension = ".parquet"

    def write(self, value: Any, path: Path, note: Note | None) -> None:
        """Write one value by its type."""
        lineage = None if note is None else note.plain()
        if isinstance(value, Localizations):
            write_localizations(_of_lineage(value, lineage), path)
        elif isinstance(value, Emitters):
            write_emitters(value, path)
        elif isinstance(value, FrcReports):
            write_records(value.reports, path, lineage=lineage)
        elif isinstance(value, pd.DataFrame):
            with written_whole(path) as temporary:
                value.to_parquet(temporary, index=False)
        else:
            write_records([value], path, lineage=lineage)

    def read(self, kind: Any, path: Path) -> Any:
        """Read one value by the type that is asked for."""
        if kind is Localizations:
            return read_localizations(path)
        if kind is Emitters:
            return read_emitters(path)
        if kind is pd.DataFrame:
            return pd.read_parquet(path)
        if kind is FrcReports:
            return FrcReports(reports=tuple(read_records(FrcReport, path)))
        if is_dataclass(kind) and isinstance(kind, type):
            return read_records(kind, path)[0]
        raise dg.DagsterInvariantViolationError(f"no reader for {kind} from {path}")


def _of_lineage(table: Localizations, lineage: Mapping[str, Any] | None) -> Localizations:
    """Return a table that says what it was made from, and nothing of what another was."""
    rest = {name: value for name, value in table.provenance.items() if name != LINEAGE}
    return replace(table, provenance=rest if lineage is None else {**rest, LINEAGE: lineage})


class PictureFiles(_WholeFiles):
    """Images as 32-bit TIFF with the pixel size, and a PNG with a scale bar beside it."""

    extension = ".tif"

    def write(self, value: RenderedImage | Picture, path: Path, note: Note | None) -> None:
        """Write the TIFF and the PNG."""
        details: dict[str, Any] = {} if note is None else {LINEAGE: note.plain()}
        if isinstance(value, RenderedImage):
            details |= {
                "method": value.method,
                "localizations": value.localizations,
                "outside": value.outside,
            }
            write_image(path, value.image, pixel_size_nm=value.pixel_nm, details=details)
        else:
            details |= {"colours": value.colours, "is_sparse": value.is_sparse}
            write_image(path, value.values, pixel_size_nm=value.pixel_nm, details=details)
        write_picture(value, path.with_suffix(".png"))
        if note is not None:
            note_picture(path.with_suffix(".png"), note)

    def read(self, kind: Any, path: Path) -> RenderedImage | Picture:
        """Read the TIFF as a picture or as a rendered image."""
        values, pixel_nm = read_image(path)
        details = read_image_details(path)
        details.pop(LINEAGE, None)
        if kind is RenderedImage:
            return RenderedImage(image=values, pixel_nm=pixel_nm, **details)
        return Picture(values=values, pixel_nm=pixel_nm, **details)


class PageFiles(_WholeFiles):
    """Self-contained HTML pages."""

    extension = ".html"

    def write(self, value: str, path: Path, note: Note | None) -> None:
        """Write the page."""
        page = value if note is None else page_with(value, note)
        with written_whole(path) as temporary:
            temporary.write_text(page, encoding="utf-8")

    def read(self, kind: Any, path: Path) -> str:  # noqa: ARG002
        """Read the page."""
        return path.read_text(encoding="utf-8")


class CalibrationFiles(_WholeFiles):
    """Cameras as CAL.json, their pixel maps as TIFF beside it."""

    extension = ".json"

    def write(self, value: CameraCalibration, path: Path, note: Note | None) -> None:  # noqa: ARG002
        """Write the calibration."""
        write_calibration(value, path)

    def read(self, kind: Any, path: Path) -> CameraCalibration:  # noqa: ARG002
        """Read the calibration."""
        return read_calibration(path)


class FlatFieldFiles(_WholeFiles):
    """Flat fields as 32-bit TIFF, and a picture beside it."""

    extension = ".tif"

    def write(self, value: FlatField, path: Path, note: Note | None) -> None:  # noqa: ARG002
        """Write the map and its picture."""
        write_map(value.relative_sensitivity, path)
        with written_whole(path.with_suffix(".png")) as temporary:
            temporary.write_bytes(figure_png(flat_field_figure(value)))

    def read(self, kind: Any, path: Path) -> npt.NDArray[np.float32]:  # noqa: ARG002
        """Read the map."""
        return read_map(path)


class PairFolders(_WholeFiles):
    """Training pairs, each set a Zarr folder."""

    extension = ".zarr"

    def write(self, value: PairSet, path: Path, note: Note | None) -> None:  # noqa: ARG002
        """Write the pairs."""
        write_pairs(value, path)

    def read(self, kind: Any, path: Path) -> PairSet:  # noqa: ARG002
        """Read the pairs."""
        return read_pairs(path)

    def _upload(self, folder: Path, path: UPath) -> None:
        """Copy the folder over what was there; one that is not whole is refused by its digest."""
        if path.exists():
            path.fs.rm(path.path, recursive=True)
        for file in sorted(found for found in folder.rglob("*") if found.is_file()):
            target = path.parent.joinpath(*file.relative_to(folder).parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())

    def _download(self, path: UPath, local: Path) -> None:
        """Copy the folder."""
        for name in path.fs.find(path.path):
            target = local / PurePosixPath(name).relative_to(path.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.fs.cat_file(name))


class _Storage(dg.ConfigurableIOManagerFactory):  # type: ignore[type-arg]
    """A store below the project's asset folder, or below a URI of any kind fsspec knows."""

    home: str = ""
    base_uri: str = ""

    def base_path(self) -> UPath:
        """Return where everything is kept."""
        if self.base_uri:
            return store_path(self.base_uri)
        return UPath(ProjectResource(home=self.home).project().assets_folder)


class ParquetStorage(_Storage):
    """Parquet files."""

    def create_io_manager(self, context: Any) -> ParquetFiles:  # noqa: ARG002
        """Return the store."""
        return ParquetFiles(base_path=self.base_path())


class PictureStorage(_Storage):
    """TIFF and PNG files."""

    def create_io_manager(self, context: Any) -> PictureFiles:  # noqa: ARG002
        """Return the store."""
        return PictureFiles(base_path=self.base_path())


class PageStorage(_Storage):
    """HTML files."""

    def create_io_manager(self, context: Any) -> PageFiles:  # noqa: ARG002
        """Return the store."""
        return PageFiles(base_path=self.base_path())


class CalibrationStorage(_Storage):
    """Calibrations with their maps."""

    def create_io_manager(self, context: Any) -> CalibrationFiles:  # noqa: ARG002
        """Return the store."""
        return CalibrationFiles(base_path=self.base_path())


class FlatFieldStorage(_Storage):
    """Flat fields."""

    def create_io_manager(self, context: Any) -> FlatFieldFiles:  # noqa: ARG002
        """Return the store."""
        return FlatFieldFiles(base_path=self.base_path())


class PairStorage(_Storage):
    """Training pairs."""

    def create_io_manager(self, context: Any) -> PairFolders:  # noqa: ARG002
        """Return the store."""
        return PairFolders(base_path=self.base_path())
