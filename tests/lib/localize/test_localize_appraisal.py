import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from cellstorm_lib.errors import CheckpointError, SettingsError
from cellstorm_lib.gan import SHIPPED as CHAMPION
from cellstorm_lib.gan.checkpoint import read_checkpoint
from cellstorm_lib.localize.appraisal import (
    SHIPPED,
    Appraiser,
    read_appraiser,
    shipped_appraiser,
    write_appraiser,
)
from cellstorm_lib.localize.appraised import choose
from cellstorm_lib.localize.denoised_traits import DENOISED_TRAITS
from cellstorm_lib.localize.detect import DetectSettings
from cellstorm_lib.localize.traits import TRAITS

RNG = np.random.default_rng(3)


def any_appraiser(seed=0):
    rng = np.random.default_rng(seed)
    sizes = (len(TRAITS), 5, 4, 3)
    return Appraiser(
        mean=rng.normal(size=sizes[0]).astype(np.float32),
        spread=rng.uniform(0.5, 2.0, sizes[0]).astype(np.float32),
        layers=tuple(
            (
                rng.normal(0, 0.3, (before, after)).astype(np.float32),
                rng.normal(0, 0.3, after).astype(np.float32),
            )
            for before, after in pairwise(sizes)
        ),
        origin={"films": 3},
    )


def test_what_comes_out_is_what_the_formula_says():
    appraiser = any_appraiser()
    traits = RNG.normal(0, 2, (50, len(TRAITS))).astype(np.float32)
    values = np.clip((traits.astype(float) - appraiser.mean) / appraiser.spread, -5, 5)
    for weight, bias in appraiser.layers[:-1]:
        values = np.tanh(values @ weight.astype(float) + bias)
    weight, bias = appraiser.layers[-1]
    odds, error, photons = (values @ weight.astype(float) + bias).T
    found = appraiser.appraise(traits)
    np.testing.assert_allclose(found.probability, 1 / (1 + np.exp(-odds)), rtol=1e-4)
    np.testing.assert_allclose(found.error_factor, np.clip(np.exp(error), 0.8, 8), rtol=1e-4)
    np.testing.assert_allclose(found.photon_factor, np.clip(np.exp(photons), 0.67, 1.5), rtol=1e-4)


@given(first=st.integers(0, 40))
def test_each_spot_is_appraised_by_itself(first):
    appraiser = any_appraiser()
    traits = np.random.default_rng(1).normal(0, 2, (40, len(TRAITS))).astype(np.float32)
    whole = appraiser.appraise(traits).probability
    parts = [appraiser.appraise(part).probability for part in (traits[:first], traits[first:])]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize(("kind", "traits"), [("film", TRAITS), ("denoised", DENOISED_TRAITS)])
def test_the_networks_that_come_with_the_program_are_of_their_traits(kind, traits):
    appraiser = shipped_appraiser(kind)
    assert appraiser.layers[0][0].shape[0] == len(traits)
    assert appraiser.origin["films"] > 100


def test_the_network_for_denoised_frames_learned_from_the_denoiser_that_comes_with_it():
    champion = read_checkpoint(CHAMPION)
    assert shipped_appraiser("denoised").origin["denoiser"] == champion.digest


def test_a_network_of_other_frames_is_refused():
    with pytest.raises(CheckpointError, match="other traits"):
        read_appraiser(SHIPPED["film"], "denoised")


def test_a_network_is_written_and_read_unchanged(tmp_path):
    appraiser = any_appraiser()
    write_appraiser(appraiser, tmp_path / "a.safetensors")
    again = read_appraiser(tmp_path / "a.safetensors")
    traits = RNG.normal(size=(9, len(TRAITS))).astype(np.float32)
    np.testing.assert_array_equal(
        again.appraise(traits).probability, appraiser.appraise(traits).probability
    )
    assert again.origin["films"] == 3
    write_appraiser(again, tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_a_damaged_network_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(CheckpointError, match=r"a\.safetensors .* make it again"):
        read_appraiser(path)
    path.write_bytes(b"not tensors at all")
    with pytest.raises(CheckpointError, match=r"a\.safetensors .* make it again"):
        read_appraiser(path)
    save_file({"mean": np.zeros(3, np.float32)}, path)
    with pytest.raises(CheckpointError, match=r"a\.safetensors .* make it again"):
        read_appraiser(path)


def test_a_network_of_other_traits_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    write_appraiser(any_appraiser(), path)
    appraiser = read_appraiser(path)
    values = {"mean": appraiser.mean, "spread": appraiser.spread}
    for layer, (weight, bias) in enumerate(appraiser.layers):
        values |= {f"weight_{layer}": weight, f"bias_{layer}": bias}
    save_file(values, path, metadata={"cellstorm": json.dumps({"traits": ["colour"]})})
    with pytest.raises(CheckpointError, match="other traits"):
        read_appraiser(path)


@given(
    probability=st.lists(st.floats(0, 1, width=32), max_size=60),
    least=st.floats(0.05, 0.9),
    share=st.floats(0.001, 1),
)
def test_the_line_keeps_as_many_spots_as_the_settings_allow(probability, least, share):
    values = np.array(probability)
    choice = choose(
        values, DetectSettings(least_probability=least, false_share=share), searched_px=256**2
    )
    kept = values[choice.is_kept]
    np.testing.assert_array_equal(choice.is_kept, values >= choice.least_probability)
    assert choice.least_probability >= least
    assert choice.expected_false == pytest.approx((1 - kept).sum(), abs=1e-6)
    if len(kept):
        assert (1 - kept).mean() <= share + 1e-9
    dropped = values[(values >= least) & (values < choice.least_probability)]
    if len(dropped):
        more = np.append(kept, dropped.max())
        more = np.append(more, dropped[dropped == dropped.max()][1:])
        assert (1 - more).mean() > share


def test_in_nearly_empty_denoised_frames_the_line_is_raised_where_a_quarter_would_be_false():
    values = np.array([0.5, 0.9, 0.9, 0.9])
    assert choose(values, DetectSettings(), searched_px=256**2).least_probability > 0.6
    choice = choose(values, DetectSettings(), "denoised", searched_px=256**2)
    assert choice.is_kept.all()
    assert choice.least_probability == 0.0
    assert choice.expected_false == pytest.approx(4 - values.sum())
    empty = np.array([0.25, 0.3, 0.5, 0.6, 0.7, 0.8])
    # six spots in seven frames of 256 x 256
    choice = choose(empty, DetectSettings(), "denoised", searched_px=7 * 256**2)
    np.testing.assert_array_equal(empty[choice.is_kept], [0.7, 0.8])
    assert choice.least_probability == 0.7
    assert choice.expected_false == pytest.approx(0.5)
    # in six they are many: molecules of which the light is in doubt
    choice = choose(empty, DetectSettings(), "denoised", searched_px=6 * 256**2)
    assert choice.is_kept.all()
    assert choice.expected_false == pytest.approx(6 - empty.sum())


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"least_probability": 0.01}, "least_probability must be from 0.05"),
        ({"least_probability": 1.0}, "least_probability must be from 0.05"),
        ({"false_share": 0.0}, "false_share must be above 0"),
        ({"false_share": 1.5}, "false_share must be above 0"),
    ],
)
def test_impossible_choices_are_refused(changes, what):
    with pytest.raises(SettingsError, match=what):
        DetectSettings(**changes)
