"""How many of the spots that one of two tables has alone are real, and what that makes of both."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cellstorm_lib.evaluate.support import Support

Floats = npt.NDArray[np.float64]
Picks = npt.NDArray[np.int64]

#: Real spots that one table alone has show at least so much of the light of common spots in the
#: recording, each for its own photons; the codec took the rest.
LEAST_SHOWN = 0.7
#: Afterimages count where more spots follow than precede by more than so many standard errors.
_ECHO_ERRORS = 2.0
#: Molecules whose spots one table alone has are often dimmer and less often seen again than those
#: of common spots: on simulated films the estimated share of real spots was 0.79 to 1.07 of the
#: true one (90 % of 98 sets). The interval covers that.
_ESTIMATED_SHARE = (0.8, 1.05)
_RESAMPLES = 400
_INTERVAL = (2.5, 97.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Choices of blocks, (R, B), and by what to divide the real shares of either table, (R, 2)."""

    blocks: Picks
    divisors: Floats

    @classmethod
    def by_chance(cls, blocks: int, rng: np.random.Generator) -> "Draws":
        """Return the choices of a bootstrap over blocks."""
        return cls(
            rng.integers(blocks, size=(_RESAMPLES, blocks)),
            rng.uniform(*_ESTIMATED_SHARE, (_RESAMPLES, 2)),
        )

    @property
    def whole(self) -> "Draws":
        """The one choice of every block once."""
        return Draws(np.arange(self.blocks.shape[1])[None], np.ones((1, 2)))


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """Light shown and photons claimed by block, of common spots and of the second table's own."""

    both_e: Floats
    both_photons: Floats
    own_e: Floats
    own_photons: Floats

    def share(self, draws: Draws) -> Floats:
        """Return how much the own spots show, over the same of common ones, by choice of blocks."""
        picks = draws.blocks
        own = self.own_e[picks].sum(axis=1) / np.maximum(self.own_photons[picks].sum(axis=1), 1.0)
        both = self.both_e[picks].sum(axis=1) / np.maximum(
            self.both_photons[picks].sum(axis=1), 1.0
        )
        return np.asarray(own / np.maximum(both, 1e-3))


@dataclass(frozen=True, slots=True, eq=False)
class Echoes:
    """The second table's own spots by block: those that follow, that precede others, and all."""

    follow: Floats
    precede: Floats
    count: Floats

    def others(self, picks: Picks) -> Floats:
        """Return the share that is no afterimage, by choice of blocks."""
        follow, precede, count = (
            of[picks].sum(axis=1) for of in (self.follow, self.precede, self.count)
        )
        surely = follow - precede - _ECHO_ERRORS * np.sqrt(follow + precede)
        return np.asarray(1.0 - np.maximum(surely, 0.0) / np.maximum(count, 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class Own:
    """Spots that one table alone has: bright and faint ones."""

    bright: Support
    faint: Support

    def parts(
        self, reference: Support, picks: Picks, divisor: Floats, most: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """Return bright real spots, faint real ones, and false ones, by choice of blocks."""
        counts = [part.count[picks].sum(axis=1) for part in (self.bright, self.faint)]
        bright, faint = (
            np.minimum(_share(reference, part, picks) / divisor, most) * count
            for part, count in zip((self.bright, self.faint), counts, strict=True)
        )
        return bright, faint, counts[0] + counts[1] - bright - faint


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """Everything the comparison rests on, block by block of the recording."""

    common: Floats
    reference: Support
    own: tuple[Own, Own]
    shown: Shown | None
    echoes: Echoes

    def real_first(self, draws: Draws) -> Floats:
        """Return the share of the first table's own spots that is real."""
        return _real(self._parts(draws)[0])

    def real_second(self, draws: Draws) -> Floats:
        """Return the share of the second table's own spots that is real."""
        return _real(self._parts(draws)[1])

    def gain(self, draws: Draws) -> Floats:
        """Return the Jaccard index of the second table less that of the first."""
        common = self.common[draws.blocks].sum(axis=1)
        parts = self._parts(draws)
        truth = common + parts[0][0] + parts[1][0]
        first, second = (
            (common + bright) / np.maximum(truth + false, 1.0) for bright, _, false in parts
        )
        return np.asarray(second - first)

    def _parts(self, draws: Draws) -> list[tuple[Floats, Floats, Floats]]:
        """Return of either table's own spots the bright real, faint real, and false ones."""
        picks = draws.blocks
        most = self.echoes.others(picks)
        if self.shown is not None:
            most = np.clip(self.shown.share(draws) / LEAST_SHOWN, 0.0, most)
        limits = np.ones(len(picks)), most
        return [
            own.parts(self.reference, picks, divisor, limit)
            for own, divisor, limit in zip(self.own, draws.divisors.T, limits, strict=True)
        ]


def _real(parts: tuple[Floats, Floats, Floats]) -> Floats:
    """Return the real share of bright real, faint real, and false spots."""
    bright, faint, false = parts
    return np.asarray((bright + faint) / np.maximum(bright + faint + false, 1.0))


def _share(reference: Support, only: Support, picks: Picks) -> Floats:
    """Return the share of a set that is real, for each choice of blocks."""
    excess, own = (
        (of.supported - of.control)[picks].sum(axis=1)
        / np.maximum(of.count[picks].sum(axis=1), 1.0)
        for of in (reference, only)
    )
    return np.asarray(np.clip(own / np.maximum(excess, 1e-9), 0.0, 1.0))


def range_of(number: Callable[[Draws], Floats], draws: Draws) -> Range:
    """Return a number of the whole recording with its interval."""
    low, high = np.percentile(number(draws), _INTERVAL)
    return Range(value=float(number(draws.whole)[0]), low=float(low), high=float(high))
