"""What killed processes left is removed while the pages run."""

import os
from pathlib import Path

import dagster as dg

from cellstorm_assets.definitions import defs
from cellstorm_assets.leftovers import leftovers
from cellstorm_assets.project import Project
from cellstorm_assets.resources import ProjectResource


def test_pieces_that_nobody_goes_on_with_do_not_stay(tmp_path: Path) -> None:
    folder = Project(home=tmp_path).assets_folder / "denoised_stack"
    forsaken, recent = folder / ".parts-a-0123456789abcdef", folder / ".parts-b-0123456789abcdef"
    for pieces in (forsaken, recent):
        pieces.mkdir(parents=True)
        (pieces / "00000.ome.tif").write_bytes(b"a piece")
    os.utime(forsaken, (0, 0))
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance)
        told = leftovers(context, project=ProjectResource(home=str(tmp_path)))
    assert isinstance(told, dg.SkipReason)
    assert str(told.skip_message).startswith("1 half-written")
    assert [path.name for path in folder.iterdir()] == [recent.name]


def test_it_runs_by_itself_and_daily() -> None:
    (sensor,) = [each for each in defs.sensors or () if each.name == "leftovers"]
    assert isinstance(sensor, dg.SensorDefinition)
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    assert sensor.minimum_interval_seconds == 86400
