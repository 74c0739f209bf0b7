"""Figures of a training: curves, benchmark, and the picture of samples."""

import io

import numpy as np
import pandas as pd
from PIL import Image

from cellstorm_lib.gan.samples import Sample
from cellstorm_lib.report.denoised_panel import denoised_panel_figure
from cellstorm_lib.report.drawing import figure_png
from cellstorm_lib.report.learning import benchmark_figure, learning_figure


def sample(side_px: int, at: tuple[int, int]) -> Sample:
    """Return a sample with one bright pixel."""
    light = np.zeros((side_px, side_px), np.float32)
    light[at] = 100.0
    return Sample(origin="a-scene", film_e=light + 5.0, made_e=light, light_e=light)


def test_a_panel_shows_each_sample_three_ways_in_one_scale() -> None:
    figure = denoised_panel_figure([sample(64, (10, 10)), sample(64, (50, 20))])
    assert len(figure.axes) == 6
    made, light = (axes.images[0] for axes in figure.axes[1:3])
    assert made.get_clim() == light.get_clim() == (0.0, 100.0)
    np.testing.assert_array_equal(made.get_array(), light.get_array())
    assert [axes.get_title() for axes in figure.axes[:3]] == [
        "film", "output of the network", "truth"
    ]  # fmt: skip
    with Image.open(io.BytesIO(figure_png(figure))) as image:
        assert min(image.size) > 300


def test_a_large_frame_is_cut_to_where_its_light_is() -> None:
    figure = denoised_panel_figure([sample(400, (350, 30))])
    shown = figure.axes[2].images[0].get_array()
    assert shown.shape == (128, 128)
    assert shown.sum() == 100.0


def test_curves_are_drawn_over_the_steps() -> None:
    step = np.array([10, 20, 30])
    figure = learning_figure(step, 1.0 / step, 2.0 / step, step / 30.0)
    above, below = figure.axes
    np.testing.assert_array_equal(above.lines[1].get_ydata(), 2.0 / step)
    np.testing.assert_array_equal(below.lines[0].get_xdata(), step)
    nothing = np.array([])
    text = learning_figure(np.array([], int), nothing, nothing, nothing).axes[0].texts[0]
    assert text.get_text() == "no step was reported"


def scores(names: list[str]) -> pd.DataFrame:
    """Return scores that are better for each next name."""
    return pd.DataFrame(
        [
            {
                "film": film,
                "name": name,
                "recall": recall,
                "f1": 0.5 + number / 20,
                "f1_error": 0.01,
            }
            for film, recall in (("D", 0.5), ("empty", np.nan), ("L", 0.4))
            for number, name in enumerate(names)
        ]
    )


def test_the_benchmark_figure_shows_films_with_molecules_only() -> None:
    (axes,) = benchmark_figure(scores(["raw", "one"])).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["D", "L"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["raw", "one"]


def test_of_many_networks_the_raw_film_and_the_best_are_shown() -> None:
    (axes,) = benchmark_figure(scores(["raw", "a", "b", "c", "d", "e"])).axes
    shown = [text.get_text() for text in axes.get_legend().get_texts()]
    assert shown == ["raw", "c", "d", "e"]


def test_films_without_molecules_alone_leave_nothing_to_draw() -> None:
    only_empty = scores(["raw"])[lambda table: table["recall"].isna()]
    (axes,) = benchmark_figure(only_empty).axes
    assert "no film with molecules" in axes.texts[0].get_text()
