"""Texts and values that hypothesis makes up are read or refused in one sentence."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from fuzz_readers import READERS
from hypothesis import given, settings
from hypothesis import strategies as st

from cellstorm_lib.errors import CellstormError

TEXT_FILES = {
    "csv": "table.csv", "text": "table.txt", "positions": "sites.csv",
    "sidecar": "film.mp4.cellstorm.yaml", "settings": "settings.yaml", "scene": "scene.yaml",
    "camera": "own.yaml", "dataset": "set.yaml", "shelf": "phone.yaml", "calibration": "cal.json",
    "z_calibration": "z.json", "display_plan": "display.json",
}  # fmt: skip
NAMES = st.sampled_from(
    ["camera", "codec", "kind", "like", "name", "source", "offset_adu", "gain_e_per_adu", "maps",
     "read_noise_e", "bit_depth", "transfer", "intervals", "along_x", "along_y", "field", "pairs",
     "preset", "roi", "pixel_size_nm", "structure", "blinking", "dye", "scene", "phone", "format"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)
CELLS = st.one_of(
    st.floats().map(repr), st.integers().map(str), st.text("0123456789.eE+-naif,;\t\"'", max_size=8)
)
HEADS = st.sampled_from(
    ["frame,x_nm,y_nm,photons", "x_nm,y_nm", '"frame","x [nm]","y [nm]","intensity [photon]"',
     "Index\tFirst Frame\tPosition X [nm]\tPosition Y [nm]", "Frame;X (nm);Y (nm);Photons", "#"]
)  # fmt: skip


def refused_well(reader: str, content: bytes) -> None:
    """Read a file; fail when that ends in anything but a result or one sentence that names it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / TEXT_FILES[reader]
        path.write_bytes(content)
        path.with_name("film.mp4").write_bytes(b"")
        try:
            READERS[reader](path)
        except CellstormError as error:
            sentence = str(error)
            assert path.name in sentence
            assert sentence.isprintable()
            assert not sentence.endswith(".")


@pytest.mark.parametrize("reader", TEXT_FILES)
@given(text=st.text(max_size=300))
@settings(max_examples=30, deadline=None)
def test_any_text(reader: str, text: str) -> None:
    refused_well(reader, text.encode("utf-8", errors="surrogatepass"))


@pytest.mark.parametrize("reader", [name for name in TEXT_FILES if "json" in TEXT_FILES[name]])
@given(value=VALUES | st.dictionaries(NAMES, VALUES, max_size=6))
@settings(max_examples=30, deadline=None)
def test_any_values_in_json(reader: str, value: Any) -> None:
    refused_well(reader, json.dumps(value).encode())


@pytest.mark.parametrize("reader", [name for name in TEXT_FILES if "yaml" in TEXT_FILES[name]])
@given(value=VALUES | st.dictionaries(NAMES, VALUES, max_size=6))
@settings(max_examples=30, deadline=None)
def test_any_values_in_yaml(reader: str, value: Any) -> None:
    refused_well(reader, yaml.safe_dump(value, allow_unicode=True).encode())


@pytest.mark.parametrize("reader", ["csv", "text", "positions"])
@given(
    head=HEADS,
    rows=st.lists(st.lists(CELLS, max_size=5), max_size=4),
    mark=st.sampled_from(",;\t "),
)
@settings(max_examples=60, deadline=None)
def test_any_cells_in_a_table(reader: str, head: str, rows: list[list[str]], mark: str) -> None:
    refused_well(reader, "\n".join([head, *(mark.join(row) for row in rows)]).encode())
