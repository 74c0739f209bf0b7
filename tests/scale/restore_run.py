"""Back-up and restore of database and store, rehearsed: `python tests/scale/restore_run.py`.

PostgreSQL with a history, a store with results: dumped, dropped, restored, compared.
"""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import numpy as np
from large_database import ASSETS, database_of_a_lab, fill
from scale_lab import BUCKET, Cluster, missing_part, postgres_folder


def dump_database(folder: Path) -> Path:
    """Dump the database, as the page on operations says."""
    dump = folder / "dagster.dump"
    _call("pg_dump", "--format=custom", f"--file={dump}", os.environ["DAGSTER_PG_URL"])
    return dump


def drop_database() -> None:
    """Drop all that is in the database."""
    drop = "DROP SCHEMA public CASCADE; CREATE SCHEMA public;"
    _call("psql", "-q", "-c", drop, os.environ["DAGSTER_PG_URL"])


def restore_database(dump: Path) -> None:
    """Restore the database."""
    url = os.environ["DAGSTER_PG_URL"]
    _call("pg_restore", "--clean", "--if-exists", "--no-owner", f"--dbname={url}", str(dump))


def rehearse(cluster: Cluster, folder: Path, home: Path) -> dict[str, int]:
    """Lose and restore database and store; return how much was compared.

    Raises
    ------
    AssertionError
        When something differs.
    """
    rng, files = np.random.default_rng(1), cluster.files()
    with dg.DagsterInstance.from_config(str(home)) as instance:
        keys = fill(instance, 20)
        told = _told(instance)
    for number in range(40):
        files.pipe(f"{BUCKET}/lab/raw/spots/{keys[number % 20]}-{number}.parquet", rng.bytes(5000))
    before = cluster.results()
    dump, copy = dump_database(folder), folder / "copy"
    files.get(f"{BUCKET}/lab/", f"{copy}/", recursive=True)
    drop_database()
    files.rm(f"{BUCKET}/lab", recursive=True)
    assert cluster.results() == {}, "the store is not empty"
    restore_database(dump)
    files.put(f"{copy}/", f"{BUCKET}/lab/", recursive=True)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert _told(instance) == told, "the restored database differs"
    assert cluster.results() == before, "the restored store differs"
    return {"materializations": sum(map(len, told.values())), "files": len(before)}


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
