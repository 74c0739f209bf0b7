"""How the sample drifts under the objective."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cellstorm_lib.simulate.ranges import about, check_ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSettings:
    """Smooth drift: a steady slide and a few slow waves."""

    drift_nm: float = field(
        default=0.0,
        metadata=about(
            "range of the drift over the recording, along the axis that drifts more", at_least=0
        ),
    )
    waves: int = field(
        default=2,
        metadata=about("slow waves on top of the steady slide", at_least=0, at_most=100),
    )

    def __post_init__(self) -> None:
        check_ranges(self)


def stage_drift(
    settings: StageSettings, *, frame_count: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the displacement of the sample in every frame; none in the first.

    Wave number k has k periods in the recording and an amplitude that falls as 1 / k.

    Returns
    -------
    (N, 2) float64
        x and y in nm.
    """
    time = np.linspace(0.0, 1.0, frame_count)[:, None]
    trace = rng.uniform(-1.0, 1.0, 2) * time
    for number in range(1, settings.waves + 1):
        amplitude = rng.uniform(-0.3, 0.3, 2) / number
        phase = rng.uniform(0.0, 2.0 * np.pi, 2)
        trace = trace + amplitude * np.sin(2.0 * np.pi * number * time + phase)
    trace = trace - trace[0]
    extent = np.ptp(trace, axis=0).max()
    return np.asarray(trace * (settings.drift_nm / extent) if extent > 0 else trace)
