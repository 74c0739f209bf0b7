"""Shares of real spots and the gain are what the counts say, in closed form."""

import numpy as np
import pytest

from cellstorm_lib.evaluate.real_shares import Counted, Draws, Echoes, Own, Shown, range_of
from cellstorm_lib.evaluate.support import Support

BLOCKS = 10
ONE = np.ones(BLOCKS)
NOTHING = Support(0 * ONE, 0 * ONE, 0 * ONE)
#: Of common spots 80 % are supported, 20 % of their control.
COMMON = Support(100 * ONE, 80 * ONE, 20 * ONE)


def own(count, real):
    """Return spots of which so large a share is real."""
    return Support(count * ONE, count * (0.2 + 0.6 * real) * ONE, 0.2 * count * ONE)


def counted(first, second, *, shown=None, follow=0.0, precede=0.0):
    total = second.bright.count + second.faint.count
    echoes = Echoes(follow * ONE, precede * ONE, total)
    return Counted(
        common=100 * ONE, reference=COMMON, own=(first, second), shown=shown, echoes=echoes
    )


@pytest.fixture
def whole():
    return Draws.by_chance(BLOCKS, np.random.default_rng(0)).whole


def test_gain_is_the_difference_of_the_jaccard_indices(whole):
    made = counted(Own(own(20, 1.0), NOTHING), Own(own(40, 0.5), NOTHING))
    assert made.real_first(whole)[0] == pytest.approx(1.0)
    assert made.real_second(whole)[0] == pytest.approx(0.5)
    truth = 100 + 20 + 20
    assert made.gain(whole)[0] == pytest.approx(120 / (truth + 20) - 120 / truth)


def test_real_faint_spots_count_for_nobody_and_false_ones_do(whole):
    made = counted(Own(NOTHING, own(40, 0.75)), Own(NOTHING, NOTHING))
    assert made.real_first(whole)[0] == pytest.approx(0.75)
    assert made.gain(whole)[0] == pytest.approx(1.0 - 100 / 110)


def test_no_larger_share_is_real_than_shows_light(whole):
    for light, share in ((0.35, 0.5), (0.7, 1.0), (1.0, 1.0), (-0.1, 0.0)):
        shown = Shown(1000 * ONE, 1000 * ONE, light * 500 * ONE, 500 * ONE)
        made = counted(Own(NOTHING, NOTHING), Own(own(40, 1.0), NOTHING), shown=shown)
        assert shown.share(whole)[0] == pytest.approx(light)
        assert made.real_second(whole)[0] == pytest.approx(share)


def test_only_a_sure_excess_of_followers_is_taken_for_afterimages(whole):
    second = Own(own(40, 1.0), NOTHING)
    even = counted(Own(NOTHING, NOTHING), second, follow=10.0, precede=9.0)
    assert even.real_second(whole)[0] == pytest.approx(1.0)
    made = counted(Own(NOTHING, NOTHING), second, follow=25.0)
    assert made.real_second(whole)[0] == pytest.approx(1 - (250 - 2 * np.sqrt(250)) / 400)


def test_an_interval_covers_what_the_estimate_may_be_off():
    draws = Draws.by_chance(BLOCKS, np.random.default_rng(1))
    made = counted(Own(NOTHING, NOTHING), Own(own(40, 0.5), NOTHING))
    found = range_of(made.real_second, draws)
    assert found.value == pytest.approx(0.5)
    # blocks are all alike: what remains is the division by 0.8 to 1.05, uniform
    assert found.low == pytest.approx(0.5 / (1.05 - 0.025 * 0.25), rel=0.01)
    assert found.high == pytest.approx(0.5 / (0.8 + 0.025 * 0.25), rel=0.01)
