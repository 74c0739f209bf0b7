"""The page of one recording: a single HTML file that needs nothing but a browser."""

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from cellstorm_lib import __version__
from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.pipeline.result import RecordingResult
from cellstorm_lib.progress import Progress, in_parts
from cellstorm_lib.report.camera_curves import photon_transfer_figure
from cellstorm_lib.report.camera_numbers import camera_rows, plane_grid
from cellstorm_lib.report.curves import frame_facts_figure
from cellstorm_lib.report.facts import (
    calibration_text,
    command_line,
    is_estimated,
    provenance_rows,
    recording_rows,
    version_rows,
)
from cellstorm_lib.report.headline import headline_of, recommended_first
from cellstorm_lib.report.rows import rows_of
from cellstorm_lib.report.sections import Drawing, branch_section, drawing
from cellstorm_lib.report.shots import pictures_of
from cellstorm_lib.report.verdict import verdict_section
from cellstorm_lib.report.viewer import viewer_of

#: Our own scripts: of every page, and of the page with the viewer.
_PAGE_SCRIPT = ("page.js",)
#: Times for the viewer, the pictures and the verdict, then of a branch, beside the rest.
_TIMES, _BRANCH_TIME = (4.0, 2.0, 1.0), 4.0
_VIEWER_SCRIPTS = ("points.js", "profile.js", "profile_form.js", "viewer.js")


def recording_page(result: RecordingResult, *, progress: Progress | None = None) -> str:
    """Return the report of one recording as a self-contained HTML page.

    Parameters
    ----------
    result : RecordingResult
        Whatever there is: a recording without localizations, resolution, drift or even a branch
        gives a page that says what is missing and why.
    progress : callable, optional
        Called with what is done and the whole.

    Returns
    -------
    str
        HTML with its pictures, figures, style and script inside; nothing is loaded from anywhere.
        The same result always gives the same page.
    """
    branches = recommended_first(result)
    viewed, pictured, judged, *drawn, rest = in_parts(
        progress, *_TIMES, *[_BRANCH_TIME] * len(branches), 1.0
    )
    viewer = viewer_of(result)
    viewed(1, 1)
    pictures = pictures_of(result)
    pictured(1, 1)
    verdict = verdict_section(result)
    judged(1, 1)
    sections = []
    for branch, told in zip(branches, drawn, strict=True):
        sections.append(branch_section(result, branch))
        told(1, 1)
    page = filled(
        "recording.html",
        scripts=() if viewer is None else (_library(), _script(*_VIEWER_SCRIPTS)),
        title=result.facts.name,
        headline=headline_of(result),
        viewer=viewer,
        pictures=pictures,
        branches=sections,
        verdict=verdict,
        recording=recording_rows(result),
        frames=_frames_drawing(result),
        camera=camera_rows(result.calibration),
        camera_planes=plane_grid(result.calibration),
        camera_notes=() if is_estimated(result.calibration) else result.notes,
        camera_name=result.calibration.name,
        camera_curve=_camera_drawing(result.calibration),
        is_estimated=is_estimated(result.calibration),
        calibration_text=calibration_text(result.calibration),
        settings=rows_of(result.settings),
        versions=version_rows(result),
        made_from=rows_of(result.records.get("recording_report", {})),
        provenance={
            name: provenance_rows(branch.localizations.provenance)
            for name, branch in result.branches.items()
        },
        command=command_line(result),
    )
    rest(1, 1)
    return page


def filled(template: str, *, scripts: Sequence[str] = (), **content: object) -> str:
    """Return a template of this folder filled with content, every text in it escaped.

    Scripts, those given and the one of every page, are allowed by their digests; all else that
    could run or load anything is forbidden to the page.
    """
    scripts = (*scripts, _script(*_PAGE_SCRIPT))
    return (
        _environment()
        .get_template(template)
        .render(
            style=Markup(_packaged("style.css")),  # noqa: S704  (our own file)
            scripts=[Markup(script) for script in scripts],  # noqa: S704  (our own files)
            script_digests=[_digest(script) for script in scripts],
            version=__version__,
            **content,
        )
    )


def _script(*names: str) -> str:
    """Return scripts of this folder as one."""
    return "\n".join(['"use strict";', *(_packaged(name).strip() for name in names)])


def _library() -> str:
    """Return the viewer library below its licence, without the address of its source map."""
    library, _, _ = _packaged("vendor/openseadragon.min.js").partition("//# sourceMappingURL")
    return f"/*\n{_packaged('vendor/openseadragon.LICENSE.txt').strip()}\n*/\n{library.strip()}"


def _digest(script: str) -> str:
    """Return a script's SHA-256 as a content security policy names it."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def _environment() -> Environment:
    """Return the templates' environment: all escaped, and a misspelt name is an error."""
    return Environment(
        loader=FunctionLoader(_packaged),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _packaged(name: str) -> str:
    """Return a text file that stands beside this module."""
    return files("cellstorm_lib.report").joinpath(name).read_text(encoding="utf-8")


def _camera_drawing(calibration: CameraCalibration) -> Drawing:
    """Return the photon transfer curve of a measured camera; nothing for others."""
    if calibration.transfer is None:
        return Drawing()
    return drawing(
        lambda: photon_transfer_figure(calibration),
        name="photon-transfer",
        label="Variance of the grey values against their mean",
        caption="How the noise grows with the light. The slope of the line is grey values per "
        "photoelectron, one over the gain. Where single pixels begin to leave it the linear range "
        "ends; bins whose noise reaches beyond that end are drawn hollow.",
    )


def _frames_drawing(result: RecordingResult) -> Drawing:
    """Return mean level and size of the frames over time."""
    if len(result.frame_facts) < 2:
        return Drawing(missing="There is no curve over the frames: fewer than two were read.")
    return drawing(
        lambda: frame_facts_figure(result.frame_facts),
        name="frames",
        label="Mean grey value and stored size of the frames over time",
        caption="Means over stretches of time. A level that drifts is light or black level; steps "
        "at key frames are the codec's.",
    )
