"""The command that makes the paper again."""

from pathlib import Path

import click

from cellstorm_assets.command_options import PATH, announced, as_json, tell
from cellstorm_lib.paper.settings import PARTS, QUICK, PaperSettings


@click.command()
@click.option(
    "--out",
    type=PATH,
    default=Path("paper.html"),
    show_default=True,
    help="Page to write.",
)
@click.option(
    "--part",
    "parts",
    multiple=True,
    type=click.Choice(list(PARTS)),
    help="Make only this part; several: give it several times. Default: all.",
)
@click.option(
    "--model",
    default="champion",
    show_default=True,
    metavar="MODEL",
    help="champion, a registered version (see `cellstorm models`), or a checkpoint's path.",
)
@click.option(
    "--quick",
    is_flag=True,
    help="A tenth of the frames and a short training: a few minutes, and figures that scatter.",
)
@as_json
def reproduce(
    *, out: Path, parts: tuple[str, ...], model: str, quick: bool, wants_json: bool
) -> None:
    """Make the tables and figures of the cellSTORM paper again, by simulation, on one page.

    Table 1 and Fig. 1, 2, 3, 5, 6 and 7, training and inference time, theirs beside ours. Takes
    about 12 minutes on two cores.
    """
    from cellstorm_assets.denoising import network_of
    from cellstorm_assets.project import find_project
    from cellstorm_lib.files import written_whole
    from cellstorm_lib.paper.page import make_part, paper_page

    settings = QUICK if quick else PaperSettings()
    network = network_of(find_project(), model)
    chosen = [part for part in PARTS if not parts or part in parts]
    announce = announced()
    figures = [
        figure
        for part in chosen
        for figure in make_part(part, settings, network=network, announce=announce)
    ]
    with written_whole(out) as temporary:
        temporary.write_text(
            paper_page(figures, missing=[part for part in PARTS if part not in chosen]),
            encoding="utf-8",
        )
    rows = {f"{figure.name}: {row.what}": row for figure in figures for row in figure.rows}
    tell(
        {
            **{name: f"{row.ours}  (paper: {row.theirs})" for name, row in rows.items()},
            "page": str(out),
        },
        {name: {"theirs": row.theirs, "ours": row.ours} for name, row in rows.items()}
        | {"page": str(out), "seconds": sum(figure.seconds for figure in figures)},
        wants_json=wants_json,
    )


COMMANDS = (reproduce,)
