"""When each molecule shines: a continuous-time Markov chain of on, dark and bleached."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.blinking import BlinkingSettings

_MAX_BLINKS = 1e8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blinks:
    """All on times of all molecules, sorted by molecule and time.

    Attributes
    ----------
    molecule : (N,) int64
        Index of the dye that blinks.
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
    """Return every on time that starts before `duration_s`.

    All molecules go through the chain side by side: one round draws an on time of each that is
    left, the state it leaves for, and how long it stays there.

    Parameters
    ----------
    molecule_count : int
    duration_s : float
        Length of the recording; it starts at 0.
    settings : BlinkingSettings
    rng : numpy.random.Generator

    Raises
    ------
    SettingsError
        When the on times would not fit into memory.
    """
    rates_hz = settings.rates_from_on_hz
    lifetimes_s = settings.dark_lifetimes_s
    _check_count(molecule_count, duration_s, settings)
    leaves_by = np.cumsum(rates_hz) / rates_hz.sum()
    molecule = np.arange(molecule_count)
    start_s = _first_on_s(molecule_count, duration_s, settings, rng)
    rounds = []
    while len(molecule):
        is_seen = start_s < duration_s
        molecule, start_s = molecule[is_seen], start_s[is_seen]
        end_s = start_s + rng.exponential(1.0 / rates_hz.sum(), len(molecule))
        rounds.append((molecule, start_s, end_s))
        next_state = np.searchsorted(leaves_by[:-1], rng.uniform(size=len(molecule)), side="right")
        is_left = next_state > 0
        molecule = molecule[is_left]
        start_s = end_s[is_left] + rng.exponential(lifetimes_s[next_state[is_left] - 1])
    return _sorted_by_molecule(rounds)


def _check_count(molecule_count: int, duration_s: float, settings: BlinkingSettings) -> None:
    """Refuse more on times than memory holds."""
    on_times_per_blink = 1.0 + settings.interruptions_per_blink
    cycle_s = settings.dark_s + settings.on_ms / 1000.0
    each = min(settings.blinks, 1.0 + duration_s / cycle_s) * on_times_per_blink
    if molecule_count * each > _MAX_BLINKS:
        raise SettingsError(
            f"a scene may hold {_MAX_BLINKS:.0e} on times; {molecule_count} dyes with about "
            f"{each:.3g} each are too many"
        )


def _first_on_s(
    molecule_count: int, duration_s: float, settings: BlinkingSettings, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return when each molecule goes on for the first time; 0 for those that start on."""
    match settings.first_blink:
        case "spread":
            return rng.uniform(0.0, duration_s, molecule_count)
        case "dark":
            return rng.exponential(settings.dark_s, molecule_count)
        case "on":
            return np.zeros(molecule_count)
        case "settled":
            occupied = settings.settled_shares
            state = rng.choice(len(occupied), molecule_count, p=occupied)
            wait_s = np.concatenate([[0.0], settings.dark_lifetimes_s])
            return np.asarray(rng.exponential(wait_s[state]))


def _sorted_by_molecule(
    rounds: list[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]],
) -> Blinks:
    """Return the first, second, ... on times of all molecules as one list, molecule by molecule."""
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
    molecule_count: int,
    *,
    settings: BlinkingSettings,
    exposure_s: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return each molecule's photons per full exposure, log-normal about the mean."""
    log_variance = np.log1p(settings.brightness_cv**2)
    normal = rng.standard_normal(molecule_count)
    return np.asarray(
        settings.photons_per_exposure(exposure_s)
        * np.exp(np.sqrt(log_variance) * normal - log_variance / 2.0)
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
