"""The picture by which a network is judged first: film, what it made, truth, side by side."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from cellstorm_lib.gan.engine import Frames
from cellstorm_lib.gan.samples import Sample
from cellstorm_lib.report.drawing import shortened, styled

_TITLES = ("film", "output of the network", "truth")
#: Side of what is shown of a frame, px; more would hide the spots.
_SIDE_PX = 128


@styled
def denoised_panel_figure(samples: Sequence[Sample]) -> Figure:
    """Draw samples as rows: film | output | truth.

    Output and truth of a row share one scale of grey, so that light that is missing looks dark;
    the film has its own, for its background would hide the spots.
    """
    height_inch = 0.4 + 2.3 * len(samples)
    figure = Figure(figsize=(6.6, height_inch), layout="constrained")
    axes = figure.subplots(len(samples), 3, squeeze=False)
    for row, sample in zip(axes, samples, strict=True):
        shown = (sample.film_e, sample.made_e, sample.light_e)
        film, made, light = (_part(image, sample.light_e) for image in shown)
        top = max(float(light.max()), 1.0)
        low, high = np.percentile(film, (1.0, 99.8))
        spans = ((low, max(high, low + 1.0)), (0.0, top), (0.0, top))
        for ax, image, (bottom, ceiling) in zip(row, (film, made, light), spans, strict=True):
            ax.imshow(image, cmap="gray", vmin=bottom, vmax=ceiling, interpolation="nearest")
            ax.set_xticks([])
            ax.set_yticks([])
            ax.set_xlabel(f"{round(bottom)} to {round(ceiling)} e-/px", labelpad=2, fontsize=8)
        row[0].set_ylabel(shortened(sample.origin, character_count=24), fontsize=8)
    for ax, title in zip(axes[0], _TITLES, strict=True):
        ax.set_title(title)
    return figure


def _part(image: Frames, light: Frames) -> Frames:
    """Return the part of an image around its most light, so that single pixels can be seen."""
    corner = []
    for axis, size in enumerate(light.shape):
        profile = light.sum(axis=1 - axis)
        sums = np.convolve(profile, np.ones(min(_SIDE_PX, size)), mode="valid")
        corner.append(int(np.argmax(sums)))
    top, left = corner
    return image[top : top + _SIDE_PX, left : left + _SIDE_PX]
