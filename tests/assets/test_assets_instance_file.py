"""A dagster.yaml of an older version is brought up to date; a changed one is only told of."""

from pathlib import Path

import pytest
import yaml

from cellstorm_assets import instance_file, serve
from cellstorm_assets.instance_file import EARLIER, PRESENT, bring_up_to_date, digest_of_text
from cellstorm_assets.project import INSTANCE_TEMPLATE, Project, find_project
from cellstorm_lib.errors import SettingsError

#: As the first version wrote it.
FIRST = """\
# The Dagster instance of a cellstorm project: everything embedded, SQLite files beside this one.
telemetry: { enabled: false }
nux: { enabled: false }
run_coordinator: { module: dagster.core.run_coordinator, class: QueuedRunCoordinator }
concurrency:
  runs: { max_concurrent_runs: 2 }
  pools: { granularity: op, default_limit: 1 }
run_monitoring: { enabled: true, start_timeout_seconds: 180, poll_interval_seconds: 10 }
# A lost worker is retried; a failed step is not, because a bad file stays bad.
run_retries: { enabled: true, max_retries: 2, retry_on_asset_or_op_failure: false }
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("CELLSTORM_HOME", str(tmp_path / "lab"))
    return find_project()


@pytest.fixture
def file(project: Project) -> Path:
    return project.home / "dagster.yaml"


def test_the_digest_is_that_of_the_file_of_this_version() -> None:
    # whoever changes instance.yaml moves the digest of before to EARLIER, so that projects follow
    assert digest_of_text(INSTANCE_TEMPLATE) == PRESENT
    assert PRESENT not in EARLIER


def test_a_new_project_has_nothing_to_be_said_of(project: Project) -> None:
    assert bring_up_to_date(project) == ""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_that_of_an_older_version_is_replaced_and_kept_beside(
    project: Project, file: Path, end: str
) -> None:
    file.write_bytes(FIRST.replace("\n", end).encode())
    assert digest_of_text(file) in EARLIER
    told = bring_up_to_date(project)
    assert "brought up to date" in told
    assert file.read_bytes() == INSTANCE_TEMPLATE.read_bytes()
    assert file.with_name("dagster.yaml.old").read_bytes() == FIRST.replace("\n", end).encode()
    assert bring_up_to_date(project) == ""


def test_one_that_was_changed_stays_and_what_it_lacks_is_named(
    project: Project, file: Path
) -> None:
    changed = FIRST.replace("max_concurrent_runs: 2", "max_concurrent_runs: 6")
    file.write_text(changed)
    told = bring_up_to_date(project)
    assert "lacks concurrency.runs.tag_concurrency_limits, run_launcher, which" in told
    assert "\n" not in told
    assert file.read_text() == changed
    assert not file.with_name("dagster.yaml.old").exists()


def test_other_values_are_a_choice(project: Project, file: Path) -> None:
    entries = yaml.safe_load(INSTANCE_TEMPLATE.read_text())
    entries["run_launcher"] = {"module": "dagster_k8s", "class": "K8sRunLauncher"}
    entries["run_monitoring"]["poll_interval_seconds"] = 60
    file.write_text(yaml.safe_dump(entries))
    assert bring_up_to_date(project) == ""


@pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe\x00"])
def test_what_is_no_yaml_is_named(project: Project, file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"dagster.yaml is no YAML: .*correct it"):
        bring_up_to_date(project)


def test_one_that_is_gone_is_named(project: Project, file: Path) -> None:
    file.unlink()
    with pytest.raises(SettingsError, match=r"dagster.yaml cannot be read: .*remove it"):
        bring_up_to_date(project)


def test_the_pages_say_it_before_a_server_starts(
    project: Project,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(*_: object) -> None:
        raise InterruptedError

    project.private_folder.mkdir()
    file.write_text(FIRST)
    monkeypatch.setattr(serve, "check_ready", lambda *_, **__: None)
    monkeypatch.setattr(serve, "Server", refuse)
    with pytest.raises(InterruptedError):
        serve.serve(port=1, mlflow_port=2)
    assert "was of an older version" in capsys.readouterr().err
    assert instance_file.missing_entries(file) == []
