"""A trained network as a file: weights, recipe, and what it was trained for."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from cellstorm_lib import __version__
from cellstorm_lib.errors import CheckpointError, refusing
from cellstorm_lib.files import digest_of_file, written_whole
from cellstorm_lib.gan.generator import LeanGenerator, UnetGenerator
from cellstorm_lib.gan.recipe import Recipe
from cellstorm_lib.pairs.pair_set import PairSet
from cellstorm_lib.settings import settings_from

_KIND, _FORMAT = "cellstorm denoiser ", "cellstorm denoiser 2"
#: One entry of the header holds everything: of several the order would change from file to file.
_KEY = "cellstorm"
_NO_PICKLES = (
    "pickled checkpoints (.pt, .pth, .ckpt) are never opened: train one with `cellstorm train`"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingDomain:
    """What the training film was like: from the 1st to the 99th percentile of its clips.

    Attributes
    ----------
    gain_e_per_adu, bits_per_px, background_e : (float, float)
        Photoelectrons per grey value; strength of the codec; median light of a clip.
    cameras : int
        Different gains and offsets.
    """

    gain_e_per_adu: tuple[float, float]
    bits_per_px: tuple[float, float]
    background_e: tuple[float, float]
    cameras: int

    @classmethod
    def of(cls, pairs: PairSet) -> "TrainingDomain":
        """Return the domain of a set of pairs."""
        median_adu = np.median(pairs.filmed, axis=(1, 2, 3))
        background_e = (median_adu - pairs.offset_adu) * pairs.gain_e_per_adu
        return cls(
            gain_e_per_adu=_spread(pairs.gain_e_per_adu),
            bits_per_px=_spread(pairs.bits_per_px),
            background_e=_spread(background_e),
            cameras=len(
                set(zip(pairs.gain_e_per_adu.tolist(), pairs.offset_adu.tolist(), strict=True))
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingFacts:
    """Where a checkpoint comes from."""

    dataset_digest: str = ""
    steps: int = 0
    threads: int = 0
    device: str = "cpu"
    program: str = field(default=f"cellstorm {__version__}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """A trained generator.

    Attributes
    ----------
    recipe : Recipe
        Network and training.
    weights : mapping of str to Tensor
        By name, on the CPU.
    domain : TrainingDomain
        What the training film was like.
    facts : TrainingFacts
        Where it comes from.
    digest : str
        SHA-256 of the file it was read from; empty before it is written.
    """

    recipe: Recipe
    weights: Mapping[str, Tensor]
    domain: TrainingDomain
    facts: TrainingFacts
    digest: str = ""

    def network(self) -> nn.Module:
        """Return the generator with these weights, ready to denoise.

        Raises
        ------
        CheckpointError
            When the weights do not belong to the recipe's network.
        """
        with torch.device("meta"):  # without memory: a recipe may claim any size
            plan = make_generator(self.recipe)
        try:
            plan.load_state_dict(dict(self.weights), assign=True)
        except RuntimeError as error:
            raise CheckpointError(
                f"the weights do not fit the network of the recipe {self.recipe.name}: "
                f"{' '.join(str(error).split())[:200]}"
            ) from error
        network = make_generator(self.recipe)
        network.load_state_dict(dict(self.weights))
        return network.eval()


def make_generator(recipe: Recipe) -> nn.Module:
    """Return the untrained network of a recipe."""
    if recipe.architecture == "unet":
        return UnetGenerator(recipe.frames, recipe.first_filters, recipe.depth)
    first = recipe.first_filters
    return LeanGenerator(recipe.frames, (first, 2 * first, 3 * first))


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint as safetensors, everything else as JSON in its header.

    The same checkpoint always gives the same bytes.
    """
    header = {
        "format": _FORMAT,
        "recipe": asdict(checkpoint.recipe),
        "domain": asdict(checkpoint.domain),
        "facts": asdict(checkpoint.facts),
    }
    weights = {name: tensor.contiguous() for name, tensor in sorted(checkpoint.weights.items())}
    with written_whole(path) as temporary:
        save_file(weights, str(temporary), metadata={_KEY: json.dumps(header, sort_keys=True)})


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; nothing in the file is executed.

    Raises
    ------
    CheckpointError
        When the file is missing, truncated, a pickle, or another program's.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist; give a checkpoint, or train one")
    fault = "is no checkpoint in the safetensors format, or only a part of one"
    with (
        refusing(CheckpointError, path, fault, _NO_PICKLES),
        safe_open(str(path), framework="pt", device="cpu") as content,
    ):
        header = dict(json.loads((content.metadata() or {}).get(_KEY, "{}")))
        weights = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
    if header.get("format") != _FORMAT:
        owner = "this program"
        if str(header.get("format")).startswith(_KIND):
            owner = f"this version of it, {__version__}, whose networks have other layers"
        raise CheckpointError(
            f"{path} holds weights, but not of {owner}; train one with `cellstorm train`"
        )
    with refusing(CheckpointError, path, "cannot be used", "train it again"):
        checkpoint = Checkpoint(
            recipe=settings_from(Recipe, header["recipe"]),
            weights=weights,
            domain=_domain_from(header["domain"]),
            facts=TrainingFacts(**header["facts"]),
            digest=digest_of_file(path),
        )
        _ = checkpoint.network()
    return checkpoint


def _domain_from(content: Mapping[str, Any]) -> TrainingDomain:
    """Return a domain from JSON, where ranges are lists."""
    plain: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in content.items()
    }
    return TrainingDomain(**plain)


def _spread(values: Any) -> tuple[float, float]:
    """Return the 1st and the 99th percentile."""
    low, high = np.percentile(np.asarray(values, np.float64), [1.0, 99.0])
    return float(low), float(high)


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """Return a copy of a network's weights on the CPU."""
    return {
        name: tensor.detach().to("cpu", torch.float32, copy=True)
        if tensor.is_floating_point()
        else tensor.detach().to("cpu", copy=True)
        for name, tensor in network.state_dict().items()
    }
