"""What is missing for the pages is said in one sentence before anything is started."""

import socket
from pathlib import Path

import pytest

from cellstorm_assets import preflight
from cellstorm_assets.preflight import check_ready, held_alone
from cellstorm_assets.project import Project, find_project
from cellstorm_lib.errors import ExportError, SettingsError


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("CELLSTORM_HOME", str(tmp_path / "lab"))
    return find_project()


@pytest.fixture
def ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1]), int(other.getsockname()[1])


def test_a_project_that_is_ready_passes(project: Project, ports: tuple[int, int]) -> None:
    check_ready(project, ports=ports)
    assert not list(project.home.rglob("writable"))


def test_a_taken_port_is_named(project: Project, ports: tuple[int, int]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports[0]))
        taken.listen()
        with pytest.raises(SettingsError, match=rf"port {ports[0]} is taken .* --port"):
            check_ready(project, ports=ports)


def test_ports_that_are_none_or_one_are_refused(project: Project) -> None:
    with pytest.raises(SettingsError, match="from 1 to 65535, got 0"):
        check_ready(project, ports=(0, 1))
    with pytest.raises(SettingsError, match="both pages were given port 3000"):
        check_ready(project, ports=(3000, 3000))


def test_a_folder_that_cannot_be_written_is_named(project: Project, ports: tuple[int, int]) -> None:
    (project.home / "server-logs").write_text("a file")
    with pytest.raises(ExportError, match="cannot write .*server-logs"):
        check_ready(project, ports=ports)


def test_a_missing_package_is_named(
    project: Project, ports: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "_NEEDED", {"no_such_module.part": "no-such-package"})
    with pytest.raises(SettingsError, match="`pip install no-such-package`"):
        check_ready(project, ports=ports)


def test_a_dagster_configuration_that_cannot_be_used_is_named(
    project: Project, ports: tuple[int, int]
) -> None:
    file = project.home / "dagster.yaml"
    file.write_text("run_launcher: {module: no_such_module, class: X}\n")
    with pytest.raises(SettingsError, match=r"dagster.yaml"):
        check_ready(project, ports=ports)


def test_a_database_that_is_none_is_named(project: Project, ports: tuple[int, int]) -> None:
    (project.home / "mlruns" / "mlflow.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(SettingsError, match="MLflow's database .* file is not a database"):
        check_ready(project, ports=ports)


def test_a_lab_server_that_does_not_answer_is_named(
    project: Project, ports: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CELLSTORM_MLFLOW_URI", f"http://127.0.0.1:{ports[1]}")
    with pytest.raises(SettingsError, match="does not answer: .*CELLSTORM_MLFLOW_URI"):
        check_ready(project, ports=ports)


def test_a_project_is_served_once(project: Project) -> None:
    project.private_folder.mkdir()
    with held_alone(project), pytest.raises(SettingsError, match="served already, by process"):
        held_alone(project).__enter__()
    with held_alone(project):
        pass
