"""The states a dye can be in and the rates between them; dyes known by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.settings import first_of_yaml, settings_from
from cellstorm_lib.simulate.ranges import about, check_ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class DarkStateSettings:
    """A dark state beside the main one: it interrupts a blink, and the molecule comes back on."""

    name: str = field(default="triplet", metadata=about("what to call the state"))
    entered_hz: float = field(
        default=10.0,
        metadata=about("rate at which a molecule that is on falls into the state", above=0),
    )
    lifetime_ms: float = field(
        default=5.0, metadata=about("mean time until the molecule is on again", above=0)
    )

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlinkingSettings:
    """On, dark states and bleached as a Markov chain in continuous time.

    From on, a molecule goes dark or bleaches, at a total rate of 1 / `on_ms`: to bleached with
    probability 1 / `blinks`, else to the main dark state, where it stays `dark_s`. So a blink
    shines for an exponential time of mean `on_ms`, and the number of blinks is geometric with
    mean `blinks`. The `dark_states` compete for a molecule that is on with rates of their own;
    they chop a blink into shorter flashes and leave its light and the number of blinks alone.
    """

    dye: str | None = field(
        default=None,
        metadata=about(
            "a dye known by name, whose values hold wherever the scene gives none; "
            "empty: the values below"
        ),
    )
    on_ms: float = field(
        default=75.0,
        metadata=about("mean time a blink shines, its interruptions not counted", above=0),
    )
    dark_s: float = field(
        default=10.0, metadata=about("mean dark time from blink to blink", above=0)
    )
    blinks: float = field(
        default=3.0,
        metadata=about("mean number of blinks until bleaching", at_least=1, at_most=10_000),
    )
    dark_states: tuple[DarkStateSettings, ...] = field(
        default=(),
        metadata=about(
            "further dark states that interrupt a blink, each with name, entered_hz, lifetime_ms"
        ),
    )
    first_blink: Literal["spread", "dark", "on", "settled"] = field(
        default="spread",
        metadata=about(
            "'spread': first blinks fall evenly over the recording, as with an activation laser "
            "turned up to keep the density; 'dark': all start dark, and the density falls; "
            "'on': all start on, as when the laser is switched on; "
            "'settled': on and dark in the shares they reach before bleaching"
        ),
    )
    photons_per_frame: float | None = field(
        default=1000.0,
        metadata=about(
            "mean photons reaching the camera from a molecule that is on for a whole exposure",
            above=0,
            at_most=1e7,
        ),
    )
    photons_per_s: float | None = field(
        default=None,
        metadata=about(
            "instead of photons_per_frame: mean photons reaching the camera per second on",
            above=0,
            at_most=1e9,
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
        if (self.photons_per_frame is None) == (self.photons_per_s is None):
            raise SettingsError(
                "photons_per_frame and photons_per_s exclude each other and one is needed: leave "
                f"one empty, got {self.photons_per_frame} and {self.photons_per_s}"
            )
        if self.dye is not None:
            _dye_values(self.dye)

    @property
    def rates_from_on_hz(self) -> NDArray[np.float64]:
        """Rates of leaving on: to bleached, to the main dark state, to each further one."""
        leaves_hz = 1000.0 / self.on_ms
        main = [leaves_hz / self.blinks, leaves_hz * (1.0 - 1.0 / self.blinks)]
        return np.array([*main, *(state.entered_hz for state in self.dark_states)])

    @property
    def dark_lifetimes_s(self) -> NDArray[np.float64]:
        """Mean times in the main dark state and in each further one."""
        return np.array([self.dark_s, *(state.lifetime_ms / 1000.0 for state in self.dark_states)])

    @property
    def settled_shares(self) -> NDArray[np.float64]:
        """Shares of the molecules that are on and in each dark state before any bleaches.

        The first is the duty cycle: time on / all time.
        """
        times = np.concatenate([[1.0], self.rates_from_on_hz[1:] * self.dark_lifetimes_s])
        return np.asarray(times / times.sum())

    @property
    def interruptions_per_blink(self) -> float:
        """Mean number of times a further dark state interrupts a blink."""
        return self.on_ms / 1000.0 * float(self.rates_from_on_hz[2:].sum())

    def photons_per_exposure(self, exposure_s: float) -> float:
        """Return the mean photons from a molecule that is on for a whole exposure."""
        if self.photons_per_frame is not None:
            return self.photons_per_frame
        return float(self.photons_per_s or 0.0) * exposure_s


def blinking_from(content: Any) -> BlinkingSettings:
    """Return blinking from plain content; what it leaves out, its `dye` fills in.

    Of `photons_per_frame` and `photons_per_s`, one given switches off the other.

    Raises
    ------
    SettingsError
        When the dye is not known, or a setting is not one or out of range.
    """
    if not isinstance(content, Mapping):
        return settings_from(BlinkingSettings, content, where="blinking")
    known = _dye_values(content["dye"]) if content.get("dye") is not None else {}
    given = _one_brightness(known) | _one_brightness(content)
    return settings_from(BlinkingSettings, given, where="blinking")


def dye_names() -> tuple[str, ...]:
    """Return the names of the dyes that come with the program."""
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in _dye_files()))


def _one_brightness(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content with the other brightness switched off where only one is given."""
    pair = ("photons_per_frame", "photons_per_s")
    given = [name for name in pair if name in content]
    off = {name: None for name in pair if len(given) == 1 and name not in given}
    return {**content, **off}


def _dye_values(name: Any) -> dict[str, Any]:
    """Return the settings of a dye, or say which there are."""
    for entry in _dye_files():
        if entry.name == f"{name}.yaml":
            return dict(first_of_yaml(entry.read_text(encoding="utf-8")))
    raise SettingsError(f"there is no dye {name!r}; there are {', '.join(dye_names())}")


def _dye_files() -> list[Any]:
    """Return the packaged dyes."""
    folder = resources.files("cellstorm_lib.simulate") / "dyes"
    return [entry for entry in folder.iterdir() if entry.name.endswith(".yaml")]
