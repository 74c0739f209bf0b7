"""A network as one program gives what the denoiser gives, for frames of any size."""

import numpy as np
import pytest
import torch
from gan_pairs import filmed, spots

from cellstorm_lib.gan.checkpoint import Checkpoint, TrainingDomain, TrainingFacts, make_generator
from cellstorm_lib.gan.denoiser import Denoiser
from cellstorm_lib.gan.program import DenoiserProgram, example_frames
from cellstorm_lib.gan.recipe import Recipe

LEAN = Recipe(name="small", first_filters=8, half_precision=False)
UNET = Recipe(
    name="small u", architecture="unet", frames=1, first_filters=4, depth=4, half_precision=False
)


def untrained(recipe: Recipe) -> Checkpoint:
    """Return a checkpoint with weights as they are drawn."""
    torch.manual_seed(3)
    domain = TrainingDomain(
        gain_e_per_adu=(0.5, 2.0), bits_per_px=(0.1, 0.5), background_e=(1.0, 20.0), cameras=9
    )
    weights = make_generator(recipe).state_dict()
    return Checkpoint(recipe=recipe, weights=weights, domain=domain, facts=TrainingFacts())


@pytest.mark.parametrize("shape", [(64, 96), (45, 77), (16, 130), (7, 9)])
def test_the_program_gives_what_the_denoiser_gives(shape: tuple[int, int]) -> None:
    checkpoint = untrained(LEAN)
    rng = np.random.default_rng(1)
    frames_e = filmed(spots((3, *shape), rng), rng).astype(np.float32)
    expected = Denoiser(checkpoint, device="cpu").light(frames_e)
    program = DenoiserProgram(checkpoint).eval()
    with torch.inference_mode():
        made = program(torch.from_numpy(frames_e)[None])
    assert made.shape == (1, 1, *shape)
    assert expected.max() > 0
    np.testing.assert_allclose(made[0].numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("recipe", [LEAN, UNET], ids=lambda recipe: recipe.architecture)
def test_an_exported_program_takes_any_number_and_size_of_frames(recipe: Recipe) -> None:
    checkpoint = untrained(recipe)
    program = DenoiserProgram(checkpoint).eval()
    auto = torch.export.Dim.AUTO
    exported = torch.export.export(
        program,
        (torch.from_numpy(example_frames(checkpoint)),),
        dynamic_shapes=({0: auto, 2: auto, 3: auto},),
    ).module()
    for shape in ((1, 64, 64), (3, 33, 95), (2, 10, 48)):
        frames_e = torch.rand(shape[0], recipe.frames, *shape[1:]) * 50.0
        with torch.inference_mode():
            torch.testing.assert_close(exported(frames_e), program(frames_e))
