"""Training of the small network by which spots are appraised."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from cellstorm_lib import __version__
from cellstorm_lib.errors import CheckpointError
from cellstorm_lib.localize.appraisal import Appraiser

#: Traits, and what comes out, are clipped to this many standard deviations, and to this factor.
_MOST, _MOST_LOG_FACTOR = 5.0, 2.5
#: Degrees of freedom of the distribution of errors.
_FREEDOM = 4.0
#: Spots from this probability on decide the scale of the errors.
_SURE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lesson:
    """The spots of one film beside the truth.

    Attributes
    ----------
    traits : (M, K) float32
        What they are judged by.
    is_molecule : (M,) bool
        Whether a molecule is there.
    error : (M, 2) float32
        Distance from it along x and y / Cramer-Rao bound; NaN without a molecule.
    log_photons : (M,) float32
        Logarithm of (its photons / photons of the fit); NaN without a molecule.
    """

    traits: npt.NDArray[np.float32]
    is_molecule: npt.NDArray[np.bool_]
    error: npt.NDArray[np.float32]
    log_photons: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppraiserSettings:
    """How the network is trained."""

    hidden: tuple[int, int] = (64, 32)
    steps: int = 8000
    batch: int = 2048
    learning_rate: float = 6e-3
    seed: int = 1


def train_appraiser(
    lessons: Sequence[Lesson],
    settings: AppraiserSettings | None = None,
    *,
    origin: Mapping[str, Any] | None = None,
    report: Callable[[int, float], None] | None = None,
) -> Appraiser:
    """Train a network on the spots of many films.

    A film counts by the square root of its spots, so that a few dense ones do not outvote the
    others. The same lessons and settings give the same network on the same machine.

    Parameters
    ----------
    lessons : sequence of Lesson
        One per film.
    settings : AppraiserSettings, optional
        How it is trained.
    origin : mapping, optional
        Written into the network: where the lessons come from.
    report : callable, optional
        Called now and then with the step and the loss.

    Raises
    ------
    CheckpointError
        When the lessons hold no molecule or nothing else.
    """
    settings = settings or AppraiserSettings()
    lessons = [lesson for lesson in lessons if len(lesson.traits)]
    truth = np.concatenate([np.empty(0, np.bool_), *(lesson.is_molecule for lesson in lessons)])
    if not truth.any() or truth.all():
        raise CheckpointError(
            "spots cannot be appraised from films that hold no molecules, or nothing else; give "
            "more films"
        )
    traits = np.concatenate([lesson.traits for lesson in lessons])
    mean, spread = traits.mean(axis=0), traits.std(axis=0) + np.float32(1e-3)
    torch.manual_seed(settings.seed)
    first, second = settings.hidden
    network = nn.Sequential(
        nn.Linear(traits.shape[1], first), nn.Tanh(),
        nn.Linear(first, second), nn.Tanh(),
        nn.Linear(second, 3),
    )  # fmt: skip
    values = torch.from_numpy(np.clip((traits - mean) / spread, -_MOST, _MOST))
    _fit(network, values, _Truth.of(lessons), settings, report)
    appraiser = Appraiser(
        mean=mean,
        spread=spread,
        layers=tuple(
            (layer.weight.detach().numpy().T.copy(), layer.bias.detach().numpy().copy())
            for layer in network
            if isinstance(layer, nn.Linear)
        ),
        origin={
            "program": f"cellstorm {__version__}",
            "films": len(lessons),
            "spots": len(truth),
            **asdict(settings),
            **(origin or {}),
        },
    )
    return _scaled(appraiser, lessons)


def _scaled(appraiser: Appraiser, lessons: Sequence[Lesson]) -> Appraiser:
    """Return the network with half of the errors within 0.67 of what it claims, as if normal."""
    ratios = []
    for lesson in lessons:
        found = appraiser.appraise(lesson.traits)
        sure = lesson.is_molecule & (found.probability > _SURE)
        ratios.append((np.abs(lesson.error[sure]) / found.error_factor[sure, None]).ravel())
    if not sum(map(len, ratios)):
        return appraiser
    weight, bias = appraiser.layers[-1]
    middle = float(np.median(np.concatenate(ratios))) / 0.6745
    moved = bias + np.array([0.0, np.log(max(middle, 1e-3)), 0.0], np.float32)
    return replace(appraiser, layers=(*appraiser.layers[:-1], (weight, moved.astype(np.float32))))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Truth:
    """The truth of all spots, and their weights."""

    is_molecule: Tensor
    error: Tensor
    log_photons: Tensor
    weight: Tensor

    @classmethod
    def of(cls, lessons: Sequence[Lesson]) -> "_Truth":
        """Return it for some films."""

        def joined(parts: list[npt.NDArray[Any]]) -> Tensor:
            return torch.from_numpy(np.nan_to_num(np.concatenate(parts)).astype(np.float32))

        weight = joined(
            [np.full(len(lesson.traits), len(lesson.traits) ** -0.5) for lesson in lessons]
        )
        return cls(
            is_molecule=joined([lesson.is_molecule for lesson in lessons]),
            error=joined([lesson.error for lesson in lessons]),
            log_photons=joined([lesson.log_photons for lesson in lessons]),
            weight=weight / weight.mean(),
        )

    def loss(self, found: Tensor, chosen: Tensor) -> Tensor:
        """Return the negative log-likelihood of the truth of some spots.

        A molecule is there or not. Errors follow Student's distribution, with the bound times a
        factor as scale, and of the photons the median is looked for: neighbours that were taken for
        one spot must not count.
        """
        there, weight = self.is_molecule[chosen], self.weight[chosen]
        doubt = functional.binary_cross_entropy_with_logits(found[:, 0], there, reduction="none")
        factor = found[:, 1].clamp(-_MOST_LOG_FACTOR, _MOST_LOG_FACTOR)
        squares = (self.error[chosen] ** 2).sum(dim=1)
        astray = 2.0 * factor + 0.5 * (_FREEDOM + 2.0) * torch.log1p(
            squares * torch.exp(-2.0 * factor) / _FREEDOM
        )
        dimmed = functional.smooth_l1_loss(
            found[:, 2], self.log_photons[chosen], reduction="none", beta=0.05
        )
        return (weight * (doubt + there * (astray + dimmed))).mean()


def _fit(
    network: nn.Module,
    values: Tensor,
    truth: _Truth,
    settings: AppraiserSettings,
    report: Callable[[int, float], None] | None,
) -> None:
    """Train in place."""
    adam = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        adam, settings.learning_rate, total_steps=settings.steps
    )
    generator = torch.Generator().manual_seed(settings.seed)
    for step in range(1, settings.steps + 1):
        chosen = torch.randint(len(values), (settings.batch,), generator=generator)
        loss = truth.loss(network(values[chosen]), chosen)
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        schedule.step()
        if report is not None and step % 500 == 0:
            report(step, float(loss.detach()))
