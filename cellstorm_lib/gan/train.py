"""The one training loop, for every recipe."""

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cellstorm_lib.errors import CheckpointError
from cellstorm_lib.gan.batches import Batch, BatchMaker
from cellstorm_lib.gan.checkpoint import (
    Checkpoint,
    TrainingDomain,
    TrainingFacts,
    make_generator,
    weights_of,
    write_checkpoint,
)
from cellstorm_lib.gan.devices import device_named, half_precision, thread_count
from cellstorm_lib.gan.discriminator import PatchDiscriminator
from cellstorm_lib.gan.generator import scale_light
from cellstorm_lib.gan.losses import fooling_loss, pixel_loss, telling_loss
from cellstorm_lib.gan.recipe import BEGIN_TRAINED, Recipe
from cellstorm_lib.gan.resume import TrainingState, read_state, write_state
from cellstorm_lib.gan.validation import ValidationSet
from cellstorm_lib.pairs.pair_set import PairSet

_VALIDATIONS = 20
_WARM_UP_SHARE = 0.03
#: A network is never made brighter by more than the inverse of this: what is missing beyond it was
#: blurred, not lost, as by networks that were trained briefly.
_LEAST_SHOWN = 0.9
#: After so many steps a network that makes less than this share of the light has collapsed.
_COLLAPSE_STEP, _COLLAPSE_SHARE = 500, 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How training stands.

    Attributes
    ----------
    step : int
        Updates so far.
    loss : float
        Mean training loss since the last report.
    adversary_loss : float
        The same of the adversary; 0 without one.
    validation_loss : float
        Mean difference on pairs that are not trained on, of the kind with which training ends.
    light_kept : float
        Light made / true light where molecules are, on the same pairs.
    light_shown : float
        The same of the pixels of molecules that the network shows at all. Networks of which a
        checkpoint is made are made brighter by its inverse.
    """

    step: int
    loss: float
    adversary_loss: float
    validation_loss: float
    light_kept: float
    light_shown: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """What training gives: the network that did best on the validation pairs, and the last one."""

    best: Checkpoint
    last: Checkpoint
    curve: tuple[Progress, ...]


def train(
    pairs: PairSet,
    recipe: Recipe,
    *,
    out: Path | None = None,
    resume: bool = False,
    start: Checkpoint | None = None,
    device: str = "auto",
    threads: int | None = None,
    report: Callable[[Progress], None] | None = None,
) -> Trained:
    """Train a denoiser.

    Parameters
    ----------
    pairs : PairSet
        Its splits ``train`` and ``validation`` are used.
    recipe : Recipe
        Network and training.
    out : Path, optional
        Folder for ``best.safetensors``, ``last.safetensors`` and what is needed to resume.
    resume : bool
        Go on with what lies in `out`.
    start : Checkpoint, optional
        A network to fine-tune instead of an untrained one.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    threads : int, optional
        Threads of the CPU. With the same number the same recipe and pairs give the same weights.
    report : callable, optional
        Told how training stands, about 20 times.

    Raises
    ------
    CheckpointError
        When the pairs are too small, nothing is there to resume, the network to start from is
        another one than the recipe's or missing where the recipe needs one, or the network
        collapsed to black or to numbers that are not finite.
    """
    if recipe.name in BEGIN_TRAINED and start is None and not resume:
        raise CheckpointError(
            f"the recipe {recipe.name} goes on with a trained network; give the one to start from"
        )
    place = device_named(device)
    with thread_count(threads) as counted, torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        loop = _Loop(pairs, recipe, place, counted)
        if start is not None:
            loop.begin_with(start)
        if resume:
            loop.resume(_folder(out))
        while loop.step < recipe.steps:
            loop.advance()
            if loop.is_due():
                progress = loop.validate()
                if out is not None:
                    loop.save(out)
                if report is not None:
                    report(progress)
        return Trained(best=loop.best, last=loop.checkpoint(), curve=tuple(loop.curve))


def _folder(out: Path | None) -> Path:
    """Return the folder to resume from."""
    if out is None:
        raise CheckpointError("training can only be resumed from a folder; give one")
    return out


class _Loop:
    """The state of a training between two steps."""

    def __init__(self, pairs: PairSet, recipe: Recipe, device: torch.device, threads: int) -> None:
        self.recipe = recipe
        self.device = device
        self.step = 0
        self.curve: list[Progress] = []
        training = pairs.of_split("train")
        self.domain = TrainingDomain.of(training)
        self.facts = TrainingFacts(dataset_digest=pairs.digest, threads=threads, device=device.type)
        self.rng = np.random.default_rng(recipe.seed)
        self.samples = BatchMaker(training, recipe)
        self.validation = ValidationSet(pairs, recipe, device)
        self.generator = make_generator(recipe).to(device)
        self.generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = deepcopy(self.generator)
        self.adam = _adam(self.generator, recipe)
        self.adversary: nn.Module | None = None
        if recipe.adversarial_weight:
            self.adversary = PatchDiscriminator(recipe.frames).to(device)
            self.adversary_adam = _adam(self.adversary, recipe)
        self.losses: list[float] = []
        self.adversary_losses: list[float] = []
        self.best = self.checkpoint()
        self.best_loss = math.inf

    def begin_with(self, start: Checkpoint) -> None:
        """Take over the weights of a trained network."""
        begun = replace(start, recipe=self.recipe).network().state_dict()
        self.generator.load_state_dict(begun)
        self.averaged.load_state_dict(begun)

    def advance(self) -> None:
        """Take one step."""
        recipe = self.recipe
        for group in self.adam.param_groups:
            group["lr"] = _learning_rate(recipe, self.step)
        batch = self._on_device(self.samples.draw(self.rng))
        kind = "absolute" if self.step >= recipe.absolute_after * recipe.steps else recipe.loss
        self.generator.train()
        with half_precision(self.device, wanted=recipe.half_precision):
            made = self.generator(batch.film)
        loss = recipe.pixel_weight * pixel_loss(made.float(), batch.light, kind)
        if self.adversary is not None:
            loss = loss + recipe.adversarial_weight * self._contest(self.adversary, batch, made)
        self.adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.adam.step()
        self._average()
        self.losses.append(float(loss.detach()))
        self.step += 1

    def _contest(self, adversary: nn.Module, batch: Batch, made: Tensor) -> Tensor:
        """Teach the adversary with this batch, and return how far it is from being fooled."""
        made = made.float()
        telling = telling_loss(
            adversary(batch.film, batch.light), adversary(batch.film, made.detach())
        )
        self.adversary_adam.zero_grad(set_to_none=True)
        telling.backward()  # type: ignore[no-untyped-call]
        self.adversary_adam.step()
        self.adversary_losses.append(float(telling.detach()))
        return fooling_loss(adversary(batch.film, made))

    def _average(self) -> None:
        """Let the averaged weights follow."""
        memory = min(self.recipe.averaging, self.step / (self.step + 10.0))
        with torch.no_grad():
            for kept, new in zip(
                self.averaged.state_dict().values(),
                self.generator.state_dict().values(),
                strict=True,
            ):
                if kept.is_floating_point():
                    kept.lerp_(new, 1.0 - memory)
                else:
                    kept.copy_(new)

    def is_due(self) -> bool:
        """Return whether it is time to look at the validation pairs."""
        every = max(self.recipe.steps // _VALIDATIONS, 1)
        return self.step % every == 0 or self.step == self.recipe.steps

    def validate(self) -> Progress:
        """Look at pairs that are not trained on, and keep the network if it is the best."""
        seen = self.validation.look(self.averaged)
        progress = Progress(
            step=self.step,
            loss=float(np.mean(self.losses or [math.nan])),
            adversary_loss=float(np.mean(self.adversary_losses or [0.0])),
            validation_loss=seen.difference,
            light_kept=seen.light_kept,
            light_shown=seen.light_shown,
        )
        self.losses, self.adversary_losses = [], []
        self._refuse_collapse(progress)
        self.curve.append(progress)
        if progress.validation_loss < self.best_loss:
            self.best, self.best_loss = self.checkpoint(), progress.validation_loss
        return progress

    def _refuse_collapse(self, progress: Progress) -> None:
        """Raise when nothing can come of this training any more."""
        if not (math.isfinite(progress.loss) and math.isfinite(progress.validation_loss)):
            raise CheckpointError(
                f"training with the recipe {self.recipe.name} went to numbers that are not finite "
                f"by step {self.step}; lower learning_rate, or take another seed"
            )
        if self.step >= _COLLAPSE_STEP and progress.light_kept < _COLLAPSE_SHARE:
            raise CheckpointError(
                f"the network keeps {progress.light_kept:.0%} of the light after {self.step} "
                f"steps: it collapsed to black; let the squared difference begin (absolute_after), "
                "lower learning_rate, or take another seed"
            )

    def checkpoint(self) -> Checkpoint:
        """Return the averaged network as it is now, as bright as its molecules should be."""
        network = deepcopy(self.averaged)
        if self.curve:
            scale_light(network, 1.0 / max(self.curve[-1].light_shown, _LEAST_SHOWN))
        return Checkpoint(
            recipe=self.recipe,
            weights=weights_of(network),
            domain=self.domain,
            facts=replace(self.facts, steps=self.step),
        )

    def save(self, folder: Path) -> None:
        """Write the best and the last network, and what is needed to resume."""
        write_checkpoint(self.best, folder / "best.safetensors")
        write_checkpoint(self.checkpoint(), folder / "last.safetensors")
        state = TrainingState(
            step=self.step,
            best_loss=self.best_loss,
            rng=self.rng.bit_generator.state,
            dataset_digest=self.facts.dataset_digest,
            curve=[asdict(entry) for entry in self.curve],
        )
        write_state(folder, state, *self._parts())

    def resume(self, folder: Path) -> None:
        """Go on where the training in a folder was saved."""
        state, self.best = read_state(folder, self.recipe, *self._parts())
        if state.dataset_digest != self.facts.dataset_digest:
            raise CheckpointError(
                f"the training in {folder} was begun with other pairs; resume it with those, or "
                "train anew in another folder"
            )
        self.step, self.best_loss = state.step, state.best_loss
        self.rng.bit_generator.state = state.rng
        self.curve = [Progress(**entry) for entry in state.curve]

    def _parts(self) -> tuple[dict[str, nn.Module], dict[str, torch.optim.Adam]]:
        """Return networks, not made brighter, and optimizers, by the names they are saved by."""
        modules = {"generator": self.generator, "averaged": self.averaged}
        optimizers = {"adam": self.adam}
        if self.adversary is not None:
            modules["adversary"] = self.adversary
            optimizers["adversary_adam"] = self.adversary_adam
        return modules, optimizers

    def _on_device(self, batch: Batch) -> Batch:
        """Return a batch where the network is."""
        film = batch.film.to(self.device, memory_format=torch.channels_last)
        return Batch(film=film, light=batch.light.to(self.device))


def _adam(network: nn.Module, recipe: Recipe) -> torch.optim.Adam:
    """Return the optimizer of a network."""
    return torch.optim.Adam(
        network.parameters(), lr=recipe.learning_rate, betas=(recipe.beta1, 0.999)
    )


def _learning_rate(recipe: Recipe, step: int) -> float:
    """Return the learning rate of a step: a short rise, then constant or half a cosine."""
    if recipe.schedule == "constant":
        return recipe.learning_rate
    rise = min((step + 1) / max(_WARM_UP_SHARE * recipe.steps, 1.0), 1.0)
    fall = 0.5 * (1.0 + math.cos(math.pi * step / recipe.steps))
    return recipe.learning_rate * rise * fall
