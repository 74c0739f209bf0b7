"""Everything Dagster knows of cellstorm."""

import os
from collections.abc import Mapping
from typing import Any

import dagster as dg

from cellstorm_assets import (
    automation,
    branches,
    calibration_age,
    cameras,
    comparisons,
    datasets,
    denoising,
    display_capture,
    leftovers,
    lineage_checks,
    lost_runs,
    models,
    paper,
    recordings,
    reports,
    schedules,
    schedules_models,
    store_films,
    training_sets,
)
from cellstorm_assets.object_store import STORE_VARIABLE
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
    """Return all assets, checks, jobs, sensors, schedules and resources.

    Parameters
    ----------
    resources : mapping, optional
        Resources that replace the default ones, by name.
    executor : ExecutorDefinition
        How the steps of one run are executed; runs themselves go side by side.
    """
    store = os.environ.get(STORE_VARIABLE, "")
    has_films = bool(os.environ.get(store_films.FILMS_VARIABLE))
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
            *paper.PAPER_PARTS,
            paper.paper_page,
        ],
        asset_checks=[lineage_checks.up_to_date, calibration_age.calibration_is_recent],
        jobs=[
            automation.calibrate_cameras,
            automation.simulate_datasets,
            automation.make_training_pairs,
            automation.train_denoisers,
            automation.choose_champion,
            automation.process_recordings,
            automation.compare_recordings,
            automation.reproduce_paper,
            schedules_models.score_denoisers,
            calibration_age.check_calibrations,
            *([store_films.fetch_films] if has_films else []),
        ],
        schedules=[
            schedules.reprocess_stale,
            calibration_age.review_calibrations,
            schedules_models.retrain_denoisers,
            schedules_models.rescore_denoisers,
        ],
        sensors=[
            automation.new_recordings,
            automation.new_cameras,
            automation.new_datasets,
            lost_runs.lost_runs,
            leftovers.leftovers,
            *([store_films.films_in_store] if has_films else []),
        ],
        executor=executor,
        resources={
            "project": ProjectResource(),
            "parquet": ParquetStorage(base_uri=store),
            "picture": PictureStorage(base_uri=store),
            "page": PageStorage(base_uri=store),
            "calibration": CalibrationStorage(),
            "flat_field": FlatFieldStorage(),
            "pairs": PairStorage(),
            **(resources or {}),
        },
    )


defs = build_defs()
