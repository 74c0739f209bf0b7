"""The calibration group: measured from series in the project's folder, or stated by hand."""

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from cellstorm_assets.automation import new_cameras
from cellstorm_assets.commands import main
from cellstorm_assets.definitions import build_defs
from cellstorm_assets.project import Project, find_project
from cellstorm_assets.resources import ProjectResource
from cellstorm_lib.video.tiff import write_stack

OFFSET, GAIN, READ_E = 100.0, 0.5, 2.0


def series(light_e: float, seed: int, frames: int = 40) -> np.ndarray:
    """Return frames of a smooth object of up to `light_e` electrons, 12 bit."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:64, :64] / 63.0
    expected = light_e * (0.1 + 0.9 * np.sin(np.pi * rows) * np.sin(np.pi * columns))
    electrons = rng.poisson(expected, (frames, 64, 64)) + rng.normal(0, READ_E, (frames, 64, 64))
    return np.clip(np.rint(electrons / GAIN + OFFSET), 0, 4095).astype(np.uint16)


def write_series(folder: Path, light_e: float, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_stack(folder / "series.tif", [series(light_e, seed)], pixel_size_nm=100.0)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("CELLSTORM_HOME", str(tmp_path / "lab"))
    return find_project()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def calibrated(instance: dg.DagsterInstance, name: str) -> dg.ExecuteInProcessResult:
    instance.add_dynamic_partitions("camera", [name])
    job = build_defs().resolve_job_def("calibrate_cameras")
    return job.execute_in_process(instance=instance, partition_key=name, raise_on_error=False)


def test_a_camera_is_measured_from_its_series(
    project: Project, instance: dg.DagsterInstance
) -> None:
    folder = project.cameras_folder / "mine"
    write_series(folder / "bright", 800.0, 1)
    write_series(folder / "dark", 0.0, 2)
    run = calibrated(instance, "mine")
    assert run.success
    camera = project.cameras.camera("mine")
    assert camera.source.startswith("measured")
    low, high = camera.intervals["gain_e_per_adu"]
    assert low < GAIN * 1.02
    assert high > GAIN * 0.98
    assert camera.offset_adu == pytest.approx(OFFSET, abs=0.1)
    events = {
        event.asset_key.to_user_string(): event.materialization.metadata
        for event in run.get_asset_materialization_events()
        if event.asset_key
    }
    assert set(events) == {"photon_transfer_curve", "camera_calibration"}
    for metadata in events.values():
        assert "data:image/png" in metadata["photon transfer curve"].md_str
    assert events["photon_transfer_curve"]["planes"].value == "grey"
    records = [dict(record.data) for record in events["camera_calibration"]["camera"].records]
    gain = next(record for record in records if record["number"] == "Gain")
    assert gain["value"].endswith("e⁻/grey value")
    assert gain["remark"].startswith("95 % interval ")
    checks = {check.check_name: check for check in run.get_asset_check_evaluations()}
    assert checks["bright_light_is_linear"].passed
    assert "how far beyond is not known" in checks["bright_light_is_linear"].metadata["reason"].text


def test_a_stated_camera_needs_no_series(project: Project, instance: dg.DagsterInstance) -> None:
    (project.cameras_folder / "p9.yaml").write_text("preset: huawei-p9-raw\n")
    run = calibrated(instance, "p9")
    assert run.success
    checks = {check.check_name: check.passed for check in run.get_asset_check_evaluations()}
    assert checks["measured_not_stated"] is False


def test_series_that_tell_nothing_fail_with_one_sentence(
    project: Project, instance: dg.DagsterInstance
) -> None:
    write_series(project.cameras_folder / "half" / "bright", 800.0, 1)
    run = calibrated(instance, "half")
    failure = next(event for event in run.all_events if event.is_step_failure)
    assert "has no dark series" in str(failure.step_failure_data.user_failure_data.description)


def test_new_and_changed_cameras_are_asked_for_once(
    project: Project, instance: dg.DagsterInstance
) -> None:
    resource = ProjectResource(home=str(project.home))
    cursor: str | None = None

    def tick() -> list[str]:
        nonlocal cursor
        context = dg.build_sensor_context(instance=instance, cursor=cursor)
        result = new_cameras(context, project=resource)
        if isinstance(result, dg.SkipReason):
            return []
        assert isinstance(result, dg.SensorResult)
        cursor = result.cursor
        for request in result.dynamic_partitions_requests or []:
            instance.add_dynamic_partitions("camera", list(request.partition_keys))
        return [str(request.partition_key) for request in result.run_requests or []]

    (project.cameras_folder / "p9.yaml").write_text("preset: huawei-p9-raw\n")
    assert [tick() for _ in range(4)] == [[], ["p9"], [], []]
    (project.cameras_folder / "p9.yaml").write_text("preset: huawei-p9-raw\niso: 1600\n")
    assert [tick() for _ in range(3)] == [[], ["p9"], []]


def test_the_command_measures_a_camera(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_series(tmp_path / "bright", 800.0, 1)
    write_series(tmp_path / "dark", 0.0, 2)
    out = tmp_path / "CAL.json"
    arguments = [
        "calibrate",
        "--bright",
        str(tmp_path / "bright"),
        "--dark",
        str(tmp_path / "dark"),
    ]
    with pytest.raises(SystemExit) as left:
        main([*arguments, "--out", str(out), "--json"])
    assert left.value.code == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["offset_adu"]["low"] < OFFSET < figures["offset_adu"]["high"]
    assert out.exists()
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SystemExit) as left:
        main([*arguments, "--out", str(tmp_path / "CAL.txt")])
    assert left.value.code == 2
    assert "must end in .json" in capsys.readouterr().err
