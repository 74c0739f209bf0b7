"""The diffraction pattern agrees with its closed forms, in focus and out of it."""

import numpy as np
import pytest
from scipy import integrate, optimize, special

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.airy import AirySpotSettings, airy_image, intensity
from cellstorm_lib.simulate.spot import add_spots, prepared_spot

UNIT_NM = 670.0 / 1.4


def test_in_focus_it_is_the_airy_pattern():
    radius_nm = np.linspace(1.0, 3000.0, 500)
    v = 2 * np.pi * radius_nm / UNIT_NM
    np.testing.assert_allclose(
        intensity(AirySpotSettings(), radius_nm), (2 * special.j1(v) / v) ** 2, atol=1e-10
    )


def test_the_light_within_the_first_dark_ring_is_that_of_airy():
    image = airy_image(AirySpotSettings(), pixel_size_nm=100.0)
    axis_nm = (np.arange(len(image.light)) + 0.5 - len(image.light) / 2) * 100.0
    radius_nm = np.hypot(axis_nm[:, None], axis_nm) / image.cells_per_px
    assert image.light.sum() == pytest.approx(1.0)

    def within(radius):  # share of all light, Born & Wolf 8.5.2
        v = 2 * np.pi * radius / UNIT_NM
        return 1 - special.j0(v) ** 2 - special.j1(v) ** 2

    drawn = 3.0 * UNIT_NM
    found = image.light[radius_nm <= 0.61 * UNIT_NM].sum() / image.light[radius_nm <= drawn].sum()
    assert found == pytest.approx(within(0.61 * UNIT_NM) / within(drawn), rel=0.005)
    assert within(drawn) > 0.96


@pytest.mark.parametrize("defocus_nm", [2000.0, -6000.0, 15_000.0])
def test_out_of_focus_the_axis_dims_as_the_paraxial_theory_says(defocus_nm):
    spot = AirySpotSettings(numerical_aperture=0.2, refractive_index=1.0, defocus_nm=defocus_nm)
    half = np.pi * 0.2**2 * defocus_nm / 670.0 / 2.0
    expected = np.sinc(half / np.pi) ** 2
    assert intensity(spot, np.zeros(1))[0] == pytest.approx(expected, abs=0.01)


def test_defocus_moves_light_and_loses_none():
    radius_nm = np.linspace(0.0, 15_000.0, 1500)

    def light(defocus_nm):
        ring = 2 * np.pi * radius_nm * intensity(AirySpotSettings(defocus_nm=defocus_nm), radius_nm)
        return integrate.trapezoid(ring, radius_nm)

    assert light(400.0) == pytest.approx(light(0.0), rel=0.01)
    nearer, farther = (AirySpotSettings(defocus_nm=z) for z in (300.0, 600.0))
    assert intensity(nearer, np.zeros(1))[0] > intensity(farther, np.zeros(1))[0]


def frames_of(settings, x_px, y_px, pixel_size_nm):
    frames = np.zeros((len(x_px), 41, 41), np.float32)
    add_spots(
        frames,
        frame=np.arange(len(x_px)),
        x_px=x_px,
        y_px=y_px,
        photons=np.ones(len(x_px)),
        spot=prepared_spot(settings, pixel_size_nm=pixel_size_nm),
    )
    return frames.astype(np.float64)


@pytest.mark.parametrize(("pixel_size_nm", "aperture"), [(100.0, 1.4), (160.0, 1.2), (50.0, 1.49)])
def test_pixels_collect_the_integral_of_the_pattern_wherever_the_molecule_is(
    pixel_size_nm, aperture
):
    spot = AirySpotSettings(numerical_aperture=aperture)
    x_px, y_px = np.random.default_rng(1).uniform(20, 21, (2, 12))
    found = frames_of(spot, x_px, y_px, pixel_size_nm)
    unit_nm = 670.0 / aperture
    scale = np.pi * (aperture / 670.0) ** 2  # of the pattern whose light is 1
    whole = 1 - special.j0(6 * np.pi) ** 2 - special.j1(6 * np.pi) ** 2
    fine = (np.arange(12) + 0.5) / 12
    for index in range(12):
        x_nm = (np.arange(16, 25)[:, None] + fine - x_px[index]) * pixel_size_nm
        y_nm = (np.arange(16, 25)[:, None] + fine - y_px[index]) * pixel_size_nm
        v = 2 * np.pi * np.hypot(y_nm[:, :, None, None], x_nm) / unit_nm
        expected = ((2 * special.j1(v) / v) ** 2).mean(axis=(1, 3)) * scale * pixel_size_nm**2
        np.testing.assert_allclose(
            found[index, 16:25, 16:25], expected / whole, atol=0.006 * expected.max()
        )


@pytest.mark.parametrize("aperture", [1.2, 1.4])
def test_a_gaussian_fitted_to_its_core_is_0_21_wavelengths_wide(aperture):
    spot = AirySpotSettings(numerical_aperture=aperture)
    image = frames_of(spot, np.array([20.5]), np.array([20.5]), 20.0)[0]
    expected_nm = 0.21 * 670.0 / aperture
    axis = np.arange(41) - 20.0
    core = np.hypot(axis[:, None], axis) * 20.0 < 1.2 * expected_nm * 2

    def residuals(values):
        profile = np.exp(-0.5 * (axis * 20.0 / values[1]) ** 2)
        return (values[0] * np.outer(profile, profile) - image)[core]

    fitted = optimize.least_squares(residuals, (image.max(), 80.0), x_scale=(image.max(), 80.0))
    assert fitted.x[1] == pytest.approx(expected_nm, rel=0.03)


def test_impossible_optics_are_refused():
    with pytest.raises(SettingsError, match="numerical_aperture must be below refractive_index"):
        AirySpotSettings(numerical_aperture=1.4, refractive_index=1.33)
    with pytest.raises(SettingsError, match="wavelength_nm must be at least 100 .* got 0.67"):
        AirySpotSettings(wavelength_nm=0.67)
    wide = AirySpotSettings(numerical_aperture=0.01, defocus_nm=20_000.0, wavelength_nm=3000.0)
    with pytest.raises(SettingsError, match="6000 cells across, got .* are its lengths in nm"):
        prepared_spot(wide, pixel_size_nm=1.0)
