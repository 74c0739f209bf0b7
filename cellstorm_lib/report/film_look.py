"""The figures of the paper's Fig. 7: distances to the truth, and true, false and missing spots."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cellstorm_lib.pipeline.film_look import BranchLook, FilmLook, Image, Spots
from cellstorm_lib.report.drawing import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    ORANGE,
    RED,
    figure_of_nothing,
    legend_above,
    new_axes,
    shortened,
    styled,
)
from cellstorm_lib.report.scale_bar import length_text, scale_bar_nm

_BIN_NM, _MOST_NM = 20.0, 500.0
#: Large enough to leave the spot inside it visible, square points.
_MARK_AREA = 90
#: The first is drawn wide, so that it is seen where another lies on it.
_SERIES = ((ORANGE, "-", 2.6), (BLUE, "-", 1.2), (GREEN, "--", 1.2), (RED, ":", 1.2))
_DECADES = (0, 1, 10, 100, 1000, 10_000, 100_000)
#: Colour and shape: each kind can be told without seeing colours.
_FOUND: dict[str, Any] = {"color": BLUE, "marker": "o", "facecolors": "none"}
_FALSE: dict[str, Any] = {"color": ORANGE, "marker": "x"}
_MISSED: dict[str, Any] = {"color": RED, "marker": "s", "facecolors": "none"}
_TRUE: dict[str, Any] = {"color": GREEN, "marker": "+"}

#: Places, and how they are marked.
_Marked = tuple[npt.NDArray[np.float64], dict[str, Any]]


@styled
def nearest_figure(look: FilmLook) -> Figure:
    """Draw how many localizations are how far from the nearest true molecule, raw and denoised.

    What is further than the axis reaches, or in a frame without molecules, stands in the last bar.
    """
    if not look.branches:
        return figure_of_nothing("nothing was compared")
    figure, (ax,) = new_axes(width_inch=5.4, height_inch=3.0)
    edges = np.append(np.arange(0.0, _MOST_NM + _BIN_NM, _BIN_NM), _MOST_NM + 2 * _BIN_NM)
    for branch, (colour, line, width) in zip(look.branches, _SERIES, strict=False):
        counts, _ = np.histogram(np.minimum(branch.nearest_nm, edges[-1]), edges)
        label = (
            f"{shortened(branch.name)}: {len(branch.nearest_nm):,} spots, "
            f"{(~branch.found.is_paired).sum():,} false"
        )
        ax.stairs(counts, edges, color=colour, linestyle=line, linewidth=width, label=label)
    true_count = len(look.branches[0].true.frame)
    ax.axvline(look.tolerance_nm, color=FAINT, linewidth=1, linestyle="--")
    ax.annotate(
        "tolerance", (look.tolerance_nm, 1.0), xycoords=("data", "axes fraction"),
        xytext=(3, -3), textcoords="offset points", va="top", color=FAINT, fontsize=8,
    )  # fmt: skip
    ax.set_yscale("symlog", linthresh=1)
    top = max(ax.get_ylim()[1], 10.0)
    ax.set_yticks(_DECADES, [f"{decade:,}" for decade in _DECADES])
    ax.set_ylim(0, top)
    ax.minorticks_off()
    ax.set_xlim(0.0, edges[-1])
    ticks = np.arange(0.0, _MOST_NM, 100.0)
    ax.set_xticks([*ticks, _MOST_NM + _BIN_NM], [*(f"{t:.0f}" for t in ticks), "further"])
    ax.set_xlabel(f"distance to the nearest of {true_count:,} true molecules, nm")
    ax.set_ylabel(f"spots per {_BIN_NM:.0f} nm")
    legend_above(ax, column_count=1)
    return figure


@styled
def look_figure(look: FilmLook) -> Figure:
    """Draw truth | raw | denoised: all spots of the film above, a part of one frame below."""
    if not look.branches:
        return figure_of_nothing("nothing was compared")
    columns = 1 + len(look.branches)
    figure = Figure(figsize=(2.45 * columns, 5.9), layout="constrained")
    above, below = figure.subplots(2, columns, squeeze=False)
    true = look.branches[0].true
    _draw_map(above[0], look, f"truth\n{len(true.frame):,}", [(true.xy_px, GREEN)])
    _draw_part(below[0], look.light_e, [(_here(true, look), _TRUE)])
    for number, branch in enumerate(look.branches, start=1):
        found = branch.found
        right, wrong = found.xy_px[found.is_paired], found.xy_px[~found.is_paired]
        name = shortened(branch.name, character_count=28)
        title = f"{name}\n{len(right):,} found, {len(wrong):,} false"
        _draw_map(above[number], look, title, [(right, BLUE), (wrong, ORANGE)])
        _draw_part(below[number], branch.image_e, _marks(branch, look))
    _draw_scale(above[0], look.shape[1], look.pixel_size_nm, INK)
    _draw_scale(below[0], look.light_e.shape[1], look.pixel_size_nm, "white")
    _explain(figure, look)
    return figure


def _marks(branch: BranchLook, look: FilmLook) -> list[_Marked]:
    """Return what is marked in the part of the frame of a branch."""
    return [
        (_here(branch.found, look, is_paired=True), _FOUND),
        (_here(branch.found, look, is_paired=False), _FALSE),
        (_here(branch.true, look, is_paired=False), _MISSED),
    ]


def _here(
    spots: Spots, look: FilmLook, *, is_paired: bool | None = None
) -> npt.NDArray[np.float64]:
    """Return the places in the part of the frame that is shown, of one kind or of all."""
    corner = np.array(look.corner_px[::-1])
    xy_px = spots.xy_px - corner
    chosen = (spots.frame == look.frame) & ((xy_px >= 0) & (xy_px < look.light_e.shape)).all(axis=1)
    if is_paired is not None:
        chosen &= spots.is_paired == is_paired
    return np.asarray(xy_px[chosen])


def _draw_map(
    ax: Axes,
    look: FilmLook,
    title: str,
    kinds: Sequence[tuple[npt.NDArray[np.float64], str]],
) -> None:
    """Draw all places of a film as dots."""
    for xy_px, colour in kinds:
        ax.scatter(xy_px[:, 0], xy_px[:, 1], s=1.5, color=colour, linewidths=0, rasterized=True)
    ax.set_xlim(0, look.shape[1])
    ax.set_ylim(look.shape[0], 0)
    _bare(ax)
    ax.set_title(title, fontsize=8.5)


def _draw_part(
    ax: Axes,
    image: Image,
    kinds: Sequence[_Marked],
) -> None:
    """Draw a part of a frame with its marks."""
    low, high = np.percentile(image, (1.0, 99.8))
    high = max(high, low + 1.0)
    height, width = image.shape
    ax.imshow(
        image, cmap="gray", vmin=low, vmax=high, interpolation="nearest",
        extent=(0, width, height, 0),
    )  # fmt: skip
    for xy_px, how in kinds:
        ax.scatter(xy_px[:, 0], xy_px[:, 1], s=_MARK_AREA, linewidths=1.3, **how)
    ax.set_xlim(0, width)
    ax.set_ylim(height, 0)
    _bare(ax)
    ax.set_xlabel(f"{low:.0f} to {high:.0f} e-/px", labelpad=2, fontsize=8)


def _bare(ax: Axes) -> None:
    """Take the axes' numbers away and keep pixels square."""
    ax.set_aspect("equal")
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(True)


def _draw_scale(ax: Axes, width_px: int, pixel_size_nm: float, colour: str) -> None:
    """Draw a scale bar with its length into the lower right corner."""
    length_nm = scale_bar_nm(width_px * pixel_size_nm)
    length_px, bottom = length_nm / pixel_size_nm, ax.get_ylim()[0]
    right, y_px = 0.96 * width_px, 0.95 * bottom
    ax.plot([right - length_px, right], [y_px, y_px], color=colour, linewidth=3)
    ax.text(
        right - length_px / 2, y_px - 0.025 * bottom, length_text(length_nm), color=colour,
        ha="center", va="bottom", fontsize=8,
    )  # fmt: skip


def _explain(figure: Figure, look: FilmLook) -> None:
    """Write the marks' meanings below everything."""
    kinds = (("true molecule", _TRUE), ("found", _FOUND), ("false", _FALSE), ("missed", _MISSED))
    ax = figure.axes[0]
    handles = [ax.scatter([], [], s=30, linewidths=1.3, label=label, **how) for label, how in kinds]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(handles),
        title=f"above: all spots of film {look.film}; below: part of its frame {look.frame}",
        title_fontsize=8.5,
    )
