"""What is made of a recording that cannot be denoised."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cellstorm_assets.summary import summary_of
from cellstorm_lib.camera import read_calibration
from cellstorm_lib.errors import CheckpointError, ExportError
from cellstorm_lib.pipeline import process
from cellstorm_lib.pipeline.lineage import needed_inputs
from cellstorm_lib.pipeline.lineage_files import Note, note_in, page_with
from cellstorm_lib.pipeline.not_denoised import MISSING, check_denoised, no_spots, no_stack
from cellstorm_lib.pipeline.process import process_recording, refine_branch
from cellstorm_lib.pipeline.settings import PipelineSettings
from cellstorm_lib.progress import silently
from cellstorm_lib.report.page import recording_page
from cellstorm_lib.simulate.record import SimulatedRecording
from cellstorm_lib.video.array import ArraySource
from cellstorm_lib.video.read import open_recording

REASON = "the network is damaged; take another"
NETWORK: Any = SimpleNamespace(named_input="a network #1")


def processed(film: SimulatedRecording, out: Path) -> Any:
    return process_recording(
        open_recording(film.movie),
        out,
        camera=read_calibration(film.camera),
        pixel_size_nm=100.0,
        network=NETWORK,
    )


def test_there_are_the_raw_branch_a_verdict_and_a_report_that_say_why(
    film: SimulatedRecording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise CheckpointError(REASON)

    monkeypatch.setattr(process, "denoise_recording", refuse)
    result = processed(film, tmp_path)
    assert list(result.branches) == ["raw"]
    assert result.verdict is not None
    assert result.verdict.use == "raw"
    assert REASON in result.verdict.reason
    page = recording_page(result)
    assert f"Use the raw branch: the recording could not be denoised: {REASON}" in page
    assert f"There is no denoised branch: the recording could not be denoised: {REASON}." in page
    assert "the network is <" not in page  # no table of evidence without any
    assert set(result.records["verdict"]) == needed_inputs("verdict")
    stored = note_in(tmp_path / "verdict.parquet")
    assert stored is not None
    assert stored.made_from["model"] == NETWORK.named_input
    lines, figures = summary_of(result)
    assert REASON in lines["verdict"]
    assert "denoised" not in lines
    assert figures["verdict"]["use"] == "raw"


def test_a_full_disk_is_no_reason_of_the_recording(
    film: SimulatedRecording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ExportError("the disk is full")

    monkeypatch.setattr(process, "denoise_recording", refuse)
    with pytest.raises(ExportError, match="the disk is full"):
        processed(film, tmp_path)


def test_a_table_without_rows_goes_through_all_that_follows() -> None:
    film = ArraySource(np.full((10, 48, 64), 20, np.uint8))
    spots, report = no_spots(film, 100.0, REASON)
    assert len(spots) == report.localizations == 0
    assert spots.provenance[MISSING] == REASON
    assert (spots.field.height_px, spots.field.width_px) == (48, 64)
    branch = refine_branch(
        "denoised", spots, report, PipelineSettings(), silently,
        widefield=np.ones((48, 64), np.float32),
    )  # fmt: skip
    assert len(branch.localizations) == 0
    assert not branch.image.image.any()
    assert all(check.passed is not False for check in branch.checks if check.name != "frc_crossed")


def test_the_check_says_the_reason() -> None:
    check = check_denoised(no_stack(REASON))
    assert (check.passed, check.reason) == (False, REASON)


def test_a_note_keeps_the_reason(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    for note in (Note(result="denoised/spots", missing=REASON), Note(result="raw/spots")):
        page.write_text(page_with("<html><head></head></html>", note), encoding="utf-8")
        assert note_in(page) == note
