"""The site builds without a warning and says everything; its notebook runs by itself."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from page_commands import ROOT

from cellstorm_assets.commands import cellstorm
from cellstorm_lib.gan.recipe import Recipe
from cellstorm_lib.pipeline.settings import PipelineSettings
from cellstorm_lib.tables import COLUMNS

NOTEBOOK = ROOT / "docs" / "teaching" / "from-blinks-to-image.ipynb"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the site, built as `make docs` builds it."""
    pytest.importorskip("sphinx", reason="the site needs `pip install '.[docs]'`")
    out = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html",
         "-d", str(out / "doctrees"), str(ROOT / "docs"), str(out / "html")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    return out / "html"


def words_of(page: Path) -> str:
    """Return a page of the site as text."""
    return page.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_reference_holds_every_command_and_option(site: Path) -> None:
    text = words_of(site / "reference" / "commands.html")
    for name, command in cellstorm.commands.items():
        assert f'id="cellstorm-{name}"' in text, name
        for entry in command.params:
            if isinstance(entry, click.Option):
                assert f"cellstorm-{name}-{entry.opts[0].lstrip('-')}" in text, (name, entry.opts)


@pytest.mark.slow
def test_the_reference_holds_every_setting_and_column(site: Path) -> None:
    settings = words_of(site / "reference" / "settings.html")
    for entry in dataclasses.fields(Recipe):
        assert f">{entry.name}<" in settings, entry.name
    for part in dataclasses.fields(PipelineSettings):
        assert f">{part.name}" in settings, part.name
    assert ">localize.fit.box_px<" in settings
    columns = words_of(site / "reference" / "columns.html")
    assert all(f">{name}<" in columns for name in COLUMNS)


@pytest.mark.slow
def test_the_site_needs_no_network(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = words_of(page)
        assert 'src="http' not in text, page
        assert '<link rel="stylesheet" href="http' not in text, page


@pytest.mark.slow
def test_formulas_and_the_notebooks_pictures_are_drawn(site: Path) -> None:
    assert "<mfrac>" in words_of(site / "theory" / "likelihood.html")
    assert words_of(site / "teaching" / "from-blinks-to-image.html").count("<img") >= 7


def test_the_notebook_is_kept_without_what_it_put_out() -> None:
    content = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    assert len(code) >= 8
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code)


def test_the_notebook_runs_and_shows_what_it_says(tmp_path: Path, monkeypatch) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    content = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    shown: dict[str, Any] = {}
    with plt.rc_context():
        for cell in content["cells"]:
            if cell["cell_type"] == "code":
                exec(compile("".join(cell["source"]), "notebook", "exec"), shown)
        curves = [np.polyfit(*line.get_xydata().T, 1)[0] for line in shown["axis_of_noise"].lines]
        plt.close("all")
    sensor, smoothed, coded = curves
    assert 1 / sensor == pytest.approx(shown["true_gain"], rel=0.1)
    assert sensor > smoothed > 2 * coded
    recalls = [scores.recall for _, _, scores, _ in shown["results"]]
    errors_nm = [scores.rmse_nm for _, _, scores, _ in shown["results"]]
    assert recalls == sorted(recalls, reverse=True)
    assert errors_nm == sorted(errors_nm)
    by_localizations, by_molecules = shown["resolutions_nm"]
    assert by_localizations < by_molecules < 100


def test_the_shell_completes_commands_and_options() -> None:
    from click.shell_completion import BashComplete

    complete = BashComplete(cellstorm, {}, "cellstorm", "_CELLSTORM_COMPLETE")
    assert [one.value for one in complete.get_completions([], "loc")] == ["localize"]
    assert "--split" in [one.value for one in complete.get_completions(["frc"], "--s")]
