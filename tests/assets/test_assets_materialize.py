"""The recordings group, materialized for a small recording."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from cellstorm_assets.definitions import build_defs, defs
from cellstorm_assets.denoising import middle_frame, network_of, stack_of
from cellstorm_assets.project import Project, add_recording, find_project, recording_key
from cellstorm_assets.registry import SHIPPED, SHIPPED_LABEL
from cellstorm_lib.camera import read_calibration, write_calibration
from cellstorm_lib.files import digest_of_file
from cellstorm_lib.pipeline.choice import RecordingChoice
from cellstorm_lib.pipeline.judged import JudgedRecording
from cellstorm_lib.pipeline.process import process_recording
from cellstorm_lib.simulate.record import SimulatedRecording
from cellstorm_lib.tables import Localizations, read_localizations
from cellstorm_lib.video.array import ArraySource
from cellstorm_lib.video.read import open_recording

BRANCH = ("spots", "drift", "localizations", "super_resolution", "frc_report", "quality")
GROUP_KEYS = {
    "recording", "frame_facts", "widefield", "denoised_stack", "verdict", "recording_report",
    *(f"{branch}/{asset}" for branch in ("raw", "denoised") for asset in BRANCH),
}  # fmt: skip
CAMERA_CHECKS = {"bright_light_is_linear", "measured_not_stated", "calibration_is_recent"}
CHECKS = {
    "frames_lost", "frames_tainted", "codec_grid", "subpixel_bias", "frc_crossed", "repeats",
    "was_denoised",
}  # fmt: skip


class Lab:
    """A project with an instance of its own."""

    def __init__(self, project: Project, instance: dg.DagsterInstance) -> None:
        self.project = project
        self.instance = instance

    def process(self, path: Path, *, pixel_size_nm: float | None) -> dg.ExecuteInProcessResult:
        choice = RecordingChoice(camera="phone", pixel_size_nm=pixel_size_nm)
        key = recording_key(add_recording(self.project, path, choice))
        self.instance.add_dynamic_partitions("recording", [key])
        job = build_defs().resolve_job_def("process_recordings")
        return job.execute_in_process(
            instance=self.instance, partition_key=key, raise_on_error=False
        )


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, film: SimulatedRecording) -> Iterator[Lab]:
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        patch.setenv("CELLSTORM_HOME", str(tmp_path_factory.mktemp("lab")))
        project = find_project()
        write_calibration(read_calibration(film.camera), project.cameras_folder / "phone.json")
        yield Lab(project, instance)


@pytest.fixture(scope="module")
def run(lab: Lab, film: SimulatedRecording) -> dg.ExecuteInProcessResult:
    return lab.process(film.movie, pixel_size_nm=100.0)


def test_the_definitions_are_valid_and_named_as_designed() -> None:
    dg.Definitions.validate_loadable(defs)
    graph = defs.resolve_asset_graph()
    groups = {node.key.to_user_string(): node.group_name for node in graph.asset_nodes}
    assert {key for key, group in groups.items() if group == "recordings"} == GROUP_KEYS
    assert groups["recording_comparison"] == "comparisons"
    assert {key.name for key in graph.asset_check_keys} == CHECKS | CAMERA_CHECKS | {"up_to_date"}
    assert {key for key, group in groups.items() if group == "calibration"} == {
        "photon_transfer_curve", "camera_calibration", "dark_stability", "flat_field",
    }  # fmt: skip
    assert {key for key, group in groups.items() if group == "datasets"} == {
        "simulated_truth", "simulated_recording",
        "simulated_pairs", "display_movie", "displayed_pairs", "localized_pairs", "training_pairs",
    }  # fmt: skip
    for node in graph.asset_nodes:
        assert node.description, node.key
        assert node.owners
        assert node.kinds


def test_all_assets_are_materialized_with_a_picture_or_their_counts(
    run: dg.ExecuteInProcessResult,
) -> None:
    assert run.success
    events = {
        event.asset_key.to_user_string(): event.materialization.metadata
        for event in run.get_asset_materialization_events()
        if event.asset_key
    }
    assert set(events) == GROUP_KEYS
    for key, metadata in events.items():
        pictures = [
            value.md_str
            for value in metadata.values()
            if isinstance(value, dg.MarkdownMetadataValue)
        ]
        assert any(text.startswith("![") and "data:image/png" in text for text in pictures), key
        assert all(len(text) < 150_000 for text in pictures)
    assert events["raw/spots"]["dagster/row_count"].value > 100


def test_every_check_was_evaluated_with_a_reason(run: dg.ExecuteInProcessResult) -> None:
    evaluations = run.get_asset_check_evaluations()
    assert {evaluation.check_name for evaluation in evaluations} == CHECKS
    assert all(evaluation.metadata["reason"].value for evaluation in evaluations)


def test_assets_and_the_bare_pipeline_give_the_same_table(
    lab: Lab, run: dg.ExecuteInProcessResult, film: SimulatedRecording, tmp_path: Path
) -> None:
    bare = process_recording(
        open_recording(film.movie),
        tmp_path,
        camera=read_calibration(film.camera),
        pixel_size_nm=100.0,
        network=network_of(lab.project),
    )
    key = next(iter(lab.instance.get_dynamic_partitions("recording")))
    for branch in bare.branches.values():
        folder = lab.project.assets_folder / branch.name
        for name, table in (("spots", branch.spots), ("localizations", branch.localizations)):
            stored = read_localizations(folder / name / f"{key}.parquet")
            pd.testing.assert_frame_equal(stored.data, table.data, check_exact=True)
    judged: JudgedRecording = run.asset_value("verdict")
    assert judged.verdict == bare.verdict
    stack = open_recording(stack_of(lab.project, key))
    assert stack.facts.is_denoised
    assert stack.facts.frame_count == 300
    assert stack.facts.pixel_size_nm == pytest.approx(100.0)


def test_of_a_recording_whose_middle_frame_was_lost_none_is_shown() -> None:
    class Lossy(ArraySource):
        def chunks(self, size: int):
            return (chunk for chunk in super().chunks(size) if 5 not in chunk.frame)

    frames = np.zeros((10, 32, 32), np.uint8)
    assert middle_frame("a frame", Lossy(frames), 100.0) == {}
    (value,) = middle_frame("a frame", ArraySource(frames), 100.0).values()
    assert str(value.value).startswith("![a frame](data:image/png")


def test_spots_of_denoised_frames_say_by_which_network_and_from_which_film(
    lab: Lab, run: dg.ExecuteInProcessResult, film: SimulatedRecording
) -> None:
    spots: Localizations = run.asset_value(["denoised", "spots"])
    raw: Localizations = run.asset_value(["raw", "spots"])
    assert spots.provenance["model"] == SHIPPED_LABEL
    assert spots.provenance["model_digest"] == digest_of_file(SHIPPED)
    assert spots.provenance["recording_digest"] == raw.provenance["source_digest"]
    assert spots.field == raw.field
    assert set(spots.data["frames_since_key"]) > {0}


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"model": "cellstorm-denoiser/3"}, "there is no version 3 of cellstorm-denoiser"),
        ({"device": "abacus"}, "there is no device 'abacus'"),
    ],
)
def test_a_network_that_is_not_there_fails_the_stack_with_one_sentence(
    lab: Lab, run: dg.ExecuteInProcessResult, form: dict[str, str], sentence: str
) -> None:
    key = next(iter(lab.instance.get_dynamic_partitions("recording")))
    stored = digest_of_file(stack_of(lab.project, key))
    failed = (
        build_defs()
        .resolve_job_def("process_recordings")
        .execute_in_process(
            instance=lab.instance,
            partition_key=key,
            asset_selection=[dg.AssetKey("denoised_stack")],
            run_config={"ops": {"denoised_stack": {"config": form}}},
            raise_on_error=False,
        )
    )
    failure = next(event for event in failed.all_events if event.is_step_failure)
    description = failure.step_failure_data.user_failure_data.description
    assert description.startswith(sentence)
    assert "\n" not in description
    assert digest_of_file(stack_of(lab.project, key)) == stored


def test_the_report_and_the_pictures_are_files_people_can_open(
    lab: Lab, run: dg.ExecuteInProcessResult
) -> None:
    folder = lab.project.assets_folder
    page = next((folder / "recording_report").glob("*.html")).read_text(encoding="utf-8")
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert "movie.mp4" in page
    assert 'id="verdict"' in page
    images = [folder / branch / "super_resolution" for branch in ("raw", "denoised")]
    for picture in (folder / "widefield", *images):
        png = next(picture.glob("*.png")).read_bytes()
        assert png.startswith(b"\x89PNG")
        assert next(picture.glob("*.tif")).stat().st_size > 1000


def test_a_bad_file_fails_with_one_sentence_and_disturbs_no_other(
    lab: Lab, run: dg.ExecuteInProcessResult, tmp_path: Path
) -> None:
    junk = tmp_path / "junk.mp4"
    junk.write_bytes(b"\x00" * 5000)
    failed = lab.process(junk, pixel_size_nm=100.0)
    assert not failed.success
    failure = next(event for event in failed.all_events if event.is_step_failure)
    error = failure.step_failure_data.error
    assert "junk.mp4" in str(failure.step_failure_data.user_failure_data.description)
    assert error is not None
    assert run.success


def test_a_recording_without_a_pixel_size_asks_for_it(lab: Lab, film: SimulatedRecording,
                                                     tmp_path: Path) -> None:  # fmt: skip
    other = tmp_path / "other.mp4"
    other.write_bytes(film.movie.read_bytes())
    failed = lab.process(other, pixel_size_nm=None)
    failure = next(event for event in failed.all_events if event.is_step_failure)
    description = failure.step_failure_data.user_failure_data.description
    assert "--pixel-size-nm" in str(description)


def test_recordings_are_compared_on_one_page(lab: Lab, run: dg.ExecuteInProcessResult) -> None:
    job = build_defs().resolve_job_def("compare_recordings")
    compared = job.execute_in_process(instance=lab.instance)
    assert compared.success
    page = (lab.project.assets_folder / "recording_comparison.html").read_text(encoding="utf-8")
    assert "movie.mp4, denoised" in page
    assert "not calibrated" in page
    assert page.count("<img") == 5 * page.count("<article>")


def test_a_recording_whose_denoised_branch_failed_is_compared_all_the_same(
    lab: Lab, run: dg.ExecuteInProcessResult
) -> None:
    for image in (lab.project.assets_folder / "denoised" / "super_resolution").glob("*.tif"):
        image.rename(image.with_suffix(".away"))
    try:
        job = build_defs().resolve_job_def("compare_recordings")
        assert job.execute_in_process(instance=lab.instance).success
    finally:
        for away in (lab.project.assets_folder / "denoised" / "super_resolution").glob("*.away"):
            away.rename(away.with_suffix(".tif"))
    page = (lab.project.assets_folder / "recording_comparison.html").read_text(encoding="utf-8")
    assert "movie.mp4" in page
    assert "There is no denoised image: its denoised branch is not made, or failed" in page


def test_a_single_recording_is_compared_too(lab: Lab, run: dg.ExecuteInProcessResult) -> None:
    key = next(iter(lab.instance.get_dynamic_partitions("recording")))
    job = build_defs().resolve_job_def("compare_recordings")
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("recording", [key])
        assert job.execute_in_process(instance=instance).success
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("recording", ["never-processed"])
        failed = job.execute_in_process(instance=instance, raise_on_error=False)
    failure = next(event for event in failed.all_events if event.is_step_failure)
    description = str(failure.step_failure_data.user_failure_data.description)
    assert "no recording is processed yet" in description
