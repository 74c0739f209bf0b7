"""Every localization is drawn with weight 1, where it is and as wide as it says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_tables import table
from scipy.special import erf

from cellstorm_lib.errors import SettingsError, TableError
from cellstorm_lib.reconstruct.render import RenderSettings, render

METHODS = ["gaussian", "histogram", "ash"]


def scattered(seed, count=300, *, margin_nm=0.0, side_nm=(3000.0, 2000.0)):
    rng = np.random.default_rng(seed)
    return table(
        rng.uniform(margin_nm, np.array(side_nm) - margin_nm, (count, 2)),
        side_nm=side_nm,
        uncertainty_nm=rng.uniform(5, 30, count),
    )


def test_a_histogram_counts_localizations_in_pixels():
    found = render(scattered(1), RenderSettings(method="histogram", pixel_nm=50.0))
    x_nm, y_nm = scattered(1).xy_nm.T
    expected = np.histogram2d(y_nm, x_nm, (40, 60), ((0, 2000), (0, 3000)))[0]
    np.testing.assert_array_equal(found.image, expected)
    assert found.image.dtype == np.float32
    assert (found.pixel_nm, found.method, found.localizations) == (50.0, "histogram", 300)


@settings(deadline=None, max_examples=30)
@given(
    x_nm=st.floats(0, 2999), y_nm=st.floats(0, 1999), wide=st.floats(6, 60), high=st.floats(6, 60)
)
def test_a_gaussian_is_integrated_over_each_pixel(x_nm, y_nm, wide, high):
    one = table(
        [[x_nm, y_nm]],
        side_nm=(3000.0, 2000.0),
        uncertainty_x_nm=[wide],
        uncertainty_y_nm=[high],
    )
    image = render(one, RenderSettings(method="gaussian", pixel_nm=20.0)).image

    def shares(count, centre_nm, sigma_nm):
        return 0.5 * np.diff(erf((np.arange(count + 1) * 20 - centre_nm) / np.sqrt(2) / sigma_nm))

    # the claim is stored in single precision; tails beyond 4 sigma are cut (6e-5 of the weight)
    expected = np.outer(shares(100, y_nm, high), shares(150, x_nm, wide))
    np.testing.assert_allclose(image, expected, atol=2e-4)


@pytest.mark.parametrize("shifts", [1, 2, 3])
def test_ash_is_the_mean_of_shifted_histograms(shifts):
    made, pixel_nm = scattered(2, margin_nm=300.0), 50.0
    image = render(made, RenderSettings(method="ash", pixel_nm=pixel_nm, shifts=shifts)).image
    x_px, y_px = made.xy_nm.T / pixel_nm
    expected = np.zeros_like(image, np.float64)
    columns, rows = np.arange(60) + 0.5, np.arange(40) + 0.5
    for right in range(shifts):
        for down in range(shifts):
            # bins of `shifts` pixels, moved by whole pixels: same bin, same count
            bin_x, bin_y = (x_px + right) // shifts, (y_px + down) // shifts
            counts = np.zeros((80, 80))
            np.add.at(counts, (bin_y.astype(int), bin_x.astype(int)), 1)
            of_x, of_y = (columns + right) // shifts, (rows + down) // shifts
            expected += counts[np.ix_(of_y.astype(int), of_x.astype(int))]
    np.testing.assert_allclose(image, expected / shifts**4, rtol=1e-5, atol=1e-6)


def test_ash_weights_are_those_of_thunderstorm():
    one = table([[1025.0, 525.0]], side_nm=(3000.0, 2000.0))
    image = render(one, RenderSettings(method="ash", pixel_nm=50.0)).image
    np.testing.assert_array_equal(
        image[9:12, 19:22], np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
    )
    assert image.sum() == 1


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), method=st.sampled_from(METHODS), pixel_nm=st.floats(8, 70))
def test_the_sum_is_the_number_of_localizations_inside(seed, method, pixel_nm):
    made = scattered(seed, margin_nm=200.0)
    image = render(made, RenderSettings(method=method, pixel_nm=pixel_nm)).image
    np.testing.assert_allclose(image.sum(dtype=float), 300, rtol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_turning_positions_turns_the_image(method):
    made = scattered(3, side_nm=(2000.0, 2000.0))
    turned = made.with_columns(x_nm=2000 - made.column("y_nm"), y_nm=made.column("x_nm"))
    how = RenderSettings(method=method, pixel_nm=25.0)
    np.testing.assert_allclose(
        render(turned, how).image, np.rot90(render(made, how).image, -1), atol=1e-4
    )


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_rows_does_not_matter(method):
    made = scattered(4, 2000)
    shuffled = made.take(np.random.default_rng(0).permutation(2000))
    how = RenderSettings(method=method, pixel_nm=20.0)
    np.testing.assert_allclose(render(shuffled, how).image, render(made, how).image, atol=1e-4)


def test_absurd_uncertainties_are_clamped():
    made = scattered(5, margin_nm=500.0)
    claimed = made.column("uncertainty_nm").copy()
    claimed[0], claimed[1] = 0.0, 1e9
    image = render(made.with_columns(uncertainty_nm=claimed), RenderSettings(pixel_nm=10.0)).image
    assert np.isfinite(image).all()
    np.testing.assert_allclose(image.sum(dtype=float), 300, rtol=1e-4)


def test_localizations_outside_the_field_are_counted_not_drawn():
    made = table([[-1.0, 50.0], [50.0, 2000.0], [50.0, 50.0]], side_nm=(3000.0, 2000.0))
    found = render(made, RenderSettings(method="histogram", pixel_nm=100.0))
    assert (found.localizations, found.outside, found.image.sum()) == (1, 2, 1)


@pytest.mark.parametrize("method", ["auto", "histogram", "ash"])
def test_an_empty_table_makes_an_empty_image(method):
    found = render(table([], side_nm=(3000.0, 2000.0)), RenderSettings(method=method))
    assert found.image.sum() == 0
    assert found.image.shape == (200, 300)  # a tenth of a camera pixel


def test_without_uncertainties_the_automatic_method_is_ash():
    assert render(table([[50.0, 50.0]])).method == "ash"
    assert render(scattered(6)).method == "gaussian"


def test_the_automatic_pixel_is_half_the_median_uncertainty_within_bounds():
    made = scattered(7)
    median = np.median(made.column("uncertainty_nm"))
    assert render(made).pixel_nm == pytest.approx(median / 2)
    assert render(made.with_columns(uncertainty_nm=np.full(300, 0.1))).pixel_nm == 2.0
    wide = table([[50.0, 50.0]], side_nm=(51_200.0, 25_600.0), uncertainty_nm=[2.0])
    assert render(wide).image.shape == (2048, 4096)


def test_an_image_too_large_is_refused_with_the_remedy():
    with pytest.raises(
        SettingsError, match="64000 x 64000 pixels.*choose pixel_nm of at least 0.55"
    ):
        render(table([], side_nm=(6400.0, 6400.0)), RenderSettings(pixel_nm=0.1))


def test_gaussians_need_uncertainties():
    with pytest.raises(TableError, match="'uncertainty_nm'; the table has none: choose the method"):
        render(table([[50.0, 50.0]]), RenderSettings(method="gaussian"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"pixel_nm": 0.0}, "pixel_nm must be above 0, got 0.0"),
        ({"method": "scatter"}, "method must be one of"),
        ({"shifts": 0}, "shifts must be from 1 to 16, got 0"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, message):
    with pytest.raises(SettingsError, match=message):
        RenderSettings(**wrong)
