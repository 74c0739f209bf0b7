"""How far a denoised frame is from the truth."""

import torch
from torch import Tensor
from torch.nn import functional

from cellstorm_lib.gan.recipe import Loss

#: Light added to the divisor of the relative loss, in the network's scale.
_DARK = 0.15


def pixel_loss(made: Tensor, light: Tensor, kind: Loss) -> Tensor:
    """Return the mean difference of two images.

    Parameters
    ----------
    made, light : (B, 1, Y, X)
        What the network made, and the truth.
    kind : {"squared", "relative", "absolute"}
        ``relative`` divides the square by the light plus a little, as photon noise grows with it.
    """
    if kind == "absolute":
        return functional.l1_loss(made, light)
    square = (made - light) ** 2
    if kind == "relative":
        square = square / (_DARK + light)
    return square.mean()


def fooling_loss(scores: Tensor) -> Tensor:
    """Return how far the adversary is from taking what was made for true."""
    return functional.binary_cross_entropy_with_logits(scores, torch.ones_like(scores))


def telling_loss(true_scores: Tensor, made_scores: Tensor) -> Tensor:
    """Return how far the adversary is from telling true light and made light apart."""
    is_true = functional.binary_cross_entropy_with_logits(true_scores, torch.ones_like(true_scores))
    is_made = functional.binary_cross_entropy_with_logits(
        made_scores, torch.zeros_like(made_scores)
    )
    return 0.5 * (is_true + is_made)
