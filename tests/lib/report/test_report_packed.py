import base64

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.report.packed import ROW_BYTES, packed
from cellstorm_lib.tables import FieldOfView, Localizations

FIELD = FieldOfView(width_px=128, height_px=64, pixel_size_nm=100.0, frame_count=50)


def table(count, seed=0, **columns):
    rng = np.random.default_rng(seed)
    data = pd.DataFrame(
        {
            "frame": np.sort(rng.integers(0, FIELD.frame_count, count)),
            "x_nm": rng.uniform(0, FIELD.width_nm, count),
            "y_nm": rng.uniform(0, FIELD.height_nm, count),
            "photons": rng.lognormal(6, 1, count),
            "uncertainty_nm": rng.lognormal(2, 0.4, count),
            "z_nm": rng.normal(0, 200, count),
        }
    )
    return Localizations(data=data.assign(**columns), field=FIELD)


def numbers(text, kind):
    return np.frombuffer(base64.b64decode(text), kind)


def column_of(packing, name):
    column = packing.values[name]
    share = numbers(column.steps, "<u2") / 65535
    if column.is_logarithmic:
        return column.low * (column.high / column.low) ** share
    return column.low + (column.high - column.low) * share


@given(count=st.integers(0, 300), seed=st.integers(0, 2**16))
def test_unpacking_gives_the_table_within_half_a_step(count, seed):
    whole = table(count, seed)
    packing = packed(whole, row_limit=300)
    assert (packing.total, packing.count) == (count, count)
    half_nm = 0.5001 * packing.step_nm
    x_nm = numbers(packing.x, "<u2") / 65535 * FIELD.width_nm
    y_nm = numbers(packing.y, "<u2") / 65535 * FIELD.height_nm
    np.testing.assert_allclose(x_nm, whole.column("x_nm"), rtol=0, atol=half_nm)
    np.testing.assert_allclose(y_nm, whole.column("y_nm"), rtol=0, atol=half_nm)
    rows = numbers(packing.rows_per_frame, "<u4")
    np.testing.assert_array_equal(np.repeat(np.arange(len(rows)), rows), whole.column("frame"))
    if count:
        for name in ("photons", "uncertainty_nm"):
            low, high = packing.values[name].low, packing.values[name].high
            half_step = np.log(high / low) / 65535 / 2
            np.testing.assert_allclose(
                column_of(packing, name), whole.column(name), rtol=1.01 * half_step + 1e-12
            )
        span_nm = np.ptp(whole.column("z_nm"))
        np.testing.assert_allclose(
            column_of(packing, "z_nm"), whole.column("z_nm"), rtol=0, atol=span_nm / 131_000 + 1e-9
        )


def test_of_too_many_rows_a_sample_is_kept_that_favours_no_time():
    whole = table(40_000)
    packing = packed(whole, row_limit=10_000)
    assert (packing.total, packing.count) == (40_000, 10_000)
    assert packing == packed(whole, row_limit=10_000)
    kept = numbers(packing.rows_per_frame, "<u4")
    share = kept / np.bincount(whole.column("frame"), minlength=FIELD.frame_count)
    spread = np.sqrt(0.25 * 0.75 / 800)  # 800 rows a frame, a quarter of them kept
    assert np.abs(share - 0.25).max() < 5 * spread
    assert len(packing.x) <= 10_000 * ROW_BYTES / 4 + 4


def test_rows_outside_the_field_are_left_out():
    whole = table(5, x_nm=[-1.0, 0.0, 6_400.0, 12_800.0, 12_801.0])
    packing = packed(whole, row_limit=10)
    assert (packing.total, packing.count) == (5, 3)
    np.testing.assert_array_equal(numbers(packing.x, "<u2"), [0, 32768, 65535])


def test_ends_of_the_colours_are_percentiles():
    whole = table(2_000)
    shown = packed(whole, row_limit=2_000).values["photons"].shown
    np.testing.assert_allclose(shown, np.percentile(whole.column("photons"), (2, 98)))


def test_what_has_no_logarithm_is_kept_all_the_same():
    some = packed(table(4, photons=[-3.0, 0.0, 10.0, 1000.0]), row_limit=4)
    np.testing.assert_allclose(column_of(some, "photons"), [10, 10, 10, 1000], rtol=1e-4)
    none = packed(table(2, photons=[-3.0, 0.0]), row_limit=4)
    np.testing.assert_allclose(column_of(none, "photons"), [-3, 0])
    assert not none.values["photons"].is_logarithmic


def test_columns_that_are_not_there_are_left_out():
    bare = table(3)
    bare = bare.with_data(bare.data[["frame", "x_nm", "y_nm"]])
    assert packed(bare, row_limit=3).values == {}


def test_a_limit_below_nothing_is_refused():
    with pytest.raises(SettingsError, match="row_limit must be from 0, got -1"):
        packed(table(1), row_limit=-1)
    assert packed(table(1), row_limit=0).count == 0
