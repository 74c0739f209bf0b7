"""Engines: the same network gives the same, whatever computes it and wherever it was cut."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import openvino
import pytest
import torch
from gan_networks import FINE, champion, film_e, untrained
from torch import nn

from cellstorm_lib.errors import CheckpointError, SettingsError
from cellstorm_lib.gan import engines
from cellstorm_lib.gan.checkpoint import Checkpoint
from cellstorm_lib.gan.denoiser import Denoiser
from cellstorm_lib.gan.engine import CUT_PX, Cut
from cellstorm_lib.gan.engine_openvino import OpenvinoEngine
from cellstorm_lib.gan.engines import engine_named
from cellstorm_lib.gan.openvino_graph import graph_of
from cellstorm_lib.gan.recipe import Recipe

UNET = Recipe(name="u", architecture="unet", frames=1, first_filters=4, depth=4)
SIZES = [(1, 64, 64), (3, 48, 112), (2, 160, 32)]
CUTS = [Cut(*sides) for sides in product([False, True], repeat=4)]


def windows(checkpoint: Checkpoint, shape: tuple[int, int, int]) -> Any:
    count, height, width = shape
    channels = checkpoint.recipe.frames
    made = [film_e((channels, height, width), seed) for seed in range(count)]
    return np.stack(made) / np.float32(checkpoint.recipe.input_scale_e)


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize(
    "recipe",
    [Recipe(frames=1), Recipe(frames=5, first_filters=8), UNET],
    ids=["one frame", "five frames", "unet"],
)
def test_engines_agree_in_single_precision(recipe: Recipe, shape: tuple[int, int, int]) -> None:
    checkpoint = untrained(replace(recipe, half_precision=False))
    film = windows(checkpoint, shape)
    expected = engine_named("torch", checkpoint, device="cpu").run(film)
    made = engine_named("openvino", checkpoint).run(film)
    assert made.shape == shape
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(made, expected, atol=1e-5)


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_half_precision_costs_little_of_the_light(engine: str) -> None:
    # bfloat16 keeps 8 bits: 0.4 % per layer, some of which add up
    fine, coarse = champion(half_precision=False), champion(half_precision=True)
    film = windows(fine, (2, 128, 128))
    expected = np.maximum(engine_named("torch", fine, device="cpu").run(film), 0.0)
    made = np.maximum(engine_named(engine, coarse, device="cpu").run(film), 0.0)
    assert expected.max() * fine.recipe.input_scale_e > 50.0
    assert np.abs(made - expected).max() < 0.02 * expected.max()
    np.testing.assert_allclose(made.sum(), expected.sum(), rtol=5e-3)


def test_whole_numbers_cost_little_of_the_light_however_bright_it_is() -> None:
    checkpoint = champion(half_precision=False)
    scale_e = checkpoint.recipe.input_scale_e
    film = windows(checkpoint, (4, 96, 128))
    film[2:] *= np.float32(20.0)  # brighter than the engine was prepared for
    expected = np.maximum(engine_named("torch", checkpoint, device="cpu").run(film), 0.0)
    made = np.maximum(engine_named("openvino-int8", checkpoint).run(film), 0.0)
    np.testing.assert_allclose(made[2:], expected[2:], atol=1e-3)
    apart = (made[:2] - expected[:2]) * scale_e
    assert 0.0 < np.sqrt(np.mean(apart**2)) < 0.3
    np.testing.assert_allclose(made[:2].sum(), expected[:2].sum(), rtol=0.03)


def test_only_the_lean_network_is_computed_in_whole_numbers() -> None:
    with pytest.raises(SettingsError, match="lean networks only; take --engine openvino"):
        engine_named("openvino-int8", untrained(UNET))


@pytest.mark.parametrize("cut", CUTS, ids=lambda cut: "".join(str(int(side)) for side in cut))
def test_engines_agree_on_windows_cut_out_of_frames(cut: Cut) -> None:
    checkpoint = champion(half_precision=False)
    height = 40 + CUT_PX * (cut.top + cut.bottom)
    width = 48 + CUT_PX * (cut.left + cut.right)
    film = windows(checkpoint, (2, height, width))
    expected = engine_named("torch", checkpoint, device="cpu").run(film, cut)
    made = engine_named("openvino", checkpoint).run(film, cut)
    assert made.shape == (2, 40, 48)
    np.testing.assert_allclose(made, expected, atol=1e-5)


def test_where_a_window_was_cut_the_network_does_not_see_black() -> None:
    # in even light a window cut on all sides is like any place far from the edges of a frame
    checkpoint = untrained(replace(FINE, first_filters=8))
    engine = engine_named("torch", checkpoint, device="cpu")
    inside = engine.run(np.full((1, 3, 208, 208), 2.0, np.float32))[0, 96:104, 96:104]
    part = np.full((1, 3, 36, 36), 2.0, np.float32)
    cut = engine.run(part, Cut(top=True, bottom=True, left=True, right=True))[0]
    np.testing.assert_allclose(cut, np.tile(inside, (4, 4)), atol=1e-6)
    assert np.abs(engine.run(part[:, :, :32, :32])[0] - cut).max() > 1e-3


def test_auto_takes_openvino_on_a_cpu_where_it_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checkpoint = untrained(FINE)
    assert engine_named("auto", checkpoint, device="cpu").label.startswith("openvino ")
    assert engine_named("torch", checkpoint, device="cpu").label.startswith("torch ")
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    assert engine_named("auto", checkpoint, device="cpu").label.startswith("torch ")
    with pytest.raises(SettingsError, match=r"not installed; install cellstorm\[fast\], or take"):
        engine_named("openvino", checkpoint)


def test_what_cannot_compute_is_refused() -> None:
    checkpoint = untrained(FINE)
    with pytest.raises(
        SettingsError, match="no engine 'onnx'; there are auto, torch, openvino, openvino-int8"
    ):
        engine_named("onnx", checkpoint)
    with pytest.raises(SettingsError, match="workers must be 1 or more, got 0"):
        engine_named("torch", checkpoint, workers=0)
    if not torch.cuda.is_available():
        with pytest.raises(SettingsError, match="there is no cuda device on this machine"):
            engine_named("openvino", checkpoint, device="cuda")


def test_openvino_stays_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "device_named", torch.device)
    with pytest.raises(SettingsError, match="openvino computes on the CPU, not on cuda"):
        engine_named("openvino", untrained(FINE), device="cuda")
    assert engine_named("auto", untrained(FINE), device="cpu").label.startswith("openvino ")


def test_networks_that_the_graph_does_not_know_are_refused() -> None:
    with pytest.raises(CheckpointError, match="does not know the layer Tanh of this network"):
        graph_of(nn.Sequential(nn.Conv2d(1, 1, 3), nn.Tanh()), 1)

    class Sine(nn.Module):
        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            return torch.sin(frames)

    with pytest.raises(CheckpointError, match=r"does not know the operation .*sin"):
        graph_of(Sine(), 1)
    with pytest.raises(CheckpointError, match="normalises by the frame itself"):
        graph_of(nn.Sequential(nn.BatchNorm2d(1, track_running_stats=False)), 1)


def test_a_denoiser_may_compute_more_coarsely_than_it_was_trained() -> None:
    fine = Denoiser(untrained(FINE), device="cpu", engine="openvino")
    coarse = Denoiser(untrained(FINE), device="cpu", engine="openvino", half_precision=True)
    assert fine.engine.endswith("f32")
    able = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    assert coarse.engine.endswith("bf16" if "BF16" in able else "f32")
    assert coarse.checkpoint.recipe == FINE


def test_the_label_says_how_precise_it_is() -> None:
    assert OpenvinoEngine(untrained(FINE), workers=1).label.endswith("on cpu, f32")
