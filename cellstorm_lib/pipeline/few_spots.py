"""What to say of a recording in which next to nothing was found."""

import numpy as np

from cellstorm_lib.pipeline.result import RecordingResult
from cellstorm_lib.reconstruct.frc import MIN_UNITS

_FEWEST_FRAMES = 20


def why_few_spots(result: RecordingResult) -> str | None:
    """Return why a recording may show next to no molecules, and what to look at.

    Parameters
    ----------
    result : RecordingResult
        A processed recording.

    Returns
    -------
    str or None
        One or two sentences; None when some branch has spots enough for a resolution, or nothing
        was localized yet.
    """
    if not result.branches:
        return None
    count = max(len(branch.spots) for branch in result.branches.values())
    if count >= MIN_UNITS:
        return None
    found = f"{count} spot{'' if count == 1 else 's'}" if count else "No molecule"
    frames = len(result.frame_facts) or result.loss.decoded_count
    if result.widefield.size and np.ptp(result.widefield) == 0:
        return (
            f"{found} found: all frames have one and the same grey everywhere. Was the lens "
            "covered, the laser off, or the sensor saturated?"
        )
    if frames < _FEWEST_FRAMES:
        return (
            f"{found} found in {frames} frame{'' if frames == 1 else 's'}: too few frames for a "
            "super-resolution image, which takes thousands. Is this the whole film?"
        )
    return (
        f"{found} found in {frames:,} frames. Play the film: when no single spots blink in it, "
        "look at the focus, the filter, the laser and the exposure; when they do, look at the bit "
        "rate and the region (--roi), which is the middle of a larger film."
    )
