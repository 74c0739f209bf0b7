"""Pairs from localized recordings: light where it truly is, and doubtful frames left out."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import erf

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import RecordingError, SettingsError, TableError
from cellstorm_lib.localize.localize import localize
from cellstorm_lib.pairs.localized import localized_pairs
from cellstorm_lib.pairs.localized_clips import drawn_light, tiles_of
from cellstorm_lib.pairs.localized_settings import LocalizedPairsSettings
from cellstorm_lib.pairs.pair_set import LIGHT_SIGMA_PX
from cellstorm_lib.pairs.trust import (
    agreement_of,
    changes_together,
    doubtful_spots,
    unexplained_light,
)
from cellstorm_lib.recording import FrameChunk, LossSummary, RecordingFacts, Roi
from cellstorm_lib.simulate.gaussian import add_gaussians
from cellstorm_lib.tables import FieldOfView, Localizations
from cellstorm_lib.video.array import ArraySource

PIXEL_NM = 90.0
SIGMA_PX = 1.25
CAMERA = CameraCalibration(
    name="phone", source="given", offset_adu=4.0, gain_e_per_adu=0.5, read_noise_e=1.0, bit_depth=8
)
SETTINGS = LocalizedPairsSettings(clips=500, side_px=48, frames=6)
FRAMES, SIDE_PX = 120, 120


class Film:
    """Frames in memory that call themselves a video, with frames lost and tainted at will."""

    def __init__(self, frames, *, lost=(), tainted=(), most=10**9, roi=(0, 0)):
        self.frames, self.lost, self.tainted, self.most = frames, set(lost), tainted, most
        height, width = frames.shape[1:]
        self.facts = RecordingFacts(
            name="cell.mp4", digest="0", kind="h264", frame_width_px=width + roi[0],
            frame_height_px=height + roi[1], frame_count=len(frames), bit_depth=8,
            roi=Roi(width_px=width, height_px=height, x_px=roi[0], y_px=roi[1]),
        )  # fmt: skip
        self.frame_range = range(len(frames))

    def part(self, start, stop):
        part = Film(self.frames, lost=self.lost, tainted=self.tainted, most=self.most)
        part.facts = self.facts
        part.frame_range = range(start, min(stop, len(self.frames)))
        return part

    def key_frames(self):
        return np.array([0])

    def loss(self):
        return LossSummary(expected_count=len(self.frames), decoded_count=len(self.frames))

    def chunks(self, size):
        left = [frame for frame in self.frame_range if frame not in self.lost]
        size = min(size, self.most)
        for first in range(0, len(left), size):
            number = np.array(left[first : first + size])
            yield FrameChunk(
                frames=self.frames[number], frame=number, time_s=number / 20.0,
                is_key=number % 10 == 0, frames_since_key=(number % 10).astype(np.int32),
                is_tainted=np.isin(number, self.tainted), previous=None,
                packet_bytes=np.full(len(number), self.facts.frame_width_px * 10),
            )  # fmt: skip


def true_spots(rng, *, per_frame=10.0):
    """Return frame, x, y and photons of molecules that are on."""
    count = rng.poisson(per_frame * FRAMES)
    frame = np.sort(rng.integers(0, FRAMES, count))
    x, y = rng.uniform(0, SIDE_PX, (2, count))
    return frame, x, y, rng.uniform(500, 1500, count)


def light_of(frame, x, y, photons, *, side_px=SIDE_PX):
    """Return the expected light, by the error function and nothing of the program."""
    edges = np.arange(side_px + 1)
    light = np.zeros((FRAMES, side_px, side_px))
    for index, column, row, brightness in zip(frame, x, y, photons, strict=True):
        shares = [
            np.diff(0.5 * erf((edges - at) / (np.sqrt(2) * SIGMA_PX))) for at in (row, column)
        ]
        light[index] += brightness * np.outer(*shares)
    return light


def table_of(frame, x, y, photons, **columns):
    return Localizations(
        data=pd.DataFrame(
            {"frame": frame, "x_nm": x * PIXEL_NM, "y_nm": y * PIXEL_NM, "photons": photons,
             "sigma_nm": SIGMA_PX * PIXEL_NM, **columns}
        ),
        field=FieldOfView(
            width_px=SIDE_PX, height_px=SIDE_PX, pixel_size_nm=PIXEL_NM, frame_count=FRAMES
        ),
    )  # fmt: skip


@pytest.fixture(scope="module")
def scene():
    """Return true spots, their light, and the film of them."""
    rng = np.random.default_rng(7)
    spots = true_spots(rng)
    light = light_of(*spots)
    electrons = rng.poisson(light + 6.0) + rng.normal(0, CAMERA.read_noise_e, light.shape)
    grey = np.rint(electrons / CAMERA.gain_e_per_adu + CAMERA.offset_adu)
    return spots, light, np.clip(grey, 0, 255).astype(np.uint8)


def shift_px(drawn, true):
    """Return by how much `drawn` lies to the right of and below `true`: least squares, px."""
    gradients = [np.gradient(true, axis=axis).ravel() for axis in (2, 1)]
    design = np.stack([-gradients[0], -gradients[1], true.ravel()], axis=1)
    solved = np.linalg.lstsq(design, drawn.ravel(), rcond=None)[0]
    return solved[:2] / solved[2]


def where_of(pairs, film, light):
    """Return the true light of each clip, found by its film: nothing of the cutting is trusted."""
    truths = []
    for clip in pairs.filmed:
        hits = [
            (start, row, column)
            for start in range(FRAMES - len(clip) + 1)
            for row in range(0, SIDE_PX - clip.shape[1] + 1, 16)
            for column in range(0, SIDE_PX - clip.shape[2] + 1, 16)
            if np.array_equal(
                film[start, row : row + clip.shape[1], column : column + clip.shape[2]], clip[0]
            )
        ]
        assert len(hits) == 1
        (start, row, column), = hits  # fmt: skip
        truths.append(light[start : start + len(clip), row : row + 48, column : column + 48])
    return np.stack(truths)


def test_drawn_light_is_the_true_light_and_not_shifted(scene) -> None:
    _, light, film = scene
    source = ArraySource(film, name="cell.tif")
    spots, _ = localize(source, CAMERA, pixel_size_nm=PIXEL_NM, threads=1)
    as_filmed = replace(SETTINGS, sigma_px=None)
    pairs, report = localized_pairs(source, CAMERA, spots, as_filmed)
    assert report.clips == len(pairs) > 20
    assert set(pairs.method.tolist()) == {"localized"}
    assert set(pairs.origin.tolist()) == {"cell.tif"}
    true = where_of(pairs, film, light)
    drawn = pairs.light_e.astype(np.float64)
    usable = pairs.is_usable
    true, drawn = true[usable], drawn[usable]
    assert np.corrcoef(drawn.ravel(), true.ravel())[0, 1] > 0.97
    assert np.abs(shift_px(drawn, true)).max() < 0.02
    assert drawn.sum() == pytest.approx(true.sum(), rel=0.05)
    assert report.sigma_px == pytest.approx(SIGMA_PX, rel=0.05)
    assert report.agreement > 0.9
    assert report.spots_per_1000_px == pytest.approx(10.0 / SIDE_PX**2 * 1000, rel=0.1)
    assert report.photons_per_spot == pytest.approx(1000.0, rel=0.05)
    # The measure sees a shift of a tenth of a pixel, and the paper's stretching by the maximum.
    moved = spots.with_columns(x_nm=spots.column("x_nm") + 0.1 * PIXEL_NM)
    drawn = localized_pairs(source, CAMERA, moved, as_filmed)[0].light_e.astype(np.float64)[usable]
    assert shift_px(drawn, true)[0] == pytest.approx(0.1, abs=0.02)
    width_nm = SIDE_PX * PIXEL_NM
    narrow = spots.take(spots.column("x_nm") < 0.9 * width_nm)
    x_nm = narrow.column("x_nm")
    stretched = narrow.with_columns(x_nm=x_nm / x_nm.max() * width_nm)
    drawn = localized_pairs(source, CAMERA, stretched, as_filmed)[0].light_e[:1].astype(np.float64)
    assert (
        np.abs(shift_px(drawn, where_of(pairs.part(np.arange(len(pairs)) == 0), film, light))).max()
        > 0.02
    )


@given(
    x=st.floats(8, 40), y=st.floats(8, 40), photons=st.floats(1, 1e4), sigma_px=st.floats(0.5, 1.3)
)
def test_a_drawn_spot_keeps_its_photons_and_its_place(x, y, photons, sigma_px) -> None:
    spots = table_of([3], np.array([x + 16.0]), np.array([y + 32.0]), [photons])
    region = Roi(width_px=48, height_px=48, x_px=16, y_px=32)
    light, count, total = drawn_light(spots, region, range(2, 6), sigma_px=sigma_px)
    assert count == 1
    assert total == pytest.approx(photons, rel=1e-6)
    assert light.sum() == pytest.approx(photons, rel=1e-5)
    assert light[1].sum() == light.sum()
    centre = np.arange(48) + 0.5
    sampled = np.exp(-2 * (np.pi * sigma_px) ** 2) / np.pi + 1e-4  # centroid of whole pixels
    assert light[1].sum(axis=0) @ centre / light.sum() == pytest.approx(x, abs=sampled)
    assert light[1].sum(axis=1) @ centre / light.sum() == pytest.approx(y, abs=sampled)


def test_spots_beside_a_clip_shine_into_it() -> None:
    spots = table_of([0, 0], np.array([15.5, 60.0]), np.array([20.0, 60.0]), [1000.0, 1000.0])
    light, count, _ = drawn_light(
        spots, Roi(width_px=16, height_px=32, x_px=16), range(1), sigma_px=SIGMA_PX
    )
    share = 0.5 * (1 - erf(0.5 / (np.sqrt(2) * SIGMA_PX)))
    assert count == 0
    assert light.sum() == pytest.approx(1000.0 * share, rel=1e-3)


@given(
    width=st.integers(16, 300), height=st.integers(16, 300), x=st.integers(0, 40),
    y=st.integers(0, 40), side=st.sampled_from([16, 32, 64]),
)  # fmt: skip
def test_clips_lie_on_the_codec_grid_inside_the_field(width, height, x, y, side) -> None:
    roi = Roi(width_px=width, height_px=height, x_px=x, y_px=y)
    try:
        tiles = tiles_of(roi, side, "cell.mp4")
    except RecordingError:
        assert min(width, height) < side + 15
        return
    seen = np.zeros((height, width), int)
    for tile in tiles:
        assert (tile.x_px + x) % 16 == (tile.y_px + y) % 16 == 0
        assert tile.x_px + side <= width
        assert tile.y_px + side <= height
        seen[tile.y_px : tile.y_px + side, tile.x_px : tile.x_px + side] += 1
    assert seen.max() == 1


def test_damaged_and_copied_frames_and_lost_ones_are_left_out(scene) -> None:
    (frame, x, y, photons), _, film = scene
    copied = np.isin(frame, (12, 13))
    spots = table_of(frame, x, y, photons, is_copied=copied)
    lenient = replace(SETTINGS, max_unexplained=1e6, max_doubtful_share=1.0)
    source = Film(film, lost=(31,), tainted=(2, 3))
    pairs, report = localized_pairs(source, CAMERA, spots, lenient, split="test", origin="a")
    tiles, windows = 4, FRAMES // 6
    assert report.candidate_clips == tiles * windows
    assert report.left_out_clips["frames lost"] == tiles
    assert report.clips == len(pairs) == tiles * (windows - 1)
    assert report.left_out_frames["damaged in the file"] == tiles * 2
    assert report.left_out_frames["unexplained light"] == 0
    unusable = np.argwhere(~pairs.is_usable)
    damaged = unusable[:8].tolist()
    assert damaged == [[clip, index] for clip in range(tiles) for index in (2, 3)]

    def near(offset_px):
        return np.abs(offset_px - 24) < 24 + 3  # a spot 3 px beside a clip shines into it

    there = [
        any((frame == number) & near(x - tile.x_px) & near(y - tile.y_px))
        for number in (12, 13)
        for tile in tiles_of(source.facts.roi, 48, "")
    ]
    assert report.left_out_frames["spot copied by the codec"] == sum(there)
    assert report.usable_frames == pairs.is_usable.sum()
    assert set(pairs.split.tolist()) == {"test"}
    assert set(pairs.origin.tolist()) == {"a"}
    np.testing.assert_allclose(pairs.bits_per_px, 8 * 10 / SIDE_PX)
    assert pairs.is_key.sum() == tiles * (FRAMES // 10 - 1)  # frame 30 went with 31
    in_bits = localized_pairs(
        Film(film, lost=(31,), tainted=(2, 3), most=2), CAMERA, spots, lenient, split="test",
        origin="a",
    )  # fmt: skip
    assert in_bits[0].digest == pairs.digest


def test_clips_of_a_region_lie_on_the_grid_of_the_whole_frame(scene) -> None:
    (frame, x, y, photons), _, film = scene
    table = table_of(frame, x, y, photons)
    table = replace(table, field=replace(table.field, roi_x_px=6, roi_y_px=3))
    pairs, _ = localized_pairs(
        Film(film, roi=(6, 3)), CAMERA, table, replace(SETTINGS, max_unexplained=1e6)
    )
    np.testing.assert_array_equal(pairs.filmed[0], film[:6, 13:61, 10:58])


def test_missed_and_invented_molecules_are_seen_in_the_film(scene) -> None:
    (frame, x, y, photons), light, film = scene
    film_e = ((film - CAMERA.offset_adu) * CAMERA.gain_e_per_adu).astype(np.float32)
    honest = unexplained_light(film_e[:12], light[:12].astype(np.float32), sigma_px=SIGMA_PX)
    assert honest.max() < LocalizedPairsSettings().max_unexplained
    inside = (x > 10) & (x < SIDE_PX - 10) & (y > 10) & (y < SIDE_PX - 10) & (frame == 5)
    missed = np.flatnonzero(inside)[0]
    keep = np.arange(len(frame)) != missed
    wrong = light_of(frame[keep], x[keep], y[keep], photons[keep])[:12].astype(np.float32)
    scores = unexplained_light(film_e[:12], wrong, sigma_px=SIGMA_PX)
    assert scores[5] > LocalizedPairsSettings().max_unexplained
    assert np.delete(scores, 5).max() < LocalizedPairsSettings().max_unexplained
    invented = light[:12].astype(np.float32)
    add_gaussians(
        invented, frame=np.array([8]), x_px=np.array([3.0]), y_px=np.array([90.0]),
        photons=np.array([900.0]), sigma_px=SIGMA_PX,
    )  # fmt: skip
    scores = unexplained_light(film_e[:12], invented, sigma_px=SIGMA_PX)
    assert int(np.argmax(scores)) == 8
    assert scores[8] > LocalizedPairsSettings().max_unexplained


def test_a_frame_with_a_missed_molecule_is_left_out(scene) -> None:
    (frame, x, y, photons), _, film = scene
    lenient = replace(SETTINGS, max_doubtful_share=1.0)
    whole, report = localized_pairs(Film(film), CAMERA, table_of(frame, x, y, photons), lenient)
    assert whole.is_usable.all()
    assert report.left_out_frames["unexplained light"] == 0
    tile = tiles_of(Film(film).facts.roi, 48, "")[0]
    is_there = (np.abs(x - tile.x_px - 24) < 15) & (np.abs(y - tile.y_px - 24) < 15)
    missed = np.flatnonzero(is_there & (photons > 900) & (frame % 6 == 4))[0]
    keep = np.arange(len(frame)) != missed
    spots = table_of(frame[keep], x[keep], y[keep], photons[keep])
    pairs, report = localized_pairs(Film(film), CAMERA, spots, lenient)
    assert report.left_out_frames["unexplained light"] == 1
    assert np.argwhere(~pairs.is_usable).tolist() == [[4 * (frame[missed] // 6), 4]]


def test_agreement_is_that_of_light_with_itself_and_falls_with_what_is_missed(scene) -> None:
    (frame, x, y, photons), light, _ = scene
    true = light[:12].astype(np.float32)
    same = agreement_of(changes_together(3 * true + 5, true, sigma_px=SIGMA_PX))
    assert same == pytest.approx(1.0, abs=1e-5)
    half = np.arange(len(frame)) % 2 == 0
    missed = light_of(frame[half], x[half], y[half], photons[half])[:12].astype(np.float32)
    found = agreement_of(changes_together(true, missed, sigma_px=SIGMA_PX))
    assert found == pytest.approx(np.sqrt(0.5), abs=0.1)  # half of the variance
    moved = np.roll(true, 4, axis=2)
    assert agreement_of(changes_together(true, moved, sigma_px=SIGMA_PX)) < 0.6
    assert agreement_of(changes_together(true, 0 * true, sigma_px=SIGMA_PX)) == 0.0


def test_doubtful_are_the_dim_the_uncertain_the_wide_and_the_saturated() -> None:
    photons = np.full(300, 1000.0)
    photons[:3] = 50.0  # the dimmest hundredth
    photons[3] = 60.0  # near it
    columns = {name: np.zeros(300) for name in ("uncertainty_nm", "sigma_nm", "out_of_range_px")}
    columns["sigma_nm"] += SIGMA_PX * PIXEL_NM
    columns["uncertainty_nm"][4] = 0.5 * PIXEL_NM
    columns["sigma_nm"][5], columns["sigma_nm"][6] = 200.0, 50.0
    columns["out_of_range_px"][7] = 1
    spots = table_of(np.zeros(300, int), np.zeros(300), np.zeros(300), photons)
    spots = spots.with_columns(**columns)
    assert np.flatnonzero(doubtful_spots(spots, SETTINGS)).tolist() == list(range(8))
    bare = spots.with_data(spots.data[["frame", "x_nm", "y_nm", "photons"]])
    assert np.flatnonzero(doubtful_spots(bare, SETTINGS)).tolist() == list(range(4))
    none = spots.take(np.zeros(300, bool))
    assert not len(doubtful_spots(none, SETTINGS))


def test_only_so_much_doubtful_light_is_borne(scene) -> None:
    (frame, x, y, photons), _, film = scene
    is_odd = frame % 2 == 1
    spots = table_of(frame, x, y, photons, uncertainty_nm=np.where(is_odd, 80.0, 5.0))
    strict = replace(SETTINGS, max_unexplained=1e6, near_threshold=0.0)
    pairs, report = localized_pairs(Film(film), CAMERA, spots, strict)
    is_lit = pairs.light_e.sum(axis=(2, 3), dtype=np.float64) > 400.0
    assert not (pairs.is_usable & is_lit)[:, 1::2].any()
    assert pairs.is_usable[:, ::2].all()
    assert report.left_out_frames["doubtful spots"] == (~pairs.is_usable).sum()
    borne = replace(strict, max_doubtful_share=1.0)
    assert localized_pairs(Film(film), CAMERA, spots, borne)[0].is_usable.all()


def test_the_best_clips_are_kept_in_their_order(scene) -> None:
    (frame, x, y, photons), _, film = scene
    copied = (frame >= 60) & (frame % 2 == 0)
    spots = table_of(frame, x, y, photons, is_copied=copied)
    settings = replace(SETTINGS, max_unexplained=1e6, max_doubtful_share=1.0)
    every, _ = localized_pairs(Film(film), CAMERA, spots, settings)
    few, report = localized_pairs(Film(film), CAMERA, spots, replace(settings, clips=10))
    assert len(few) == report.clips == 10
    assert (few.is_usable.sum(axis=1) == 6).sum() >= 7  # 15 were looked at, half of them copied
    found = [
        next(place for place, other in enumerate(every.filmed) if np.array_equal(clip, other))
        for clip in few.filmed
    ]
    assert found == sorted(found)
    assert sum(report.left_out_clips.values()) == report.candidate_clips - report.clips


def test_the_width_is_chosen_or_measured(scene) -> None:
    (frame, x, y, photons), _, film = scene
    spots = table_of(frame, x, y, photons)
    as_filmed = replace(SETTINGS, max_unexplained=1e6, sigma_px=None)
    wide, report = localized_pairs(Film(film), CAMERA, spots, as_filmed)
    assert (report.sigma_px, report.is_width_measured) == (pytest.approx(SIGMA_PX), True)
    sharp, report = localized_pairs(Film(film), CAMERA, spots, replace(as_filmed, sigma_px=0.7))
    assert (report.sigma_px, report.is_width_measured) == (0.7, False)
    assert sharp.light_e.max() > 2 * wide.light_e.max()
    without = spots.with_data(spots.data.drop(columns="sigma_nm"))
    for settings in (as_filmed, replace(as_filmed, sigma_px=0.7)):
        with pytest.raises(TableError, match="no widths of spots.*localize the recording"):
            localized_pairs(Film(film), CAMERA, without, settings)


def test_drawn_sharper_than_filmed_the_same_frames_are_trusted(scene) -> None:
    (frame, x, y, photons), _, film = scene
    spots = table_of(frame, x, y, photons)
    sharp, told = localized_pairs(Film(film), CAMERA, spots, SETTINGS)
    wide, as_filmed = localized_pairs(Film(film), CAMERA, spots, replace(SETTINGS, sigma_px=None))
    assert told.sigma_px == LIGHT_SIGMA_PX < as_filmed.sigma_px
    assert told.agreement == pytest.approx(as_filmed.agreement)
    np.testing.assert_array_equal(sharp.is_usable, wide.is_usable)
    assert sharp.light_e.astype(float).sum() == pytest.approx(
        wide.light_e.astype(float).sum(), rel=0.02
    )


def test_impossible_input_is_refused_in_one_sentence(scene) -> None:
    (frame, x, y, photons), _, film = scene
    spots = table_of(frame, x, y, photons)
    film_source = Film(film)
    other = replace(spots, field=replace(spots.field, roi_x_px=16))
    with pytest.raises(
        TableError, match=r"table covers 120x120\+16\+0 of 120 frames, but cell.mp4"
    ):
        localized_pairs(film_source, CAMERA, other, SETTINGS)
    shorter = spots.take(frame < 50)
    shorter = replace(shorter, field=replace(shorter.field, frame_count=50))
    with pytest.raises(TableError, match="localize the recording again"):
        localized_pairs(film_source, CAMERA, shorter, SETTINGS)
    inferred = replace(spots, field=replace(spots.field, is_inferred=True))
    with pytest.raises(TableError, match="does not say its field and pixel size"):
        localized_pairs(film_source, CAMERA, inferred, SETTINGS)
    with pytest.raises(TableError, match="no column 'photons'"):
        localized_pairs(
            film_source, CAMERA, spots.with_data(spots.data.drop(columns="photons")), SETTINGS
        )
    with pytest.raises(RecordingError, match="too small for clips of 128 pixels"):
        localized_pairs(film_source, CAMERA, spots, replace(SETTINGS, side_px=128))
    copied = spots.with_columns(is_copied=np.ones(len(spots), bool))
    with pytest.raises(TableError, match="no clip of cell.mp4 can be trained on .*too few frames"):
        localized_pairs(
            film_source, CAMERA, copied, replace(SETTINGS, side_px=96, least_usable_share=1.0)
        )
    with pytest.raises(TableError, match="shorter than one clip"):
        localized_pairs(film_source, CAMERA, spots, replace(SETTINGS, frames=500))
    denoised = ArraySource(film, name="out.tif", denoised_photons_per_adu=0.1)
    with pytest.raises(RecordingError, match="out.tif is denoised already"):
        localized_pairs(denoised, CAMERA, spots, SETTINGS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"side_px": 40}, "side_px must be a multiple of 16, got 40"),
        ({"clips": 0}, "clips must be at least 1, got 0"),
        ({"frames": 0}, "frames must be at least 1"),
        ({"max_doubtful_share": 1.5}, "max_doubtful_share must be at least 0 and at most 1"),
        ({"sigma_px": 0.0}, "sigma_px must be at least 0.2"),
    ],
)
def test_impossible_settings_of_localized_pairs_are_refused(change, words) -> None:
    with pytest.raises(SettingsError, match=words):
        LocalizedPairsSettings(**change)
