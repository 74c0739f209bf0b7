"""What the viewer of a page holds: pictures in tiles, localizations, colours, and their limits."""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import matplotlib as mpl
import numpy as np
from markupsafe import Markup

from cellstorm_lib.pipeline.result import BranchResult, RecordingResult
from cellstorm_lib.report.headline import recommended_first
from cellstorm_lib.report.packed import ROW_BYTES, PackedTable, packed
from cellstorm_lib.report.picture import Picture
from cellstorm_lib.report.pyramid import TILE_PX, Pyramid, pyramid_of
from cellstorm_lib.report.regions import Region
from cellstorm_lib.report.rows import rounded_text
from cellstorm_lib.report.shots import (
    picture_label,
    regions_of,
    widefield_picture,
)

#: Characters that the parts of the viewer may take, so that a page stays below 15 million.
TABLE_BYTES = 4_000_000
IMAGE_BYTES = 7_000_000
WIDEFIELD_BYTES = 600_000
#: The dark ends of the colour maps are left out: they would not be seen on black.
_MAP_START = 0.3
_DEFAULT_BAND_NM = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A picture that can stand left or right of the line."""

    name: str
    label: str
    pyramid: Pyramid

    def plain(self) -> dict[str, object]:
        """Return the layer as the page's script reads it."""
        return {
            "name": self.name,
            "label": self.label,
            "tile_px": TILE_PX,
            "width_um": self.pyramid.width_px * self.pyramid.pixel_nm / 1000,
            **asdict(self.pyramid),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """The viewer of a page.

    Attributes
    ----------
    content : Markup
        JSON for the page's script, safe to stand in HTML.
    layers : tuple of Layer
        Pictures to choose from.
    left, right : str
        Names of those shown first.
    colours : mapping of str to str
        What localizations can be coloured by: names of columns and how they are called.
    region_count : int
        Dense regions to jump to.
    with_profile : bool
        Whether there are localizations to draw a profile of.
    band_nm : float
        Width over which a profile is taken, unless changed.
    notes : tuple of str
        What was left out of the page, and how finely positions are kept.
    """

    content: Markup
    layers: tuple[Layer, ...]
    left: str
    right: str
    colours: Mapping[str, str]
    region_count: int
    with_profile: bool
    band_nm: float
    notes: tuple[str, ...]


def viewer_of(result: RecordingResult) -> Viewer | None:
    """Return the viewer of a recording, the branch to use on the right; None without a picture."""
    shown = [branch for branch in recommended_first(result) if len(branch.localizations)]
    widefield = widefield_picture(result)
    layers = []
    if widefield is not None:
        pyramid = pyramid_of(widefield, byte_limit=WIDEFIELD_BYTES)
        layers.append(Layer(name="widefield", label="widefield", pyramid=pyramid))
    for branch in shown:
        pyramid = pyramid_of(Picture.of(branch.image), byte_limit=IMAGE_BYTES / len(shown))
        layers.append(Layer(name=branch.name, label=picture_label(branch, result), pyramid=pyramid))
    if not layers:
        return None
    tables = _tables(shown)
    regions = regions_of(result)
    content = {
        "width_um": _field_nm(result)[0] / 1000,
        "height_um": _field_nm(result)[1] / 1000,
        "frame_rate_hz": result.facts.frame_rate_hz,
        "layers": [layer.plain() for layer in layers],
        "tables": {name: asdict(table) for name, table in tables.items()},
        "ranges": _ranges(tables),
        "maps": {name: _map_text(name) for name in ("viridis", "cividis")},
        "regions": [_plain_region(region) for region in regions],
    }
    return Viewer(
        content=_json(content),
        layers=tuple(layers),
        left=layers[-1 if widefield is None else 0].name,
        right=shown[0].name if shown else layers[0].name,
        colours=_colours(tables),
        region_count=len(regions),
        with_profile=any(table.count for table in tables.values()),
        band_nm=_DEFAULT_BAND_NM,
        notes=(*_image_notes(layers), *_table_notes(tables)),
    )


def _field_nm(result: RecordingResult) -> tuple[float, float]:
    """Return width and height of the field."""
    roi = result.facts.roi
    return roi.width_px * result.pixel_size_nm, roi.height_px * result.pixel_size_nm


def _tables(shown: list[BranchResult]) -> dict[str, PackedTable]:
    """Return the tables of the branches; a short one leaves its share to the others."""
    rows_left = int(TABLE_BYTES / ROW_BYTES)
    tables = {}
    by_length = sorted(shown, key=lambda branch: len(branch.localizations))
    for number, branch in enumerate(by_length):
        table = packed(branch.localizations, row_limit=rows_left // (len(by_length) - number))
        tables[branch.name] = table
        rows_left -= table.count
    return tables


def _colours(tables: Mapping[str, PackedTable]) -> dict[str, str]:
    """Return what the localizations can be coloured by."""
    colours = {"density": "as rendered"}
    if any(table.count for table in tables.values()):
        colours["time"] = "time"
    for table in tables.values():
        colours.update({column: values.name for column, values in table.values.items()})
    return colours


def _ranges(tables: Mapping[str, PackedTable]) -> dict[str, tuple[float, float]]:
    """Return the ends of the colours of each column, the same for all branches."""
    ranges: dict[str, tuple[float, float]] = {}
    for table in tables.values():
        for name, column in table.values.items():
            low, high = ranges.get(name, column.shown)
            ranges[name] = (min(low, column.shown[0]), max(high, column.shown[1]))
    return ranges


def _image_notes(layers: Iterable[Layer]) -> tuple[str, ...]:
    """Return which pictures are coarser than the rendered ones."""
    return tuple(
        f"The picture {layer.label} has {rounded_text(layer.pyramid.pixel_nm)} nm pixels here, "
        f"{2**layer.pyramid.halvings} times those of the rendered image, to keep this file small."
        for layer in layers
        if layer.pyramid.halvings
    )


def _table_notes(tables: Mapping[str, PackedTable]) -> tuple[str, ...]:
    """Return how many localizations are in the page, and how finely."""
    notes = []
    for name, table in tables.items():
        held = f"all {table.count:,}"
        if table.count < table.total:
            held = f"{table.count:,} of the {table.total:,}"
        sampled = ""
        if table.count < 0.99 * table.total:
            sampled = (
                ", a random sample to keep this file small: seen one by one, coloured, or counted "
                "along a line, some are missing; the pictures and all other figures are of all"
            )
        notes.append(
            f"This page holds {held} localizations of the {name} branch, their positions rounded "
            f"to {rounded_text(table.step_nm)} nm{sampled}."
        )
    return tuple(notes)


def _map_text(name: str) -> str:
    """Return the 256 colours of a map as base64, three bytes each."""
    colours = mpl.colormaps[name](np.linspace(_MAP_START, 1, 256))[:, :3] * 255
    return base64.b64encode(np.rint(colours).astype(np.uint8).tobytes()).decode("ascii")


def _plain_region(region: Region) -> dict[str, float]:
    """Return a region in µm."""
    return {
        "x_um": region.x_nm / 1000,
        "y_um": region.y_nm / 1000,
        "side_um": region.side_nm / 1000,
    }


def _json(content: object) -> Markup:
    """Return JSON that cannot end the element it stands in."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704  (escaped right here)
