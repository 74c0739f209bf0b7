"""Fig. 3 and 7: three ways to localize one film, against its truth."""

from dataclasses import replace
from pathlib import Path

import pytest

from cellstorm_lib.gan import SHIPPED
from cellstorm_lib.gan.checkpoint import read_checkpoint
from cellstorm_lib.gan.denoiser import Denoiser
from cellstorm_lib.paper.networks import dim_figure, dim_scene, letters_figure, letters_scene
from cellstorm_lib.paper.three_ways import DENOISED, LIKE_PAPER, RAW, ThreeWays, film_three_ways
from cellstorm_lib.pipeline.denoise import Network
from cellstorm_lib.progress import silently
from cellstorm_lib.simulate.scene import FieldSettings


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> ThreeWays:
    folder: Path = tmp_path_factory.mktemp("letters")
    network = Network(denoiser=Denoiser(read_checkpoint(SHIPPED), device="cpu"), label="shipped")
    scene = replace(letters_scene(frame_count=100), field=FieldSettings(width_px=96, height_px=96))
    return film_three_ways(scene, folder, network=network, announce=silently)


def test_every_way_is_scored_against_the_same_truth(ways: ThreeWays) -> None:
    assert list(ways.ways) == [LIKE_PAPER, RAW, DENOISED]
    for way in ways.ways.values():
        assert way.scores.true == len(ways.truth) > 100
        assert way.scores.found == len(way.spots)
    # judging spots one by one is there to be right more often than a threshold
    assert ways.ways[RAW].scores.precision > ways.ways[LIKE_PAPER].scores.precision


def test_figures_tell_counts_beside_those_of_the_paper(ways: ThreeWays) -> None:
    rows = {row.what: row for row in letters_figure(ways).rows}
    assert rows["Spots that are there"].theirs == "22,658"
    assert rows["Spots that are there"].ours == f"{len(ways.truth):,}"
    assert rows[f"Spots found, {LIKE_PAPER}"].theirs == "50,509"
    assert rows[f"Spots found, {DENOISED}"].ours == f"{len(ways.ways[DENOISED].spots):,}"
    panels = [panel.title for panel in letters_figure(ways).panels]
    assert panels[0] == "Distance to the nearest true spot"
    assert {"truth", LIKE_PAPER, RAW, DENOISED} <= set(panels)
    assert len(dim_figure(ways).panels) == len(panels) - 2


def test_full_letters_are_about_as_many_as_in_the_paper() -> None:
    scene = letters_scene(frame_count=2000)
    mean_frames = scene.blinking.on_ms / 1000 * scene.frame_rate_hz + 1
    spots = scene.structure.sites * scene.blinking.blinks * mean_frames
    assert 0.7 < spots / 22_658 < 1.6
    assert dim_scene(frame_count=100).frame_count == 100
