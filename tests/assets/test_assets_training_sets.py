"""Training pairs as assets: a recipe becomes pairs of each method it asks for, mixed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
from asset_runs import failure_of, metadata_of
from upath import UPath

from cellstorm_assets.automation import new_datasets
from cellstorm_assets.definitions import build_defs
from cellstorm_assets.project import Project, add_recording, find_project, recording_key
from cellstorm_assets.resources import ProjectResource
from cellstorm_assets.storage import PairFolders, PairStorage
from cellstorm_assets.training_sets import TRAINING_ASSETS, recording_named
from cellstorm_lib.camera import read_calibration, write_calibration
from cellstorm_lib.errors import SettingsError, TableError
from cellstorm_lib.pairs.pair_set import PairSet, read_pairs
from cellstorm_lib.pipeline.choice import RecordingChoice
from cellstorm_lib.pipeline.datasets import read_recipe
from cellstorm_lib.simulate.cameras import read_camera, write_camera
from cellstorm_lib.simulate.record import SimulatedRecording

ROOT = Path(__file__).parent.parent.parent
SIMULATED = """
pairs:
  simulated: {scenes: 4, side_px: 32, frames: 4, lead_frames: 2}
  ranges: {bits_per_px: [0.2, 0.8]}
"""
MIXED = f"""{SIMULATED}
  shares: {{simulated: 1, localized: 1}}
  localized: {{clips: 6, side_px: 32, frames: 4}}
  recordings: [cell.mp4]
"""


class Lab:
    """A project with a localized recording, and an instance of its own."""

    def __init__(self, project: Project, instance: dg.DagsterInstance) -> None:
        self.project = project
        self.instance = instance
        self.resource = ProjectResource(home=str(project.home))

    def write(self, name: str, recipe: str) -> None:
        (self.project.datasets_folder / f"{name}.yaml").write_text(recipe)

    def run(self, job: str, partition: str) -> dg.ExecuteInProcessResult:
        return (
            build_defs()
            .resolve_job_def(job)
            .execute_in_process(
                instance=self.instance, partition_key=partition, raise_on_error=False
            )
        )

    def make(self, name: str, recipe: str) -> dg.ExecuteInProcessResult:
        self.write(name, recipe)
        self.instance.add_dynamic_partitions("dataset", [name])
        return self.run("make_training_pairs", name)

    def pairs(self, asset: str, name: str) -> PairSet:
        return read_pairs(self.project.assets_folder / asset / f"{name}.zarr")

    def tick(self, cursor: str | None = None) -> dg.SensorResult | dg.SkipReason:
        context = dg.build_sensor_context(instance=self.instance, cursor=cursor)
        result = new_datasets(context, project=self.resource)
        assert isinstance(result, dg.SensorResult | dg.SkipReason)
        return result


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, film: SimulatedRecording) -> Iterator[Lab]:
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        patch.setenv("CELLSTORM_HOME", str(tmp_path_factory.mktemp("lab")))
        project = find_project()
        write_calibration(read_calibration(film.camera), project.cameras_folder / "phone.json")
        choice = RecordingChoice(camera="phone", pixel_size_nm=100.0)
        key = recording_key(add_recording(project, film.movie, choice, name="cell.mp4"))
        instance.add_dynamic_partitions("recording", [key])
        yield Lab(project, instance)


@pytest.fixture(scope="module")
def localized(lab: Lab) -> Lab:
    """Return the lab with its recording localized."""
    (key,) = lab.instance.get_dynamic_partitions("recording")
    defs = build_defs()
    keys = [dg.AssetKey("recording"), dg.AssetKey(["raw", "spots"])]
    result = dg.materialize(
        [asset for asset in defs.assets or [] if isinstance(asset, dg.AssetsDefinition)],
        selection=dg.AssetSelection.assets(*keys),
        instance=lab.instance,
        partition_key=key,
        resources=defs.resources,
    )
    assert result.success
    return lab


def test_a_recipe_without_recordings_needs_none(lab: Lab) -> None:
    run = lab.make("default", SIMULATED)
    assert run.success
    pairs = lab.pairs("training_pairs", "default")
    assert set(pairs.method.tolist()) == {"simulated"}
    assert pairs.digest == lab.pairs("simulated_pairs", "default").digest
    assert len(lab.pairs("localized_pairs", "default")) == 0
    note = metadata_of(run, "localized_pairs")["note"].value
    assert note == "the recipe gives localized pairs no share, so none were made"
    shown = metadata_of(run, "training_pairs")
    assert shown["digest"].value == pairs.digest
    assert shown["clips"].value == len(pairs) == 4
    assert shown["cameras"].value == 4
    assert str(shown["pairs"].value).startswith("![")
    assert len(str(shown["pairs"].value)) < 150_000
    assert "film against recording" not in shown


def test_recordings_that_are_not_localized_yet_are_waited_for(lab: Lab) -> None:
    run = lab.make("early", MIXED)
    assert not run.success
    assert "recording of the recording cell-" in failure_of(run)
    assert "materialize the recordings group for it first" in failure_of(run)


def test_methods_are_mixed_in_equal_parts(localized: Lab) -> None:
    run = localized.make("paper", MIXED)
    assert run.success
    (key,) = localized.instance.get_dynamic_partitions("recording")
    pairs = localized.pairs("training_pairs", "paper")
    train = pairs.of_split("train")
    usable = {
        method: int(train.is_usable[train.method == method].sum())
        for method in ("simulated", "localized")
    }
    assert usable["simulated"] == usable["localized"] > 0
    assert set(pairs.origin[pairs.method == "localized"].tolist()) == {key}
    shown = metadata_of(run, "training_pairs")
    counted = {
        (row.data["method"], row.data["split"]): row.data["frames"]
        for row in shown["mixture"].records
    }
    assert counted["simulated", "train"] == str(usable["simulated"])
    assert shown["meant for"].value == "cell.mp4"
    rows = {row.data["measure"]: row.data for row in shown["film against recording"].records}
    assert len(rows) == 5
    assert {row["covered"] for row in rows.values()} <= {"yes", "no"}
    counts = metadata_of(run, "localized_pairs")
    assert counts["clips"].value == len(localized.pairs("localized_pairs", "paper")) <= 6
    assert counts["left_out_frames/doubtful spots"].value >= 0
    assert counts["candidate_clips"].value == 4 * 75


def test_a_dataset_that_asks_for_no_pairs_says_what_to_add(lab: Lab) -> None:
    run = lab.make("plain", "scene: demo\n")
    assert not run.success
    assert "asks for no training pairs; add a line `pairs: {}`" in failure_of(run)


def test_a_recipe_changed_after_its_pairs_is_noticed(localized: Lab) -> None:
    assert localized.make("changing", SIMULATED).success
    localized.write("changing", MIXED)
    defs = build_defs()
    run = dg.materialize(
        [asset for asset in defs.assets or [] if isinstance(asset, dg.AssetsDefinition)],
        selection=dg.AssetSelection.assets("training_pairs"),
        instance=localized.instance,
        partition_key="changing",
        resources=defs.resources,
        raise_on_error=False,
    )
    assert not run.success
    assert "localized pairs have a share of 1, but there are none to train on" in failure_of(run)


def test_the_sensor_makes_pairs_once_and_again_when_the_recipe_changes(localized: Lab) -> None:
    for path in localized.project.datasets_folder.glob("*.yaml"):
        path.unlink()
    localized.write("sim", SIMULATED)
    localized.write("mix", MIXED)
    localized.write("movie", "scene: demo\n")
    localized.write("broken", "pairs: {shares: {simulated: 0}}\n")
    localized.write("lost", MIXED.replace("cell.mp4", "other.mp4"))
    localized.write("filmed", "pairs: {shares: {displayed: 1}}\ndisplay: {}\n")
    first = localized.tick()
    assert isinstance(first, dg.SensorResult)
    assert sorted(str(request.partition_key) for request in first.run_requests or []) == [
        "mix", "sim",
    ]  # fmt: skip
    (added,) = first.dynamic_partitions_requests or []
    assert set(added.partition_keys) == {
        "sim", "mix", "movie", "broken", "lost", "filmed",
    }  # fmt: skip
    localized.instance.add_dynamic_partitions("dataset", list(added.partition_keys))
    assert isinstance(localized.tick(first.cursor), dg.SkipReason)
    film = localized.project.datasets_folder / "filmed" / "film.mp4"
    film.parent.mkdir()
    film.touch()
    filmed = localized.tick(first.cursor)
    assert isinstance(filmed, dg.SensorResult)
    assert [request.partition_key for request in filmed.run_requests or []] == ["filmed"]
    film.unlink()
    localized.write("sim", "# a remark changes nothing\n" + SIMULATED)
    assert isinstance(localized.tick(first.cursor), dg.SkipReason)
    localized.write("sim", SIMULATED.replace("scenes: 4", "scenes: 5"))
    again = localized.tick(first.cursor)
    assert isinstance(again, dg.SensorResult)
    (request,) = again.run_requests or []
    assert request.partition_key == "sim"
    assert request.run_key not in {found.run_key for found in first.run_requests or []}


def test_a_recording_is_named_by_its_file_or_its_key() -> None:
    keys = ["cell-aaaa1111", "cell-2-bbbb2222", "two-cells-cccc3333", "two-cells-dddd4444"]
    assert recording_named("cell-2-bbbb2222", keys) == "cell-2-bbbb2222"
    assert recording_named("Cell.mp4", keys) == "cell-aaaa1111"
    assert recording_named("cell 2.mov", keys) == "cell-2-bbbb2222"
    with pytest.raises(SettingsError, match="no recording 'gone.mp4'.*recordings folder first"):
        recording_named("gone.mp4", keys)
    with pytest.raises(SettingsError, match=r"may be any of \['two-cells-cccc3333', 'two-cells-d"):
        recording_named("two cells.mp4", keys)


def test_pairs_are_stored_beyond_the_disk(lab: Lab) -> None:
    pairs = lab.pairs("simulated_pairs", "default")
    base = UPath("memory://lab")
    store = PairFolders(base_path=base)
    path = base / "simulated_pairs" / "default.zarr"
    context = dg.build_output_context()
    store.dump_to_path(context, pairs, path)
    back = store.stored(PairSet, dg.AssetKey("simulated_pairs"), "default")
    assert back.digest == pairs.digest
    fewer = pairs.part(np.arange(len(pairs)) < 2)
    store.dump_to_path(context, fewer, path)
    assert store.stored(PairSet, dg.AssetKey("simulated_pairs"), "default").digest == fewer.digest
    (path / "zarr.json").unlink()
    with pytest.raises(TableError, match="holds no pairs"):
        store.stored(PairSet, dg.AssetKey("simulated_pairs"), "default")
    with pytest.raises(FileNotFoundError, match="materialize it first"):
        store.stored(PairSet, dg.AssetKey("simulated_pairs"), "other")
    uri = PairStorage(base_uri="memory://lab").create_io_manager(None)
    assert isinstance(uri, PairFolders)


def test_the_assets_are_described_and_stored_as_pairs() -> None:
    for asset in TRAINING_ASSETS:
        (spec,) = asset.specs
        assert spec.description
        assert spec.group_name == "datasets"
        assert spec.partitions_def is not None
        assert spec.partitions_def.name == "dataset"  # type: ignore[attr-defined]
        assert "pairs" in asset.required_resource_keys


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "datasets").glob("*.yaml")))
def test_the_example_recipes_can_be_read(path: Path) -> None:
    recipe = read_recipe(path.parent, path.stem).pairs
    assert recipe is not None
    assert replace(recipe) == recipe


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("pairs: {shares: {localized: 1}}", "no recording is named"),
        ("pairs: {shares: {simulated: 0}}", "at least one of simulated, displayed, localized"),
        ("pairs: {recordings: [a.mp4, a.mp4]}", "recordings must differ"),
        ("pairs: {most_frames: 0}", "most_frames must be 1 or more, got 0"),
        ("pairs: {seed: -1}", "seed must be at least 0, got -1"),
        ("pairs: {simulated: {side_px: 50}}", "side_px must be a multiple of 16"),
        (
            "pairs: {shares: {localized: 1}, recordings: [a.mp4], localized: {side_px: 96}}",
            "one size, got simulated 8 frames of 192 px, localized 8 frames of 96 px",
        ),
        (
            "pairs: {shares: {displayed: 1}}\ndisplay: {clips: {frames: 9}}",
            "got simulated 8 frames of 192 px, displayed 9 frames of 192 px",
        ),
        ("pairs: {shares: {displayed: 1}}", "nothing says what is shown.*`display: {}`"),
        ("pairs: {method: simulated}", "unknown setting pairs.method"),
    ],
)
def test_impossible_recipes_are_refused(tmp_path: Path, recipe: str, words: str) -> None:
    (tmp_path / "a.yaml").write_text(recipe)
    with pytest.raises(SettingsError, match=words):
        read_recipe(tmp_path, "a")


def test_a_recipe_may_name_the_one_phone_that_films_all_scenes(lab: Lab) -> None:
    phone = "phone.yaml"
    write_camera(read_camera("huawei-p9-video"), lab.project.datasets_folder / "cams" / phone)
    recipe = SIMULATED.replace("  ranges", f"  phone: cams/{phone}\n  ranges")
    assert lab.make("one-phone", recipe).success
    pairs = lab.pairs("training_pairs", "one-phone")
    assert len(set(pairs.gain_e_per_adu.tolist())) == 1
    assert len(set(pairs.origin.tolist())) == 4
    failed = lab.make("no-phone", SIMULATED.replace("  ranges", "  phone: gone.yaml\n  ranges"))
    assert "gone.yaml" in failure_of(failed)
