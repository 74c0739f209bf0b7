"""The files to deploy: read by what will read them, and without a secret."""

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from cellstorm_assets.chunk_workers import CHUNKS_VARIABLE
from cellstorm_assets.object_store import STORE_VARIABLE
from cellstorm_assets.reach import DATABASE_VARIABLE, JOBS_VARIABLE
from cellstorm_assets.store_films import FILMS_VARIABLE
from cellstorm_assets.tracking import SERVER_VARIABLE

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = sorted(DEPLOY.rglob("*.service"))
SCHEMAS = yaml.safe_load(Path(__file__).with_name("kubernetes_schemas.yaml").read_text())
KUBERNETES = list(yaml.safe_load_all((DEPLOY / "kubernetes" / "cellstorm.yaml").read_text()))


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.relative_to(DEPLOY).as_posix())
def test_a_unit_starts_a_program_with_the_environment_of_the_lab(path: Path) -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(path)
    service = unit["Service"]
    assert service["EnvironmentFile"] == "/etc/cellstorm.env"
    assert service["User"] != "root"
    program = shlex.split(service["ExecStart"])[0]
    assert Path(program).name in {"cellstorm", "ray", "mlflow", "python"}
    for name in re.findall(r"(?<=\bafter=)\S+\.service", path.read_text().lower()):
        assert (path.parent / name).exists()


def test_there_is_a_unit_for_every_part() -> None:
    assert len(UNITS) >= 5


def test_the_environment_names_what_the_program_reads() -> None:
    text = (DEPLOY / "cellstorm.env").read_text()
    named = set(re.findall(r"^#? ?([A-Z][A-Z_]+)=", text, re.MULTILINE))
    assert {
        CHUNKS_VARIABLE, STORE_VARIABLE, DATABASE_VARIABLE, JOBS_VARIABLE, SERVER_VARIABLE,
        "CELLSTORM_HOME", "DAGSTER_HOME", "AWS_ENDPOINT_URL", "MLFLOW_BACKEND_STORE_URI",
        FILMS_VARIABLE, "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_JOB_START_TIMEOUT_SECONDS",
    } <= named  # fmt: skip


def test_no_file_holds_a_secret() -> None:
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"(SECRET_ACCESS_KEY|AUTH_TOKEN)=\S", text), path
            assert not re.search(r"://\w+:(?!PASSWORD@)[^@\s/]+@", text), path


def test_dagster_on_ray_differs_from_the_workstation_only_where_it_must() -> None:
    ray = yaml.safe_load((DEPLOY / "ray" / "dagster.yaml").read_text())
    own = yaml.safe_load((DEPLOY.parent / "dagster.yaml").read_text())
    differing = {name for name in own | ray if own.get(name) != ray.get(name)}
    assert differing == {
        "storage", "concurrency", "run_coordinator", "run_launcher", "run_monitoring",
    }  # fmt: skip
    limits = "tag_concurrency_limits"
    assert ray["concurrency"]["runs"][limits] == own["concurrency"]["runs"][limits]


def pods() -> list[dict]:
    """Return the specs of all pods."""
    found = []
    for entry in KUBERNETES:
        spec = entry.get("spec", {})
        if entry["kind"] == "Deployment":
            found.append(spec["template"]["spec"])
        if entry["kind"] == "RayCluster":
            found.append(spec["headGroupSpec"]["template"]["spec"])
            found += [group["template"]["spec"] for group in spec["workerGroupSpecs"]]
    return found


def test_every_pod_has_the_environment_the_volume_and_no_root() -> None:
    assert len(pods()) == 3
    for spec in pods():
        assert spec["securityContext"]["runAsNonRoot"]
        names = {volume["name"] for volume in spec["volumes"]}
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            assert {"configMapRef", "secretRef"} == {key for e in container["envFrom"] for key in e}
            assert {mount["name"] for mount in container["volumeMounts"]} <= names
            assert not container["image"].endswith(":latest")


def test_pods_of_the_cluster_start_and_find_each_other() -> None:
    by_kind = {entry["kind"]: entry for entry in KUBERNETES}
    cluster, config = by_kind["RayCluster"], by_kind["ConfigMap"]["data"]
    assert cluster["metadata"]["name"] + "-head-svc" in config[JOBS_VARIABLE]
    assert all(isinstance(value, str) for value in config.values())
    for group in cluster["spec"]["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
        assert "cellstorm_run" in group["rayStartParams"]["resources"]
    assert by_kind["Deployment"]["spec"]["replicas"] == 1


def schema_of(kind: str) -> dict:
    return {"definitions": SCHEMAS["definitions"], **SCHEMAS["kinds"][kind]}


@pytest.mark.parametrize("entry", KUBERNETES, ids=lambda entry: entry["kind"])
def test_every_field_is_one_that_kubernetes_knows(entry: dict) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(schema_of(entry["kind"]))
    jsonschema.validate(entry, schema_of(entry["kind"]))
    for wrong in ({**entry, "sepc": 1}, {**entry, "apiVersion": "v2"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema_of(entry["kind"]))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.relative_to(DEPLOY).as_posix())
def test_systemd_finds_nothing_wrong(path: Path, tmp_path: Path) -> None:
    """Systemd is shown programs that are there, for it looks for them."""
    for other in path.parent.glob("*.service"):
        text = other.read_text().replace("/opt/cellstorm/bin/", f"{tmp_path}/")
        (tmp_path / other.name).write_text(text)
    for name in ("cellstorm", "ray", "mlflow", "python"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / path.name)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if path.name in line]
    assert said == []
