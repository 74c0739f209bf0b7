"""The short form of the trials on a cluster, and what a cluster says that is not well."""

import os
import signal
import sys
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest
import sqlalchemy
from scale_lab import Cluster, lab_on, missing_part
from scale_run import films, local_results, trial

from cellstorm_assets.connections import keep_connections
from cellstorm_assets.object_store import require_store
from cellstorm_assets.reach import require_database
from cellstorm_lib.errors import ExportError, RecordingError, SettingsError
from cellstorm_lib.gan import SHIPPED
from cellstorm_lib.gan.checkpoint import read_checkpoint
from cellstorm_lib.gan.denoiser import Denoiser
from cellstorm_lib.gan.gate import GateSettings
from cellstorm_lib.pipeline.choice import calibration_for
from cellstorm_lib.pipeline.denoise import Network, denoise_recording
from cellstorm_lib.video.read import open_recording

EVENTS = 20

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing_part()), reason=missing_part() or "all parts are there"),
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory):
    """Return a folder with a short name, which sockets need, that a database's user may enter."""
    import shutil
    import tempfile

    made = Path(tempfile.mkdtemp(prefix="cs-", dir="/tmp"))
    made.chmod(0o755)
    before = dict(os.environ)
    yield made
    os.environ.clear()
    os.environ.update(before)
    shutil.rmtree(made, ignore_errors=True)


@contextmanager
def own_ray(folder: Path, monkeypatch: pytest.MonkeyPatch, *, cores: int):
    """Run Ray in this process; its workers find the functions of this file."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # for as long as this test, on loopback
    import ray

    ray.init(num_cpus=cores, include_dashboard=False, log_to_driver=False, logging_level="error",
             object_store_memory=100_000_000, _temp_dir=str(folder / "ray"))  # fmt: skip
    try:
        yield
    finally:
        ray.shutdown()


@pytest.mark.timeout(900)
def test_recordings_end_right_when_a_worker_is_killed(folder: Path) -> None:
    before = dict(os.environ)
    made = films(folder / "films", 4, frames=320)
    expected = local_results(folder, made)
    os.environ.clear()
    os.environ.update(before)
    told = trial(folder, made, expected, seed=7, limit_s=600.0)
    assert told.is_done
    assert told.killed
    assert told.compared > 40
    assert told.different == ()


@pytest.mark.timeout(900)
def test_a_store_and_a_database_say_what_is_wrong(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(folder=folder / "cluster")
    try:
        cluster.start_database()
        cluster.start_store()
        for name, value in cluster.environment.items():
            monkeypatch.setenv(name, value)
        right = cluster.environment["DAGSTER_PG_URL"]
        assert require_database(right).endswith("answers")
        with pytest.raises(SettingsError, match="correct user and password"):
            require_database(right.replace("scale-lab-secret", "wrong"))
        with pytest.raises(SettingsError, match="create the database"):
            require_database(right.replace("/postgres", "/missing"))
        with pytest.raises(SettingsError, match="start its server"):
            require_database(right.replace(str(cluster.pg_port), "9"))
        require_store("s3://recordings/lab")
        with pytest.raises(ExportError, match="make the bucket"):
            require_store("s3://missing-bucket/lab")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        _forget_stores()
        with pytest.raises(ExportError, match="set AWS_ACCESS_KEY_ID"):
            require_store("s3://recordings/lab")
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        _forget_stores()
        with pytest.raises(ExportError, match="start its server, or correct AWS_ENDPOINT_URL"):
            require_store("s3://recordings/lab")
    finally:
        cluster.stop()


@pytest.mark.timeout(300)
def test_a_run_keeps_its_connections_and_replaces_lost_ones(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(folder=folder / "cluster")
    try:
        cluster.start_database()
        for name, value in cluster.environment.items():
            monkeypatch.setenv(name, value)
        (folder / "dagster.yaml").write_text(
            "storage: { postgres: { postgres_url: { env: DAGSTER_PG_URL } } }\n"
        )
        watch = sqlalchemy.create_engine(os.environ["DAGSTER_PG_URL"])

        def sessions() -> int:
            with watch.connect() as connection:
                connection.execute(sqlalchemy.text("SELECT pg_stat_clear_snapshot()"))
                return connection.execute(sqlalchemy.text(
                    "SELECT sessions FROM pg_stat_database WHERE datname = current_database()"
                )).scalar_one()  # fmt: skip

        with dg.DagsterInstance.from_config(str(folder)) as instance:
            before = sessions()
            _write_events(instance)
            anew = sessions() - before
            keep_connections(instance)
            _write_events(instance)
            kept = sessions() - before - anew
            with watch.connect() as connection:
                connection.execute(sqlalchemy.text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE pid <> pg_backend_pid() AND datname = current_database()"
                ))  # fmt: skip
            _write_events(instance)
            assert instance.get_latest_materialization_event(dg.AssetKey("x")) is not None
        assert anew > EVENTS
        assert kept <= 3
        watch.dispose()
    finally:
        cluster.stop()


def _write_events(instance: dg.DagsterInstance) -> None:
    for _ in range(EVENTS):
        instance.report_runless_asset_event(dg.AssetMaterialization("x"))


@pytest.mark.timeout(900)
def test_pieces_on_ray(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, bounded, with the errors of the work, and never by another version."""
    from cellstorm_assets import ray_chunks

    with own_ray(folder, monkeypatch, cores=1):
        chunks = ray_chunks.RayChunks.connected()
        assert chunks.most_ahead == 2
        taken: list[int] = []

        def numbers():
            for number in range(12):
                taken.append(number)
                yield number

        made = chunks(abs, numbers())
        assert next(made) == 0
        assert len(taken) == 2
        assert list(made) == list(range(1, 12))
        table = next(chunks(pd.Series, [np.arange(3.0)]))
        assert table.sum() == 3.0
        (written,) = chunks(partial(_written, counts=np.zeros(3)), [1])
        written += 1  # neither the work's arrays nor the results are read-only
        assert written.tolist() == [1, 2, 1]
        with pytest.raises(RecordingError, match="the film is bad"):
            list(chunks(_refuse, [1]))
        monkeypatch.setattr(ray_chunks, "__version__", "0.0.0-other")
        with pytest.raises(SettingsError, match="install the same version on all machines"):
            list(chunks(abs, [1]))


@pytest.mark.timeout(900)
def test_denoising_on_ray_is_identical_although_a_worker_is_killed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pieces are denoised by tasks; the one that is lost is made again, and nothing else."""
    from cellstorm_assets.ray_chunks import RayChunks

    made = films(folder / "films", 1, frames=320)
    source = open_recording(made[0])
    calibration, _ = calibration_for(source, None)
    denoiser = Denoiser(read_checkpoint(SHIPPED), device="cpu", engine="auto", gate=GateSettings())
    network = Network(denoiser=denoiser, label="champion")
    alone, out = folder / "alone" / "d.ome.tif", folder / "d.ome.tif"
    told = denoise_recording(source, calibration, network, alone, pixel_size_nm=100.0)
    with own_ray(folder, monkeypatch, cores=2):
        chunks = RayChunks.connected()

        def deadly(work, items):
            return chunks(partial(_dies_once, work=work, folder=folder), items)

        again = denoise_recording(
            source, calibration, network, out, pixel_size_nm=100.0, map_chunks=deadly,
            fan_out_px=32 * 64 * 64,
        )  # fmt: skip
    assert out.read_bytes() == alone.read_bytes()
    assert replace(again, frames_per_second=0.0) == replace(told, frames_per_second=0.0)
    begun = sorted(path.name for path in folder.glob("begun-*"))
    numbers = [int(name.split("-")[1]) for name in begun]
    assert numbers == sorted([*range(10), 4])


def _dies_once(number: int, *, work, folder: Path):
    """Work on a piece; end the process when the fifth one is begun for the first time."""
    mark = folder / f"begun-{number}-{os.getpid()}"
    is_first = not list(folder.glob(f"begun-{number}-*"))
    mark.touch()
    if number == 4 and is_first:
        os.kill(os.getpid(), signal.SIGKILL)
    return work(number)


def _written(place: int, *, counts: np.ndarray) -> np.ndarray:
    counts[place] = 1
    return counts


def _refuse(_: int) -> None:
    raise RecordingError("the film is bad")


def _forget_stores() -> None:
    """Make the next look at the store read the environment again."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()


def test_a_cluster_that_is_not_there() -> None:
    from cellstorm_assets.ray_chunks import ADDRESS_VARIABLE, RayChunks

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ADDRESS_VARIABLE, "127.0.0.1:9")
        with pytest.raises(SettingsError, match=r"Ray cluster at 127\.0\.0\.1:9 does not answer"):
            RayChunks.connected()


def test_the_lab_is_the_one_that_is_deployed(folder: Path) -> None:
    cluster = Cluster(folder=folder / "cluster")
    lab = lab_on(cluster, folder / "lab")
    text = (lab.project.home / "dagster.yaml").read_text()
    assert "class: MindedRayRunLauncher" in text
    assert "postgres_url" in text
    assert cluster.environment["AWS_SECRET_ACCESS_KEY"] not in text
