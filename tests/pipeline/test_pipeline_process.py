"""One recording from file to result, and the same again."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cellstorm_lib.camera import CAMERA_PRESETS, read_calibration
from cellstorm_lib.errors import CalibrationError, RecordingError, SettingsError
from cellstorm_lib.evaluate.scores import score
from cellstorm_lib.pipeline.choice import calibration_for, pixel_size_for
from cellstorm_lib.pipeline.lineage_files import needed_note
from cellstorm_lib.pipeline.process import process_recording
from cellstorm_lib.pipeline.result import FrameFacts, FrcReports, RecordingResult
from cellstorm_lib.pipeline.settings import PipelineSettings
from cellstorm_lib.pipeline.steps import measure_resolutions, survey_recording
from cellstorm_lib.pipeline.store import read_records, record_from, write_records
from cellstorm_lib.reconstruct.frc import SPLITS, FrcReport
from cellstorm_lib.recording import LossSummary, RecordingFacts
from cellstorm_lib.refine.drift import Drift
from cellstorm_lib.simulate.record import SimulatedRecording
from cellstorm_lib.tables import read_emitters, read_localizations
from cellstorm_lib.video.array import ArraySource
from cellstorm_lib.video.read import open_recording


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("result")


@pytest.fixture(scope="module")
def result(film: SimulatedRecording, folder: Path) -> RecordingResult:
    return process_recording(
        open_recording(film.movie),
        folder,
        camera=read_calibration(film.camera),
        pixel_size_nm=100.0,
    )


def test_every_step_leaves_its_file(result: RecordingResult, folder: Path) -> None:
    assert result.loss.decoded_count == 300
    names = {str(path.relative_to(folder).as_posix()) for path in folder.rglob("*.*")}
    assert names == {
        "recording.parquet", "frame_facts.parquet", "widefield.tif", "raw/spots.parquet",
        "raw/drift.parquet", "raw/localizations.parquet", "raw/super_resolution.tif",
        "raw/frc_report.parquet", "raw/quality.parquet",
    }  # fmt: skip


def test_every_file_says_what_it_was_made_from(result: RecordingResult, folder: Path) -> None:
    films = set()
    for path in folder.rglob("*.*"):
        note = needed_note(path)
        assert note.result == str(path.relative_to(folder).with_suffix("").as_posix())
        assert note.made_from == result.records[note.result]
        assert note.made_from["film"].endswith(f"#{result.facts.digest}+96x96+0+0")
        films.add(note.recording)
    assert films == {result.facts.name}
    chosen = result.records["raw/quality"]["calibration"]
    assert chosen.startswith(f"{result.calibration.name}, 100 nm per pixel #")
    shown = result.branches["raw"].localizations.provenance["lineage"]["made_from"]
    assert shown == result.records["raw/localizations"]


def test_most_true_molecules_are_found(result: RecordingResult, film: SimulatedRecording) -> None:
    truth = read_emitters(film.truth)
    bright = truth.data["photons"] > 250
    scores = score(
        result.branches["raw"].spots,
        type(truth)(data=truth.data[bright], field=truth.field, provenance={}),
    )
    assert scores.recall > 0.7
    assert scores.bias_x_nm == pytest.approx(0.0, abs=5.0)
    assert scores.bias_y_nm == pytest.approx(0.0, abs=5.0)


def test_tables_say_where_they_come_from(result: RecordingResult, folder: Path) -> None:
    spots = read_localizations(folder / "raw" / "spots.parquet")
    assert spots.provenance["source_digest"] == result.facts.digest
    assert spots.provenance["calibration_digest"] == result.calibration.digest
    assert len(spots.provenance["settings_digest"]) == 64
    pd.testing.assert_frame_equal(spots.data, result.branches["raw"].spots.data)


def test_the_same_recording_gives_the_same_tables(
    result: RecordingResult, film: SimulatedRecording, tmp_path: Path
) -> None:
    again = process_recording(
        open_recording(film.movie),
        tmp_path,
        camera=read_calibration(film.camera),
        pixel_size_nm=100.0,
    )
    for name in ("spots", "localizations"):
        before, after = (getattr(r.branches["raw"], name).data for r in (result, again))
        pd.testing.assert_frame_equal(before, after, check_exact=True)
    np.testing.assert_array_equal(result.widefield, again.widefield)


def test_records_survive_their_files(result: RecordingResult, folder: Path) -> None:
    assert read_records(RecordingFacts, folder / "recording.parquet") == [result.facts]
    drift = read_records(Drift, folder / "raw" / "drift.parquet")[0]
    np.testing.assert_array_equal(drift.x_nm, result.branches["raw"].drift.x_nm)
    assert drift.reason == result.branches["raw"].drift.reason
    facts = read_records(FrameFacts, folder / "frame_facts.parquet")[0]
    pd.testing.assert_frame_equal(facts.table(), result.frame_facts)
    assert facts.loss == result.loss
    reports = read_records(FrcReport, folder / "raw" / "frc_report.parquet")
    for stored, report in zip(reports, result.branches["raw"].frc.values(), strict=True):
        assert stored.split == report.split
        assert stored.resolution_nm == report.resolution_nm
        np.testing.assert_array_equal(stored.curve, report.curve)


def test_a_record_survives_json(result: RecordingResult, tmp_path: Path) -> None:
    assert record_from(LossSummary, {"expected_count": None, "decoded_count": 3}).decoded_count == 3
    write_records([], tmp_path / "none.parquet")
    assert read_records(LossSummary, tmp_path / "none.parquet") == []


def test_every_split_is_measured_with_the_default_first(result: RecordingResult) -> None:
    settings = PipelineSettings()
    reports = measure_resolutions(result.branches["raw"].localizations, settings)
    assert isinstance(reports, FrcReports)
    assert reports.chosen.split == settings.frc.split == "molecules"
    assert set(reports.by_split()) == set(SPLITS)


def test_checks_are_asked_and_give_a_reason(result: RecordingResult) -> None:
    checks = {check.name: check for check in result.branches["raw"].checks}
    assert set(checks) == {
        "frames_lost", "frames_tainted", "codec_grid", "subpixel_bias", "frc_crossed",
        "repeats",
    }  # fmt: skip
    assert checks["frames_lost"].passed
    assert all(check.reason for check in checks.values())


def test_a_recording_without_molecules_is_normal(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    dark = rng.normal(10, 2, (40, 64, 64)).clip(0, 255).astype(np.uint8)
    result = process_recording(ArraySource(dark), tmp_path, pixel_size_nm=100.0)
    branch = result.branches["raw"]
    assert len(branch.spots) <= 4
    assert not branch.drift.is_applied
    assert next(iter(branch.frc.values())).resolution_nm is None
    assert any("estimated" in note for note in result.notes)


def test_a_recording_without_frames_is_refused() -> None:
    source = ArraySource(np.zeros((5, 16, 16), np.uint8)).part(5, 5)
    with pytest.raises(RecordingError, match="holds no frame"):
        survey_recording(source)


def test_a_pixel_size_is_asked_for_when_nobody_knows_it() -> None:
    source = ArraySource(np.zeros((1, 16, 16), np.uint8))
    with pytest.raises(SettingsError, match="give --pixel-size-nm"):
        pixel_size_for(source, None)
    with pytest.raises(SettingsError, match="between 1 and 10000 nm, got 0"):
        pixel_size_for(source, 0.0)
    known = ArraySource(np.zeros((1, 16, 16), np.uint8), pixel_size_nm=80.0)
    assert pixel_size_for(known, None) == 80.0
    assert pixel_size_for(known, 90.0) == 90.0


def test_a_camera_that_cannot_be_is_refused() -> None:
    rng = np.random.default_rng(1)
    source = ArraySource(rng.integers(2, 30, (20, 32, 32)).astype(np.uint8), name="film.mp4")
    with pytest.raises(CalibrationError, match="film.mp4"):
        calibration_for(source, CAMERA_PRESETS["huawei-p9-raw"])
