"""Results that an older version left are read by this one, and those of a newer one are refused."""

import json
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from old_project import KEPT, RECORDS, TRUTH, told

from cellstorm_assets.commands_lineage import answer
from cellstorm_assets.lineage import Present, recording_lineage, stored_keys
from cellstorm_assets.project import Project, find_project, recording_of
from cellstorm_lib.errors import TableError
from cellstorm_lib.pipeline.store import FORMAT_VERSION, read_records
from cellstorm_lib.tables import read_localizations

STORED = sorted((Path(__file__).parents[1] / "data" / "cellstorm-project").glob("format-*.zip"))


@pytest.fixture(params=STORED, ids=lambda path: path.stem)
def old(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    with zipfile.ZipFile(request.param) as archive:
        archive.extractall(tmp_path / "lab")
    monkeypatch.setenv("CELLSTORM_HOME", str(tmp_path / "lab"))
    monkeypatch.delenv("CELLSTORM_STORE", raising=False)
    return find_project()


def test_stored_projects_are_small() -> None:
    assert STORED
    assert all(path.stat().st_size < 200_000 for path in STORED)


def test_every_result_says_what_it_said(old: Project) -> None:
    truth = json.loads((old.home / TRUTH).read_text())
    found = json.loads(json.dumps(told(old.assets_folder)))
    assert set(truth) == set(KEPT)
    for result, facts in truth.items():
        for name, value in facts.items():
            assert found[result][name] == value, (result, name)


def test_its_lineage_is_read_and_its_film_found(old: Project) -> None:
    (key,) = stored_keys(old)
    standings = recording_lineage(Present(old), key).standings
    assert set(standings) == set(KEPT)
    assert {standing.state for standing in standings.values()} <= {"up to date", "stale"}
    assert standings["recording"].state == "up to date"
    assert recording_of(old, key).name == "film 0.mp4"
    lines, _ = answer(key, old)
    assert lines["file"] == "film 0.mp4"


def newer(path: Path, version: int) -> Path:
    """Let a file say that it has a format version."""
    table = pq.read_table(path)
    content = json.loads(table.schema.metadata[b"cellstorm"])
    metadata = {
        **table.schema.metadata,
        b"cellstorm": json.dumps({**content, "format_version": version}).encode(),
    }
    pq.write_table(table.replace_schema_metadata(metadata), path)
    return path


def test_results_of_a_newer_version_are_refused(old: Project) -> None:
    expected = "format version {}; this program reads up to {}: upgrade cellstorm"
    for result, kind in RECORDS.items():
        (path,) = (old.assets_folder / result).glob("*.parquet")
        read_records(kind, newer(path, FORMAT_VERSION))
        beyond = FORMAT_VERSION + 1
        with pytest.raises(TableError, match=expected.format(beyond, FORMAT_VERSION)):
            read_records(kind, newer(path, beyond))
    (spots,) = (old.assets_folder / "raw/spots").glob("*.parquet")
    with pytest.raises(TableError, match="format version 99; .*: upgrade cellstorm"):
        read_localizations(newer(spots, 99))
