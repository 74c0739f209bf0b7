"""Cut-outs show the spot they stand for, in the middle or at the edge."""

import numpy as np
import pandas as pd

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.pipeline.strips import cut_strips
from cellstorm_lib.tables import FieldOfView, Localizations
from cellstorm_lib.video.array import ArraySource


def camera(gain_e_per_adu: float) -> CameraCalibration:
    return CameraCalibration(
        name="plain", source="stated", offset_adu=0.0, gain_e_per_adu=gain_e_per_adu,
        read_noise_e=0.0,
    )  # fmt: skip


def spots_at(rows: list[tuple[int, float, float, float]]) -> Localizations:
    data = pd.DataFrame(rows, columns=["frame", "x_nm", "y_nm", "photons"])
    data = data.astype({"frame": np.int32, "photons": np.float32})
    field = FieldOfView(width_px=40, height_px=30, pixel_size_nm=100.0, frame_count=20)
    return Localizations(data=data, field=field)


def test_each_cut_out_holds_the_pixel_of_its_spot():
    rng = np.random.default_rng(0)
    frames = np.zeros((20, 30, 40), np.uint16)
    rows = []
    for frame in range(20):
        x_px, y_px = rng.uniform(0, 40), rng.uniform(0, 30)
        frames[frame, int(y_px), int(x_px)] = 10 + frame
        rows.append((frame, 100 * x_px, 100 * y_px, 10.0 + frame))
    source = ArraySource(frames)
    strips = cut_strips(
        "denoised", spots_at(rows), np.ones(20, bool),
        raw=(source, camera(1.0)), denoised=(source, camera(2.0)),
    )  # fmt: skip
    assert len(strips) == 8
    assert strips.frame.tolist() == sorted(strips.frame.tolist())  # brighter with every frame
    assert (strips.frame[0], strips.frame[-1]) == (0, 19)
    assert strips.raw.shape == (8, 15, 15)
    np.testing.assert_array_equal(strips.denoised, 2 * strips.raw)
    for k in range(8):
        row, column = int(strips.y_px[k]), int(strips.x_px[k])
        assert strips.raw[k, row, column] == 10 + strips.frame[k]


def test_only_spots_that_stand_alone_are_shown_and_there_may_be_none():
    frames = ArraySource(np.ones((20, 30, 40), np.uint16))
    both = {"raw": (frames, camera(1.0)), "denoised": (frames, camera(1.0))}
    spots = spots_at([(3, 100.0, 100.0, 5.0), (4, 2000.0, 1000.0, 6.0)])
    one = cut_strips("raw", spots, np.array([False, True]), **both)
    assert one.frame.tolist() == [4]
    none = cut_strips("raw", spots, np.zeros(2, bool), **both)
    assert len(none) == 0
    assert none.raw.shape == (0, 15, 15)
