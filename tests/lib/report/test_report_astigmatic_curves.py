"""The figure of a z calibration."""

import numpy as np
from astigmatic_beads import LENS

from cellstorm_lib.calibrate.astigmatism import AstigmatismReport, HeldOut
from cellstorm_lib.calibrate.defocus_curves import BeadWidths
from cellstorm_lib.report.astigmatic_curves import astigmatism_figure
from cellstorm_lib.report.drawing import figure_png


def test_widths_curves_range_and_errors_are_drawn():
    z_nm = np.linspace(-500, 500, 9000)
    sigma_px = np.stack([LENS.along_x.sigma_px(z_nm), LENS.along_y.sigma_px(z_nm)], axis=1)
    report = AstigmatismReport(
        calibration=LENS,
        widths=BeadWidths(
            bead=np.arange(9000) % 3, stage_nm=z_nm, sigma_px=sigma_px, error_px=0.01 * sigma_px
        ),
        left_out={},
        held_out=HeldOut(
            z_nm=np.array([-100.0, 100.0]), bias_nm=np.array([1.0, -2.0]),
            rms_nm=np.array([4.0, 5.0]), residual_nm=4.5, systematic_nm=0.0,
        ),
    )  # fmt: skip
    figure = astigmatism_figure(report)
    above, below = figure.axes
    labels = [text.get_text() for text in above.get_legend().get_texts()]
    assert labels == ["z can be told", "along x", "along y"]
    curves = {line.get_label(): line for line in above.get_lines()}
    for name, curve in (("along x", LENS.along_x), ("along y", LENS.along_y)):
        drawn = curves[name]
        np.testing.assert_allclose(drawn.get_ydata(), curve.sigma_px(drawn.get_xdata()))
    dots = [line for line in above.get_lines() if line.get_marker() == "."]
    assert [len(line.get_xdata()) for line in dots] == [4500, 4500]
    np.testing.assert_array_equal(below.get_lines()[-1].get_ydata(), [1.0, -2.0])
    assert figure_png(figure).startswith(b"\x89PNG")
