"""How every figure looks, and how it becomes SVG for a page or PNG for anything else.

Figures are made through `new_axes`, never through pyplot, so no state outlives a call. Their
colours are names in disguise: in SVG they turn into CSS variables, so that one figure suits a
light and a dark page; in PNG they stay as they are, on white.
"""

import io
import re
from collections.abc import Callable
from functools import wraps
from html import escape
from textwrap import fill
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

#: Text and axes; a colour nothing else uses, so that it can be told apart in the SVG.
INK = "#1b1f24"
#: Faint lines: grids, thresholds.
FAINT = "#8a9099"
#: What lies behind a figure: white, and on a page its background.
PAPER = "#fffffe"
#: Series that the colour-blind can tell apart (Okabe and Ito), in order of use.
BLUE, ORANGE, GREEN, RED = "#0072b2", "#c45a00", "#007a5a", "#b3123f"

_CSS_NAMES = {
    INK: "currentColor",
    PAPER: f"var(--paper, {PAPER})",
    FAINT: f"var(--faint, {FAINT})",
    BLUE: f"var(--blue, {BLUE})",
    ORANGE: f"var(--orange, {ORANGE})",
    GREEN: f"var(--green, {GREEN})",
    RED: f"var(--red, {RED})",
}
_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.labelsize": 9.5,
    "axes.titlesize": 10,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.alpha": 0.35,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "axes.formatter.useoffset": False,
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "cellstorm",
}
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def styled(draw: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Return `draw` run under the house style; the caller's matplotlib settings are kept."""

    @wraps(draw)
    def drawn(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        with mpl.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return drawn


def new_axes(
    *, width_inch: float = 4.4, height_inch: float = 2.7, rows: int = 1
) -> tuple[Figure, list[Axes]]:
    """Return a figure with `rows` axes above each other that share their x axis."""
    figure = Figure(figsize=(width_inch, height_inch), layout="constrained")
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    for ax in axes:
        ax.grid(visible=True)
    return figure, list(axes)


def legend_above(ax: Axes, *, column_count: int = 2) -> None:
    """Write the legend above the axes, where it covers no data."""
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(-0.02, 0.99),
        ncols=column_count,
        columnspacing=1.2,
        borderaxespad=0.3,
        handlelength=1.8,
    )


@styled
def figure_of_nothing(reason: str) -> Figure:
    """Return a figure that says why there is nothing to draw."""
    figure, (ax,) = new_axes(height_inch=1.2)
    ax.set_axis_off()
    ax.text(0.5, 0.5, fill(reason, 60), ha="center", va="center", transform=ax.transAxes)
    return figure


def shortened(text: str, *, character_count: int = 32) -> str:
    """Return a text short enough for a legend, its middle left out."""
    half = (character_count - 1) // 2
    return text if len(text) <= character_count else f"{text[:half]}…{text[-half:]}"


@styled
def figure_png(figure: Figure, *, width_px: int = 600) -> bytes:
    """Return a figure as PNG on white, `width_px` wide; for Dagster and MLflow."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=width_px / figure.get_size_inches()[0])
    return buffer.getvalue()


@styled
def figure_svg(figure: Figure, *, name: str, label: str) -> str:
    """Return a figure as an ``<svg>`` element to stand inside a page.

    Parameters
    ----------
    figure : Figure
        Drawn with the colours of this module.
    name : str
        Prefix of all ids inside: letters, digits and dashes, unique on the page.
    label : str
        What the figure shows, for those who hear the page.

    Returns
    -------
    str
        Without namespaces, metadata, fonts and fixed size: the page's style decides.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    text = buffer.getvalue()
    width, height = re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)[0]
    body = text[text.index("<g id=") :]
    for pattern, replacement in (
        (r'<g id="[^"]*"', "<g"),
        (r'\bid="', f'id="{name}-'),
        (r"url\(#", f"url(#{name}-"),
        (r'xlink:href="#', f'href="#{name}-'),
        (r"font-family: [^;\"]*;? ?", ""),
        (r" *\n *", " "),
    ):
        body = re.sub(pattern, replacement, body)
    for colour, css in _CSS_NAMES.items():
        body = body.replace(colour, css)
    return (
        f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {width} {height}" '
        f'preserveAspectRatio="xMidYMid meet">{body}'
    )
