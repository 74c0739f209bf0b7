import io
from dataclasses import replace

import matplotlib.image
import numpy as np

from cellstorm_lib.calibrate.dark_stability import DarkStability
from cellstorm_lib.report.dark_curves import dark_stability_figure
from cellstorm_lib.report.drawing import figure_png

FRAME = np.arange(210)
STEADY = DarkStability(
    name="dark.mp4",
    frame=FRAME,
    time_s=FRAME / 20,
    mean_adu=4.0 + 0.1 * (FRAME % 21 == 0),
    median_adu=np.full(210, 4.0),
    noise_adu=np.full(210, 3.0),
    is_key=FRAME % 21 == 0,
    level_adu=np.full(210, 4.0),
    decay="none",
    rate_adu_per_s=0.0,
    rate_interval=(-0.01, 0.01),
    fading_time_s=None,
    fading_interval=None,
    period_s=1.05,
    period_frames=21.0,
    step_adu=0.1,
    step_error_adu=0.01,
    key_period_frames=21.0,
    is_period_of_keys=True,
    reason="",
)


def texts(ax):
    return [entry.get_text() for entry in ax.get_legend().get_texts()]


def test_both_panels_show_the_series_and_its_period():
    figure = dark_stability_figure(STEADY)
    series, folded = figure.axes
    assert texts(series) == ["mean of a frame", "key frames", "slow change: steady level"]
    assert sorted(texts(folded)) == [
        "folded over the period found, 1.05 s (21.0 frames)",
        "key frame",
    ]
    assert "grey values" in series.get_ylabel()
    assert series.get_xlabel() == "time, s"
    assert folded.get_xlabel() == "frames since the key frame"
    drawn = folded.containers[0].lines[0]
    np.testing.assert_allclose(drawn.get_xdata(), np.arange(21), atol=1e-9)
    np.testing.assert_allclose(drawn.get_ydata(), 0.1 * (np.arange(21) == 0), atol=1e-9)
    image = matplotlib.image.imread(io.BytesIO(figure_png(figure, width_px=900)))
    assert image.shape[1] == 900


def test_without_a_step_the_key_frames_period_is_folded():
    none = replace(STEADY, period_s=None, period_frames=None, is_period_of_keys=None)
    folded = dark_stability_figure(none).axes[1]
    assert "no periodic step; folded over the key frames' 21 frames" in texts(folded)


def test_periods_of_which_hardly_one_was_recorded_are_not_folded():
    short = replace(
        STEADY,
        period_s=None,
        period_frames=None,
        is_period_of_keys=None,
        key_period_frames=100.0,
    )
    assert len(dark_stability_figure(short).axes) == 1


def test_a_stack_without_a_step_has_one_panel_and_no_key_frames():
    stack = replace(
        STEADY,
        is_key=np.ones(210, bool),
        period_s=None,
        period_frames=None,
        key_period_frames=None,
        is_period_of_keys=None,
    )
    figure = dark_stability_figure(stack)
    assert len(figure.axes) == 1
    assert "key frames" not in texts(figure.axes[0])
