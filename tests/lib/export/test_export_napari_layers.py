"""The example that shows our files in napari: where things lie, in micrometres."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cellstorm_lib.tables import FieldOfView, Localizations, write_localizations
from cellstorm_lib.video.tiff import write_image

EXAMPLES = Path(__file__).parents[3] / "examples"
sys.path.insert(0, str(EXAMPLES))
import napari_layers  # noqa: E402

FIELD = FieldOfView(width_px=30, height_px=20, pixel_size_nm=100.0, frame_count=9)
_CREATE = """
import json, sys
import numpy as np
from napari.layers import Layer
made = []
for number, (look, kind) in enumerate(json.loads(sys.argv[2])):
    data = np.load(f"{sys.argv[1]}/{number}.npy")
    if "properties" in look:
        look["properties"] = {name: np.array(value) for name, value in look["properties"].items()}
    made.append(Layer.create(data, look, kind))
print(json.dumps([[type(layer).__name__, layer.extent.world.tolist()] for layer in made]))
"""


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Write what `cellstorm process` writes: one molecule in the middle of a lit pixel."""
    widefield = np.zeros((20, 30), np.float32)
    widefield[4, 7] = 1
    fine = np.zeros((200, 300), np.float32)
    fine[45, 75] = 1
    data = {"frame": [3], "x_nm": [755.0], "y_nm": [455.0], "photons": [900.0],
            "uncertainty_nm": [12.0]}  # fmt: skip
    write_image(tmp_path / "widefield.tif", widefield, pixel_size_nm=100.0)
    (tmp_path / "raw").mkdir()
    write_image(tmp_path / "raw" / "super_resolution.tif", fine, pixel_size_nm=10.0)
    table = Localizations(data=pd.DataFrame(data), field=FIELD, provenance={})
    write_localizations(table, tmp_path / "raw" / "localizations.parquet")
    return tmp_path


def test_a_molecule_lies_on_the_pixel_that_it_lights(results: Path) -> None:
    (wide, wide_look, _), (fine, fine_look, _), (points, look, kind) = napari_layers.layers_of(
        results
    )
    np.testing.assert_allclose(points, [[0.455, 0.755]])
    for values, how in ((wide, wide_look), (fine, fine_look)):
        lit = np.argwhere(values)[0] * how["scale"] + how["translate"]
        # the coarse pixel is centred at 0.45, 0.75 um
        assert np.abs(lit - points[0]).max() <= how["scale"][0] / 2 + 1e-9
    np.testing.assert_allclose(np.argwhere(fine)[0] * 0.01 + fine_look["translate"], points[0])
    assert kind == "points"
    np.testing.assert_allclose(look["size"], [0.024])  # as wide as plus and minus one sigma
    assert set(look["properties"]) == {"frame", "photons", "uncertainty_nm"}


def test_what_is_missing_is_left_out(results: Path, tmp_path: Path) -> None:
    (results / "widefield.tif").unlink()
    names = [look["name"] for _, look, _ in napari_layers.layers_of(results)]
    assert names == ["super-resolution, raw", "molecules, raw"]
    assert napari_layers.layers_of(tmp_path / "nowhere") == []


@pytest.mark.slow
def test_napari_makes_layers_of_them(results: Path) -> None:
    python = os.environ.get("CELLSTORM_TEST_NAPARI")
    if python is None and importlib.util.find_spec("napari") is None:
        pytest.skip("napari is not installed here, and CELLSTORM_TEST_NAPARI names no other")
    layers = napari_layers.layers_of(results)
    for number, (data, _, _) in enumerate(layers):
        np.save(results / f"{number}.npy", data)
    told = json.dumps([(look, kind) for _, look, kind in layers], default=_plain)
    done = subprocess.run(
        [python or sys.executable, "-c", _CREATE, results, told],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    made = json.loads(done.stdout.splitlines()[-1])
    assert [kind for kind, _ in made] == ["Image", "Image", "Points"]
    # an image reaches from the centre of its first to that of its last pixel, or half one further
    np.testing.assert_allclose(made[1][1], [[0.005, 0.005], [1.995, 2.995]], atol=0.006)
    np.testing.assert_allclose(np.mean(made[2][1], axis=0), [0.455, 0.755], atol=1e-6)


def _plain(value: object) -> object:
    """Return an array as a list."""
    return np.asarray(value).tolist()
