"""A small project as a version of cellstorm left it: made once per format, and kept.

`python tests/assets/old_project.py TARGET.zip` makes one with the program as it is.
"""

import json
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cellstorm_lib.pipeline.judged import JudgedRecording
from cellstorm_lib.pipeline.result import DenoiseReport, FrameFacts, RecordingEntry
from cellstorm_lib.pipeline.store import read_records
from cellstorm_lib.refine.drift import Drift
from cellstorm_lib.tables import read_localizations
from cellstorm_lib.video.tiff import read_image

#: What is kept of each kind of result; the larger ones are made of the same parts.
KEPT = (
    "recording", "frame_facts", "widefield", "raw/spots", "raw/drift", "raw/localizations",
    "verdict", "denoised_stack",
)  # fmt: skip
RECORDS: dict[str, type] = {
    "recording": RecordingEntry, "frame_facts": FrameFacts, "raw/drift": Drift,
    "verdict": JudgedRecording, "denoised_stack": DenoiseReport,
}  # fmt: skip
TRUTH = "truth.json"


def told(assets: Path) -> dict[str, Any]:
    """Return what readers of today say of the results in a folder, in a few plain numbers."""
    found: dict[str, Any] = {}
    for result, kind in RECORDS.items():
        (path,) = (assets / result).glob("*.parquet")
        (record,) = read_records(kind, path)
        found[result] = _facts(record)
    for result in ("raw/spots", "raw/localizations"):
        (path,) = (assets / result).glob("*.parquet")
        table = read_localizations(path)
        numbers = table.data.select_dtypes("number")
        found[result] = {
            "rows": len(table),
            "pixel_size_nm": table.field.pixel_size_nm,
            "sums": {name: _sum(numbers[name]) for name in numbers.columns},
        }
    (path,) = (assets / "widefield").glob("*.tif")
    image, pixel_nm = read_image(path)
    found["widefield"] = {"mean": float(image.mean(dtype=np.float64)), "pixel_nm": pixel_nm}
    return found


def _facts(record: Any) -> dict[str, Any]:
    """Return the numbers and texts of a record, and the sums of its arrays."""
    found: dict[str, Any] = {}
    for name in record.__dataclass_fields__:
        value = getattr(record, name)
        if isinstance(value, np.ndarray):
            found[name] = float(value.sum(dtype=np.float64))
        elif isinstance(value, str | int | float):
            found[name] = value
    return found


def _sum(column: "pd.Series[Any]") -> float:
    return float(column.sum(skipna=True))


def make(target: Path) -> None:
    """Process a small film and keep the results."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "chaos"))
    from chaos_lab import Lab, films

    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "lab"
        made = films(Path(name) / "films", 1, frames=60, side_px=48)
        Lab.at(home).undisturbed(made)
        keep(home, target)


def keep(home: Path, target: Path) -> None:
    """Write the results of a project, and what they say."""
    assets = home / "data" / "assets"
    places = [*(assets / result for result in KEPT), home / "data" / "recordings"]
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_LZMA) as archive:
        for path in sorted(path for place in places for path in place.glob("[!.]*")):
            if not path.name.endswith(".ome.tif"):
                archive.write(path, path.relative_to(home))
        archive.writestr(TRUTH, json.dumps(told(assets), indent=1, sort_keys=True))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
