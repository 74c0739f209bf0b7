"""Training pairs mixed from several methods, as the paper mixes equal parts of two."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import get_args

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import SettingsError, TableError
from cellstorm_lib.pairs.pair_set import Method, PairSet, Split, joined
from cellstorm_lib.simulate.ranges import about, check_ranges

METHODS: tuple[Method, ...] = get_args(Method)
SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodShares:
    """In which proportion the methods of making pairs are mixed; 0 leaves one out."""

    simulated: float = field(default=1.0, metadata=about("simulated pairs (method 1)", at_least=0))
    displayed: float = field(
        default=0.0, metadata=about("pairs filmed from a display (method 2)", at_least=0)
    )
    localized: float = field(
        default=0.0, metadata=about("pairs drawn from localized recordings (method 3)", at_least=0)
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        if not self.asked:
            raise SettingsError(
                f"at least one of {', '.join(METHODS)} needs a share above 0 of the training pairs"
            )

    @property
    def asked(self) -> Mapping[Method, float]:
        """The methods with a share above 0."""
        shares: dict[Method, float] = {method: getattr(self, method) for method in METHODS}
        return {method: share for method, share in shares.items() if share > 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class MixtureReport:
    """What is in a mixture.

    Attributes
    ----------
    clips, frames : mapping of str to int
        Clips, and frames that may be trained on, by method and split, as ``simulated train``.
    origins : mapping of str to int
        Scenes or recordings, by method and split.
    unused_frames : mapping of str to int
        Good frames left out to keep the proportion, by method.
    digest : str
        SHA-256 of all pairs.
    """

    clips: Mapping[str, int]
    frames: Mapping[str, int]
    origins: Mapping[str, int]
    unused_frames: Mapping[str, int]
    digest: str


def mixed_pairs(
    parts: Mapping[Method, PairSet],
    shares: MethodShares,
    *,
    most_frames: int | None = None,
    seed: int = 0,
) -> tuple[PairSet, MixtureReport]:
    """Mix pairs of several methods in proportion.

    Counted are frames that may be trained on. A method with too many gives them up frame by
    frame, evenly over its clips, so that no scene and no camera is lost before it must be. For
    validation and test, only the methods that have pairs there are mixed.

    Parameters
    ----------
    parts : mapping of str to PairSet
        Pairs by method; those without a share are ignored.
    shares : MethodShares
        The proportion.
    most_frames : int, optional
        Frames to train on, at most; None takes as many as there are.
    seed : int
        Number that decides which frames.

    Raises
    ------
    TableError
        When a method with a share has nothing to train on, when nothing is left for validation,
        or when clips differ in size.
    """
    asked = shares.asked
    for method in asked:
        if method not in parts or not _usable_count(parts[method].of_split("train")):
            raise TableError(
                f"{method} pairs have a share of {asked[method]:g}, but there are none to train "
                f"on; make the {method} pairs first, or give them a share of 0"
            )
    rng = np.random.default_rng(seed)
    chosen: list[PairSet] = []
    for split in SPLITS:
        own = {method: parts[method].of_split(split) for method in asked}
        limit = most_frames if split == "train" else None
        for method, count in _counts(own, asked, limit).items():
            chosen.append(_thinned(own[method], count, rng))
    mixture = joined([part for part in chosen if len(part)])
    if not (mixture.split == "validation").any():
        raise TableError(
            "there are no pairs for validation, so no one could tell when the training is good; "
            "add a second recording, or a share of simulated pairs"
        )
    return mixture, _report(mixture, {method: parts[method] for method in asked})


def _usable_count(pairs: PairSet) -> int:
    """Return the frames that may be trained on."""
    return int(pairs.is_usable.sum())


def _counts(
    parts: Mapping[Method, PairSet], shares: Mapping[Method, float], limit: int | None
) -> dict[Method, int]:
    """Return how many frames of each method to take: in proportion, as many as possible."""
    usable = {method: _usable_count(pairs) for method, pairs in parts.items()}
    present = {method: shares[method] for method, count in usable.items() if count}
    if not present:
        return {}
    per_share = min(usable[method] / share for method, share in present.items())
    if limit is not None:
        per_share = min(per_share, limit / sum(present.values()))
    return {
        method: min(usable[method], max(1, round(per_share * share)))
        for method, share in present.items()
    }


def _thinned(pairs: PairSet, count: int, rng: np.random.Generator) -> PairSet:
    """Return the pairs with only `count` frames to train on, spread evenly over the clips."""
    clip, frame = np.nonzero(pairs.is_usable)
    order = rng.permutation(len(clip))
    clip, frame = clip[order], frame[order]
    turn = _turns(clip)
    taken = np.lexsort((rng.permutation(len(clip)), turn))[:count]
    is_usable = np.zeros_like(pairs.is_usable)
    is_usable[clip[taken], frame[taken]] = True
    return replace(pairs, is_usable=is_usable).part(np.asarray(is_usable.any(axis=1)))


def _turns(clip: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return for each entry how many of the same clip come before it."""
    order = np.argsort(clip, kind="stable")
    first = np.searchsorted(clip[order], clip[order])
    turns = np.empty(len(clip), np.int64)
    turns[order] = np.arange(len(clip)) - first
    return turns


def _report(mixture: PairSet, parts: Mapping[Method, PairSet]) -> MixtureReport:
    """Return what is in a mixture."""
    cells = {
        f"{method} {split}": mixture.of_split(split).part(mixture.of_split(split).method == method)
        for method in parts
        for split in SPLITS
    }
    cells = {name: pairs for name, pairs in cells.items() if len(pairs)}
    used = {method: _usable_count(mixture.part(mixture.method == method)) for method in parts}
    return MixtureReport(
        clips={name: len(pairs) for name, pairs in cells.items()},
        frames={name: _usable_count(pairs) for name, pairs in cells.items()},
        origins={name: len(set(pairs.origin.tolist())) for name, pairs in cells.items()},
        unused_frames={
            method: _usable_count(pairs) - used[method] for method, pairs in parts.items()
        },
        digest=mixture.digest,
    )


def no_pairs() -> PairSet:
    """Return a set without any pair: what a method gives that a recipe does not ask for."""
    texts = np.zeros(0, np.str_)
    numbers = np.zeros(0, np.float32)
    return PairSet(
        filmed=np.zeros((0, 1, 16, 16), np.uint8),
        light_e=np.zeros((0, 1, 16, 16), np.float16),
        is_usable=np.zeros((0, 1), bool),
        is_key=np.zeros((0, 1), bool),
        offset_adu=numbers,
        gain_e_per_adu=numbers,
        bits_per_px=numbers,
        split=texts,
        origin=texts,
        method=texts,
    )
