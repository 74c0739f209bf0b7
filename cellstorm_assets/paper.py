"""The paper group: tables and figures of the cellSTORM paper made again, and one page of them."""

# ruff: noqa: PLC0415 - PyTorch takes more than a second to import; only those wait who need it.

from dataclasses import dataclass

import dagster as dg
from pydantic import Field

from cellstorm_assets.denoising import network_of
from cellstorm_assets.metadata import said_plainly, shown, table
from cellstorm_assets.recordings import OWNERS
from cellstorm_assets.registry import CHAMPION
from cellstorm_assets.resources import ProjectResource
from cellstorm_lib.paper.settings import PARTS, QUICK, PaperSettings
from cellstorm_lib.progress import silently
from cellstorm_lib.report.paper import PaperFigure

_GROUP = "paper"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperPart:
    """The figures of one part, as they are stored."""

    figures: tuple[PaperFigure, ...]


class PaperForm(dg.Config):
    """How much to make, and by which network."""

    quick: bool = Field(default=False, description="smaller films, for a first look")
    model: str = Field(
        default=CHAMPION, description="champion, a version such as 3, or a file of weights"
    )


def _part_asset(name: str, about: str) -> dg.AssetsDefinition:
    """Return the asset of one part of the page."""

    @dg.asset(
        name=f"paper_{name}",
        group_name=_GROUP,
        owners=OWNERS,
        kinds={"parquet"},
        code_version="1",
        io_manager_key="parquet",
        deps=["champion_denoiser"] if name in {"low_light", "letters", "times"} else [],
        description=f"{about} By simulation, the paper's figures beside ours.",
    )
    def part(config: PaperForm, project: ProjectResource) -> dg.MaterializeResult[PaperPart]:
        from cellstorm_lib.paper.page import make_part

        with said_plainly():
            figures = make_part(
                name,
                QUICK if config.quick else PaperSettings(),
                network=network_of(project.project(), config.model),
                announce=silently,
            )
        return dg.MaterializeResult(
            value=PaperPart(figures=figures),
            metadata={
                "figures": table(
                    ("what", "the paper", "here", "remark"),
                    [
                        (row.what, row.theirs, row.ours, row.remark)
                        for figure in figures
                        for row in figure.rows
                    ],
                ),
                "seconds": sum(figure.seconds for figure in figures),
                **{
                    figure.title: shown(figure.panels[0].shot)
                    for figure in figures
                    if figure.panels
                },
            },
        )

    return part


PAPER_PARTS = [_part_asset(name, about) for name, about in PARTS.items()]


@dg.asset(
    group_name=_GROUP,
    owners=OWNERS,
    kinds={"html"},
    code_version="1",
    io_manager_key="page",
    ins={name: dg.AssetIn(f"paper_{name}") for name in PARTS},
)
def paper_page(
    project: ProjectResource,
    camera: PaperPart,
    cell: PaperPart,
    low_light: PaperPart,
    letters: PaperPart,
    times: PaperPart,
) -> dg.MaterializeResult[str]:
    """The paper made again: its tables and figures beside ours, on one page."""
    from cellstorm_lib.paper.page import paper_page as page_of

    parts = (camera, cell, low_light, letters, times)
    figures = [figure for part in parts for figure in part.figures]
    return dg.MaterializeResult(
        value=page_of(figures),
        metadata={
            "figures": len(figures),
            "page": dg.MetadataValue.path(project.project().assets_folder / "paper_page.html"),
        },
    )
