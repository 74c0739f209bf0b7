"""From frames to resolution, once for each version of the frames of a recording."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any, cast

import dagster as dg

from cellstorm_assets.chunk_workers import fan_out_px_in_use, map_chunks_in_use
from cellstorm_assets.config import config_for, with_changes
from cellstorm_assets.denoising import stack_of
from cellstorm_assets.lineage_notes import used
from cellstorm_assets.metadata import as_check, as_metadata, picture, said_plainly, table
from cellstorm_assets.partitions import RECORDINGS
from cellstorm_assets.recordings import GROUP, OWNERS, source_of
from cellstorm_assets.resources import ProjectResource
from cellstorm_lib.localize.detect import DetectSettings
from cellstorm_lib.localize.localize import LocalizeReport
from cellstorm_lib.pipeline.lineage import STEPS, settings_inputs
from cellstorm_lib.pipeline.not_denoised import no_spots
from cellstorm_lib.pipeline.quality import Quality, measure_quality
from cellstorm_lib.pipeline.result import DenoiseReport, FrcReports, RecordingEntry
from cellstorm_lib.pipeline.settings import PipelineSettings
from cellstorm_lib.pipeline.spots import find_denoised_spots, find_spots
from cellstorm_lib.pipeline.steps import (
    check_positions,
    check_repeats,
    check_resolution,
    measure_resolutions,
    refine_spots,
)
from cellstorm_lib.reconstruct.render import RenderedImage, RenderSettings, render
from cellstorm_lib.refine.drift import Drift, DriftSettings, estimate_drift
from cellstorm_lib.refine.merge import MergeSettings
from cellstorm_lib.report.counts import histogram_figure
from cellstorm_lib.report.curves import drift_figure
from cellstorm_lib.report.drawing import figure_png
from cellstorm_lib.report.picture import Picture, preview_png
from cellstorm_lib.report.quality import quality_figures, quality_rows
from cellstorm_lib.report.resolution import frc_figure
from cellstorm_lib.tables import COLUMNS, Localizations

#: What stands below the description of every asset of a branch.
_OF_BRANCH = {
    "raw": "Of the frames as they were filmed.",
    "denoised": "Of the frames as a network denoised them, where photons and uncertainties are not "
    "calibrated.",
}
#: What entries of a Fourier ring correlation are called in the page, where no attribute says of
#: what they are.
_FRC_NAMES = {
    "low_nm": "resolution_low_nm",
    "high_nm": "resolution_high_nm",
    "threshold": "threshold of the correlation",
    "units": "units that are split",
    "repeats": "random splits",
    "repeats_crossed": "splits that cross the threshold",
    "split": "split by",
}
#: The assets of a branch, in the order of the work.
BRANCH_ASSETS = ("spots", "drift", "localizations", "super_resolution", "frc_report", "quality")

MOLECULES = dg.PythonObjectDagsterType(Localizations, name="Molecules")
RESOLUTION = dg.PythonObjectDagsterType(FrcReports, name="Resolution")
QUALITY = dg.PythonObjectDagsterType(Quality, name="Quality")

DetectForm = config_for(DetectSettings)
DriftForm = config_for(DriftSettings)
MergeForm = config_for(MergeSettings)
RenderForm = config_for(RenderSettings)


def columns_of(table: Localizations) -> dg.TableSchema:
    """Return the columns of a table with their units and meanings, for the page."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=str(name),
                type=str(table.data[name].dtype),
                description=" ".join(COLUMNS.get(str(name), ("", "", ""))[:0:-1]),
            )
            for name in table.data.columns
        ]
    )


def branch_assets(branch: str) -> list[dg.AssetsDefinition]:
    """Return the assets of one branch: spots, drift, localizations, image, resolution, quality.

    Parameters
    ----------
    branch : str
        ``raw``: the frames as they came from the phone; ``denoised``: what a network made of them.
    """
    common: dict[str, Any] = {
        "partitions_def": RECORDINGS,
        "group_name": GROUP,
        "owners": OWNERS,
        "key_prefix": [branch],
    }

    def in_branch(**special: Any) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
        """Declare an asset of this branch."""

        def declared(function: Callable[..., Any]) -> dg.AssetsDefinition:
            code = STEPS[f"{branch}/{function.__name__}"].code
            told = f"{function.__doc__}\n\n{_OF_BRANCH[branch]}"
            return cast(
                "dg.AssetsDefinition",
                dg.asset(**common, code_version=code, description=told, **special)(function),
            )

        return declared

    localizations_key = dg.AssetKey([branch, "localizations"])
    frc_key = dg.AssetKey([branch, "frc_report"])
    quality_key = dg.AssetKey([branch, "quality"])

    spots = (_raw_spots if branch == "raw" else _denoised_spots)(in_branch)

    @in_branch(
        kinds={"parquet"},
        io_manager_key="parquet",
        ins={"spots": dg.AssetIn([branch, "spots"])},
    )
    def drift(
        config: DriftForm,  # type: ignore[valid-type]
        spots: Localizations,
        project: ProjectResource,
    ) -> dg.MaterializeResult[Drift]:
        """How the sample moved during the film, estimated from the spots themselves."""
        with said_plainly():
            given = project.project().settings()
            settings = replace(given, drift=with_changes(given.drift, config))
            found = estimate_drift(spots, settings.drift)
        return dg.MaterializeResult(
            value=found,
            metadata={
                "drift": picture(figure_png(drift_figure(found)), "drift"),
                **as_metadata(found),
                **used(settings_inputs(settings, given)),
            },
        )

    @in_branch(
        kinds={"parquet"},
        io_manager_key="parquet",
        ins={
            "spots": dg.AssetIn([branch, "spots"]),
            "drift": dg.AssetIn([branch, "drift"]),
        },
        dagster_type=MOLECULES,
        check_specs=[
            dg.AssetCheckSpec(
                "codec_grid",
                asset=localizations_key,
                description="Molecules do not gather along the blocks of the video's compression.",
            ),
            dg.AssetCheckSpec(
                "subpixel_bias",
                asset=localizations_key,
                description="Molecules do not gather at certain places within the camera's pixels.",
            ),
        ],
    )
    def localizations(
        config: MergeForm,  # type: ignore[valid-type]
        spots: Localizations,
        drift: Drift,
        project: ProjectResource,
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        """Molecules: spots without drift, the blinks of one molecule merged, doubtful ones out."""
        with said_plainly():
            given = project.project().settings()
            settings = replace(given, merge=with_changes(given.merge, config))
            refined = refine_spots(spots, drift, settings)
        table = refined.localizations.with_provenance(
            merge_report=asdict(refined.merge_report),
            select_report=asdict(refined.select_report),
            merge_settings=asdict(settings.merge),
        )
        return dg.MaterializeResult(
            value=table,
            metadata={
                "uncertainty": picture(
                    figure_png(histogram_figure("uncertainty_nm", {branch: table})), "uncertainty"
                ),
                **as_metadata(refined.merge_report, prefix="merge/"),
                **as_metadata(refined.select_report, prefix="select/"),
                "dagster/row_count": len(table),
                "dagster/column_schema": columns_of(table),
                **used(settings_inputs(settings, given)),
            },
            check_results=[as_check(found, localizations_key) for found in check_positions(table)],
        )

    @in_branch(
        kinds={"tiff"},
        io_manager_key="picture",
        ins={"localizations": dg.AssetIn([branch, "localizations"])},
    )
    def super_resolution(
        config: RenderForm,  # type: ignore[valid-type]
        localizations: Localizations,
        project: ProjectResource,
    ) -> dg.MaterializeResult[RenderedImage]:
        """The super-resolution image, every molecule drawn as sharp as it is known."""
        with said_plainly():
            given = project.project().settings()
            settings = replace(given, render=with_changes(given.render, config))
            image = render(localizations, settings.render)
        return dg.MaterializeResult(
            value=image,
            metadata={
                "image": picture(preview_png(image), "super-resolution image"),
                "pixel_nm": image.pixel_nm,
                "localizations": len(localizations),
                **used(settings_inputs(settings, given)),
            },
        )

    @in_branch(
        kinds={"parquet"},
        io_manager_key="parquet",
        ins={"localizations": dg.AssetIn([branch, "localizations"])},
        dagster_type=RESOLUTION,
        check_specs=[
            dg.AssetCheckSpec(
                "frc_crossed",
                asset=frc_key,
                description="Two halves of the molecules agree up to some detail and no further, "
                "so there is a resolution.",
            )
        ],
    )
    def frc_report(localizations: Localizations, project: ProjectResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        """The resolution by Fourier ring correlation, or the reason why there is none."""
        with said_plainly():
            settings = project.project().settings()
            reports = measure_resolutions(localizations, settings)
        return dg.MaterializeResult(
            value=reports,
            metadata={
                "curve": picture(
                    figure_png(frc_figure(reports.chosen)), "Fourier ring correlation"
                ),
                **{
                    _FRC_NAMES.get(name, name): value
                    for name, value in as_metadata(reports.chosen).items()
                },
                **used(settings_inputs(settings)),
            },
            check_results=[as_check(check_resolution(reports.chosen), frc_key)],
        )

    @in_branch(
        kinds={"parquet"},
        io_manager_key="parquet",
        ins={
            "spots": dg.AssetIn([branch, "spots"]),
            "localizations": dg.AssetIn([branch, "localizations"]),
            "super_resolution": dg.AssetIn([branch, "super_resolution"]),
            "frc_report": dg.AssetIn([branch, "frc_report"]),
        },
        dagster_type=QUALITY,
        check_specs=[
            dg.AssetCheckSpec(
                "repeats",
                asset=quality_key,
                description="Molecules that blink again do not make the resolution look finer than "
                "the structure shows.",
            )
        ],
    )
    def quality(
        spots: Localizations,
        localizations: Localizations,
        super_resolution: RenderedImage,
        frc_report: FrcReports,
        widefield: Picture,
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        """How precise, how resolved and how true to the film: every measure, or why not."""
        with said_plainly():
            measured = measure_quality(
                spots, localizations, super_resolution, frc_report.chosen,
                widefield=widefield.values, pixel_size_nm=widefield.pixel_nm,
            )  # fmt: skip
        return dg.MaterializeResult(
            value=measured,
            metadata={
                "figures": table(
                    ("measure", "value", "how"),
                    [(row.name, row.value, row.remark) for row in quality_rows(measured)],
                ),
                **{
                    name: picture(figure_png(draw()), name)
                    for name, draw in quality_figures(measured).items()
                },
            },
            check_results=[as_check(check_repeats(measured), quality_key)],
        )

    return [spots, drift, localizations, super_resolution, frc_report, quality]


Declare = Callable[..., Callable[[Callable[..., Any]], dg.AssetsDefinition]]


def _raw_spots(in_branch: Declare) -> dg.AssetsDefinition:
    """Return the asset that localizes the frames as filmed."""

    @in_branch(kinds={"parquet"}, io_manager_key="parquet")
    def spots(
        config: DetectForm,  # type: ignore[valid-type]
        recording: RecordingEntry,
        project: ProjectResource,
    ) -> dg.MaterializeResult[Localizations]:
        """Every blink that was found and fitted, frame by frame, as found."""
        with said_plainly():
            settings, inputs = _with_detection(project, config)
            found, report = find_spots(
                source_of(recording, project),
                recording.calibration,
                recording.pixel_size_nm,
                settings,
                map_chunks=map_chunks_in_use(),
                fan_out_px=fan_out_px_in_use(),
            )
        return _found_spots(found, report, "raw", inputs)

    return spots


def _denoised_spots(in_branch: Declare) -> dg.AssetsDefinition:
    """Return the asset that localizes the denoised frames."""

    @in_branch(kinds={"parquet"}, io_manager_key="parquet")
    def spots(
        context: dg.AssetExecutionContext,
        config: DetectForm,  # type: ignore[valid-type]
        recording: RecordingEntry,
        denoised_stack: DenoiseReport,
        project: ProjectResource,
    ) -> dg.MaterializeResult[Localizations]:
        """Every blink that was found and fitted in the denoised frames, frame by frame."""
        with said_plainly():
            settings, inputs = _with_detection(project, config)
            film, missing = source_of(recording, project), denoised_stack.missing
            if missing:
                found, report = no_spots(film, recording.pixel_size_nm, missing)
                return _found_spots(found, report, "denoised", inputs)
            found, report = find_denoised_spots(
                film,
                stack_of(project.project(), context.partition_key),
                denoised_stack,
                recording.pixel_size_nm,
                settings,
                map_chunks=map_chunks_in_use(),
                fan_out_px=fan_out_px_in_use(),
            )
        return _found_spots(found, report, "denoised", inputs)

    return spots


def _with_detection(
    project: ProjectResource, config: Any
) -> tuple[PipelineSettings, Mapping[str, str]]:
    """Return the project's settings with what the launchpad changes in the detection, as inputs."""
    given = project.project().settings()
    detect = with_changes(given.localize.detect, config)
    settings = replace(given, localize=replace(given.localize, detect=detect))
    return settings, settings_inputs(settings, given)


def _found_spots(
    found: Localizations, report: LocalizeReport, branch: str, inputs: Mapping[str, str]
) -> dg.MaterializeResult[Localizations]:
    """Return the spots of a branch with what people see of them."""
    kept = asdict(report)
    del kept["frames_per_second"]  # so that the same inputs give the same file
    return dg.MaterializeResult(
        value=found.with_provenance(localize_report=kept),
        metadata={
            "photons": picture(
                figure_png(histogram_figure("photons", {branch: found})), "photons per spot"
            ),
            **as_metadata(report),
            "dagster/row_count": len(found),
            "dagster/column_schema": columns_of(found),
            **used(inputs),
        },
    )
