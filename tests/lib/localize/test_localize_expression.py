import numpy as np
import pytest
from scipy import ndimage

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.localize.expression import check_expression, thresholds_by_expression

FRAMES = np.random.default_rng(0).poisson(20, (40, 30, 50)).astype(np.float32)


def test_the_default_of_thunderstorm():
    taps = np.array([1, 4, 6, 4, 1]) / 16
    expected = []
    for frame in FRAMES:
        wide = np.pad(frame.astype(float), 4, mode="edge")
        v1 = ndimage.correlate1d(ndimage.correlate1d(wide, taps, 0), taps, 1)[4:-4, 4:-4]
        expected.append(1.5 * np.std(frame - v1))
    np.testing.assert_allclose(
        thresholds_by_expression("std(Wave.F1)*1.5", FRAMES), expected, rtol=1e-5
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mean(I)", lambda frame: frame.mean()),
        ("median(I) + 2*std(I)", lambda frame: np.median(frame) + 2 * frame.std()),
        ("-(min(I) - max(I)) / 2", lambda frame: (frame.max() - frame.min()) / 2),
        ("sum(abs(I - mean(I))) / 1500", lambda frame: np.abs(frame - frame.mean()).mean()),
        ("var(I)", lambda frame: frame.var()),
        ("mean(Wave.V1 + Wave.F1)", lambda frame: frame.mean()),
        ("mean(Wave.V2 + Wave.F2 + Wave.F - F)", lambda frame: frame.mean()),
        ("7.5", lambda _: 7.5),
    ],
)
def test_functions_and_images_mean_what_they_say(text, expected):
    values = [expected(frame.astype(float)) for frame in FRAMES]
    np.testing.assert_allclose(thresholds_by_expression(text, FRAMES), values, rtol=1e-4)


def test_a_threshold_that_is_no_number_lets_nothing_through():
    flat = np.zeros((2, 9, 9), np.float32)
    assert np.isposinf(thresholds_by_expression("1 / std(I)", flat)).all()
    assert np.isposinf(thresholds_by_expression("std(I) / std(I)", flat)).all()
    assert len(thresholds_by_expression("std(I)", flat[:0])) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("std(Wave.F1", "is no expression"),
        ("", "is no expression"),
        ("std(Wave.F7)", "uses 'Wave.F7'; known are"),
        ("std(DoG.F)", "uses 'DoG.F'"),
        ("open('x')", 'uses "open'),
        ("__import__('os')", "uses"),
        ("I.__class__", "uses 'I.__class__'"),
        ("std(I, 2)", "uses"),
        ("2 ** 3", "uses"),
        ("True", "uses 'True'"),
        ("'5'", "uses"),
        ("Wave.F1 * 2", "gives an image, not a number"),
    ],
)
def test_anything_else_is_refused(text, message):
    with pytest.raises(SettingsError, match=message):
        check_expression(text)
