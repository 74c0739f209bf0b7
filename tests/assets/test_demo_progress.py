"""While the demo runs on Dagster, the time that is left is told by the steps that are done."""

from uuid import uuid4

import dagster as dg
import pytest

from cellstorm_assets import demo
from cellstorm_assets.definitions import build_defs
from cellstorm_lib.progress import WHOLE


@dg.asset
def short() -> int:
    """A step that takes no time."""
    return 1


@dg.asset
def long(short: int) -> int:
    """A step that takes three times as long."""
    return short


def test_every_step_that_is_done_is_told_by_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_SECONDS", {"long": 3.0})
    told: list[tuple[int, int]] = []
    with dg.DagsterInstance.ephemeral() as instance:
        job = dg.Definitions([short, long]).resolve_implicit_global_asset_job_def()
        run_id = str(uuid4())
        listens = demo.steps_told(["short", "long"], lambda *at: told.append(at))
        instance.add_event_listener(run_id, listens)
        quiet = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
        assert job.execute_in_process(instance=instance, run_id=run_id, run_config=quiet).success
    assert told == [(WHOLE // 4, WHOLE), (WHOLE, WHOLE)]


def test_the_shares_are_of_steps_that_the_job_has() -> None:
    job = build_defs().resolve_job_def("process_recordings")
    assert set(demo._SECONDS) <= set(job.graph.node_names())
