import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellstorm_lib.report.regions import densest_regions, zoom_side_nm
from cellstorm_lib.tables import FieldOfView, Localizations

FIELD = FieldOfView(width_px=200, height_px=150, pixel_size_nm=100.0, frame_count=10)


def table(x_nm, y_nm, field=FIELD):
    return Localizations(data=pd.DataFrame({"frame": 0, "x_nm": x_nm, "y_nm": y_nm}), field=field)


def cluster(x_nm, y_nm, *, count, spread_nm=300.0, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(x_nm, spread_nm, count), rng.normal(y_nm, spread_nm, count)


def overlap(one, other):
    side_nm = one.side_nm
    return abs(one.x_nm - other.x_nm) < side_nm and abs(one.y_nm - other.y_nm) < side_nm


def test_regions_hold_the_structure_fullest_first():
    x1, y1 = cluster(15_000, 3_000, count=400)
    x2, y2 = cluster(4_000, 11_000, count=100, seed=1)
    found = densest_regions(table(np.r_[x1, x2], np.r_[y1, y2]), side_nm=1_600.0, region_count=2)
    for region, (x_nm, y_nm) in zip(found, [(15_000, 3_000), (4_000, 11_000)], strict=True):
        assert region.x_nm < x_nm < region.x_nm + region.side_nm
        assert region.y_nm < y_nm < region.y_nm + region.side_nm


def test_a_spot_that_blinks_often_does_not_outdo_structure():
    x_nm, y_nm = cluster(15_000, 3_000, count=200)
    blinking = np.full(5_000, 2_000.0)
    found = densest_regions(
        table(np.r_[blinking, x_nm], np.r_[blinking, y_nm]), side_nm=1_600.0, region_count=1
    )
    assert found[0].x_nm > 10_000


def test_a_single_localization_lies_in_the_middle_of_its_region():
    (region,) = densest_regions(table([7_000.0], [5_000.0]), side_nm=2_000.0)
    assert region.x_nm + 1_000 == pytest.approx(7_000, abs=130)
    assert region.y_nm + 1_000 == pytest.approx(5_000, abs=130)


def test_no_region_without_localizations():
    assert densest_regions(table([], [])) == ()


@given(
    points=st.lists(st.tuples(st.floats(0, 19_999), st.floats(0, 14_999)), max_size=40),
    side_nm=st.floats(300, 15_000),
)
def test_regions_lie_in_the_field_and_never_overlap(points, side_nm):
    x_nm, y_nm = np.array(points).reshape(-1, 2).T
    found = densest_regions(table(x_nm, y_nm), side_nm=side_nm)
    assert len(found) <= 3
    for region in found:
        assert 0 <= region.x_nm <= FIELD.width_nm - side_nm + 1e-6
        assert 0 <= region.y_nm <= FIELD.height_nm - side_nm + 1e-6
        inside = (
            (x_nm >= region.x_nm - side_nm / 16)
            & (x_nm <= region.x_nm + side_nm * 17 / 16)
            & (y_nm >= region.y_nm - side_nm / 16)
            & (y_nm <= region.y_nm + side_nm * 17 / 16)
        )
        assert inside.any()
    assert not any(
        overlap(one, other) for number, one in enumerate(found) for other in found[:number]
    )


@pytest.mark.parametrize(
    ("side_px", "pixel_nm", "side_nm"), [(512, 80.0, 5_000), (64, 100.0, 1_000), (8, 100.0, 800)]
)
def test_zoomed_side_suits_the_field(side_px, pixel_nm, side_nm):
    field = FieldOfView(width_px=side_px, height_px=side_px, pixel_size_nm=pixel_nm, frame_count=1)
    assert zoom_side_nm(field) == pytest.approx(side_nm)
