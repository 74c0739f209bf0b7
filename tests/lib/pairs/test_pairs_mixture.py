"""Mixtures: in proportion, nothing leaks, nothing is lost before it must be."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import RecordingError, SettingsError, TableError
from cellstorm_lib.pairs.film_likeness import (
    MEASURES,
    film_likeness,
    film_measures,
    histogram_distance,
)
from cellstorm_lib.pairs.mixture import MethodShares, mixed_pairs, no_pairs
from cellstorm_lib.pairs.pair_set import PairSet, read_pairs, write_pairs
from cellstorm_lib.video.array import ArraySource


def part(method: str, clips: dict[str, int], *, frames: int = 6, unusable: int = 0,
         seed: int = 0) -> PairSet:  # fmt: skip
    """Return pairs of a method with so many clips by split, each clip its own origin."""
    count = sum(clips.values())
    rng = np.random.default_rng(seed)
    shape = (count, frames, 16, 16)
    is_usable = np.ones((count, frames), bool)
    is_usable[:, :unusable] = False
    return PairSet(
        filmed=rng.integers(0, 200, shape).astype(np.uint8),
        light_e=rng.uniform(0, 50, shape).astype(np.float16),
        is_usable=is_usable,
        is_key=np.zeros((count, frames), bool),
        offset_adu=np.full(count, 2.0, np.float32),
        gain_e_per_adu=np.full(count, 0.5, np.float32),
        bits_per_px=np.full(count, 0.1, np.float32),
        split=np.array([split for split, number in clips.items() for _ in range(number)]),
        origin=np.array([f"{method}-{number}" for number in range(count)]),
        method=np.array([method] * count),
    )


def used(pairs: PairSet, method: str, split: str) -> int:
    return int(pairs.is_usable[(pairs.method == method) & (pairs.split == split)].sum())


EQUAL = MethodShares(simulated=1.0, localized=1.0)
MANY = part("simulated", {"train": 30, "validation": 4, "test": 2})
FEW = part("localized", {"train": 5}, unusable=2, seed=1)


def test_equal_parts_lose_no_camera() -> None:
    mixture, report = mixed_pairs({"simulated": MANY, "localized": FEW}, EQUAL)
    assert used(mixture, "simulated", "train") == used(mixture, "localized", "train") == 20
    simulated = mixture.part((mixture.method == "simulated") & (mixture.split == "train"))
    assert len(set(simulated.origin.tolist())) == 20  # one frame each, not 20 of three clips
    assert simulated.is_usable.any(axis=0).sum() >= 4  # of 6 frames, not always the first
    assert used(mixture, "simulated", "validation") == 24
    assert report.frames == {
        "simulated train": 20, "simulated validation": 24, "simulated test": 12,
        "localized train": 20,
    }  # fmt: skip
    assert report.clips["simulated train"] == report.origins["simulated train"] == 20
    assert report.unused_frames == {"simulated": 160, "localized": 0}
    assert report.digest == mixture.digest
    again, _ = mixed_pairs({"localized": FEW, "simulated": MANY}, EQUAL)
    assert again.digest == mixture.digest
    assert mixed_pairs({"simulated": MANY, "localized": FEW}, EQUAL, seed=1)[1] != report


@settings(max_examples=40, deadline=None)
@given(
    clips=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    shares=st.tuples(st.floats(0.1, 4.0), st.floats(0.1, 4.0)),
    most=st.none() | st.integers(2, 60),
    unusable=st.integers(0, 5),
)
def test_mixtures_keep_their_proportion(clips, shares, most, unusable) -> None:
    parts = {
        "simulated": part("simulated", {"train": clips[0], "validation": 1}),
        "localized": part("localized", {"train": clips[1]}, unusable=unusable, seed=1),
    }
    mixture, _ = mixed_pairs(
        parts, MethodShares(simulated=shares[0], localized=shares[1]), most_frames=most
    )
    found = [used(mixture, method, "train") for method in ("simulated", "localized")]
    there = [6 * clips[0], (6 - unusable) * clips[1]]
    per_share = min(count / share for count, share in zip(there, shares, strict=True))
    if most is not None:
        per_share = min(per_share, most / sum(shares))
    for count, share, available in zip(found, shares, there, strict=True):
        assert abs(count - per_share * share) <= 0.5 or count == 1
        assert count <= available
    kept = {name: (clip, light) for name, clip, light in zip(
        mixture.origin, mixture.filmed, mixture.light_e, strict=True)}  # fmt: skip
    for pairs in parts.values():
        for name, clip, light in zip(pairs.origin, pairs.filmed, pairs.light_e, strict=True):
            if name in kept:
                np.testing.assert_array_equal(kept[name][0], clip)
                np.testing.assert_array_equal(kept[name][1], light)
    for origin in set(mixture.origin.tolist()):
        assert len(set(mixture.split[mixture.origin == origin].tolist())) == 1


def test_frames_that_may_not_be_trained_on_never_come_back() -> None:
    mixture, _ = mixed_pairs({"simulated": MANY, "localized": FEW}, EQUAL)
    localized = mixture.part(mixture.method == "localized")
    assert not localized.is_usable[:, :2].any()


def test_methods_without_a_share_are_ignored() -> None:
    alone, report = mixed_pairs({"simulated": MANY, "localized": no_pairs()}, MethodShares())
    assert set(alone.method.tolist()) == {"simulated"}
    assert alone.is_usable.sum() == MANY.is_usable.sum()
    assert set(report.unused_frames) == {"simulated"}
    assert mixed_pairs({"simulated": MANY, "localized": FEW}, MethodShares())[1] == report


def test_impossible_mixtures_are_refused() -> None:
    with pytest.raises(TableError, match="localized pairs have a share of 1, but there are none"):
        mixed_pairs({"simulated": MANY, "localized": no_pairs()}, EQUAL)
    with pytest.raises(TableError, match="displayed pairs have a share of 2"):
        mixed_pairs({"simulated": MANY}, MethodShares(displayed=2.0))
    with pytest.raises(TableError, match="no pairs for validation.*second recording"):
        mixed_pairs({"localized": FEW}, MethodShares(simulated=0.0, localized=1.0))
    with pytest.raises(TableError, match="clips of one size"):
        other = part("localized", {"train": 2}, frames=4)
        mixed_pairs({"simulated": MANY, "localized": other}, EQUAL)
    leaking = replace(FEW, origin=np.array([MANY.origin[-1]] * len(FEW)))
    with pytest.raises(TableError, match="clips of simulated-35 are in"):
        mixed_pairs({"simulated": MANY, "localized": leaking}, EQUAL)
    with pytest.raises(SettingsError, match="at least one of simulated, displayed, localized"):
        MethodShares(simulated=0.0)
    with pytest.raises(SettingsError, match="localized must be at least 0, got -1"):
        MethodShares(localized=-1.0)


def test_no_pairs_survive_their_folder(tmp_path: Path) -> None:
    write_pairs(no_pairs(), tmp_path / "none.zarr")
    back = read_pairs(tmp_path / "none.zarr")
    assert len(back) == 0
    assert back.digest == no_pairs().digest


CAMERA = CameraCalibration(
    name="phone", source="given", offset_adu=10.0, gain_e_per_adu=0.5, read_noise_e=1.0
)


def film(rng, *, mean=60.0, noise=4.0, frames=8):
    grey = mean + rng.normal(0, noise, (frames, 64, 64))
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)


def test_measures_of_film_are_those_it_was_made_with() -> None:
    grey = film(np.random.default_rng(1))
    found = film_measures(grey, offset_adu=10.0, gain_e_per_adu=0.5, bits_per_px=0.3)
    assert set(found) == set(MEASURES)
    variance = 16.0 + 1 / 12  # rounding
    samples = grey.size * 7 / 8
    assert found["mean level"] == pytest.approx(60.0, abs=4 * np.sqrt(variance / grey.size))
    assert found["temporal variance"] == pytest.approx(variance, rel=4 * np.sqrt(2 / samples))
    assert found["noise"] == pytest.approx(0.5 * np.sqrt(variance), rel=0.05)
    assert found["background"] == pytest.approx(0.5 * 50.0, abs=0.3)
    assert found["codec strength"] == 0.3
    spotted = grey.copy()
    spotted[3, 20:22, 20:22] = 255  # a blink is no noise
    other = film_measures(spotted, offset_adu=10.0, gain_e_per_adu=0.5, bits_per_px=0.3)
    assert other["noise"] == pytest.approx(found["noise"], rel=0.01)
    assert other["temporal variance"] > 1.05 * found["temporal variance"]


@given(shift=st.integers(0, 100), low=st.integers(0, 100))
def test_distance_of_histograms_is_the_shift_between_them(shift, low) -> None:
    one = (low + np.arange(32).reshape(2, 4, 4)).astype(np.uint8)
    assert histogram_distance(one, one[::-1]) == 0
    assert histogram_distance(one, one + np.uint8(shift)) == pytest.approx(shift)
    assert histogram_distance(one.astype(np.uint16) + 900, one) == pytest.approx(900)


def test_a_recording_is_told_covered_or_not() -> None:
    rng = np.random.default_rng(2)
    count = 40
    pairs = part("simulated", {"train": count, "validation": 1}, frames=8)
    means = np.linspace(40, 80, count + 1)
    grey = np.stack([film(rng, mean=mean)[:, :16, :16] for mean in means])
    pairs = replace(
        pairs, filmed=grey, offset_adu=np.full(count + 1, 10.0, np.float32),
        gain_e_per_adu=np.full(count + 1, 0.5, np.float32),
    )  # fmt: skip
    inside = film_likeness(pairs, ArraySource(film(rng), name="mine.tif"), CAMERA)
    rows = {row.measure: row for row in inside.rows}
    assert inside.recording == "mine.tif"
    assert rows["mean level"].is_covered
    assert rows["mean level"].low == pytest.approx(41.95, abs=0.5)
    assert rows["mean level"].high == pytest.approx(77.05, abs=0.5)
    assert rows["background"].median == pytest.approx(0.5 * 49.5, abs=0.5)
    assert "codec strength" in inside.uncovered  # a stack has no codec, the pairs have
    assert inside.nearest_origin in {"simulated-19", "simulated-20"}
    assert inside.nearest_distance_adu < inside.histogram_distance_adu < 15
    outside = film_likeness(pairs, ArraySource(film(rng, mean=120)), CAMERA)
    assert {"mean level", "background"} <= set(outside.uncovered)
    assert outside.histogram_distance_adu == pytest.approx(60, abs=1)


def test_film_that_cannot_be_compared_is_refused() -> None:
    grey = film(np.random.default_rng(3))
    with pytest.raises(TableError, match="training clips of 2 frames or more"):
        film_likeness(no_pairs(), ArraySource(grey), CAMERA)
    with pytest.raises(RecordingError, match="short.tif has fewer than 2 frames"):
        film_likeness(MANY, ArraySource(grey[:1], name="short.tif"), CAMERA)
