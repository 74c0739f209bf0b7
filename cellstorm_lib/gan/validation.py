"""A look at pairs that are not trained on: how far off a network is, and how bright."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from cellstorm_lib.gan.batches import Batch, BatchMaker
from cellstorm_lib.gan.devices import half_precision
from cellstorm_lib.gan.losses import pixel_loss
from cellstorm_lib.gan.recipe import Loss, Recipe
from cellstorm_lib.pairs.pair_set import PairSet

_BATCHES = 8
#: Pixels of at least this light, in the network's scale, belong to a molecule.
_LIT = 0.5
#: Pixels at least so bright, as a share of the truth, are shown.
_SHOWN_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """What was seen.

    Attributes
    ----------
    difference : float
        Mean difference from the truth, of the kind with which the training ends.
    light_kept : float
        Light made / true light where molecules are, those that are missed included.
    light_shown : float
        The same of the pixels of molecules that are at least half as bright as they should be;
        1 when there are none.
    """

    difference: float
    light_kept: float
    light_shown: float


class ValidationSet:
    """Some samples, always the same ones.

    Parameters
    ----------
    pairs : PairSet
        Its split ``validation`` is used.
    recipe : Recipe
        What the network is trained with.
    device : torch.device
        Where it computes.
    """

    def __init__(self, pairs: PairSet, recipe: Recipe, device: torch.device) -> None:
        samples = BatchMaker(pairs.of_split("validation"), recipe)
        fixed = np.random.default_rng(0)
        self._batches = [samples.draw(fixed) for _ in range(_BATCHES)]
        self._recipe = recipe
        self._device = device

    def look(self, network: nn.Module) -> Validation:
        """Return how far a network is from the truth."""
        network.eval()
        kind: Loss = "absolute" if self._recipe.absolute_after < 1.0 else self._recipe.loss
        difference, kept, shown = 0.0, np.zeros(2), np.zeros(2)
        with torch.no_grad():
            for batch in self._batches:
                light, made = batch.light.to(self._device), self._made(network, batch)
                difference += float(pixel_loss(made, light, kind))
                kept += _light(made, light)
                is_shown = (light > _LIT) & (made > _SHOWN_SHARE * light)
                shown += _light(made[is_shown], light[is_shown])
        return Validation(
            difference=difference / len(self._batches),
            light_kept=float(kept[0] / max(kept[1], 1e-9)),
            light_shown=float(shown[0] / shown[1]) if shown[1] > 0.0 else 1.0,
        )

    def _made(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return what a network makes of some samples."""
        film = batch.film.to(self._device, memory_format=torch.channels_last)
        with half_precision(self._device, wanted=self._recipe.half_precision):
            made: Tensor = network(film)
        return made.float()


def _light(made: Tensor, light: Tensor) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the light made and the true light, weighted by the latter."""
    return np.array([float((made * light).sum()), float((light**2).sum())])
