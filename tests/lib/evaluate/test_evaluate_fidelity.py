"""Two clips compared: alike where they are, different exactly where they are made so."""

from dataclasses import replace

import numpy as np
import pytest

from cellstorm_lib.errors import RecordingError
from cellstorm_lib.evaluate.clip_measures import measure_clip
from cellstorm_lib.evaluate.clip_noise import Measured
from cellstorm_lib.evaluate.fidelity import LIMIT, compare
from cellstorm_lib.video.array import ArraySource

ROWS, COLUMNS, FRAMES = 96, 128, 24
KNOWN = {
    "level": 60.0, "shading": 40.0, "noise": 3.0, "light_variance": 0.3, "along_x": 0.4,
    "along_y": 0.4, "in_time": 0.4, "pattern": 2.5, "depth": np.uint8,
}  # fmt: skip


def filmed(seed=1, name="clip", **changed):
    """Return frames of a vignetted lamp whose noise, correlation and pattern are known."""
    known = KNOWN | changed
    rng = np.random.default_rng(seed)
    rows, columns = np.linspace(-1, 1, ROWS)[:, None], np.linspace(-1, 1, COLUMNS)[None, :]
    light = known["shading"] * (1 - (rows**2 + columns**2) / 2)
    white = rng.normal(size=(FRAMES + 1, ROWS + 1, COLUMNS + 1))
    for axis, weight in enumerate((known["in_time"], known["along_y"], known["along_x"])):
        before, after = np.split(np.arange(white.shape[axis]), [1])
        later = np.take(white, after, axis)
        earlier = np.take(white, np.concatenate([before, after])[:-1], axis)
        white = (later + weight * earlier) / np.sqrt(1 + weight**2)
    spread = np.sqrt(known["noise"] ** 2 + known["light_variance"] * light)
    fixed = np.random.default_rng(77).normal(0, known["pattern"], (ROWS, COLUMNS))
    frames = known["level"] + light + fixed + spread * white
    return ArraySource(np.clip(np.rint(frames), 0, 255).astype(known["depth"]), name=name)


def coded(measures):
    """Return measures with the traces of a codec, as a video would have them."""
    count = len(measures.frame)
    since = np.arange(count) % 12
    is_key = since == 0
    ratio = 1.2 + 0.02 * since[:, None, None] + np.zeros((count, 3, 2))
    return replace(
        measures, is_key=is_key, frames_since_key=since, grid_ratio=ratio,
        qp=np.where(is_key, 20.0, 24.0), bits_per_px=np.where(is_key, 1.0, 0.3),
    )  # fmt: skip


@pytest.fixture(scope="module")
def real():
    return coded(measure_clip(filmed(name="real")))


def failing(report):
    return {row.group for row in report.rows if not row.passed}


def test_a_clip_is_exactly_like_itself(real):
    report = compare(real, real)
    assert [row.relative_difference for row in report.rows] == pytest.approx(
        [0.0] * len(report.rows)
    )
    assert report.passed
    assert report.remarks == ()
    groups = {row.group for row in report.rows}
    assert groups == {
        "grey-level histogram", "shading", "temporal variance", "neighbour correlation",
        "grid ratio", "quantiser", "compressed size", "fixed pattern",
    }  # fmt: skip


def test_the_same_phone_with_other_noise_is_alike(real):
    report = compare(real, coded(measure_clip(filmed(seed=2))))
    assert report.passed, report.worst
    for row in report.rows:
        if np.isfinite(row.error) and row.measure != "overlap":
            assert abs(row.relative_difference) <= 5 * row.error + 1e-9, row


@pytest.mark.parametrize(
    ("changed", "groups"),
    [
        ({"noise": 4.2, "light_variance": 0.6}, {"temporal variance"}),
        ({"along_x": 0.15}, {"neighbour correlation"}),
        ({"along_y": 0.15}, {"neighbour correlation"}),
        ({"in_time": 0.1}, {"neighbour correlation"}),
        ({"pattern": 3.5}, {"fixed pattern"}),
        ({"level": 75.0}, {"grey-level histogram", "temporal variance"}),
        ({"shading": 28.0}, {"grey-level histogram", "shading", "temporal variance"}),
    ],
    ids=", ".join,
)
def test_a_wrong_phone_fails_in_what_is_wrong_about_it(real, changed, groups):
    report = compare(real, coded(measure_clip(filmed(seed=2, **changed))))
    assert failing(report) == groups
    assert not report.passed
    assert report.worst.group in groups


@pytest.mark.parametrize(
    ("along", "measure"),
    [("along_x", "next in the row (x)"), ("along_y", "next in the column (y)"),
     ("in_time", "next frame")],
)  # fmt: skip
def test_only_the_direction_that_is_wrong_fails(real, along, measure):
    report = compare(real, coded(measure_clip(filmed(seed=2, **{along: 0.1}))))
    assert [row.measure for row in report.rows if not row.passed] == [measure]


def rows_of(report, group):
    return {row.measure: row for row in report.rows if row.group == group}


def test_the_grid_is_compared_at_each_position_after_the_key_frame(real):
    ratio = real.grid_ratio.copy()
    ratio[(real.frames_since_key >= 4), 1, 0] *= 1.3
    report = compare(real, replace(real, grid_ratio=ratio))
    rows = rows_of(report, "grid ratio")
    assert len(rows) == 3 * 2 * 3  # 12 frames a group: nothing 12 or more frames after a key frame
    wrong = {name: row for name, row in rows.items() if not row.passed}
    assert list(wrong) == ["8 px along x, 4 to 11 after a key frame"]
    row = wrong["8 px along x, 4 to 11 after a key frame"]
    assert row.relative_difference == pytest.approx(0.3)
    assert row.real == pytest.approx(1.2 + 0.02 * 7.5)


def test_positions_that_only_one_clip_has_are_named(real):
    report = compare(real, replace(real, frames_since_key=real.frames_since_key + 12))
    assert not rows_of(report, "grid ratio")
    (remark,) = report.remarks
    assert remark.startswith(
        "Not compared, for one of the clips has none: grid ratio (4 px along x"
    )
    assert "12 or more after a key frame" in remark
    assert "key frames)" in remark


@pytest.mark.parametrize(("qp", "difference"), [(2.0, 2 ** (2 / 6) - 1), (-6.0, -0.5), (0.0, 0.0)])
def test_quantisers_differ_by_their_step(real, qp, difference):
    report = compare(real, replace(real, qp=real.qp + np.where(real.is_key, qp, 0.0)))
    rows = rows_of(report, "quantiser")
    assert rows["QP, key frames"].relative_difference == pytest.approx(difference)
    assert rows["QP, other frames"].relative_difference == 0.0
    assert failing(report) == ({"quantiser"} if abs(difference) > LIMIT else set())


def test_sizes_are_compared_apart_from_key_frames(real):
    bits = real.bits_per_px * np.where(real.is_key, 1.0, 0.8)
    rows = rows_of(compare(real, replace(real, bits_per_px=bits)), "compressed size")
    assert rows["key frames"].relative_difference == 0.0
    assert rows["other frames"].relative_difference == pytest.approx(-0.2)


def test_clips_without_quantisers_are_compared_in_the_rest(real):
    report = compare(real, replace(real, qp=np.full(FRAMES, np.nan)))
    assert not rows_of(report, "quantiser")
    (remark,) = report.remarks
    lost = "quantiser (QP, key frames); quantiser (QP, other frames)"
    assert remark == f"Not compared, for one of the clips has none: {lost}."


def test_the_overlap_is_that_of_the_histograms(real):
    share = np.zeros((FRAMES, 256))
    share[:, [10, 11]] = 0.75, 0.25
    other = np.zeros((FRAMES, 256))
    other[:, [10, 12]] = 0.5, 0.5
    row = rows_of(compare(replace(real, share=share), replace(real, share=other)),
                  "grey-level histogram")["overlap"]  # fmt: skip
    assert (row.real, row.simulated, row.relative_difference) == (1.0, 0.5, -0.5)


def test_numbers_of_the_histogram_are_those_of_the_pixels():
    source = filmed()
    rows = rows_of(compare(measure_clip(source), measure_clip(source)), "grey-level histogram")
    pixels = np.concatenate([chunk.frames for chunk in source.chunks(8)]).ravel()
    assert rows["mean"].real == pytest.approx(pixels.mean())
    assert rows["standard deviation"].real == pytest.approx(pixels.std())
    assert rows["level that 1 % exceed"].real == pytest.approx(np.quantile(pixels, 0.99), abs=0.5)


@pytest.mark.parametrize(
    ("true", "made", "difference", "about"),
    [
        (0.5, 0.4, -0.2, ""),
        (-0.5, -0.4, 0.2, ""),
        (0.01, 0.02, 0.2, "relative to 0.05, for the real value is smaller"),
        (-0.01, 0.02, 0.6, "relative to 0.05, for the real value is smaller"),
    ],
)
def test_differences_are_relative_unless_the_value_is_hardly_there(
    real, true, made, difference, about
):
    report = compare(
        replace(real, correlation_x=Measured(value=true, error=0.003)),
        replace(real, correlation_x=Measured(value=made, error=0.004)),
    )
    row = rows_of(report, "neighbour correlation")["next in the row (x)"]
    assert row.relative_difference == pytest.approx(difference)
    assert row.error == pytest.approx(0.005 / max(abs(true), 0.05))
    assert row.about == about


def test_a_scene_that_moves_is_said_so(real):
    report = compare(replace(real, moving_share=0.34), real, remarks=("First.",))
    first, remark = report.remarks
    assert first == "First."
    assert remark == (
        "In real something moves (shifts of the picture explain 34% of what changes from frame to "
        "frame), which counts as noise here."
    )


def test_clips_of_different_depth_are_refused(real):
    deep = measure_clip(filmed(name="deep", depth=np.uint16))
    with pytest.raises(
        RecordingError,
        match="^real has 8 bits per grey value and deep 16, so they cannot be compared; give clips "
        "of one bit depth$",
    ):
        compare(real, deep)
