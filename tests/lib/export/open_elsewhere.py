"""Open a file with the code of another program, and tell as JSON what that program sees.

Run with the interpreter that has the program: `python open_elsewhere.py PROGRAM FILE [OUT.npz]`.
"""

import json
import sys
from pathlib import Path

import numpy as np


def picasso(path: str, out: str) -> dict:
    """Load a table as Picasso's own window does, and draw it with Picasso's renderer."""
    from picasso import io, render

    locs, info = io.load_locs(path)
    pixel_nm = next(entry["Pixelsize"] for entry in info if "Pixelsize" in entry)
    drawn, image = render.render(locs, info, disp_px_size=float(pixel_nm), blur_method=None)
    blurred, _ = render.render(locs, info, disp_px_size=float(pixel_nm), blur_method="gaussian")
    columns = {name: np.asarray(locs[name]) for name in ("frame", "x", "y", "photons", "lpx")}
    np.savez(out, image=np.asarray(image), **columns)
    width, height = (next(entry[name] for entry in info if name in entry)
                     for name in ("Width", "Height"))  # fmt: skip
    return {"drawn": int(drawn), "blurred": int(blurred), "pixel_nm": float(pixel_nm),
            "width_px": width, "height_px": height}  # fmt: skip


def locan(path: str, out: str) -> dict:
    """Load a table by the reader that Locan has for its ending."""
    import locan as program

    readers = {
        ".csv": program.load_thunderstorm_file,
        ".smlm": program.load_SMLM_file,
        ".txt": program.load_rapidSTORM_file,
    }
    found = readers[Path(path).suffix](path)
    found = found[0] if isinstance(found, list) else found
    data = found.data
    np.savez(out, **{name: data[name].to_numpy() for name in data.columns})
    histogram = program.histogram(found, n_bins=32)
    return {"count": len(data), "columns": sorted(data.columns),
            "in histogram": float(np.sum(histogram.data))}  # fmt: skip


def ome(path: str, out: str) -> dict:
    """Check the XML against the schema of OME, and read pixels and scale with bioio."""
    from bioio import BioImage
    from bioio_ome_tiff import Reader
    from ome_types import from_tiff

    told = from_tiff(path, validate=True)
    pixels = told.images[0].pixels
    image = BioImage(path, reader=Reader)
    np.savez(out, pixels=image.get_image_data("TYX", C=0, Z=0))
    scale = image.physical_pixel_sizes
    return {"order": image.dims.order, "shape": list(image.shape),
            "x_um": scale.X, "y_um": scale.Y, "z_um": scale.Z, "dtype": str(image.dtype),
            "unit": pixels.physical_size_x_unit.value, "planes": len(pixels.planes),
            "time_increment": pixels.time_increment,
            "time_unit": pixels.time_increment_unit.value}  # fmt: skip


if __name__ == "__main__":
    program, file, kept = sys.argv[1:]
    print(json.dumps({"picasso": picasso, "locan": locan, "ome": ome}[program](file, kept)))
