"""What one figure of the paper becomes: numbers side by side, pictures, and remarks."""

import base64
import struct
from dataclasses import dataclass

from matplotlib.figure import Figure

from cellstorm_lib.report.drawing import figure_png
from cellstorm_lib.report.picture import Picture
from cellstorm_lib.report.shots import Shot, shot

_PICTURE_PX = 640
_DRAWING_PX = 1100
#: Where a PNG file holds its width and height.
_PNG_SIZE = slice(16, 24)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperRow:
    """One figure: what the paper says, and what came out here."""

    what: str
    theirs: str
    ours: str
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperPanel:
    """A picture or a plot with its title and what it shows."""

    title: str
    caption: str
    shot: Shot
    is_plot: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperFigure:
    """One figure or table of the paper, made again.

    Attributes
    ----------
    name : str
        Letters and dashes, for links.
    title : str
        Which figure of the paper, and of what.
    about : str
        What was simulated for it, and how.
    rows : tuple of PaperRow
        Theirs beside ours.
    panels : tuple of PaperPanel
        The pictures.
    remarks : tuple of str
        What a reader has to know before comparing.
    seconds : float
        Elapsed time to make it.
    """

    name: str
    title: str
    about: str
    rows: tuple[PaperRow, ...]
    panels: tuple[PaperPanel, ...]
    remarks: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def pictures(self) -> tuple[PaperPanel, ...]:
        """Panels that stand beside each other."""
        return tuple(panel for panel in self.panels if not panel.is_plot)

    @property
    def plots(self) -> tuple[PaperPanel, ...]:
        """Panels that need width."""
        return tuple(panel for panel in self.panels if panel.is_plot)


def picture_panel(picture: Picture, title: str, caption: str) -> PaperPanel:
    """Return a picture with its scale bar as a panel."""
    return PaperPanel(title=title, caption=caption, shot=shot(picture.overview(_PICTURE_PX), title))


def close_panel(picture: Picture, title: str, caption: str) -> PaperPanel:
    """Return a small part of a picture, enlarged without smoothing, as a panel."""
    return PaperPanel(title=title, caption=caption, shot=shot(picture.resized(_PICTURE_PX), title))


def drawn_panel(figure: Figure, title: str, caption: str) -> PaperPanel:
    """Return a plot as a panel."""
    content = figure_png(figure, width_px=_DRAWING_PX)
    width_px, height_px = struct.unpack(">II", content[_PNG_SIZE])
    address = f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"
    return PaperPanel(
        title=title,
        caption=caption,
        shot=Shot(address=address, width_px=width_px, height_px=height_px, alt=title),
        is_plot=True,
    )
