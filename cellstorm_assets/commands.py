"""The command line: thin over the same functions as the assets."""

import logging
import sys

import click

from cellstorm_assets import (
    commands_camera,
    commands_denoise,
    commands_depth,
    commands_frames,
    commands_lineage,
    commands_paper,
    commands_project,
    commands_quality,
    commands_tables,
    commands_tidy,
    commands_train,
)
from cellstorm_assets.command_guide import GUIDE, GuidedGroup, sentence_of
from cellstorm_assets.command_options import STEPS
from cellstorm_lib import __version__
from cellstorm_lib.errors import CellstormError

_BAD_INPUT = 2
_FAILURE = 1


@click.group(
    cls=GuidedGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="cellstorm")
@click.pass_context
def cellstorm(ctx: click.Context) -> None:
    """From a smartphone video of blinking molecules to a super-resolution image.

    Start with `cellstorm demo`, or with a recording of your own:
    `cellstorm process VIDEO --pixel-size-nm 80 --out RESULT`.
    """
    if ctx.invoked_subcommand is None:
        click.echo(GUIDE)


for group in (
    commands_project,
    commands_camera,
    commands_denoise,
    commands_depth,
    commands_frames,
    commands_lineage,
    commands_paper,
    commands_tables,
    commands_quality,
    commands_train,
    commands_tidy,
):
    for command in group.COMMANDS:
        cellstorm.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; errors are one sentence on standard error.

    Exit code 0 for success, 2 for bad input, 1 for a failure of the program.
    """
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    try:
        code = cellstorm.main(args=arguments, prog_name="cellstorm", standalone_mode=False)
    except CellstormError as error:
        _leave(str(error), _BAD_INPUT)
    except click.UsageError as error:
        _leave(sentence_of(error), _BAD_INPUT)
    except click.ClickException as error:
        _leave(error.format_message(), _FAILURE)
    except (KeyboardInterrupt, click.Abort):
        _leave("stopped", _FAILURE)
    except MemoryError:
        _leave("not enough memory; give a smaller --roi or a shorter --frames range", _FAILURE)
    else:
        sys.exit(code if isinstance(code, int) else 0)


def _leave(sentence: str, code: int) -> None:
    """Say one sentence on standard error and end."""
    STEPS.finish()
    click.echo("cellstorm: " + " ".join(sentence.split()), err=True)
    sys.exit(code)
