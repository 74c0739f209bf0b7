import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cellstorm_lib.report.page import recording_page
from cellstorm_lib.report.viewer import (
    IMAGE_BYTES,
    TABLE_BYTES,
    WIDEFIELD_BYTES,
    viewer_of,
)
from cellstorm_lib.tables import FieldOfView, Localizations

PAGE_BYTES = 15_000_000


def with_branches(result, **branches):
    return replace(result, branches=branches)


def crowded(branch, row_count, *, name="raw", side_px=1500):
    """Return a branch of so many localizations, and an image that compresses badly."""
    rng = np.random.default_rng(row_count)
    field = branch.localizations.field
    data = pd.DataFrame(
        {
            "frame": np.sort(rng.integers(0, field.frame_count, row_count)),
            "x_nm": rng.uniform(0, field.width_nm, row_count),
            "y_nm": rng.uniform(0, field.height_nm, row_count),
            "photons": rng.lognormal(6, 1, row_count),
            "uncertainty_nm": rng.lognormal(2, 0.4, row_count),
        }
    )
    image = rng.random((side_px, side_px)).astype(np.float32)
    return replace(
        branch,
        name=name,
        localizations=branch.localizations.with_data(data),
        image=replace(branch.image, image=image, pixel_nm=field.width_nm / side_px),
    )


def test_widefield_stands_left_and_the_branch_right(result):
    viewer = viewer_of(result)
    content = json.loads(viewer.content)
    assert (viewer.left, viewer.right) == ("widefield", "raw")
    assert [layer["name"] for layer in content["layers"]] == ["widefield", "raw"]
    assert [layer["width_um"] for layer in content["layers"]] == [6.4, 6.4]
    assert content["tables"]["raw"]["count"] == 1_000
    assert list(viewer.colours) == ["density", "time", "photons", "uncertainty_nm"]
    assert viewer.notes[-1] == (
        "This page holds all 1,000 localizations of the raw branch, their positions rounded to "
        "0.0977 nm."
    )


def test_regions_to_go_to_are_those_shown_below(result, parsed):
    viewer = viewer_of(result)
    page = parsed(recording_page(result))
    shown = sum(
        "super-resolution" in a["alt"] and "Region" in a["alt"] for t, a in page.tags if t == "img"
    )
    assert viewer.region_count == shown > 0


@pytest.mark.parametrize("rows", [0, 1])
def test_hardly_any_localization_leaves_the_widefield(result, rows):
    branch = result.branches["raw"]
    few = replace(branch, localizations=branch.localizations.take(np.arange(rows)))
    viewer = viewer_of(with_branches(result, raw=few))
    assert viewer.with_profile == bool(rows)
    assert viewer.left == "widefield"
    assert viewer.right == ("raw" if rows else "widefield")
    assert ("time" in viewer.colours) == bool(rows)


def test_without_widefield_two_branches_can_still_be_compared(result):
    raw = result.branches["raw"]
    bare = replace(result, widefield=np.zeros((0, 0), np.float32))
    both = viewer_of(with_branches(bare, raw=raw, denoised=replace(raw, name="denoised")))
    assert (both.left, both.right) == ("denoised", "raw")
    assert [layer.label for layer in both.layers] == [
        "super-resolution, raw",
        "super-resolution, denoised",
    ]
    assert viewer_of(with_branches(bare)) is None


def test_nothing_in_the_content_can_end_its_element(result):
    branch = replace(result.branches["raw"], name="</script><script>alert(1)</script>")
    viewer = viewer_of(with_branches(result, raw=branch))
    assert "<" not in viewer.content
    assert json.loads(viewer.content)["layers"][1]["name"] == branch.name


def test_a_short_table_leaves_its_share_to_the_others(result):
    raw = result.branches["raw"]
    limit = int(TABLE_BYTES * 3 / 4 / 8)
    long = crowded(raw, limit + 5_000, name="denoised", side_px=64)
    viewer = viewer_of(with_branches(result, denoised=long, raw=raw))
    counts = {name: table["count"] for name, table in json.loads(viewer.content)["tables"].items()}
    assert counts == {"raw": 1_000, "denoised": limit - 1_000}
    note = next(note for note in viewer.notes if "random sample" in note)
    assert note.startswith(f"This page holds {limit - 1_000:,} of the {limit + 5_000:,} ")


def test_branches_share_the_ends_of_their_colours(result):
    raw = result.branches["raw"]
    bright = raw.localizations.with_columns(photons=10 * raw.localizations.column("photons"))
    both = with_branches(
        result, raw=raw, denoised=replace(raw, name="denoised", localizations=bright)
    )
    low, high = json.loads(viewer_of(both).content)["ranges"]["photons"]
    ends = np.percentile(raw.localizations.column("photons"), (2, 98))
    np.testing.assert_allclose((low, high), (ends[0], 10 * ends[1]), rtol=1e-6)


def test_a_crowded_recording_stays_below_15_mb_and_says_what_it_lacks(result):
    raw = result.branches["raw"]
    branches = {
        name: crowded(raw, 190_000, name=name, side_px=1100) for name in ("raw", "denoised")
    }
    widefield = np.random.default_rng(2).random((1080, 1920)).astype(np.float32)
    html = recording_page(replace(result, branches=branches, widefield=widefield))
    assert len(html.encode()) < PAGE_BYTES
    assert TABLE_BYTES + IMAGE_BYTES + WIDEFIELD_BYTES < PAGE_BYTES - 3_000_000
    assert "of the 190,000 localizations of the raw branch" in html


@pytest.mark.slow
def test_ten_million_localizations_give_a_page(result):
    field = FieldOfView(width_px=256, height_px=256, pixel_size_nm=100.0, frame_count=20_000)
    count = 10_000_000
    rng = np.random.default_rng(7)
    data = pd.DataFrame(
        {
            "frame": np.sort(rng.integers(0, field.frame_count, count).astype(np.int32)),
            "x_nm": rng.uniform(0, field.width_nm, count),
            "y_nm": rng.uniform(0, field.height_nm, count),
            "photons": rng.lognormal(6, 1, count).astype(np.float32),
        }
    )
    raw = result.branches["raw"]
    table = Localizations(data=data, field=field)
    html = recording_page(
        with_branches(result, raw=replace(crowded(raw, 10), localizations=table, spots=table))
    )
    assert len(html.encode()) < PAGE_BYTES
    held = re.search(r"This page holds ([\d,]+) of the 10,000,000 localizations", html)[1]
    assert int(held.replace(",", "")) == int(TABLE_BYTES * 3 / 4 / 8)
