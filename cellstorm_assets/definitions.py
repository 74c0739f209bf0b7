"""Everything Dagster knows of cellstorm."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from cellstorm_assets import (
    automation,
    branches,
    cameras,
    comparisons,
    datasets,
    denoising,
    display_capture,
    models,
    recordings,
    reports,
    training_sets,
)
from cellstorm_assets.resources import ProjectResource
from cellstorm_assets.storage import (
    CalibrationStorage,
    FlatFieldStorage,
    PageStorage,
    PairStorage,
    ParquetStorage,
    PictureStorage,
)


def build_defs(
    *,
    resources: Mapping[str, Any] | None = None,
    executor: dg.ExecutorDefinition = dg.in_process_executor,
) -> dg.Definitions:
    """Return all assets, checks, jobs, sensors and resources.

    Parameters
    ----------
    resources : mapping, optional
        Resources that replace the default ones, by name.
    executor : ExecutorDefinition
        How the steps of one run are executed; runs themselves go side by side.
    """
    return dg.Definitions(
        assets=[
            *cameras.CAMERA_ASSETS,
            *datasets.DATASET_ASSETS,
            *display_capture.DISPLAY_ASSETS,
            *training_sets.TRAINING_ASSETS,
            *models.MODEL_ASSETS,
            recordings.recording,
            recordings.survey,
            *branches.branch_assets("raw"),
            *denoising.DENOISING_ASSETS,
            *branches.branch_assets("denoised"),
            reports.recording_report,
            comparisons.recording_comparison,
        ],
        jobs=[
            automation.calibrate_cameras,
            automation.simulate_datasets,
            automation.make_training_pairs,
            automation.train_denoisers,
            automation.choose_champion,
            automation.process_recordings,
            automation.compare_recordings,
        ],
        sensors=[automation.new_recordings, automation.new_cameras, automation.new_datasets],
        executor=executor,
        resources={
            "project": ProjectResource(),
            "parquet": ParquetStorage(),
            "picture": PictureStorage(),
            "page": PageStorage(),
            "calibration": CalibrationStorage(),
            "flat_field": FlatFieldStorage(),
            "pairs": PairStorage(),
            **(resources or {}),
        },
    )


defs = build_defs()
