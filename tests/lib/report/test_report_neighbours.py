"""The histogram of distances to the nearest true spot."""

import numpy as np

from cellstorm_lib.evaluate.scores import NeighbourHistogram
from cellstorm_lib.report.neighbours import neighbours_figure


def test_bars_are_as_high_as_the_counts() -> None:
    edges = np.array([0.0, 100.0, np.inf])
    histograms = {
        name: NeighbourHistogram(edges_nm=edges, counts=np.array(counts), median_nm=50.0)
        for name, counts in {"raw": (7, 3), "denoised": (6, 0)}.items()
    }
    (ax,) = neighbours_figure(histograms).axes
    assert [bar.get_height() for bar in ax.patches] == [7, 3, 6, 0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0 to 100", "beyond 100"]


def test_nothing_to_draw_says_so() -> None:
    (ax,) = neighbours_figure({}).axes
    assert ax.texts[0].get_text() == "nothing was localized"
