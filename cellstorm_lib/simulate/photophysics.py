"""When each molecule shines: a continuous-time chain of on, dark and bleached."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.ranges import about, check_ranges

_MAX_BLINKS = 1e8


@dataclass(frozen=True, slots=True, kw_only=True)
class BlinkingSettings:
    """On, dark and bleached as a Markov chain in continuous time.

    On and dark times are exponential. At the end of each on time the molecule bleaches with
    probability 1 / `blinks`, else it goes dark; so the number of blinks of a molecule is
    geometric with mean `blinks`.
    """

    on_ms: float = field(default=75.0, metadata=about("mean on time of a blink", above=0))
    dark_s: float = field(default=10.0, metadata=about("mean dark time between blinks", above=0))
    blinks: float = field(
        default=3.0,
        metadata=about("mean number of blinks until bleaching", at_least=1, at_most=10_000),
    )
    first_blink: Literal["spread", "dark"] = field(
        default="spread",
        metadata=about(
            "'spread': first blinks fall evenly over the recording, as with an activation laser "
            "turned up to keep the density; 'dark': all start dark, and the density falls"
        ),
    )
    photons_per_frame: float = field(
        default=1000.0,
        metadata=about(
            "mean photons reaching the camera from a molecule that is on for a whole exposure",
            above=0,
            at_most=1e7,
        ),
    )
    brightness_cv: float = field(
        default=0.3,
        metadata=about(
            "spread of the molecules' brightness (log-normal): standard deviation / mean",
            at_least=0,
            at_most=3,
        ),
    )

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blinks:
    """All on times of all molecules, sorted by molecule and time.

    Attributes
    ----------
    molecule : (N,) int64
        Index of the site that blinks.
    start_s, end_s : (N,) float64
        When the molecule goes on and off again.
    """

    molecule: NDArray[np.int64]
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Emissions:
    """How much of each exposure each molecule was on, sorted by frame, then molecule.

    Attributes
    ----------
    frame : (N,) int64
    molecule : (N,) int64
    exposed_share : (N,) float64
        Time on during the exposure / exposure time; above 0, at most 1.
    """

    frame: NDArray[np.int64]
    molecule: NDArray[np.int64]
    exposed_share: NDArray[np.float64]


def draw_blinks(
    molecule_count: int, *, duration_s: float, settings: BlinkingSettings, rng: np.random.Generator
) -> Blinks:
    """Return every blink that starts before `duration_s`.

    Parameters
    ----------
    molecule_count : int
    duration_s : float
        Length of the recording; it starts at 0, with all molecules dark.
    settings : BlinkingSettings
    rng : numpy.random.Generator

    Raises
    ------
    SettingsError
        When the blinks would not fit into memory.
    """
    cycle_s = settings.dark_s + settings.on_ms / 1000.0
    blinks_each = min(settings.blinks, 1.0 + duration_s / cycle_s)
    if molecule_count * blinks_each > _MAX_BLINKS:
        raise SettingsError(
            f"a scene may hold {_MAX_BLINKS:.0e} blinks; {molecule_count} dyes with about "
            f"{blinks_each:.3g} blinks each are too many"
        )
    molecule = np.arange(molecule_count)
    if settings.first_blink == "spread":
        start_s = rng.uniform(0.0, duration_s, molecule_count)
    else:
        start_s = rng.exponential(settings.dark_s, molecule_count)
    rounds = []
    while len(molecule):
        is_seen = start_s < duration_s
        molecule, start_s = molecule[is_seen], start_s[is_seen]
        end_s = start_s + rng.exponential(settings.on_ms / 1000.0, len(molecule))
        rounds.append((molecule, start_s, end_s))
        is_left = rng.uniform(size=len(molecule)) >= 1.0 / settings.blinks
        molecule = molecule[is_left]
        start_s = end_s[is_left] + rng.exponential(settings.dark_s, len(molecule))
    return _sorted_by_molecule(rounds)


def _sorted_by_molecule(
    rounds: list[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]],
) -> Blinks:
    """Return the first, second, ... blinks of all molecules as one list, molecule by molecule."""
    if not rounds:
        return Blinks(molecule=np.zeros(0, np.int64), start_s=np.zeros(0), end_s=np.zeros(0))
    molecule, start_s, end_s = (np.concatenate(column) for column in zip(*rounds, strict=True))
    order = np.argsort(molecule, kind="stable")
    return Blinks(molecule=molecule[order], start_s=start_s[order], end_s=end_s[order])


def expose_blinks(
    blinks: Blinks, *, frame_count: int, frame_s: float, exposure_s: float
) -> Emissions:
    """Return what share of each frame's exposure each molecule was on.

    Parameters
    ----------
    blinks : Blinks
    frame_count : int
    frame_s : float
        Time between the starts of two frames.
    exposure_s : float
        Time the shutter is open, from the start of each frame; at most `frame_s`.
    """
    first = np.floor(blinks.start_s / frame_s).astype(np.int64)
    last = np.minimum(np.floor(blinks.end_s / frame_s).astype(np.int64), frame_count - 1)
    frames_touched = np.maximum(last - first + 1, 0)
    blink = np.repeat(np.arange(len(first)), frames_touched)
    nth = np.arange(len(blink)) - np.repeat(
        np.cumsum(frames_touched) - frames_touched, frames_touched
    )
    frame = first[blink] + nth
    opened_s = frame * frame_s
    on_s = np.minimum(blinks.end_s[blink], opened_s + exposure_s) - np.maximum(
        blinks.start_s[blink], opened_s
    )
    is_exposed = on_s > 0.0
    return _summed_per_molecule(
        frame[is_exposed], blinks.molecule[blink[is_exposed]], on_s[is_exposed] / exposure_s
    )


def draw_brightness(
    molecule_count: int, *, settings: BlinkingSettings, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return each molecule's photons per full exposure, log-normal about the mean."""
    log_variance = np.log1p(settings.brightness_cv**2)
    normal = rng.standard_normal(molecule_count)
    return np.asarray(
        settings.photons_per_frame * np.exp(np.sqrt(log_variance) * normal - log_variance / 2.0)
    )


def _summed_per_molecule(
    frame: NDArray[np.int64], molecule: NDArray[np.int64], share: NDArray[np.float64]
) -> Emissions:
    """Return one row per frame and molecule, in that order, where two blinks share a frame."""
    order = np.lexsort((molecule, frame))
    frame, molecule, share = frame[order], molecule[order], share[order]
    is_new = np.ones(len(frame), bool)
    is_new[1:] = (np.diff(frame) != 0) | (np.diff(molecule) != 0)
    row = np.flatnonzero(is_new)
    summed = np.add.reduceat(share, row) if len(row) else share
    return Emissions(frame=frame[row], molecule=molecule[row], exposed_share=summed)
