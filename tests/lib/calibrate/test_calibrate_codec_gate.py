import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellstorm_lib.calibrate.codec_gate import may_be_calibrated, quantiser_step_adu


def test_the_step_is_that_of_the_standard():
    # Table of H.264, 8.5.9: 0.625 at QP 0, 1 at 4, 16 at 28, 224 at 51 (rounded there)
    steps = [quantiser_step_adu(qp) for qp in (0, 4, 28, 51)]
    assert steps == pytest.approx([0.625, 1.0, 16.0, 224.0], rel=0.02)


@given(sigma=st.floats(0.1, 100), qp=st.floats(0, 51))
def test_the_limit_is_one_and_a_half_standard_deviations(sigma, qp):
    verdict, reason = may_be_calibrated(sigma, qp)
    assert verdict == (0.625 * 2 ** (qp / 6) < 1.5 * sigma)
    assert f"QP {qp:.0f}" in reason


def test_verdicts_carry_their_numbers():
    allowed, reason = may_be_calibrated(3.0, 12)
    assert allowed
    assert reason == (
        "the codec rounds to steps of 2.5 grey values (QP 12), and the noise is 3: fine enough, "
        "below 4.5"
    )
    refused, reason = may_be_calibrated(3.0, 36)
    assert not refused
    assert reason.endswith(
        "and the noise is 3, of which too little is left: below 4.5 would be needed"
    )
    assert may_be_calibrated(3.0, None)[0] is False
    assert "does not tell" in may_be_calibrated(3.0, None)[1]
