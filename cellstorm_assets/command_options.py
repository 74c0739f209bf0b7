"""Options that mean the same in every command, and how results are told."""

import json
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from cellstorm_assets.project import find_project
from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import CalibrationError, SettingsError, printable
from cellstorm_lib.progress import Announce, Progress
from cellstorm_lib.recording import FrameSource

PATH = click.Path(path_type=Path)


class PlainNumber(click.ParamType[float]):
    """A number that is given without its unit."""

    name = "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number, or say that it is none."""
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number; give it without its unit", param, ctx)


pixel_size = click.option(
    "--pixel-size-nm",
    type=PlainNumber(),
    metavar="NM",
    help="Camera pixel in the sample, nm. Default: what the file says.",
)
region = click.option(
    "--roi", metavar="WxH[+X+Y]", help="Region in px. Default: centred 512 x 512 of a larger video."
)
frame_range = click.option(
    "--frames", metavar="START:STOP", help="Only these frames (from 0, STOP excluded)."
)
camera_name = click.option(
    "--camera", metavar="NAME", help="A preset, a camera of the project, or a CAL.json."
)
own_flat_field = click.option(
    "--own-flat-field",
    is_flag=True,
    help="Take the fall-off of the light from the recording's own background.",
)
as_json = click.option(
    "--json", "wants_json", is_flag=True, help="Print the figures as one JSON object at the end."
)
out_file = click.option(
    "--out", type=PATH, required=True, help="File to write; its ending chooses the format."
)


def camera_numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the three camera numbers and ``--camera``."""
    for name, about in (
        ("--read-noise-e", "Read noise of a pixel, electrons RMS. Default: 0."),
        ("--gain-e-per-adu", "Photoelectrons per grey value."),
        ("--offset-adu", "Grey value without light."),
    ):
        function = click.option(name, type=float, metavar="X", help=about)(function)
    return camera_name(function)


def given_camera(
    source: FrameSource,
    camera: str | None,
    offset_adu: float | None,
    gain_e_per_adu: float | None,
    read_noise_e: float | None,
) -> CameraCalibration | None:
    """Return the camera of the options; None when nothing was given.

    Raises
    ------
    CalibrationError
        When a name and numbers are given together, or only half of the numbers.
    """
    numbers = (offset_adu, gain_e_per_adu, read_noise_e)
    if camera is not None:
        if any(number is not None for number in numbers):
            raise CalibrationError("give --camera or the camera's numbers, not both")
        return find_project().cameras.camera_or_file(camera)
    if all(number is None for number in numbers):
        return None
    if offset_adu is None or gain_e_per_adu is None:
        raise CalibrationError("--offset-adu and --gain-e-per-adu belong together; give both")
    return CameraCalibration(
        name="given",
        source="given on the command line",
        offset_adu=offset_adu,
        gain_e_per_adu=gain_e_per_adu,
        read_noise_e=read_noise_e or 0.0,
        bit_depth=source.facts.bit_depth,
    )


def parsed_range(text: str | None) -> tuple[int | None, int | None] | None:
    """Return ``START:STOP`` as two numbers; either side may be empty.

    Raises
    ------
    SettingsError
        When the text is written in another way.
    """
    if text is None:
        return None
    start, colon, stop = text.partition(":")
    try:
        if not colon:
            raise ValueError(text)
        return (int(start) if start else None, int(stop) if stop else None)
    except ValueError as error:
        raise SettingsError(f"--frames is written START:STOP, as 0:500, got {text!r}") from error


def tell(lines: Mapping[str, str], figures: Mapping[str, Any], *, wants_json: bool) -> None:
    """Print figures for people, one a line, and as one JSON object last when asked to."""
    STEPS.finish()
    width = max(map(len, lines), default=0)
    for name, value in lines.items():
        click.echo(f"{printable(name):<{width}}  {printable(value)}")
    if wants_json:
        click.echo(json.dumps(figures))


def announced(unit: str = "frames") -> Announce:
    """Return what shows each step on a terminal, and nothing in a pipe.

    A step that tells its progress gets a bar with the time that is left, the others the time they
    have taken so far. Steps of less than a second show nothing. `unit` is what steps are counted
    in that name none.
    """

    def announce(step: str, counted: str = unit, /) -> Progress:
        return STEPS.begin(step, counted)

    return announce


def on_file(doing: str, path: Path) -> Progress:
    """Show that something is done to a file, as ``reading``; return where its progress goes."""
    return STEPS.begin(f"{doing} {path.name}", "")


class ShownStep:
    """The step that runs now, at the bottom of the terminal."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None
        self._is_over = threading.Event()

    def begin(self, step: str, unit: str) -> Progress:
        """Show another step; return where its progress goes."""
        self.finish()
        bar = tqdm(
            desc=printable(step), unit=f" {unit}", disable=None, file=sys.stderr, leave=False,
            delay=1.0, bar_format=_WITHOUT_END,
        )  # fmt: skip
        self._bar, self._is_over = bar, threading.Event()
        if not bar.disable:
            threading.Thread(target=_tick, args=(bar, self._is_over), daemon=True).start()

        def progress(done: int, total: int) -> None:
            bar.total, bar.bar_format = total, None if unit else _IN_PARTS
            bar.update(done - bar.n)
            if done >= total and self._bar is bar:
                self.finish()

        return progress

    def finish(self) -> None:
        """Take the step off the terminal."""
        self._is_over.set()
        if self._bar is not None:
            self._bar.clear()
            self._bar.close()
            self._bar = None


def _tick(bar: tqdm, is_over: threading.Event) -> None:
    """Show the time that passes, while a step does not tell its progress."""
    while not is_over.wait(1.0):
        with bar.get_lock():
            if not is_over.is_set():
                bar.refresh(nolock=True)


_IN_PARTS = "{desc}: {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}]"
_WITHOUT_END = "{desc}: {elapsed} so far"
STEPS = ShownStep()
