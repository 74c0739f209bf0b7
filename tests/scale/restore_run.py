"""Back-up and restore of databases and store, rehearsed: `python tests/scale/restore_run.py`.

PostgreSQL with a history of Dagster's, and with runs and a registry of MLflow's; a store with
results: dumped, dropped, restored, compared.
"""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import numpy as np
from large_database import ASSETS, database_of_a_lab, fill
from mlflow import MlflowClient
from scale_lab import BUCKET, Cluster, missing_part, postgres_folder

from cellstorm_assets.registry import CHAMPION, MODEL


def databases() -> dict[str, str]:
    """Return the addresses of both databases, by the programs they belong to."""
    dagster_url = os.environ["DAGSTER_PG_URL"]
    return {"dagster": dagster_url, "mlflow": f"{dagster_url.rpartition('/')[0]}/mlflow"}


def dump_database(url: str, dump: Path) -> None:
    """Dump a database, as the page on operations says."""
    _call("pg_dump", "--format=custom", f"--file={dump}", url)


def drop_database(url: str) -> None:
    """Drop all that is in a database."""
    _call("psql", "-q", "-c", "DROP SCHEMA public CASCADE; CREATE SCHEMA public;", url)


def restore_database(url: str, dump: Path) -> None:
    """Restore a database."""
    _call("pg_restore", "--clean", "--if-exists", "--no-owner", f"--dbname={url}", str(dump))


def rehearse(cluster: Cluster, folder: Path, home: Path) -> dict[str, int]:
    """Lose and restore databases and store; return how much was compared.

    Raises
    ------
    AssertionError
        When something differs.
    """
    rng, files = np.random.default_rng(1), cluster.files()
    with dg.DagsterInstance.from_config(str(home)) as instance:
        keys = fill(instance, 20)
        told = _told(instance)
    _call("psql", "-q", "-c", "CREATE DATABASE mlflow", os.environ["DAGSTER_PG_URL"])
    fill_registry(databases()["mlflow"], 12)
    registered = _registered(databases()["mlflow"])
    for number in range(40):
        files.pipe(f"{BUCKET}/lab/raw/spots/{keys[number % 20]}-{number}.parquet", rng.bytes(5000))
    before = cluster.results()
    copy = folder / "copy"
    dumps = {folder / f"{name}.dump": url for name, url in databases().items()}
    for dump, url in dumps.items():
        dump_database(url, dump)
    files.get(f"{BUCKET}/lab/", f"{copy}/", recursive=True)
    for url in dumps.values():
        drop_database(url)
    files.rm(f"{BUCKET}/lab", recursive=True)
    assert cluster.results() == {}, "the store is not empty"
    for dump, url in dumps.items():
        restore_database(url, dump)
    files.put(f"{copy}/", f"{BUCKET}/lab/", recursive=True)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert _told(instance) == told, "Dagster's restored database differs"
    assert _registered(databases()["mlflow"]) == registered, "MLflow's restored database differs"
    assert cluster.results() == before, "the restored store differs"
    return {
        "materializations": sum(map(len, told.values())),
        "versions of the network": len(registered),
        "files": len(before),
    }


def fill_registry(url: str, count: int) -> None:
    """Write trainings with their curves, and the versions of a network that came of them."""
    client = MlflowClient(url)
    experiment = client.create_experiment("denoisers", artifact_location="s3://recordings/mlflow")
    client.create_registered_model(MODEL)
    for number in range(1, count + 1):
        run = client.create_run(experiment)
        for step in range(20):
            client.log_metric(run.info.run_id, "validation_loss", 1 / (step + number), step=step)
        client.set_terminated(run.info.run_id)
        tags = {"dataset": "phones", "weights_digest": f"{number:064x}"}
        client.create_model_version(MODEL, "s3://recordings/w", run.info.run_id, tags=tags)
    client.set_registered_model_alias(MODEL, CHAMPION, str(count // 2))


def _registered(url: str) -> dict[int, tuple[object, ...]]:
    """Return the versions of the network with what is known of each and of its training."""
    client, found = MlflowClient(url), {}
    champion = client.get_model_version_by_alias(MODEL, CHAMPION).version
    for entry in client.search_model_versions(f"name = '{MODEL}'"):
        curve = client.get_metric_history(str(entry.run_id), "validation_loss")
        values = tuple((point.step, point.value) for point in curve)
        is_champion = entry.version == champion
        found[int(entry.version)] = (dict(entry.tags), entry.source, is_champion, values)
    return found


def _told(instance: dg.DagsterInstance) -> dict[str, set[str]]:
    """Return the materialized partitions of every asset."""
    keys = {name: dg.AssetKey(name.split("/")) for name in ASSETS}
    return {name: instance.get_materialized_partitions(key) for name, key in keys.items()}


def _call(program: str, *words: str) -> None:
    """Call one of PostgreSQL's programs."""
    programs = postgres_folder()
    assert programs is not None
    subprocess.run([programs / program, *words], check=True, stderr=subprocess.DEVNULL)


def main() -> int:
    if missing := missing_part():
        print(f"cannot be tried here: {missing}")
        return 1
    with database_of_a_lab() as (cluster, home):
        cluster.start_store()
        print(f"dumped, dropped, restored: the same, {rehearse(cluster, home.parent, home)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
