"""Networks to denoise with, and film to be denoised."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch
from gan_pairs import spots

from cellstorm_lib.gan import SHIPPED
from cellstorm_lib.gan.checkpoint import (
    Checkpoint,
    TrainingDomain,
    TrainingFacts,
    make_generator,
    read_checkpoint,
    weights_of,
)
from cellstorm_lib.gan.recipe import Recipe

#: A small network that computes in single precision.
FINE = Recipe(name="fine", first_filters=4, half_precision=False)
_DOMAIN = TrainingDomain(
    gain_e_per_adu=(0.5, 2.0), bits_per_px=(0.1, 0.5), background_e=(1.0, 20.0), cameras=9
)


def untrained(recipe: Recipe) -> Checkpoint:
    """Return a checkpoint with weights as they are drawn."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        weights = weights_of(make_generator(recipe))
    return Checkpoint(recipe=recipe, weights=weights, domain=_DOMAIN, facts=TrainingFacts())


@cache
def champion(*, half_precision: bool) -> Checkpoint:
    """Return the network that comes with the program."""
    found = read_checkpoint(SHIPPED)
    return replace(found, recipe=replace(found.recipe, half_precision=half_precision))


def film_e(shape: tuple[int, int, int], seed: int, background_e: float = 8.0) -> Any:
    """Return (N, Y, X) photoelectrons: a few spots, background, photon and read noise."""
    rng = np.random.default_rng(seed)
    light = spots(shape, rng) + background_e
    return (rng.poisson(light) + rng.normal(0.0, 1.2, shape)).astype(np.float32)
