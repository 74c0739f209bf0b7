"""The datasets group: a recipe becomes a simulated recording with its truth."""

from pathlib import Path

import dagster as dg
import pytest

from cellstorm_assets.automation import new_datasets
from cellstorm_assets.definitions import build_defs
from cellstorm_assets.project import find_project
from cellstorm_assets.resources import ProjectResource
from cellstorm_lib.tables import read_emitters

SCENE = """
name: tiny
frame_count: 24
field: {width_px: 64, height_px: 64, pixel_size_nm: 100.0}
structure: {kind: random, sites_per_um2: 2.0}
"""


def test_a_recipe_becomes_a_recording_with_its_truth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CELLSTORM_HOME", str(tmp_path / "lab"))
    project = find_project()
    (project.datasets_folder / "tiny-scene.txt").write_text(SCENE)
    (project.datasets_folder / "tiny.yaml").write_text("scene: tiny-scene.txt\n")
    (project.datasets_folder / "lost.yaml").write_text("scene: nowhere.yaml\n")
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance)
        found = new_datasets(context, project=ProjectResource(home=str(project.home)))
        assert isinstance(found, dg.SensorResult)
        for request in found.dynamic_partitions_requests or []:
            instance.add_dynamic_partitions("dataset", list(request.partition_keys))
        assert set(instance.get_dynamic_partitions("dataset")) == {"tiny", "lost"}
        again = new_datasets(
            dg.build_sensor_context(instance=instance),
            project=ProjectResource(home=str(project.home)),
        )
        assert isinstance(again, dg.SkipReason)
        job = build_defs().resolve_job_def("simulate_datasets")
        run = job.execute_in_process(instance=instance, partition_key="tiny")
        failed = job.execute_in_process(
            instance=instance, partition_key="lost", raise_on_error=False
        )
    assert run.success
    folder = project.assets_folder
    truth = read_emitters(folder / "simulated_truth" / "tiny.parquet")
    assert len(truth) > 0
    assert (folder / "simulated_recording" / "tiny" / "movie.mp4").exists()
    failure = next(event for event in failed.all_events if event.is_step_failure)
    description = str(failure.step_failure_data.user_failure_data.description)
    assert "nowhere.yaml does not exist" in description
