"""Exactly what follows from a changed input is stale, and nothing else."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellstorm_lib.camera import CAMERA_PRESETS
from cellstorm_lib.errors import SettingsError
from cellstorm_lib.pipeline.choice import RecordingChoice
from cellstorm_lib.pipeline.lineage import (
    LAUNCHPAD,
    STEPS,
    Record,
    calibration_input,
    code_inputs,
    film_digest,
    film_input,
    identity_of,
    label_of,
    model_input,
    record_of,
    results_after,
    settings_inputs,
    standing_of,
)
from cellstorm_lib.pipeline.settings import PipelineSettings
from cellstorm_lib.reconstruct.render import RenderSettings
from cellstorm_lib.refine.drift import DriftSettings
from cellstorm_lib.z_calibration import DefocusCurve, ZCalibration

REPORT = "recording_report"
AFTER = ("drift", "localizations", "super_resolution", "frc_report", "quality")
DENOISED = {"denoised_stack", "denoised/spots", *(f"denoised/{name}" for name in AFTER)}
RAW = {"raw/spots", *(f"raw/{name}" for name in AFTER)}


def both(*names: str) -> set[str]:
    """Return results of both branches."""
    return {f"{branch}/{name}" for branch in ("raw", "denoised") for name in names}


MATRIX = {
    "film": set(STEPS),
    "calibration": set(STEPS) - {"frame_facts"},
    "model": DENOISED | {"verdict", REPORT},
    "depth": RAW | {"verdict", REPORT},
    "settings.localize": both("spots", *AFTER) | {"verdict", REPORT},
    "settings.drift": both(*AFTER) | {"verdict", REPORT},
    "settings.merge": both(*AFTER[1:]) | {"verdict", REPORT},
    "settings.keep": both(*AFTER[1:]) | {"verdict", REPORT},
    "settings.render": both("super_resolution", "quality") | {REPORT},
    "settings.frc": both("frc_report", "quality") | {"verdict", REPORT},
    "settings.calibration_days": {REPORT},
    "code.recording": set(STEPS) - {"frame_facts"},
    "code.raw/spots": RAW | {"verdict", REPORT},
    "code.widefield": {"widefield", REPORT} | both("quality"),
    "code.frame_facts": {"frame_facts", REPORT},
    "code.verdict": {"verdict", REPORT},
    "code.recording_report": {REPORT},
}


def inputs() -> dict[str, str]:
    """Return the inputs of a project."""
    return {
        "film": film_input("cell.mp4", "f1"),
        "calibration": calibration_input(None, RecordingChoice()),
        "model": model_input("denoiser/3", "m1"),
        **settings_inputs(PipelineSettings()),
        **code_inputs(),
    }


def stale_results(records: Mapping[str, Record], now: Record) -> list[str]:
    return [
        name for name, record in records.items() if standing_of(name, record, now).state == "stale"
    ]


def all_made(now: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return the records of all results, made in the order of the work."""
    made: dict[str, dict[str, str]] = {}
    for name in STEPS:
        made[name] = record_of(name, now, made)
    return made


def z_curve(name: str = "lens", **changes: Any) -> ZCalibration:
    """Return a calibration of z."""
    axis = DefocusCurve(width_px=1.3, centre_nm=0.0, depth_nm=400.0)
    values: dict[str, Any] = {
        "name": name, "source": "beads", "pixel_size_nm": 100.0,
        "along_x": axis, "along_y": replace(axis, centre_nm=300.0),
        "z_from_nm": -300.0, "z_to_nm": 300.0, **changes,
    }  # fmt: skip
    return ZCalibration(**values)


@pytest.mark.parametrize("changed", MATRIX)
def test_a_change_makes_exactly_what_follows_stale(changed: str) -> None:
    made = all_made(inputs())
    now = {**inputs(), changed: "something new #new"}
    assert set(stale_results(made, now)) == MATRIX[changed]
    assert stale_results(all_made(now), now) == []


def test_every_input_is_in_the_matrix_or_is_code() -> None:
    assert {name for name in inputs() if not name.startswith("code.")} <= set(MATRIX)


def test_only_the_changed_section_of_the_settings_has_a_new_digest() -> None:
    before = settings_inputs(PipelineSettings())
    render = replace(RenderSettings(), pixel_nm=7.0)
    after = settings_inputs(PipelineSettings(render=render))
    assert {name for name in before if before[name] != after[name]} == {"settings.render"}


def test_a_calibration_of_z_is_an_input_of_its_own_by_its_content() -> None:
    def with_z(curve: ZCalibration) -> dict[str, str]:
        plain = PipelineSettings()
        return settings_inputs(
            replace(plain, localize=replace(plain.localize, z_calibration=curve))
        )

    without, one, other = (
        settings_inputs(PipelineSettings()), with_z(z_curve()), with_z(z_curve(z_to_nm=250.0)),
    )  # fmt: skip
    for before, after in ((without, one), (one, other)):
        assert {name for name in before if before[name] != after[name]} == {"depth"}
    assert one["depth"].startswith("lens #")


def test_the_reason_names_the_input_and_both_values() -> None:
    made = all_made(inputs())
    told = standing_of("verdict", made["verdict"], {**inputs(), "model": "denoiser/5 #m2"})
    assert told.reason == "the champion changed from denoiser/3 (m1) to denoiser/5 (m2)"
    told = standing_of("verdict", made["verdict"], {**inputs(), "code.verdict": "2"})
    assert told.reason == "the program makes verdict in another way (version 1, now 2)"
    told = standing_of("verdict", made["verdict"], {**inputs(), "settings.merge": "#1"})
    assert told.reason == "settings.merge changed"  # an older version did not say how
    now = settings_inputs(PipelineSettings(keep="photons > 300"))
    told = standing_of("verdict", made["verdict"], {**inputs(), **now})
    assert told.reason == "settings.keep changed: none, now photons > 300"


def test_settings_of_one_run_say_what_differs_and_stay_deliberate() -> None:
    chosen = PipelineSettings(keep="photons > 300 #2")
    told = settings_inputs(chosen, PipelineSettings())["settings.keep"]
    assert told.startswith("photons > 300 #2, chosen on the launchpad #")
    made = all_made({**inputs(), "settings.keep": told})
    found = standing_of(
        "verdict", made["verdict"], {**inputs(), **settings_inputs(PipelineSettings())}
    )
    assert (found.state, found.is_deliberate) == ("stale", True)


def test_the_same_network_under_another_name_changes_nothing() -> None:
    made = all_made(inputs())
    now = {**inputs(), "model": model_input("a file", "m1")}
    assert stale_results(made, now) == []


def test_what_the_launchpad_changed_is_stale_as_long_as_it_differs() -> None:
    project = PipelineSettings()
    chosen = replace(project, drift=DriftSettings(largest_drift_nm=77.0))
    used = {**inputs(), **settings_inputs(chosen, project)}
    made = all_made(inputs())
    made["raw/drift"] = record_of("raw/drift", used, made)
    told = standing_of("raw/drift", made["raw/drift"], inputs())
    assert told.reason == f"its settings.drift was {LAUNCHPAD} and is not the project's"
    assert told.is_deliberate
    followed = {**inputs(), **settings_inputs(chosen)}
    assert standing_of("raw/drift", made["raw/drift"], followed).state == "up to date"
    also = standing_of("raw/drift", made["raw/drift"], {**inputs(), "settings.localize": "#1"})
    assert not also.is_deliberate


def test_a_film_named_like_a_choice_on_the_launchpad_is_no_such_choice() -> None:
    made = all_made({**inputs(), "film": f"{LAUNCHPAD} #1"})
    told = standing_of("raw/spots", made["raw/spots"], {**inputs(), "film": f"{LAUNCHPAD} #2"})
    assert told.state == "stale"
    assert not told.is_deliberate


def test_a_result_made_from_a_stale_one_is_stale_too() -> None:
    made = all_made(inputs())
    now = {**inputs(), "settings.localize": "#new"}
    made["raw/drift"] = record_of("raw/drift", now, made)
    assert standing_of("raw/drift", made["raw/drift"], now).state == "stale"
    made["raw/spots"] = record_of("raw/spots", now, made)
    mixed = record_of("raw/localizations", now, made)
    assert standing_of("raw/localizations", mixed, now).state == "stale"
    assert standing_of("raw/localizations", mixed, inputs()).state == "stale"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (None, "it has no record of its own"),
        ({}, "it has no record of its own"),
        ({"film": "f #f1"}, "it does not say with which calibration, code.raw/spots"),
    ],
)
def test_a_result_of_an_older_version_is_unknown(
    record: dict[str, str] | None, reason: str
) -> None:
    told = standing_of("raw/spots", record, inputs())
    assert told.state == "unknown"
    assert told.reason.startswith(reason)


def test_a_result_of_one_without_a_record_is_unknown_and_never_fresh() -> None:
    made = all_made(inputs())
    del made["widefield"]
    told = standing_of("raw/quality", record_of("raw/quality", inputs(), made), inputs())
    assert told.state == "unknown"


def test_an_unknown_result_is_said() -> None:
    with pytest.raises(SettingsError, match="there is no result 'spot'; known are recording"):
        standing_of("spot", None, inputs())


def test_camera_pixel_size_and_flat_field_are_the_calibration() -> None:
    camera = CAMERA_PRESETS["huawei-p9-raw"]
    choices = [
        calibration_input(None, RecordingChoice()),
        calibration_input(camera, RecordingChoice()),
        calibration_input(replace(camera, gain_e_per_adu=9.0), RecordingChoice()),
        calibration_input(camera, RecordingChoice(pixel_size_nm=80.0)),
        calibration_input(camera, RecordingChoice(own_flat_field=True)),
    ]
    assert len({identity_of(value) for value in choices}) == len(choices)
    assert label_of(choices[0]).startswith("estimated from the film (")
    assert label_of(choices[3]).startswith("huawei-p9-raw, 80 nm per pixel (")


@given(name=st.text(), roi=st.none() | st.just("96x96+0+16"))
def test_a_film_is_its_content_and_its_region_whatever_its_name(name: str, roi: str | None) -> None:
    value = film_input(name, "ab12", roi)
    assert film_digest(value) == "ab12"
    assert identity_of(value) == identity_of(film_input("other", "ab12", roi))
    assert identity_of(value) != identity_of(film_input(name, "ab12", "96x96"))


def test_all_that_follows_is_made_anew_in_the_order_of_the_work() -> None:
    assert set(results_after(["denoised_stack"])) == MATRIX["model"]
    assert results_after(["raw/quality"]) == ["raw/quality", REPORT]
