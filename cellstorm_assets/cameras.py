"""The calibration group: what is known of each camera, measured from its series."""

from collections.abc import Iterator
from dataclasses import replace

import dagster as dg

from cellstorm_assets.metadata import as_metadata, bullets, picture, said_plainly, table
from cellstorm_assets.partitions import CAMERAS
from cellstorm_assets.resources import ProjectResource
from cellstorm_lib.calibrate.dark_stability import DarkStability, measure_dark_stability
from cellstorm_lib.calibrate.flat_field import FlatField
from cellstorm_lib.calibrate.photon_transfer import PhotonTransferCurve
from cellstorm_lib.camera import CAMERA_PRESETS, CameraCalibration
from cellstorm_lib.errors import CalibrationError
from cellstorm_lib.pipeline.calibrate_camera import calibrate_camera, measure_flat_field
from cellstorm_lib.pipeline.cameras import CameraSeries
from cellstorm_lib.report.camera_curves import photon_transfer_figure
from cellstorm_lib.report.camera_numbers import camera_rows, plane_grid
from cellstorm_lib.report.dark_curves import dark_stability_figure
from cellstorm_lib.report.drawing import figure_png
from cellstorm_lib.report.flat_field import flat_field_figure
from cellstorm_lib.video.read import open_recording

GROUP = "calibration"
OWNERS = ["team:imaging"]
CURVE = dg.AssetKey("photon_transfer_curve")
CALIBRATION = dg.AssetKey("camera_calibration")
#: Width of the figures; wider ones are cut off by Dagster's window.
_WIDE_PX = 720


@dg.multi_asset(
    partitions_def=CAMERAS,
    group_name=GROUP,
    internal_asset_deps={"photon_transfer_curve": set(), "camera_calibration": {CURVE}},
    outs={
        "photon_transfer_curve": dg.AssetOut(
            is_required=False,
            io_manager_key="parquet",
            owners=OWNERS,
            kinds={"parquet"},
            code_version="2",
            dagster_type=PhotonTransferCurve,
            description="How the noise of the camera grows with the light, bin by bin: the curve "
            "from which gain, read noise and the end of the linear range are read.",
        ),
        "camera_calibration": dg.AssetOut(
            io_manager_key="calibration",
            owners=OWNERS,
            kinds={"json"},
            code_version="2",
            dagster_type=CameraCalibration,
            description="What a grey value of this camera means: offset, photoelectrons per grey "
            "value, read noise, fixed pattern, and the range in which all that holds.",
        ),
    },
    check_specs=[
        dg.AssetCheckSpec(
            "bright_light_is_linear",
            asset=CALIBRATION,
            description="Grey values follow the light over more than half of the camera's range.",
        ),
        dg.AssetCheckSpec(
            "measured_not_stated",
            asset=CALIBRATION,
            description="The numbers were measured on this camera, not taken from a data sheet.",
        ),
    ],
)
def photon_transfer(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> Iterator[dg.MaterializeResult[object]]:
    """Measure a camera from its bright and dark series, or take the numbers stated for it."""
    name = context.partition_key
    remarks: tuple[str, ...] = ()
    with said_plainly():
        shelf = project.project().cameras
        series = shelf.series(name)
        if series is None:
            calibration = CAMERA_PRESETS.get(name) or shelf.stated(name)
            if calibration is None:
                raise CalibrationError(
                    f"the camera {name} is no longer in {shelf.folder}; put its folder back, or "
                    "delete its partition"
                )
        else:
            measured = calibrate_camera(series.bright, series.dark, name=name)
            calibration, remarks = measured.calibration, measured.remarks
            yield dg.MaterializeResult(
                asset_key=CURVE,
                value=measured.curve,
                metadata={
                    "photon transfer curve": _curve_picture(calibration),
                    "planes": ", ".join(dict.fromkeys(measured.curve.plane.tolist())),
                    "intensity bins": len(measured.curve.mean_adu),
                    "intensity bins in the linear range": int(measured.curve.is_linear.sum()),
                },
            )
    yield dg.MaterializeResult(
        asset_key=CALIBRATION,
        value=calibration,
        metadata=_numbers(calibration, remarks),
        check_results=[_linear(calibration), _measured(calibration)],
        data_version=dg.DataVersion(calibration.digest[:16]),
    )


@dg.asset(
    partitions_def=CAMERAS,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet"},
    code_version="1",
    io_manager_key="parquet",
    output_required=False,
)
def dark_stability(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> Iterator[dg.MaterializeResult[DarkStability]]:
    """What the camera shows without any light, frame by frame: its decay, and steps of the codec.

    Made from the recording in the camera's folder dark-video; without one there is nothing to say.
    """
    with said_plainly():
        series = _series_of(project, context.partition_key)
        if series.dark_video is None:
            context.log.info("no recording in dark-video; nothing to measure")
            return
        stability = measure_dark_stability(open_recording(series.dark_video))
    yield dg.MaterializeResult(
        value=stability,
        metadata={
            "dark level over time": picture(
                figure_png(dark_stability_figure(stability), width_px=_WIDE_PX),
                "dark level over time",
            ),
            **as_metadata(stability),
        },
    )


@dg.asset(
    partitions_def=CAMERAS,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"tiff"},
    code_version="1",
    io_manager_key="flat_field",
    output_required=False,
)
def flat_field(
    context: dg.AssetExecutionContext,
    project: ProjectResource,
    camera_calibration: CameraCalibration,
) -> Iterator[dg.MaterializeResult[FlatField]]:
    """How much of even light each part of the field receives, relative to the mean.

    Made from the series in the camera's folder flat; without one there is nothing to say.
    """
    with said_plainly():
        series = _series_of(project, context.partition_key)
        if not series.flat:
            context.log.info("no series in flat; nothing to measure")
            return
        measured = measure_flat_field(series.flat, camera_calibration)
    yield dg.MaterializeResult(
        value=measured,
        metadata={
            "flat field": picture(
                figure_png(flat_field_figure(measured), width_px=_WIDE_PX), "flat field"
            ),
            **as_metadata(measured),
        },
    )


def _series_of(project: ProjectResource, name: str) -> CameraSeries:
    """Return the series of a camera; none for one that is stated."""
    return project.project().cameras.series(name) or CameraSeries()


def _curve_picture(calibration: CameraCalibration) -> dg.MetadataValue:
    """Return the plot of the paper's Fig. 5."""
    png = figure_png(photon_transfer_figure(calibration), width_px=_WIDE_PX)
    return picture(png, "photon transfer curve")


def _numbers(
    calibration: CameraCalibration, remarks: tuple[str, ...]
) -> dict[str, dg.MetadataValue]:
    """Return what people read of a camera first, then its plain numbers."""
    rows = [(row.name, row.value, row.remark) for row in camera_rows(calibration)]
    shown = {"camera": table(("number", "value", "remark"), rows)}
    planes = plane_grid(calibration)
    if planes is not None:
        shown["colour planes"] = table(planes.headings, planes.rows)
    if calibration.transfer is not None:
        shown["photon transfer curve"] = _curve_picture(calibration)
    shown["remarks"] = bullets(remarks)
    return {**shown, **as_metadata(replace(calibration, planes={}, transfer=None, intervals={}))}


def _linear(calibration: CameraCalibration) -> dg.AssetCheckResult:
    """Return whether the camera is linear over most of its range."""
    end_adu = calibration.linear_to_adu
    span = calibration.saturation_adu - calibration.offset_adu
    share = None if end_adu is None else (end_adu - calibration.offset_adu) / span
    is_open = end_adu == calibration.intervals.get("linear_to_adu", (None,))[0]
    if share is None:
        reason = "the linear range was not measured"
    elif is_open:
        reason = (
            f"the response is linear up to the brightest light measured, {end_adu:.4g} grey "
            f"values or {share:.0%} of the range; how far beyond is not known"
        )
    else:
        reason = f"the response is linear up to {end_adu:.4g} grey values, {share:.0%} of the range"
    return dg.AssetCheckResult(
        asset_key=CALIBRATION,
        check_name="bright_light_is_linear",
        passed=share is None or is_open or share > 0.5,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"reason": reason},
    )


def _measured(calibration: CameraCalibration) -> dg.AssetCheckResult:
    """Return whether the numbers were measured on this camera."""
    return dg.AssetCheckResult(
        asset_key=CALIBRATION,
        check_name="measured_not_stated",
        passed=calibration.source.startswith("measured"),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"reason": f"the numbers come from: {calibration.source}"},
    )


CAMERA_ASSETS = (photon_transfer, dark_stability, flat_field)
