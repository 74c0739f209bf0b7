"""A dataset's scene shown on a screen: its movie, and the pairs from its film."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from asset_runs import failure_of, metadata_of
from filmed_displays import filmed

from cellstorm_assets.definitions import build_defs
from cellstorm_assets.display_capture import DISPLAY_ASSETS
from cellstorm_assets.project import Project, find_project
from cellstorm_lib.files import digest_of_file
from cellstorm_lib.pairs.display_plan import read_plan
from cellstorm_lib.pairs.pair_set import read_pairs

SCENE = """
name: shown
frame_count: 12
field: {width_px: 160, height_px: 160, pixel_size_nm: 100.0}
structure: {kind: random, sites_per_um2: 2.0}
"""
RECIPE = """
scene: shown-scene.txt
display:
  camera: phone
  movie:
    screen_width_px: 640
    screen_height_px: 320
    cell_px: 14
    bead_pitch_px: 24
    start_frames: 2
    bead_frames: 6
    uniform_frames: 4
    uniform_levels: [0.0, 0.5, 1.0]
    frame_rate_hz: 10.0
    repeats: 2
  clips: {side_px: 64, frames: 6, clips: 8}
pairs: {shares: {simulated: 0, displayed: 1}}
"""
PHONE = "offset_adu: 4.0\ngain_e_per_adu: 3.0\nread_noise_e: 3.0\nbit_depth: 8\n"


class Lab:
    """A project with two datasets, and an instance of its own."""

    def __init__(self, project: Project, instance: dg.DagsterInstance) -> None:
        self.project, self.instance = project, instance
        self.movie = project.assets_folder / "display_movie" / "shown"
        self.film = project.datasets_folder / "shown" / "film.mp4"
        self.film.parent.mkdir()
        (project.cameras_folder / "phone.yaml").write_text(PHONE)
        (project.datasets_folder / "shown-scene.txt").write_text(SCENE)
        (project.datasets_folder / "shown.yaml").write_text(RECIPE)
        (project.datasets_folder / "plain.yaml").write_text("pairs: {}\n")
        instance.add_dynamic_partitions("dataset", ["shown", "plain"])

    def make(self, asset: str, dataset: str = "shown") -> dg.ExecuteInProcessResult:
        return dg.materialize(
            DISPLAY_ASSETS,
            selection=[asset],
            partition_key=dataset,
            instance=self.instance,
            resources=build_defs().resources,
            raise_on_error=False,
        )


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        patch.setenv("CELLSTORM_HOME", str(tmp_path_factory.mktemp("lab")))
        yield Lab(find_project(), instance)


@pytest.fixture(scope="module")
def movie(lab: Lab) -> dict[str, dg.MetadataValue]:
    return metadata_of(lab.make("display_movie"), "display_movie")


@pytest.fixture(scope="module")
def pairs(lab: Lab, movie: dict[str, dg.MetadataValue]) -> dict[str, dg.MetadataValue]:
    assert movie
    filmed(read_plan(lab.movie / "display.json"), lab.movie, lab.film)
    return metadata_of(lab.make("displayed_pairs"), "displayed_pairs")


def test_the_movie_says_what_to_do_with_it(lab: Lab, movie: dict[str, dg.MetadataValue]) -> None:
    assert movie["movie"].value == str(lab.movie / "display.mp4")
    assert movie["film it to"].value == str(lab.film)
    plan = read_plan(lab.movie / "display.json")
    assert movie["frames of data"].value == plan.truth_count == 12
    assert movie["length, s"].value == pytest.approx(plan.frame_count / 5, abs=0.05)
    assert "data:image/png" in str(movie["a frame of the data"].value)


def test_without_a_film_the_pairs_say_what_is_to_be_done(
    lab: Lab, movie: dict[str, dg.MetadataValue], tmp_path: Path
) -> None:
    assert movie
    kept = lab.film.exists() and lab.film.replace(tmp_path / "film.mp4")
    run = lab.make("displayed_pairs")
    if kept:
        kept.replace(lab.film)
    assert not run.success
    assert f"{lab.film} does not exist; show {lab.movie / 'display.mp4'}" in failure_of(run)


def test_the_film_becomes_pairs_with_pictures_and_figures(
    lab: Lab, pairs: dict[str, dg.MetadataValue]
) -> None:
    stored = read_pairs(lab.project.assets_folder / "displayed_pairs" / "shown.zarr")
    assert stored.filmed.shape == (8, 6, 64, 64)
    assert set(stored.method.tolist()) == {"displayed"}
    assert stored.origin[0] == f"film.mp4 {digest_of_file(lab.film)[:12]}"
    assert stored.gain_e_per_adu[0] == pairs["gain_e_per_adu"].value == 3.0
    assert pairs["digest"].value == stored.digest
    for name in ("pairs", "residuals of the beads", "overlap"):
        assert "data:image/png" in str(pairs[name].value)
    assert float(str(pairs["held_out_rms_px"].value)) < 0.03
    assert pairs["shown_truth_frames"].value == 12


def test_the_whole_pairing_is_kept_beside_the_pairs(pairs: dict[str, dg.MetadataValue]) -> None:
    table = pd.read_parquet(str(pairs["pairing table"].value))
    assert len(table) == pairs["camera_frames"].value
    assert table["is_kept"].sum() == pairs["kept_frames"].value
    shown = pairs["pairing"]
    assert isinstance(shown, dg.TableMetadataValue)
    first = shown.records[0].data
    assert first["camera frame"] == str(table.loc[table["is_kept"], "frame"].iloc[0])
    assert first["kept, or why not"] == "kept"


def test_the_film_of_another_movie_is_refused(
    lab: Lab, pairs: dict[str, dg.MetadataValue], tmp_path: Path
) -> None:
    assert pairs
    before = digest_of_file(lab.movie / "display.json")
    recipe = lab.project.datasets_folder / "shown.yaml"
    recipe.write_text(RECIPE.replace("frame_rate_hz: 10.0", "frame_rate_hz: 10.0\n    gamma: 2.0"))
    lab.make("display_movie")
    run = lab.make("displayed_pairs")
    recipe.write_text(RECIPE)
    lab.make("display_movie")
    assert digest_of_file(lab.movie / "display.json") == before
    assert not run.success
    assert "film.mp4 shows another display movie" in failure_of(run)


def test_a_dataset_without_display_gets_none(lab: Lab) -> None:
    movie = metadata_of(lab.make("display_movie", "plain"), "display_movie")
    assert movie["note"].value == "the recipe asks for no display movie"
    pairs = metadata_of(lab.make("displayed_pairs", "plain"), "displayed_pairs")
    assert "gives displayed pairs no share" in str(pairs["note"].value)
    assert not (lab.project.assets_folder / "display_movie" / "plain").exists()
