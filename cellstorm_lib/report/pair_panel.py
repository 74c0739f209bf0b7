"""Training pairs as people look at them: the film, the light, and one over the other."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cellstorm_lib.errors import TableError
from cellstorm_lib.pairs.mixture import METHODS
from cellstorm_lib.pairs.pair_set import PairSet
from cellstorm_lib.report.drawing import INK, figure_of_nothing, figure_png, styled

#: Sides of frames larger than this are cropped, so that single spots can be seen.
_MOST_PX = 96
_COLUMNS = ("film", "light of molecules", "light over film")
_OUTLINE = "#ff8c1a"
_WIDTH_PX = 660


def pair_panel(pairs: PairSet, *, rows: int = 4) -> bytes:
    """Return a PNG with some pairs: film, light, and the light's outlines over the film.

    Shown are clips to train on, of all methods in turn, each at the frame with most light of those
    that may be trained on. Film and light are photoelectrons; grey runs from the darkest to
    the brightest pixels of each picture. Outlines follow a tenth of the light's peak.

    Parameters
    ----------
    pairs : PairSet
        May be empty.
    rows : int
        Pairs to show, at most.

    Raises
    ------
    TableError
        When `rows` is below 1.
    """
    if rows < 1:
        raise TableError(f"a panel needs at least 1 row, got {rows}")
    shown = _shown(pairs, rows)
    if not shown:
        return figure_png(figure_of_nothing("there are no pairs"))
    return figure_png(_panel(pairs, shown), width_px=_WIDTH_PX)


@styled
def _panel(pairs: PairSet, shown: Sequence[tuple[int, int]]) -> Figure:
    """Draw the chosen frames, one row each."""
    figure = Figure(figsize=(6.6, 2.25 * len(shown) + 0.15), layout="constrained")
    axes = figure.subplots(len(shown), len(_COLUMNS), squeeze=False)
    for row, (clip, frame) in zip(axes, shown, strict=True):
        film_e, light_e = _cropped(pairs, clip, frame)
        peak = float(light_e.max())
        darkest, brightest = np.percentile(film_e, (1, 99.8))
        _picture(row[0], film_e, darkest, brightest)
        _picture(row[1], light_e, 0.0, 0.8 * peak)
        _picture(row[2], film_e, darkest, brightest)
        if peak > 0:
            row[2].contour(light_e, levels=[peak / 10], colors=_OUTLINE, linewidths=0.9)
        row[0].set_ylabel(f"{pairs.method[clip]}\n{pairs.bits_per_px[clip]:.2g} bit/px")
        row[1].set_xlabel(f"brightest {peak:.0f} e⁻", fontsize=8, color=INK)
        row[0].set_xlabel(str(pairs.origin[clip])[:28], fontsize=8, color=INK)
    for ax, title in zip(axes[0], _COLUMNS, strict=True):
        ax.set_title(title)
    return figure


def _shown(pairs: PairSet, rows: int) -> list[tuple[int, int]]:
    """Return clip and frame of each row: the methods in turn, their clips spread evenly."""
    of_method = [
        np.flatnonzero((pairs.method == method) & pairs.is_usable.any(axis=1)) for method in METHODS
    ]
    queues = [
        clips[np.linspace(0, len(clips) - 1, min(rows, len(clips))).round().astype(int)].tolist()
        for clips in of_method
        if len(clips)
    ]
    turns = [clip for turn in range(rows) for queue in queues for clip in queue[turn : turn + 1]]
    chosen = sorted(turns[:rows], key=lambda clip: METHODS.index(pairs.method[clip]))
    return [(clip, _brightest(pairs, clip)) for clip in chosen]


def _brightest(pairs: PairSet, clip: int) -> int:
    """Return the frame with most light of those that may be trained on."""
    light = pairs.light_e[clip].sum(axis=(1, 2), dtype=np.float64)
    return int(np.argmax(np.where(pairs.is_usable[clip], light, -1.0)))


def _cropped(
    pairs: PairSet, clip: int, frame: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return film and light of a frame, photoelectrons, around its brightest part."""
    film = pairs.filmed[clip, frame].astype(np.float32)
    film_e = (film - pairs.offset_adu[clip]) * pairs.gain_e_per_adu[clip]
    light_e = pairs.light_e[clip, frame].astype(np.float32)
    row, column = np.unravel_index(int(np.argmax(light_e)), light_e.shape)
    top, left = (
        int(np.clip(middle - _MOST_PX // 2, 0, max(0, length - _MOST_PX)))
        for middle, length in zip((row, column), light_e.shape, strict=True)
    )
    where = np.s_[top : top + _MOST_PX, left : left + _MOST_PX]
    return film_e[where], light_e[where]


def _picture(ax: Axes, image: npt.NDArray[np.float32], low: float, high: float) -> None:
    """Draw one image in grey from `low` to `high`, without ticks."""
    ax.imshow(image, cmap="grey", vmin=low, vmax=max(high, low + 1.0), interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
