"""What `cellstorm` says to somebody who does not know what to type next."""

from collections.abc import Mapping
from pathlib import Path

import click

GUIDE = """\
cellstorm: from a smartphone video of blinking molecules to a super-resolution image.

You have no recording yet. Let a simulated phone film a simulated cell, and see all there is:
  cellstorm demo

You have a video, or a stack of frames. NM is the size of its pixel in the sample, in nm:
  cellstorm process VIDEO --pixel-size-nm NM --out RESULT
  then open RESULT/report.html

You record all day. Have recordings processed as they arrive, and look at them in a browser:
  cellstorm ui
  cellstorm add VIDEO --pixel-size-nm NM        (in another window)

You have a table of localizations (ThunderSTORM .csv, Picasso .hdf5, rapidSTORM .txt, .smlm):
  cellstorm render TABLE --out IMAGE.png
  cellstorm frc TABLE

All commands: cellstorm --help. One of them: cellstorm COMMAND --help.\
"""

#: What the commands are for, in the order in which people need them. Others follow as "More".
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Start": ("demo", "process", "ui", "add"),
    "Step by step": ("localize", "drift", "merge", "select", "render", "convert", "denoise"),
    "How good is it": ("frc", "quality", "evaluate", "compare"),
    "Camera and microscope": ("calibrate", "calibrate-z", "fit-camera"),
    "Simulate and train": ("simulate", "train", "models", "export-model"),
}
#: What to do with a file that stands where a command belongs, by its ending.
_DOES: Mapping[str, frozenset[str]] = {
    "process {path} --pixel-size-nm NM": frozenset(
        {".mp4", ".mov", ".mkv", ".tif", ".tiff", ".dax", ".sif"}
    ),
    "render {path} --out IMAGE.png": frozenset({".parquet", ".csv", ".hdf5", ".txt", ".smlm"}),
    "simulate {path} --out FOLDER": frozenset({".yaml", ".yml"}),
}

#: What is given where a command has no words of its own for it.
_ARGUMENTS: Mapping[str, str] = {
    "file": "a video or a stack of frames",
    "files": "one file or more",
    "table": "a table of localizations: .parquet, .csv, .hdf5, .txt or .smlm",
    "scene": "a scene to simulate: .yaml",
    "out": "the file to write",
}


def sentence_of(error: click.UsageError) -> str:
    """Return what is wrong with a command line, what belongs there, and where to read more."""
    sentence = error.format_message().rstrip(".")
    if isinstance(error, click.MissingParameter) and error.param is not None:
        about = (
            error.param.help
            if isinstance(error.param, click.Option)
            else _ARGUMENTS.get(error.param.name or "")
        )
        sentence += f": {about.rstrip('.')}" if about else ""
    return sentence + (f" (see {error.ctx.command_path} --help)" if error.ctx else "")


class GuidedGroup(click.Group):
    """Commands in sections; alone it says where to start, and a file is no command."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; say what to do with a file that stands in its place."""
        path = Path(args[0])
        if args[0] not in self.commands and path.is_file():
            does = next(
                (does for does, endings in _DOES.items() if path.suffix.lower() in endings),
                "COMMAND {path}",
            ).format(path=path)
            ctx.fail(f"{path} is a file; say what to do with it, as: cellstorm {does}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands of each section with what they do."""
        named = {name for names in SECTIONS.values() for name in names}
        others = tuple(name for name in self.list_commands(ctx) if name not in named)
        room = formatter.width - 6 - max(map(len, self.commands))
        for title, names in {**SECTIONS, "More": others}.items():
            rows = [
                (name, self.commands[name].get_short_help_str(limit=room))
                for name in names
                if name in self.commands
            ]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
