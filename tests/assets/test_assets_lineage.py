"""In a real project, exactly what follows from a change is stale, and says why."""

import json
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest
from lineage_lab import LineageLab

from cellstorm_assets import lineage
from cellstorm_assets.commands import main
from cellstorm_assets.definitions import defs
from cellstorm_assets.lineage import Present, lineages, recording_lineage, result_file
from cellstorm_assets.lineage_checks import UP_TO_DATE_KEYS, tell_page
from cellstorm_assets.project import find_project
from cellstorm_assets.recordings import source_of
from cellstorm_assets.resources import ProjectResource
from cellstorm_assets.schedules import stale_requests
from cellstorm_lib.errors import RecordingError
from cellstorm_lib.files import digest_of_file
from cellstorm_lib.pipeline.lineage import LAUNCHPAD, STEPS
from cellstorm_lib.pipeline.lineage_files import Note, note_in
from cellstorm_lib.pipeline.result import RecordingEntry
from cellstorm_lib.pipeline.store import read_records, write_records
from cellstorm_lib.simulate.record import SimulatedRecording
from cellstorm_lib.tables import read_localizations, write_localizations

REPORT = "recording_report"
AFTER = ("drift", "localizations", "super_resolution", "frc_report", "quality")
DENOISED = {"denoised_stack", "denoised/spots", *(f"denoised/{name}" for name in AFTER)}
BY_MODEL = {*DENOISED, "verdict", REPORT}
RAW = {"raw/spots", *(f"raw/{name}" for name in AFTER)}
RENDERED = {f"{branch}/{name}" for branch in ("raw", "denoised") for name in AFTER[2::2]}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, film: SimulatedRecording) -> Iterator[LineageLab]:
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        patch.setenv("CELLSTORM_HOME", str(tmp_path_factory.mktemp("lineage")))
        lab = LineageLab(find_project(), instance, film)
        lab.run()
        yield lab


def files_of(lab: LineageLab) -> dict[str, str]:
    """Return the digest of every file in the store."""
    folder = lab.project.assets_folder
    return {
        str(path.relative_to(folder)): digest_of_file(path)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_steps_are_those_of_the_graph() -> None:
    graph = defs.resolve_asset_graph()
    names = {
        key.to_user_string(): key
        for key in graph.get_all_asset_keys()
        if graph.get(key).group_name == "recordings"
    }
    assert set(names) == set(STEPS)
    for name, key in names.items():
        parents = {parent.to_user_string() for parent in graph.get(key).parent_keys}
        # The facts per frame read of their recording only which film it is.
        expected = {"recording"} if name == "frame_facts" else set(STEPS[name].results)
        assert parents & set(STEPS) == expected, name
        assert graph.get(key).code_version == STEPS[name].code


def test_after_a_run_everything_is_up_to_date_and_says_what_made_it(lab: LineageLab) -> None:
    found = lab.lineage()
    assert {name: it.state for name, it in found.standings.items()} == dict.fromkeys(
        STEPS, "up to date"
    )
    assert found.recording == lab.movie.name
    assert found.made_from["verdict"]["film"].endswith(digest_of_file(lab.movie))
    for branch in ("raw", "denoised"):
        image = result_file(lab.project, f"{branch}/super_resolution", lab.key)
        assert note_in(image) == note_in(image.with_suffix(".png")) is not None


def test_the_page_shows_what_a_result_was_made_from(lab: LineageLab) -> None:
    key = dg.AssetKey(["denoised", "spots"])
    made = lab.instance.get_latest_materialization_event(key)
    assert made is not None
    assert made.asset_materialization is not None
    shown = made.asset_materialization.metadata["made from"]
    assert isinstance(shown, dg.TableMetadataValue)
    rows = {str(record.data["made from"]): str(record.data["which"]) for record in shown.records}
    assert rows["calibration"].startswith("phone, 100 nm per pixel (")
    assert rows["model"].startswith("champion shipped with cellstorm (")


def test_the_same_inputs_give_the_same_files_to_the_byte(lab: LineageLab) -> None:
    before = files_of(lab)
    lab.run()
    after = files_of(lab)
    assert [name for name in before if before[name] != after[name]] == []
    assert set(before) == set(after)


def changes(
    lab: LineageLab, folder: Path
) -> dict[str, tuple[AbstractContextManager[None], set[str], str]]:
    """Return what may change, what follows, and the reason that is given."""
    by_camera = set(STEPS) - {"frame_facts"}
    return {
        "settings": (
            lab.settings(render={"pixel_nm": 9.0}), RENDERED | {REPORT}, "settings.render changed",
        ),
        "camera": (lab.gain(7.7), by_camera, "the calibration changed from phone, 100 nm"),
        "pixel size": (lab.choice(pixel_size_nm=80.0), by_camera, "to phone, 80 nm per pixel"),
        "region": (lab.choice(roi="64x64"), set(STEPS), "the film changed from movie.mp4 ("),
        "no camera": (lab.choice(camera="none"), by_camera, "there is no camera 'none'"),
        "champion": (lab.champion(folder), BY_MODEL, "the champion changed from champion shipped"),
        "code": (
            lab.code("raw/spots"), RAW | {"verdict", REPORT},
            f"makes raw/spots in another way (version {STEPS['raw/spots'].code}, now new)",
        ),
    }  # fmt: skip


@pytest.mark.parametrize(
    "what", ["settings", "camera", "pixel size", "region", "no camera", "champion", "code"]
)
def test_a_change_makes_exactly_what_follows_stale(
    lab: LineageLab, tmp_path: Path, what: str
) -> None:
    changed, expected, reason = changes(lab, tmp_path)[what]
    with changed:
        found = lab.lineage()
        assert set(found.stale()) == expected
        assert all(reason in found.standings[name].reason for name in expected)
    assert lab.stale() == set()


def test_what_the_launchpad_chose_is_on_record_and_left_to_the_person(lab: LineageLab) -> None:
    lab.run(
        "raw/super_resolution",
        config={"raw__super_resolution": {"config": {"pixel_nm": 11.0}}},
    )
    found = lab.lineage()
    assert found.stale() == ["raw/super_resolution"]
    assert LAUNCHPAD in found.standings["raw/super_resolution"].reason
    assert found.stale(with_deliberate=False) == []
    with lab.settings(render={"pixel_nm": 11.0}):
        assert "raw/super_resolution" not in lab.stale()
    lab.run("raw/super_resolution")
    assert lab.stale() == set()


def tick(lab: LineageLab) -> list[dg.RunRequest]:
    """Evaluate the schedule once."""
    told = stale_requests(lab.instance, lab.project, {lab.key: lab.movie.name})
    return told if isinstance(told, list) else []


def test_the_schedule_makes_only_what_is_stale_anew(lab: LineageLab) -> None:
    assert tick(lab) == []
    with lab.settings(render={"pixel_nm": 9.0}):
        (request,) = tick(lab)
        assert request.partition_key == lab.key
        assert request.asset_selection is not None
        names = {key.to_user_string() for key in request.asset_selection}
        assert names == RENDERED | {REPORT}
        assert "settings.render changed" in request.tags["cellstorm/why"]
        before = files_of(lab)
        lab.run(*names, tags=dict(request.tags))
        assert lab.stale() == set()
        assert tick(lab) == []
        changed = {name for name, digest in files_of(lab).items() if digest != before[name]}
        assert {name.rpartition("/")[0] for name in changed} == names
    (back,) = tick(lab)
    lab.run(*names, tags=dict(back.tags))
    assert files_of(lab) == before


def test_the_checks_of_the_page_say_what_is_stale_and_are_written_once(
    lab: LineageLab, tmp_path: Path
) -> None:
    def told() -> list[str]:
        return tell_page(lab.instance, list(lineages(Present(lab.project))))

    told()
    assert told() == []
    with lab.champion(tmp_path):
        assert set(told()) == BY_MODEL
        assert told() == []
        found = lab.instance.get_latest_asset_check_evaluation_record(
            dg.AssetCheckKey(dg.AssetKey("verdict"), "up_to_date")
        )
        assert found is not None
        assert found.evaluation is not None
        assert not found.evaluation.passed
        reason = str(found.evaluation.metadata["reason"].value)
        assert reason.startswith(f"stale for 1 of 1: {lab.key}, because the champion changed from")
    assert set(told()) == BY_MODEL


def test_the_check_can_be_run_by_hand(lab: LineageLab, tmp_path: Path) -> None:
    job = defs.resolve_implicit_global_asset_job_def()
    checks = job.get_subset(asset_selection=set(), asset_check_selection=set(UP_TO_DATE_KEYS))
    with lab.champion(tmp_path):
        run = checks.execute_in_process(instance=lab.instance)
    passed = {
        evaluation.asset_key.to_user_string(): evaluation.passed
        for evaluation in run.get_asset_check_evaluations()
    }
    assert {name for name, is_passed in passed.items() if not is_passed} == BY_MODEL
    assert set(passed) == set(STEPS)


def test_looking_again_reads_no_result_and_no_film(
    lab: LineageLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.lineage()

    def refuse(path: Path) -> None:
        raise AssertionError(f"{path} was read")

    present = Present(lab.project)
    monkeypatch.setattr(lineage, "note_in", refuse)
    monkeypatch.setattr(lineage, "digest_of_file", refuse)
    assert recording_lineage(present, lab.key).stale() == []


def test_results_of_an_older_version_are_read_and_unknown(
    lab: LineageLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "old"
    shutil.copytree(lab.project.home, home)
    monkeypatch.setenv("CELLSTORM_HOME", str(home))
    project = find_project()
    spots = result_file(project, "raw/spots", lab.key)
    table = read_localizations(spots)
    rest = {name: value for name, value in table.provenance.items() if name != "lineage"}
    write_localizations(type(table)(data=table.data, field=table.field, provenance=rest), spots)
    recording = result_file(project, "recording", lab.key)
    entry = pq.read_table(recording)
    metadata = {b"cellstorm": entry.schema.metadata[b"cellstorm"]}
    pq.write_table(entry.replace_schema_metadata(metadata), recording)
    found = recording_lineage(Present(project), lab.key)
    assert {name for name, it in found.standings.items() if it.state == "unknown"} == {
        "raw/spots", "recording",
    }  # fmt: skip
    assert found.stale() == []
    assert len(read_localizations(spots)) == len(table)


def test_the_result_of_another_recording_says_nothing_of_this_one(
    lab: LineageLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "mixed"
    shutil.copytree(lab.project.home, home)
    monkeypatch.setenv("CELLSTORM_HOME", str(home))
    project = find_project()
    for result in ("raw/spots", "recording"):
        mine = result_file(project, result, lab.key)
        shutil.copy(mine, mine.with_name(f"another-00000000{mine.suffix}"))
    shutil.copy(
        result_file(project, "raw/drift", lab.key), result_file(project, "denoised/drift", lab.key)
    )
    present = Present(project)
    other = recording_lineage(present, "another-00000000")
    assert {it.state for it in other.standings.values()} == {"unknown"}
    standings = recording_lineage(present, lab.key).standings
    assert {name for name, it in standings.items() if it.state == "unknown"} == {"denoised/drift"}


def test_another_film_under_the_same_name_is_not_read_as_the_first(lab: LineageLab) -> None:
    (entry,) = read_records(RecordingEntry, result_file(lab.project, "recording", lab.key))
    resource, kept = ProjectResource(home=str(lab.project.home)), lab.movie.read_bytes()
    assert source_of(entry, resource).facts.digest == entry.facts.digest
    lab.movie.write_bytes(kept + b" ")
    try:
        with pytest.raises(RecordingError, match=r"movie.mp4 was replaced by another film .* put"):
            source_of(entry, resource)
    finally:
        lab.movie.write_bytes(kept)


def test_what_a_stranger_wrote_into_a_file_steers_no_terminal(
    lab: LineageLab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "table.parquet"
    note = Note(result="raw/spots", recording="a\x1b[2Jb.mp4", made_from={"film": "\x07 #1"})
    write_records([], table, lineage=note.plain())
    with pytest.raises(SystemExit):
        main(["lineage", str(table)])
    told = capsys.readouterr().out
    assert "a\\x1b[2Jb.mp4" in told
    assert told.replace("\n", "").isprintable()


def asked(name: object, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return what the command tells programs."""
    with pytest.raises(SystemExit) as left:
        main(["lineage", str(name), "--json"])
    assert left.value.code == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return answer


def test_the_command_tells_of_files_recordings_cameras_and_networks(
    lab: LineageLab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for result in STEPS:
        told = asked(result_file(lab.project, result, lab.key), capsys)
        assert (told["result"], told["state"]) == (result, "up to date")
    stack = lab.project.assets_folder / "denoised_stack" / f"{lab.key}.ome.tif"
    assert asked(stack, capsys)["state"] == "up to date"
    away = shutil.copy(stack, tmp_path / "away.ome.tif")
    assert str(asked(away, capsys)["made_from"]).count(digest_of_file(lab.movie)) == 1
    assert set(asked(lab.key, capsys)["results"]) == set(STEPS)
    (of_camera,) = asked("phone", capsys)["recordings"]
    assert set(of_camera["results"]) == set(STEPS) - {"frame_facts"}
    assert of_camera["stale"] == []
    with lab.gain(7.7):
        (of_camera,) = asked("phone", capsys)["recordings"]
        assert set(of_camera["stale"]) == set(STEPS) - {"frame_facts"}
    (of_model,) = asked("champion", capsys)["recordings"]
    assert set(of_model["results"]) == BY_MODEL
    with lab.champion(tmp_path):
        assert asked("champion", capsys)["recordings"] == []


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("table.csv", "does not say what it was made from"), ("nobody", "nobody is neither a file")],
)
def test_what_is_not_known_is_said_in_one_sentence(
    lab: LineageLab,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    sentence: str,
) -> None:
    (tmp_path / "table.csv").write_text("x,y\n")
    with pytest.raises(SystemExit) as left:
        main(["lineage", str(tmp_path / name) if "." in name else name])
    assert left.value.code == 2
    assert sentence in capsys.readouterr().err
