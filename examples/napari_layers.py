"""Look at a processed recording in napari: widefield, super-resolution image and molecules.

    pip install "napari[all]"
    python examples/napari_layers.py RESULTS_FOLDER

The folder is what `cellstorm process` wrote. napari is no dependency of cellstorm: what it is
given is made here from the files alone, so the same tuples suit a reader plugin, too.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from cellstorm_lib.export.formats import read_table
from cellstorm_lib.video.tiff import read_image

#: What napari calls a layer: data, its settings, its kind.
Layer = tuple[np.ndarray, dict[str, Any], str]
_PROPERTIES = ("frame", "photons", "background_photons", "uncertainty_nm", "sigma_nm")


def layers_of(folder: Path) -> list[Layer]:
    """Return everything in a folder of results as layers, all in micrometres.

    Parameters
    ----------
    folder : Path
        With ``widefield.tif``, and for each branch a folder with ``super_resolution.tif`` and
        ``localizations.parquet``; what is missing is left out.
    """
    layers = []
    if (folder / "widefield.tif").exists():
        layers.append(image_layer(folder / "widefield.tif", "widefield", colormap="gray"))
    for branch in ("raw", "denoised"):
        image, table = (
            folder / branch / name for name in ("super_resolution.tif", "localizations.parquet")
        )
        is_visible = branch == "raw"
        if image.exists():
            name = f"super-resolution, {branch}"
            layers.append(image_layer(image, name, colormap="inferno", visible=is_visible))
        if table.exists():
            layers.append(points_layer(table, f"molecules, {branch}", visible=is_visible))
    return layers


def image_layer(path: Path, name: str, **look: Any) -> Layer:
    """Return an image; napari counts from the centre of the first pixel, so it moves by half."""
    values, pixel_nm = read_image(path)
    pixel_um = pixel_nm / 1e3
    place = {"scale": (pixel_um, pixel_um), "translate": (pixel_um / 2, pixel_um / 2)}
    return values, {"name": name, **place, "blending": "additive", **look}, "image"


def points_layer(path: Path, name: str, **look: Any) -> Layer:
    """Return molecules as points as large as they are uncertain, coloured by when they blinked."""
    table = read_table(path)
    positions_um = table.xy_nm[:, ::-1] / 1e3  # rows first
    known = [column for column in _PROPERTIES if column in table]
    radius_nm = table.column("uncertainty_nm") if "uncertainty_nm" in table else 10.0
    settings = {
        "name": name,
        "size": np.broadcast_to(2e-3 * np.asarray(radius_nm), len(table)),
        "properties": {column: table.column(column) for column in known},
        "face_color": "frame" if len(table) else "white",
        "face_colormap": "viridis",
        **look,
    }
    return positions_um, settings, "points"


def main() -> None:
    layers = layers_of(Path(sys.argv[1]))
    if not layers:
        sys.exit(f"{sys.argv[1]} holds no results; give the folder that cellstorm process wrote")
    try:
        import napari  # noqa: PLC0415 - no dependency, so only who looks needs it
    except ImportError:
        sys.exit('napari is not installed: pip install "napari[all]"')
    viewer = napari.Viewer(title=Path(sys.argv[1]).name)
    for layer in layers:
        viewer.add_layer(napari.layers.Layer.create(*layer))
    viewer.scale_bar.visible, viewer.scale_bar.unit = True, "um"
    napari.run()


if __name__ == "__main__":
    main()
