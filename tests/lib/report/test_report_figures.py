import io
import re
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cellstorm_lib.report.counts import histogram_figure, rejected_figure
from cellstorm_lib.report.curves import (
    drift_figure,
    frame_facts_figure,
    key_distance_figure,
    localizations_per_frame_figure,
    with_counts,
)
from cellstorm_lib.report.drawing import figure_png, figure_svg, shortened
from cellstorm_lib.report.resolution import frc_curves_figure, frc_figure


def labels(figure):
    """All words of a figure, as SVG keeps them."""
    return re.findall(r">([^<>]+)</text>", figure_svg(figure, name="x", label="x"))


def every_figure(branch, facts):
    return {
        "frc": frc_figure(branch.frc["molecules"]),
        "curves": frc_curves_figure(list(branch.frc.items())),
        "drift": drift_figure(branch.drift, frame_rate_hz=20.0),
        "per frame": localizations_per_frame_figure(branch.spots, facts),
        "key distance": key_distance_figure(branch.spots, facts),
        "facts": frame_facts_figure(facts),
        "photons": histogram_figure("photons", {"found": branch.spots}),
        "rejected": rejected_figure({"too_wide": 3}),
    }


def test_every_axis_says_what_it_shows_and_its_unit(branch, frame_facts):
    for name, figure in every_figure(branch, frame_facts).items():
        shared = [ax for ax in figure.axes[:-1] if not ax.get_xlabel()]
        assert all(ax.get_xlabel() or ax in shared for ax in figure.axes), name
        assert all(ax.get_ylabel() or name == "rejected" for ax in figure.axes), name
    with_units = [
        frc_figure(branch.frc["molecules"]).axes[0].get_xlabel(),
        drift_figure(branch.drift, frame_rate_hz=20.0).axes[0].get_ylabel(),
        drift_figure(branch.drift, frame_rate_hz=20.0).axes[0].get_xlabel(),
        histogram_figure("uncertainty_nm", {"a": branch.spots}).axes[0].get_xlabel(),
        histogram_figure("background_photons", {"a": branch.spots}).axes[0].get_xlabel(),
    ]
    units = ["1/µm", "nm", "s", "nm", "photoelectrons/px"]
    assert [label.rpartition(", ")[2] for label in with_units] == units


def test_svg_stands_inside_a_page_light_or_dark(branch, frame_facts):
    for name, figure in every_figure(branch, frame_facts).items():
        svg = figure_svg(figure, name="some-name", label='a "label" <b>')
        assert svg.startswith('<svg role="img" aria-label="a &quot;label&quot; &lt;b&gt;"'), name
        assert svg.count("<svg") == svg.count("</svg>") == 1
        assert "http" not in svg
        assert "currentColor" in svg
        assert "#1b1f24" not in svg
        assert "font-family" not in svg
        ids = re.findall(r'\bid="([^"]+)"', svg)
        assert len(ids) == len(set(ids))
        assert all(one.startswith("some-name-") for one in ids)
        used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg))
        assert used <= set(ids)


def test_png_of_a_figure_is_as_wide_as_asked(branch):
    image = Image.open(io.BytesIO(figure_png(frc_figure(branch.frc["molecules"]), width_px=600)))
    assert image.width == 600
    assert image.convert("RGB").getpixel((2, 2)) == (255, 255, 255)


def test_figures_leave_the_settings_of_matplotlib_alone(branch):
    before = dict(mpl.rcParams)
    frc_figure(branch.frc["molecules"])
    assert dict(mpl.rcParams) == before


def test_text_from_files_is_no_formula():
    assert "costs $5 & <b>$" not in (drawn := labels(rejected_figure({"costs_$5_&_<b>$": 2})))
    assert "costs $5 &amp; &lt;b&gt;$" in drawn


def test_resolution_is_written_at_the_crossing(branch):
    report = branch.frc["molecules"]
    assert f"{report.resolution_nm:.0f} nm" in labels(frc_figure(report))
    assert "threshold 1/7" in labels(frc_figure(report))
    lines = [line.get_xdata()[0] for line in frc_figure(report).axes[0].get_lines()]
    assert any(x == pytest.approx(1e3 / report.resolution_nm) for x in lines)


def test_no_resolution_is_no_crossing(branch):
    report = replace(branch.frc["molecules"], resolution_nm=None, threshold=0.22)
    words = labels(frc_figure(report))
    assert "threshold 0.22" in words
    assert not any(word.endswith(" nm") for word in words)


def test_many_curves_keep_all_their_names(branch):
    names = [f"recording {number}" for number in range(18)] + ["twice", "twice"]
    drawn = labels(frc_curves_figure([(name, branch.frc["molecules"]) for name in names]))
    assert [label for label in drawn if label in names].count("twice") == 2
    assert set(names) <= set(drawn)


def test_a_legend_of_long_names_stays_inside_the_figure(branch):
    names = [
        "cell-emCCD.ome.tif",
        "cell-emCCD.ome.tif, denoised",
        "2026-11-28 cell 17 phone, raw.mp4",
    ]
    figure = frc_curves_figure([(name, branch.frc["molecules"]) for name in names * 2])
    figure.canvas.draw()
    legend = figure.axes[0].get_legend().get_window_extent()
    assert legend.x1 <= figure.bbox.x1


def test_each_frame_keeps_its_localizations(branch, frame_facts):
    counted = with_counts(branch.spots, frame_facts)
    expected = [(branch.spots.column("frame") == frame).sum() for frame in counted["frame"]]
    np.testing.assert_array_equal(counted["localization_count"], expected)


def test_frames_without_facts_are_counted(branch):
    counted = with_counts(branch.spots, pd.DataFrame())
    assert len(counted) == branch.spots.field.frame_count
    assert counted["localization_count"].sum() == len(branch.spots)
    figure = localizations_per_frame_figure(branch.spots, pd.DataFrame())
    assert figure.axes[0].get_xlabel() == "frame"


def test_key_frames_and_damage_are_marked(branch, frame_facts):
    words = labels(localizations_per_frame_figure(branch.spots, frame_facts))
    assert {"key frames", "predicted frames", "tainted by damage"} <= set(words)
    whole = frame_facts.assign(is_tainted=False, is_key=True)
    words = labels(localizations_per_frame_figure(branch.spots, whole))
    assert "all frames" in words
    assert not {"key frames", "tainted by damage"} & set(words)


def test_means_over_time_keep_the_mean(frame_facts):
    same = frame_facts.assign(is_key=True, mean_adu=np.arange(len(frame_facts), dtype=float))
    line = frame_facts_figure(same).axes[0].get_lines()[0]
    assert len(line.get_ydata()) <= 200
    assert np.mean(line.get_ydata()) == pytest.approx(same["mean_adu"].mean(), rel=0.01)


def test_stored_size_is_drawn_only_where_it_varies(frame_facts):
    assert len(frame_facts_figure(frame_facts).axes) == 2
    stack = frame_facts.assign(packet_bytes=1_000)
    assert [ax.get_xlabel() for ax in frame_facts_figure(stack).axes] == ["time, s"]


def test_a_long_drift_trace_is_thinned_but_whole(branch):
    frame = np.arange(50_000, dtype=np.float64)
    drift = replace(branch.drift, x_nm=frame, y_nm=-frame, uncertainty_nm=frame * 0 + 3)
    x_line = drift_figure(drift).axes[0].get_lines()[0]
    assert len(x_line.get_xdata()) <= 600
    np.testing.assert_array_equal(x_line.get_xdata(), x_line.get_ydata())
    assert (x_line.get_xdata()[0], x_line.get_xdata()[-1]) == (0, 49_999)


def test_histogram_shows_the_median_and_nearly_all(branch):
    figure = histogram_figure("photons", {"found": branch.spots})
    median = np.median(branch.spots.column("photons"))
    assert f"found: median {median:.0f}" in labels(figure)
    share = figure.axes[0].patches[0].get_data().values
    assert 98.5 < share.sum() <= 100


def test_histogram_of_one_value_and_of_one_localization(branch):
    one = branch.spots.take(np.array([0]))
    share = histogram_figure("photons", {"one": one}).axes[0].patches[0].get_data().values
    assert share.sum() == pytest.approx(100)


def test_commonest_reason_stands_on_top():
    words = labels(rejected_figure({"too_wide": 1_000, "no_fit": 2_500}))
    assert words.index("too wide") < words.index("no fit")
    assert {"1,000", "2,500"} <= set(words)


def test_figures_of_nothing_say_so(branch, frame_facts):
    report = branch.frc["molecules"]
    empty = np.zeros(0)
    uncrossed = replace(report, curve=empty, frequency_per_nm=empty, reason="too few molecules")
    none_found = branch.spots.take(np.arange(0))
    no_frames = replace(none_found, field=replace(none_found.field, frame_count=0))
    no_facts = frame_facts.iloc[:0]
    for figure, reason in (
        (frc_figure(uncrossed), "too few molecules"),
        (frc_curves_figure([]), "no Fourier ring correlation was measured"),
        (drift_figure(replace(branch.drift, x_nm=empty, y_nm=empty)), "no drift to draw"),
        (histogram_figure("photons", {"found": none_found}), "no localization with photons"),
        (histogram_figure("z_nm", {"found": branch.spots}), "no localization with z_nm"),
        (rejected_figure({}), "no candidate was rejected"),
        (localizations_per_frame_figure(no_frames, no_facts), "no frame was read"),
        (key_distance_figure(no_frames, no_facts), "no frame was read"),
        (frame_facts_figure(no_facts), "no frame was read"),
    ):
        assert reason in " ".join(labels(figure))


def test_frames_without_any_localization_are_drawn(branch, frame_facts):
    none_found = branch.spots.take(np.arange(0))
    for draw in (localizations_per_frame_figure, key_distance_figure):
        assert "localizations per frame" in labels(draw(none_found, frame_facts))


def test_long_names_lose_their_middle():
    assert shortened("a" * 20 + "b" * 40) == "a" * 15 + "…" + "b" * 15
    assert shortened("short") == "short"
