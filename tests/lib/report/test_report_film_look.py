"""The figures of the paper's Fig. 7 show what was found, what is false and what is missing."""

import io

import numpy as np
from PIL import Image

from cellstorm_lib.pipeline.film_look import BranchLook, FilmLook, Spots
from cellstorm_lib.report.drawing import figure_png
from cellstorm_lib.report.film_look import look_figure, nearest_figure


def spots(places, is_paired):
    """Return places (frame, x, y)."""
    rows = np.array(places, float).reshape(-1, 3)
    return Spots(
        frame=rows[:, 0].astype(np.int64), xy_px=rows[:, 1:], is_paired=np.array(is_paired, bool)
    )


def look():
    """Return two branches: of three molecules one finds all, the other one and one false."""
    true = [(5, 20.5, 30.5), (5, 40.0, 35.0), (9, 22.0, 28.0)]
    branches = (
        ("raw", [(5, 20.0, 30.0), (5, 60.0, 60.0)], [True, False], [True, False, False],
         [70.7, np.inf]),
        ("network", true, [True, True, True], [True, True, True], [0.0, 0.0, 130.0]),
    )  # fmt: skip
    return FilmLook(
        film="letters",
        pixel_size_nm=100.0,
        tolerance_nm=200.0,
        shape=(128, 128),
        frame=5,
        corner_px=(16, 8),
        light_e=np.zeros((64, 64), np.float32),
        branches=tuple(
            BranchLook(
                name=name,
                image_e=np.zeros((64, 64), np.float32),
                found=spots(found, is_true),
                true=spots(true, is_found),
                nearest_nm=np.array(nearest_nm),
            )
            for name, found, is_true, is_found, nearest_nm in branches
        ),
    )


def offsets(ax):
    """Return the places of all marks of an axes."""
    return [np.asarray(drawn.get_offsets()).tolist() for drawn in ax.collections]


def test_a_picture_marks_found_false_and_missed_in_the_part_of_the_frame():
    figure = look_figure(look())
    assert len(figure.axes) == 6
    truth, raw, network = figure.axes[3:]
    assert offsets(truth) == [[[12.5, 14.5], [32.0, 19.0]]]
    found, false, missed = offsets(raw)
    assert found == [[12.0, 14.0]]
    assert false == [[52.0, 44.0]]
    assert missed == [[32.0, 19.0]]
    assert [len(marks) for marks in offsets(network)] == [2, 0, 0]
    assert figure.axes[1].get_title() == "raw\n1 found, 1 false"
    texts = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert texts == ["2 µm", "1 µm"]
    with Image.open(io.BytesIO(figure_png(figure, width_px=900))) as image:
        assert image.size[0] == 900


def test_distances_are_counted_and_far_ones_stand_in_the_last_bar():
    (ax,) = nearest_figure(look()).axes
    raw, network = (step.get_data() for step in ax.patches)
    assert raw.values.sum() == 2
    assert raw.values[3] == 1
    assert raw.values[-1] == 1
    assert network.values[0] == 2
    assert network.values[6] == 1
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["raw: 2 spots, 1 false", "network: 3 spots, 0 false"]


def test_a_look_at_nothing_says_so():
    nothing = look().of(["unknown"])
    for draw in (nearest_figure, look_figure):
        (ax,) = draw(nothing).axes
        assert ax.texts[0].get_text() == "nothing was compared"
