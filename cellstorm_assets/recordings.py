"""The recordings group, first part: what is known of a recording before anything is localized."""

from collections.abc import Iterator

import dagster as dg

from cellstorm_assets.cameras import CALIBRATION
from cellstorm_assets.lineage_notes import used
from cellstorm_assets.metadata import (
    as_check,
    as_metadata,
    frame_picture,
    picture,
    said_plainly,
)
from cellstorm_assets.partitions import RECORDINGS
from cellstorm_assets.project import recording_of
from cellstorm_assets.resources import ProjectResource
from cellstorm_lib.errors import RecordingError
from cellstorm_lib.pipeline.choice import calibration_for, pixel_size_for, read_choice
from cellstorm_lib.pipeline.lineage import STEPS, calibration_input, film_input
from cellstorm_lib.pipeline.result import FrameFacts, RecordingEntry
from cellstorm_lib.pipeline.steps import check_loss, survey_recording, widefield_photons
from cellstorm_lib.recording import FrameSource
from cellstorm_lib.report.curves import frame_facts_figure
from cellstorm_lib.report.drawing import figure_png
from cellstorm_lib.report.picture import Picture, preview_png
from cellstorm_lib.video.read import open_recording

GROUP = "recordings"
OWNERS = ["team:imaging"]


def source_of(entry: RecordingEntry, project: ProjectResource) -> FrameSource:
    """Open the frames of a recording as its partition chose them.

    Raises
    ------
    RecordingError
        When the film was removed, or another was put there under its name: that one has a
        partition of its own, and nothing of it belongs to this one.
    """
    folder = project.project().recordings_folder
    source = open_recording(folder / entry.file_name, roi=entry.roi)
    if source.facts.digest != entry.facts.digest:
        raise RecordingError(
            f"{entry.file_name} was replaced by another film after this recording was read; put "
            "the first one back under a name of its own, or delete its partition"
        )
    return source


@dg.asset(
    partitions_def=RECORDINGS,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet"},
    code_version=STEPS["recording"].code,
    io_manager_key="parquet",
    deps=[
        dg.AssetDep(CALIBRATION, partition_mapping=dg.AllPartitionMapping()),
        dg.AssetDep("flat_field", partition_mapping=dg.AllPartitionMapping()),
    ],
)
def recording(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> dg.MaterializeResult[RecordingEntry]:
    """The film as it came from the phone: its size, rate, codec, and the camera that took it."""
    with said_plainly():
        home = project.project()
        path = recording_of(home, context.partition_key)
        choice = read_choice(path)
        source = open_recording(path, roi=choice.roi)
        given = home.cameras.camera(choice.camera) if choice.camera else None
        calibration, notes = calibration_for(source, given, own_flat_field=choice.own_flat_field)
        entry = RecordingEntry(
            file_name=path.name,
            roi=choice.roi,
            facts=source.facts,
            pixel_size_nm=pixel_size_for(source, choice.pixel_size_nm),
            calibration=calibration,
            notes=notes,
        )
        first = next(iter(source.chunks(1)), None)
        if first is None:
            raise RecordingError(f"{path.name} holds no frame that can be decoded; record it again")
    return dg.MaterializeResult(
        value=entry,
        metadata={
            "first frame": frame_picture(first.frames[0], entry.pixel_size_nm, "first frame"),
            "pixel_size_nm": entry.pixel_size_nm,
            "camera": f"{calibration.name} ({calibration.source})",
            "offset_adu": calibration.offset_adu,
            "gain_e_per_adu": calibration.gain_e_per_adu,
            "read_noise_e": calibration.read_noise_e,
            "notes": "\n".join(notes) or "none",
            **as_metadata(entry.facts),
            **used(
                {
                    "film": film_input(path.name, source.facts.digest, choice.roi),
                    "calibration": calibration_input(given, choice),
                },
                recording=path.name,
            ),
        },
        data_version=dg.DataVersion(f"{entry.facts.digest[:16]}-{calibration.digest[:16]}"),
    )


FRAME_FACTS = dg.AssetKey("frame_facts")


@dg.multi_asset(
    partitions_def=RECORDINGS,
    group_name=GROUP,
    outs={
        "frame_facts": dg.AssetOut(
            io_manager_key="parquet",
            owners=OWNERS,
            kinds={"parquet"},
            code_version=STEPS["frame_facts"].code,
            dagster_type=FrameFacts,
            description="What each frame is: its time, whether it is a key frame, its size in the "
            "file, its mean grey value, and whether damage makes it doubtful.",
        ),
        "widefield": dg.AssetOut(
            io_manager_key="picture",
            owners=OWNERS,
            kinds={"tiff"},
            code_version=STEPS["widefield"].code,
            dagster_type=Picture,
            description="The mean of all frames: what an ordinary microscope would show.",
        ),
    },
    check_specs=[
        dg.AssetCheckSpec(
            "frames_lost", asset=FRAME_FACTS, description="No frame of the film is missing."
        ),
        dg.AssetCheckSpec(
            "frames_tainted",
            asset=FRAME_FACTS,
            description="No frame may be wrong because the file is damaged.",
        ),
    ],
)
def survey(
    recording: RecordingEntry, project: ProjectResource
) -> Iterator[dg.MaterializeResult[object]]:
    """Read every frame once."""
    with said_plainly():
        facts, mean_adu = survey_recording(source_of(recording, project))
        widefield = Picture(
            values=widefield_photons(mean_adu, recording.calibration),
            pixel_nm=recording.pixel_size_nm,
            colours="grey",
            is_sparse=False,
        )
    yield dg.MaterializeResult(
        asset_key=FRAME_FACTS,
        value=facts,
        metadata={
            "frames over time": picture(
                figure_png(frame_facts_figure(facts.table())), "frames over time"
            ),
            **as_metadata(facts.loss),
            "frames": len(facts.frame),
            "key_frames": int(facts.is_key.sum()),
            "mean_adu": float(facts.mean_adu.mean()),
            **used(
                {"film": film_input(recording.file_name, recording.facts.digest, recording.roi)}
            ),
        },
        check_results=[as_check(outcome, FRAME_FACTS) for outcome in check_loss(facts.loss)],
    )
    yield dg.MaterializeResult(
        asset_key=dg.AssetKey("widefield"),
        value=widefield,
        metadata={
            "widefield": picture(preview_png(widefield), "widefield"),
            "mean_photons": float(widefield.values.mean()),
            "pixel_nm": widefield.pixel_nm,
        },
    )
