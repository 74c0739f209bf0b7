"""Launchpad forms have the names, defaults and help of the library's settings."""

from dataclasses import dataclass, field
from typing import Literal

import dagster as dg
import pytest

from cellstorm_assets.config import config_for, with_changes
from cellstorm_lib.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class Search:
    box_px: int = field(default=7, metadata={"about": "side of the fit box, px"})
    sigma_px: float | None = field(default=None, metadata={"about": "spot width, px"})
    method: Literal["fast", "slow"] = "fast"
    films: tuple[str, ...] = field(default=(), metadata={"about": "films to look at"})
    corner: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        if self.box_px < 3:
            raise SettingsError(f"box_px must be 3 or more, got {self.box_px}")


def test_a_form_shows_help_and_default_and_changes_nothing_when_empty() -> None:
    form = config_for(Search)
    about = form.model_fields["box_px"].description
    assert about == "side of the fit box, px (default 7)"
    assert with_changes(Search(box_px=9), form()) == Search(box_px=9)


def test_what_is_filled_in_replaces_the_projects_setting() -> None:
    form = config_for(Search)
    changed = with_changes(Search(), form(box_px=11, sigma_px=1.5, method="slow"))
    assert changed == Search(box_px=11, sigma_px=1.5, method="slow")
    with pytest.raises(SettingsError, match="box_px must be 3 or more"):
        with_changes(Search(), form(box_px=1))


def test_a_list_fills_a_tuple_and_other_entries_are_left_to_others() -> None:
    form = config_for(Search)
    assert "corner" not in form.model_fields

    class Wider(form):  # type: ignore[valid-type,misc]
        other: str = "unknown to the settings"

    assert with_changes(Search(), Wider(films=["D", "L"])) == Search(films=("D", "L"))
    assert with_changes(Search(films=("D",)), Wider()) == Search(films=("D",))
    assert with_changes(Search(films=("D",)), Wider(films=[])) == Search()


def test_dagster_accepts_the_form() -> None:
    form = config_for(Search)

    @dg.asset
    def found(config: form) -> int:  # type: ignore[valid-type]
        return with_changes(Search(), config).box_px

    run = dg.materialize([found], run_config=dg.RunConfig(ops={"found": form(box_px=5)}))
    assert run.output_for_node("found") == 5
