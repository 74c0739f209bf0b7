"""A recording that cannot be denoised has its report all the same, which says why."""

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from lineage_lab import LineageLab

from cellstorm_assets import registry
from cellstorm_assets.commands import main
from cellstorm_assets.comparisons import denoised_side
from cellstorm_assets.denoising import stack_of
from cellstorm_assets.lineage import result_file, why_not_denoised
from cellstorm_assets.project import find_project
from cellstorm_lib.pipeline.judged import JudgedRecording
from cellstorm_lib.pipeline.lineage import STEPS, results_after
from cellstorm_lib.pipeline.lineage_files import needed_note
from cellstorm_lib.simulate.record import SimulatedRecording

REASON = "there is no champion yet"
DENOISED = [name for name in STEPS if name.startswith("denoised")]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, film: SimulatedRecording) -> Iterator[LineageLab]:
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        patch.setenv("CELLSTORM_HOME", str(tmp_path_factory.mktemp("without")))
        yield LineageLab(find_project(), instance, film)


@pytest.fixture(scope="module")
def without(lab: LineageLab) -> dg.ExecuteInProcessResult:
    """Return the run of all steps without any network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "SHIPPED", lab.project.home / "no-such-file.safetensors")
        run = lab.run()
        assert lab.stale() == set()  # nothing has changed since
        return run


def test_verdict_and_report_are_made_and_say_why(
    lab: LineageLab, without: dg.ExecuteInProcessResult
) -> None:
    judged: JudgedRecording = without.asset_value("verdict")
    assert judged.verdict.use == "raw"
    assert judged.verdict.reason.startswith(f"the recording could not be denoised: {REASON}")
    page = result_file(lab.project, "recording_report", lab.key).read_text(encoding="utf-8")
    assert f"Use the raw branch: the recording could not be denoised: {REASON}" in page
    assert f"There is no denoised branch: the recording could not be denoised: {REASON}" in page
    assert "Shown is the raw branch." in page
    assert not stack_of(lab.project, lab.key).exists()


def test_a_check_of_the_run_failed_for_that_reason(without: dg.ExecuteInProcessResult) -> None:
    (check,) = [
        found
        for found in without.get_asset_check_evaluations()
        if found.check_name == "was_denoised"
    ]
    assert not check.passed
    assert str(check.metadata["reason"].value).startswith(REASON)


def test_the_files_of_the_branch_and_the_command_say_it(
    lab: LineageLab, without: dg.ExecuteInProcessResult, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in STEPS:
        note = needed_note(result_file(lab.project, name, lab.key))
        assert note.missing.startswith(REASON) == (name in DENOISED), name
        assert ("missing" in note.plain()) == (name in DENOISED)
    with pytest.raises(SystemExit):
        main(["lineage", lab.key, "--json"])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])["results"]
    assert {name for name in told if told[name]["missing"]} == set(DENOISED)
    with pytest.raises(SystemExit):
        main(["lineage", lab.key])
    assert f"none, for {REASON}" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["lineage", str(result_file(lab.project, "denoised/spots", lab.key))])
    assert REASON in capsys.readouterr().out


def test_a_comparison_says_why_there_is_no_denoised_picture(
    lab: LineageLab, without: dg.ExecuteInProcessResult
) -> None:
    missing = why_not_denoised(lab.project, lab.key)
    assert missing.startswith(REASON)
    assert denoised_side(lab.key, {}, {}, missing).missing == missing
    assert "the page of its runs says why" in denoised_side(lab.key, {}, {}, "").missing


def test_once_there_is_a_champion_the_branch_is_stale_and_made(
    lab: LineageLab, without: dg.ExecuteInProcessResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = results_after(["denoised_stack"])
    assert lab.stale() == set(expected)
    reason = lab.lineage().standings["denoised_stack"].reason
    assert reason.startswith("the champion changed from none to ")
    run = lab.run(*expected)
    assert lab.stale() == set()
    assert run.asset_value("verdict").verdict.model
    assert why_not_denoised(lab.project, lab.key) == ""
    report = result_file(lab.project, "recording_report", lab.key)
    assert "could not be denoised" not in report.read_text(encoding="utf-8")

    monkeypatch.setattr(registry, "SHIPPED", lab.project.home / "gone.safetensors")
    kept = stack_of(lab.project, lab.key).read_bytes()
    with pytest.raises(dg.Failure, match=REASON):  # what it made stays
        lab.run("denoised_stack")
    assert stack_of(lab.project, lab.key).read_bytes() == kept
    with lab.gain(3.0):  # a stack of another camera is of no use
        lab.run("recording", "denoised_stack")
        assert not stack_of(lab.project, lab.key).exists()


def test_a_network_that_a_person_chose_fails_the_step(
    lab: LineageLab, without: dg.ExecuteInProcessResult, tmp_path: Path
) -> None:
    chosen = {"denoised_stack": {"config": {"model": str(tmp_path / "none.safetensors")}}}
    with pytest.raises(dg.Failure, match="there is no model"):
        lab.run("denoised_stack", config=chosen)
