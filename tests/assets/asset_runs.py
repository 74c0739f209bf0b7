"""What a run of assets left behind, for the tests that look at it."""

import dagster as dg


def metadata_of(run: dg.ExecuteInProcessResult, asset: str) -> dict[str, dg.MetadataValue]:
    """Return what a run told of an asset."""
    assert run.success, failure_of(run)
    (found,) = run.asset_materializations_for_node(asset)
    return dict(found.metadata)


def failure_of(run: dg.ExecuteInProcessResult) -> str:
    """Return what a run that failed said."""
    event = next(event for event in run.all_events if event.is_step_failure)
    return str(event.step_failure_data.user_failure_data.description)
