"""The figure of a photon transfer curve."""

from dataclasses import replace

import numpy as np
import pytest

from cellstorm_lib.camera import CameraCalibration, TransferPoints
from cellstorm_lib.report.camera_curves import photon_transfer_figure
from cellstorm_lib.report.drawing import figure_png, figure_svg


@pytest.fixture
def calibration():
    mean = np.linspace(10, 3000, 40)
    variance = 13.1 + (mean - 4) / 0.34 * np.where(mean > 2500, 0.5, 1.0)
    return CameraCalibration(
        name="P9", source="measured", offset_adu=4.0, gain_e_per_adu=0.34, read_noise_e=1.23,
        linear_from_adu=1.0, linear_to_adu=2500.0,
        intervals={"gain_e_per_adu": (0.33, 0.35), "linear_to_adu": (2450.0, 2550.0)},
        transfer=TransferPoints(
            mean_adu=tuple(mean), variance_adu2=tuple(variance),
            variance_error_adu2=tuple(0.01 * variance), pixel_count=(100,) * 40,
        ),
    )  # fmt: skip


def test_points_line_residuals_and_linear_range_are_drawn(calibration):
    figure = photon_transfer_figure(calibration)
    above, below = figure.axes
    labels = [text.get_text() for text in above.get_legend().get_texts()]
    assert labels == [
        "linear range",
        "95 % interval of its end",
        "fitted line",
        "one bin of pixels alike in light, 95 % interval",
        "bin that reaches beyond the range",
    ]
    line = next(drawn for drawn in above.get_lines() if drawn.get_label() == "fitted line")
    slope = np.diff(line.get_ydata()) / np.diff(line.get_xdata())
    np.testing.assert_allclose(slope, 1 / 0.34)
    assert "gain 0.34 (0.33 to 0.35) e⁻/grey value" in above.texts[0].get_text()
    assert above.get_ylabel() == "variance in time, grey values²"
    assert below.get_ylabel() == "off the line, %"
    full, hollow = (container.lines[0] for container in above.containers)
    noise = np.sqrt(13.1 + (full.get_xdata() - 4) / 0.34)
    assert (full.get_xdata() + 2 * noise < 2500).all()
    assert hollow.get_xdata().max() == 3000
    assert len(full.get_xdata()) + len(hollow.get_xdata()) == 40
    beyond = [drawn for drawn in below.get_lines() if drawn.get_marker() == "v"]
    assert (beyond[0].get_xdata() > 2500).all()
    assert len(beyond[0].get_xdata()) == np.count_nonzero(np.linspace(10, 3000, 40) > 2500)


def test_it_becomes_png_and_svg(calibration):
    figure = photon_transfer_figure(calibration)
    assert figure_png(figure, width_px=900).startswith(b"\x89PNG")
    assert "<svg" in figure_svg(figure, name="transfer", label="photon transfer")


def test_a_linear_range_that_was_not_measured_is_not_drawn(calibration):
    figure = photon_transfer_figure(replace(calibration, linear_to_adu=None, intervals={}))
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert "linear range" not in labels


def test_a_camera_that_was_not_measured_says_so(calibration):
    figure = photon_transfer_figure(replace(calibration, transfer=None))
    assert "not measured by photon transfer" in figure.axes[0].texts[0].get_text().replace(
        "\n", " "
    )
