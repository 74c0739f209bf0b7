"""Whether a video codec left enough of the noise to measure a camera by it."""

#: Quantiser step of H.264 at QP 0, grey values; it doubles every 6.
_STEP_AT_ZERO_ADU = 0.625
#: Quantiser step, in standard deviations of the noise, up to which the variance is kept to 12 %.
#: Beyond it the gain is wrong by 2 to 5 times (simulated phone videos of 0.09 to 0.4 bit/px).
COARSEST_STEP_SIGMA = 1.5


def quantiser_step_adu(qp: float) -> float:
    """Return the step of the H.264 quantiser, in grey values, of a quantiser parameter."""
    return float(_STEP_AT_ZERO_ADU * 2.0 ** (qp / 6.0))


def may_be_calibrated(noise_sigma_adu: float, qp: float | None) -> tuple[bool, str]:
    """Return whether gain and noise can be measured on frames of a video, and why.

    Parameters
    ----------
    noise_sigma_adu : float
        Standard deviation of the noise of one pixel in the decoded key frames, at the level of
        light that matters; the codec only ever lowers it, so that the test errs towards no.
    qp : float or None
        Mean quantiser parameter of the key frames; None where the video does not tell (HEVC).

    Returns
    -------
    (bool, str)
        The verdict and one sentence with the numbers behind it.
    """
    if qp is None:
        return False, (
            "the video does not tell how coarsely it was quantised, so that nobody can say "
            "how much of the noise its codec removed"
        )
    step_adu = quantiser_step_adu(qp)
    limit_adu = COARSEST_STEP_SIGMA * noise_sigma_adu
    numbers = (
        f"the codec rounds to steps of {step_adu:.2g} grey values (QP {qp:.0f}), and the noise "
        f"is {noise_sigma_adu:.2g}"
    )
    if step_adu < limit_adu:
        return True, f"{numbers}: fine enough, below {limit_adu:.2g}"
    return False, (f"{numbers}, of which too little is left: below {limit_adu:.2g} would be needed")
