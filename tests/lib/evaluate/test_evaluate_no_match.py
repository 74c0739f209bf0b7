"""What to look at when a table and its truth have nothing in common."""

import numpy as np
import pandas as pd

from cellstorm_lib.evaluate.no_match import why_no_match
from cellstorm_lib.evaluate.scores import score
from cellstorm_lib.tables import Emitters, FieldOfView, Localizations

FIELD = FieldOfView(width_px=64, height_px=64, pixel_size_nm=100.0, frame_count=30)


def found(x_nm: list[float], frame: list[int]) -> Localizations:
    return Localizations(
        data=pd.DataFrame({"frame": frame, "x_nm": x_nm, "y_nm": x_nm, "photons": 500.0}),
        field=FIELD,
    )


def true(x_nm: list[float], frame: list[int]) -> Emitters:
    columns = {"frame": frame, "emitter": np.arange(len(x_nm)), "x_nm": x_nm, "y_nm": x_nm}
    return Emitters(data=pd.DataFrame({**columns, "photons": 500.0}), field=FIELD)


def hint(table: Localizations, truth: Emitters) -> str | None:
    return why_no_match(table, truth, score(table, truth, tolerance_nm=100.0))


def test_frames_that_are_nowhere_alike_are_named_with_the_shift_that_mends_them() -> None:
    table, truth = found([1000.0, 2000.0], [0, 3]), true([1000.0, 2000.0], [19, 22])
    told = str(hint(table, truth))
    assert "the frames 0 to 3, the truth 19 to 22, and none is in both" in told
    assert "--shift-frames 19 " in told
    shifted = table.with_columns(frame=table.column("frame") + 19)
    assert score(shifted, truth, tolerance_nm=100.0).matched == 2
    assert hint(shifted, truth) is None


def test_positions_that_are_nowhere_alike_are_told_by_their_reach() -> None:
    told = str(hint(found([1000.0], [0]), true([6000.0], [0])))
    assert "reaches to x 1, y 1 um, the truth to x 6, y 6 um; are the pixel size" in told


def test_an_empty_table_needs_no_hint() -> None:
    assert hint(found([], []), true([1000.0], [0])) is None
    assert hint(found([1000.0], [0]), true([], [])) is None
