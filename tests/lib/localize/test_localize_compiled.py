"""A process that compiles the loops finds what one that loads them finds, to the last bit.

Numba keeps a copy of a function for itself and one in each caller. Where rounding may be
rearranged the copies differ, and which of them runs depends on what this process compiled.
"""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astigmatic_beads import LENS
from localize_scenes import PHONE, SCIENTIFIC, Recording, expected_frame, exposed

from cellstorm_lib.localize.localize import LocalizeSettings, localize
from cellstorm_lib.pixel_maps import PixelMaps

SIDE_PX, FRAMES = 96, 40


def digests() -> list[str]:
    """Localize a film, a crowded stack, one by pixel maps, and one in depth; digest each table."""
    rng = np.random.default_rng(3)
    mean = np.stack([
        expected_frame((SIDE_PX, SIDE_PX), np.column_stack(
            [rng.uniform(4, SIDE_PX - 4, (30, 2)), rng.uniform(300, 2000, 30)]
        ))
        for _ in range(FRAMES)
    ])  # fmt: skip
    ones = np.ones((SIDE_PX, SIDE_PX), np.float32)
    maps = PixelMaps(
        offset_adu=np.float32(SCIENTIFIC.offset_adu) * ones,
        read_variance_e2=np.float32(2.0) + rng.random((SIDE_PX, SIDE_PX), np.float32),
    )
    by_pixel, in_depth = replace(SCIENTIFIC, maps=maps), LocalizeSettings(z_calibration=LENS)
    made = []
    for camera, kind, settings in (
        (PHONE, "h264", None),
        (SCIENTIFIC, "stack", None),
        (by_pixel, "stack", None),
        (SCIENTIFIC, "stack", in_depth),
    ):
        film = Recording(frames=exposed(mean, camera, rng), kind=kind)
        table, _ = localize(film, camera, pixel_size_nm=100.0, settings=settings)
        assert len(table) > FRAMES
        content = b"".join(table.data[name].to_numpy().tobytes() for name in table.data)
        made.append(hashlib.sha256(content).hexdigest())
    return made


@pytest.mark.slow
def test_a_process_that_compiles_finds_the_same_as_one_that_loads(tmp_path: Path) -> None:
    folders = [Path(__file__).parent, *(Path(part) for part in sys.path if part)]
    environment = {
        **os.environ,
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(map(str, folders)),
    }
    command = [sys.executable, "-c", f"import {Path(__file__).stem} as own; print(own.digests())"]
    compiled, loaded = (
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    )
    assert any(tmp_path.rglob("*.nbi"))
    assert compiled == loaded
