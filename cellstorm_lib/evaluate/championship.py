"""Whether a network may become the champion: better by more than the error, and nowhere harmful."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from cellstorm_lib.errors import SettingsError, TableError

_COLUMNS = ("film", "recall", "f1", "f1_error", "false_per_frame")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChampionshipSettings:
    """What a challenger must show."""

    gain_errors: float = field(
        default=1.0,
        metadata={"about": "the mean F1 must be better by more than so many of its errors"},
    )
    loss_errors: float = field(
        default=2.0,
        metadata={"about": "no film may be worse by more than so many errors of that film"},
    )
    false_per_frame: float = field(
        default=0.05, metadata={"about": "most false spots per frame in films without molecules"}
    )

    def __post_init__(self) -> None:
        for name in ("gain_errors", "loss_errors", "false_per_frame"):
            value = getattr(self, name)
            if not 0 <= value <= 1000:
                raise SettingsError(f"{name} must be from 0 to 1000, got {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The outcome.

    Attributes
    ----------
    is_better : bool
        Whether the challenger takes the place of the champion.
    reason : str
        Why, in one sentence.
    gain, gain_error : float
        Mean over the films of the difference in F1, and its standard error.
    """

    is_better: bool
    reason: str
    gain: float
    gain_error: float


def decide_championship(
    challenger: pd.DataFrame,
    champion: pd.DataFrame,
    settings: ChampionshipSettings | None = None,
) -> Decision:
    """Return whether a challenger takes the place of the champion.

    The errors of both are added in quadrature, although both saw the same films: that makes the
    error of the difference too large rather than too small, and the champion stays in doubt.

    Parameters
    ----------
    challenger, champion : DataFrame
        One row per film: ``film``, ``recall``, ``f1``, ``f1_error`` (standard error),
        ``false_per_frame`` (spots that are none, per frame). A film whose ``recall`` is missing
        holds no molecules, and its ``f1`` does not count. Other columns do not matter.
    settings : ChampionshipSettings, optional
        What the challenger must show.

    Raises
    ------
    TableError
        When both were not scored on the same films, or a score is missing.
    """
    settings = settings or ChampionshipSettings()
    new, old = _by_film(challenger, "the challenger"), _by_film(champion, "the champion")
    if not new.index.equals(old.index):
        only = sorted(map(str, set(new.index) ^ set(old.index)))
        raise TableError(
            f"challenger and champion were scored on different films (only one has {only[0]}); "
            "score both again"
        )
    has_molecules = new["recall"].notna()
    if not has_molecules.any():
        raise TableError("no film with molecules was scored; score both on the benchmark films")
    gains = (new["f1"] - old["f1"])[has_molecules]
    errors = ((new["f1_error"] ** 2 + old["f1_error"] ** 2) ** 0.5)[has_molecules]
    is_known = np.isfinite(gains) & np.isfinite(errors)
    if not is_known.all():
        raise TableError(f"{gains.index[~is_known][0]} has no F1 with an error; score both again")
    gain = float(gains.mean())
    gain_error = float(np.sqrt((errors**2).sum()) / len(errors))
    told = f"F1 {gain:+.4f} +- {gain_error:.4f} on {len(gains)} films"
    objection = (
        _hallucination(new[~has_molecules], settings)
        or _lost_film(gains, errors, settings)
        or _too_little(gain, gain_error, settings)
    )
    verdict = objection or "better by more than the error, and clearly worse on no film"
    return Decision(
        is_better=not objection,
        reason=f"{told}: {verdict}",
        gain=gain,
        gain_error=gain_error,
    )


def _by_film(scores: pd.DataFrame, whose: str) -> pd.DataFrame:
    """Return the scores as numbers, by film."""
    missing = [name for name in _COLUMNS if name not in scores.columns]
    if missing:
        raise TableError(f"the scores of {whose} have no column {missing[0]}; score it again")
    if scores.empty or scores["film"].duplicated().any():
        raise TableError(f"the scores of {whose} need one row per film; score it again")
    table = scores[list(_COLUMNS)].set_index("film").sort_index()
    return table.astype(np.float64)


def _hallucination(empty: pd.DataFrame, settings: ChampionshipSettings) -> str:
    """Return the film without molecules in which the challenger finds some."""
    false = empty["false_per_frame"].fillna(np.inf)
    if false.empty or false.max() <= settings.false_per_frame:
        return ""
    return (
        f"it finds {false.max():.3g} spots per frame in {false.idxmax()}, where there is none "
        f"(at most {settings.false_per_frame:g} are let pass)"
    )


def _lost_film(gains: pd.Series, errors: pd.Series, settings: ChampionshipSettings) -> str:
    """Return the film on which the challenger is clearly worse."""
    excess = gains + settings.loss_errors * errors
    if excess.min() >= 0:
        return ""
    film = str(excess.idxmin())
    return f"it is clearly worse on {film} ({gains[film]:+.4f} +- {errors[film]:.4f})"


def _too_little(gain: float, gain_error: float, settings: ChampionshipSettings) -> str:
    """Return that the gain may be chance."""
    if gain > settings.gain_errors * gain_error and gain > 0:
        return ""
    return "not better by more than the error"
