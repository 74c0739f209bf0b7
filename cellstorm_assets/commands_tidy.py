"""The command tidy: room on the disk, without losing a number."""

import click

from cellstorm_assets.command_options import announced, as_json, tell


@click.command()
@click.option(
    "--older-than",
    "days",
    type=float,
    default=90.0,
    show_default=True,
    metavar="DAYS",
    help="Stacks that were written later are kept.",
)
@click.option("--trial", "is_trial", is_flag=True, help="Only tell what would be removed.")
@as_json
def tidy(*, days: float, is_trial: bool, wants_json: bool) -> None:
    """Remove old denoised stacks, which are the largest of all results.

    Films, tables, images and reports are kept. A stack is removed only when its film is there to
    make it from again and the tables made from it are finished.
    """
    from dataclasses import asdict

    from cellstorm_assets.project import find_project
    from cellstorm_assets.tidy import tidy_stacks

    told = tidy_stacks(
        find_project(),
        older_than_days=days,
        is_trial=is_trial,
        progress=announced("stacks")("tidy"),
    )
    lines = {
        "would be removed" if is_trial else "removed": f"{len(told.removed)} stacks",
        "room": f"{told.freed_bytes / 1e9:.3f} GB",
        "too young": f"{told.kept} stacks",
        **{f"kept {key}": reason for key, reason in told.kept_for_reason.items()},
    }
    tell(lines, {**asdict(told), "is_trial": is_trial}, wants_json=wants_json)


COMMANDS = (tidy,)
