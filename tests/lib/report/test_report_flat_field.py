"""The figure of a flat field: its map and its cuts."""

import numpy as np

from cellstorm_lib.calibrate.flat_field import FlatField
from cellstorm_lib.report.drawing import figure_png
from cellstorm_lib.report.flat_field import flat_field_figure


def flat(values: np.ndarray) -> FlatField:
    return FlatField(
        relative_sensitivity=values.astype(np.float32), corner_share=0.8, relative_error=0.001,
        origin="made",
    )  # fmt: skip


def test_the_cuts_are_the_middle_row_and_column() -> None:
    rows, columns = np.mgrid[:48, :64]
    values = 1.0 + 0.002 * columns - 0.004 * rows
    along_x, along_y = flat_field_figure(flat(values)).axes[1].get_lines()[:2]
    np.testing.assert_allclose(along_x.get_ydata(), values[24], rtol=1e-6)
    np.testing.assert_allclose(along_y.get_ydata(), values[:, 32], rtol=1e-6)
    np.testing.assert_allclose(along_x.get_xdata(), np.arange(64) + 0.5)


def test_a_perfectly_flat_field_can_be_drawn() -> None:
    assert figure_png(flat_field_figure(flat(np.ones((64, 64))))).startswith(b"\x89PNG")
