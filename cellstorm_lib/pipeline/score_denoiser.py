"""How much denoisers help: benchmark films localized raw and denoised, against the truth."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellstorm_lib.evaluate.match import Matches, match_localizations
from cellstorm_lib.evaluate.scores import score
from cellstorm_lib.gan.denoise import denoised_in_memory
from cellstorm_lib.gan.denoiser import Denoiser
from cellstorm_lib.localize.localize import localize
from cellstorm_lib.pipeline.benchmark_films import MadeFilm, benchmark_films, made_films
from cellstorm_lib.pipeline.film_look import FilmLook, look_closely
from cellstorm_lib.reconstruct.frc import measure_frc
from cellstorm_lib.recording import FrameSource
from cellstorm_lib.refine.merge import link
from cellstorm_lib.tables import Localizations

#: A localization further than this from every molecule is false.
TOLERANCE_PX = 2.0
_BLOCKS = 20


def score_denoisers(
    denoisers: Mapping[str, Denoiser | None],
    films: Sequence[str] | None = None,
    *,
    folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    look: Callable[[FilmLook], None] | None = None,
) -> pd.DataFrame:
    """Localize benchmark films as they are and denoised, and compare with the truth.

    Both branches go through the same localizer with the settings it chooses by itself.

    Parameters
    ----------
    denoisers : mapping
        Networks by name; None stands for the raw film.
    films : sequence of str, optional
        Names of `benchmark_films`; all by default.
    folder : Path, optional
        Where films are kept from one call to the next; by default they are made anew.
    progress : callable, optional
        Called with the rows done and rows in all, after each film.
    look : callable, optional
        Given each film with molecules as it looks closely, raw and denoised.

    Returns
    -------
    DataFrame
        One row per film and denoiser: ``film``, ``name``; ``true``, ``found``, ``matched``
        (within `TOLERANCE_PX`); ``precision``, ``recall``, ``f1``, ``f1_error`` (one standard
        error, from blocks of frames), ``jaccard``, ``rmse_nm``, ``rmse_common_nm`` (of the
        molecules that were found by all of `denoisers`), ``bias_x_px``, ``bias_y_px`` (median),
        ``count_over_truth``, ``false_per_frame``, ``photons_ratio`` (median of found / true),
        ``photons_slope`` (of found over true, through 0), ``photons_correlation``,
        ``efficiency``; ``frc_nm`` with its 68 % interval ``frc_low_nm`` to ``frc_high_nm``, split
        by molecules, NaN where the halves agree on nothing. What has no value in a film without
        molecules is NaN.

    Raises
    ------
    SettingsError
        When there is no film of a name.
    """
    names = list(benchmark_films()) if films is None else list(films)
    rows: list[dict[str, Any]] = []
    with made_films(names, folder=folder) as make:
        for name in names:
            rows.extend(score_film(make(name), denoisers, look=look))
            if progress is not None:
                progress(len(rows), len(names) * len(denoisers))
    return pd.DataFrame(rows)


def score_film(
    made: MadeFilm,
    denoisers: Mapping[str, Denoiser | None],
    *,
    look: Callable[[FilmLook], None] | None = None,
) -> list[dict[str, Any]]:
    """Localize one film as it is and denoised, and compare with the truth.

    Parameters
    ----------
    made : MadeFilm
        The film.
    denoisers, look
        As of `score_denoisers`.

    Returns
    -------
    list of dict
        Rows of `score_denoisers`, one per denoiser.
    """
    compared = [(name, localized_film(made, one)) for name, one in denoisers.items()]
    if look is not None and len(made.truth):
        with_networks = [(name, denoisers[name], table) for name, table in compared]
        look(look_closely(made, with_networks, _tolerance_nm(made)))
    return score_tables(made, compared)


def localized_film(made: MadeFilm, denoiser: Denoiser | None) -> Localizations:
    """Return what the localizer finds by itself in a film, raw or denoised."""
    source: FrameSource = made.source
    if denoiser is not None:
        source = denoised_in_memory(source, made.calibration, denoiser)
    table, _ = localize(source, made.calibration, pixel_size_nm=made.film.scene.field.pixel_size_nm)
    return table


def score_tables(
    made: MadeFilm, compared: Sequence[tuple[str, Localizations]]
) -> list[dict[str, Any]]:
    """Compare tables of one film, each with its name, with the truth.

    Returns
    -------
    list of dict
        Rows of `score_denoisers`, one per table.
    """
    tolerance_nm = _tolerance_nm(made)
    matches = [match_localizations(table, made.truth, tolerance_nm) for _, table in compared]
    is_common = np.ones(len(made.truth), bool)
    for found in matches:
        is_common &= np.bincount(found.emitter, minlength=len(is_common)).astype(bool)
    return [
        {
            "film": made.film.name,
            "name": name,
            **_scores(made, table, tolerance_nm),
            "f1_error": _f1_error(made, table, found),
            "rmse_common_nm": _rmse_nm(found.take(is_common[found.emitter])),
            **_photometry(made, table, found),
            **_resolution(made, table),
        }
        for (name, table), found in zip(compared, matches, strict=True)
    ]


def _scores(made: MadeFilm, table: Localizations, tolerance_nm: float) -> dict[str, Any]:
    """Return the figures of the challenge; NaN where there is nothing to compute from."""
    pixel_size_nm = made.film.scene.field.pixel_size_nm
    scores = score(table, made.truth, tolerance_nm)
    chosen = ("precision", "recall", "f1", "jaccard", "rmse_nm", "efficiency")
    has_truth = scores.true > 0
    return {
        "true": scores.true,
        "found": scores.found,
        "matched": scores.matched,
        **{name: _number(getattr(scores, name) if has_truth else None) for name in chosen},
        "bias_x_px": _number(scores.bias_x_nm) / pixel_size_nm,
        "bias_y_px": _number(scores.bias_y_nm) / pixel_size_nm,
        "count_over_truth": scores.found / scores.true if has_truth else np.nan,
        "false_per_frame": (scores.found - scores.matched) / made.film.scene.frame_count,
    }


def _tolerance_nm(made: MadeFilm) -> float:
    """Return the largest distance of a pair."""
    return TOLERANCE_PX * made.film.scene.field.pixel_size_nm


def _resolution(made: MadeFilm, table: Localizations) -> dict[str, float]:
    """Return the Fourier ring correlation of a film with molecules, and its interval."""
    names = ("frc_nm", "frc_low_nm", "frc_high_nm")
    if not (len(made.truth) and len(table)):
        return dict.fromkeys(names, np.nan)
    told = measure_frc(link(table))
    values = (told.resolution_nm, told.low_nm, told.high_nm)
    return dict(zip(names, map(_number, values), strict=True))


def _number(value: float | None) -> float:
    """Return a figure, NaN for none."""
    return np.nan if value is None else value


def _f1_error(made: MadeFilm, table: Localizations, found: Matches) -> float:
    """Return the standard error of F1 by leaving out one block of frames at a time."""
    if not len(made.truth):
        return np.nan
    frames = made.film.scene.frame_count
    blocks = min(_BLOCKS, frames)

    def per_block(frame: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        return np.bincount(frame.astype(np.int64) * blocks // frames, minlength=blocks)

    true, located = made.truth.column("frame"), table.column("frame")
    matched = per_block(true[found.emitter])
    counted = per_block(true) + per_block(located)
    without = 2.0 * (matched.sum() - matched) / np.maximum(counted.sum() - counted, 1)
    return float(np.sqrt((blocks - 1) / blocks * ((without - without.mean()) ** 2).sum()))


def _rmse_nm(found: Matches) -> float:
    """Return the root mean square of the distances."""
    return float(np.sqrt(np.mean(found.distance_nm**2))) if len(found) else np.nan


def _photometry(made: MadeFilm, table: Localizations, found: Matches) -> dict[str, float]:
    """Return how the photons found compare with the true ones."""
    names = ("photons_ratio", "photons_slope", "photons_correlation")
    if len(found) < 3:
        return dict.fromkeys(names, np.nan)
    got = table.column("photons")[found.localization].astype(np.float64)
    true = made.truth.column("photons")[found.emitter].astype(np.float64)
    correlation = float(np.corrcoef(got, true)[0, 1])
    values = (
        float(np.median(got / true)),
        float((got * true).sum() / (true**2).sum()),
        correlation,
    )
    return dict(zip(names, values, strict=True))
