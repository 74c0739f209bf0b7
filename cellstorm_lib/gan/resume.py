"""A training that was interrupted, as files that hold no code."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cellstorm_lib.errors import CheckpointError
from cellstorm_lib.files import written_whole
from cellstorm_lib.gan.checkpoint import Checkpoint, read_checkpoint
from cellstorm_lib.gan.recipe import Recipe

_STATE, _TENSORS = "state.json", "state.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingState:
    """Where a training stands, besides its tensors."""

    step: int
    best_loss: float
    rng: Any
    dataset_digest: str
    recipe: Mapping[str, Any] = field(default_factory=dict)
    curve: list[dict[str, Any]] = field(default_factory=list)


def write_state(
    folder: Path,
    state: TrainingState,
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Adam],
) -> None:
    """Write where a training stands; the number of the step ties both files together."""
    tensors: dict[str, Tensor] = {"step": torch.tensor(state.step)}
    for name, module in modules.items():
        tensors |= {f"{name}/{key}": value for key, value in module.state_dict().items()}
    for name, optimizer in optimizers.items():
        for index, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"{name}/{index}/{key}": value for key, value in moments.items()}
    plain = {
        name: value.detach().to("cpu", copy=True).contiguous() for name, value in tensors.items()
    }
    with written_whole(folder / _TENSORS) as temporary:
        save_file(plain, str(temporary))
    with written_whole(folder / _STATE) as temporary:
        temporary.write_text(json.dumps(asdict(state)), encoding="utf-8")


def read_state(
    folder: Path,
    recipe: Recipe,
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Adam],
) -> tuple[TrainingState, Checkpoint]:
    """Put a saved training into networks and optimizers, and return where it stands.

    Raises
    ------
    CheckpointError
        When the files are missing, damaged, or of another recipe.
    """
    try:
        state = TrainingState(**json.loads((folder / _STATE).read_text(encoding="utf-8")))
        tensors = load_file(str(folder / _TENSORS))
        if int(tensors["step"]) != state.step:
            raise ValueError("its files are of different steps")
        for name, module in modules.items():
            module.load_state_dict(_below(tensors, name))
        for name, optimizer in optimizers.items():
            optimizer.load_state_dict(_adam_state(optimizer, _below(tensors, name)))
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"{folder} holds no training that can be resumed with the recipe {recipe.name}: "
            f"{' '.join(str(error).split())[:200]}; train anew in another folder"
        ) from error
    best = read_checkpoint(folder / "best.safetensors")
    if best.recipe != recipe:
        raise CheckpointError(
            f"the training in {folder} was begun with other settings; resume it with those, or "
            "train anew in another folder"
        )
    return state, best


def _below(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Return the tensors below a name."""
    return {
        key.removeprefix(f"{name}/"): value
        for key, value in tensors.items()
        if key.startswith(f"{name}/")
    }


def _adam_state(optimizer: torch.optim.Adam, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the optimizer's state with its moments taken from tensors."""
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, _, kind = key.partition("/")
        moments.setdefault(int(index), {})[kind] = value
    return {**optimizer.state_dict(), "state": moments}
