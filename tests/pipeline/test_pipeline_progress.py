"""Every step tells how much of it is done, and gives the same whether or not it is asked."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from test_pipeline_quality import lines_that_blink

from cellstorm_lib.pipeline.quality import quality_of_table
from cellstorm_lib.pipeline.settings import PipelineSettings
from cellstorm_lib.pipeline.steps import linked, measure_resolutions
from cellstorm_lib.progress import Progress
from cellstorm_lib.reconstruct import render as drawing
from cellstorm_lib.reconstruct.frc import measure_frc
from cellstorm_lib.reconstruct.frc_planes import measure_frc_planes
from cellstorm_lib.refine.drift import estimate_drift
from cellstorm_lib.refine.merge import merge
from cellstorm_lib.tables import Localizations

Step = Callable[[Localizations, Progress | None], float]
#: Each step with one figure of its result, and the least words that it takes from start to end.
STEPS: dict[str, tuple[Step, int]] = {
    "drift": (lambda table, told: estimate_drift(table, progress=told).gain, 8),
    "merge": (lambda table, told: float(len(merge(table, progress=told)[0])), 2),
    "render": (lambda table, told: float(drawing.render(table, progress=told).image.sum()), 3),
    "frc": (lambda table, told: measure_frc(table, progress=told).curve.sum(), 12),
    "all frc": (
        lambda table, told: measure_resolutions(
            table, PipelineSettings(), progress=told
        ).chosen.curve.sum(),
        30,
    ),
    "frc of slices": (
        lambda table, told: measure_frc_planes(table, thickness_nm=100, progress=told)[
            0
        ].report.curve.sum(),
        16,
    ),
    "quality": (lambda table, told: quality_of_table(table, progress=told).precision.share, 30),
}


@pytest.fixture(scope="module")
def table() -> Localizations:
    blinks = linked(lines_that_blink(0, 2), PipelineSettings().merge)
    z_nm = np.where(blinks.column("molecule") % 2, 50.0, 150.0)
    return blinks.with_columns(z_nm=z_nm)


@pytest.mark.parametrize("name", STEPS)
def test_a_step_tells_how_much_of_it_is_done(
    name: str, table: Localizations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "_AT_ONCE", len(table) // 3)
    step, least = STEPS[name]
    told: list[tuple[int, int]] = []
    figure = step(table, lambda done, whole: told.append((done, whole)))
    assert step(table, None) == figure
    shares = [done / whole for done, whole in told]
    assert all(before <= after for before, after in pairwise(shares))
    assert shares[-1] == 1
    assert len(set(shares)) >= least
    assert max(np.diff([0, *sorted(set(shares))])) <= 0.75
