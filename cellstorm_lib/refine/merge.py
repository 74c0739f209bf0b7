"""Blinks of one molecule: which localizations belong together, and one row in their place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.progress import Progress, in_parts
from cellstorm_lib.refine.tracks import Reach, number_tracks
from cellstorm_lib.refine.uncertainty import stated_uncertainty_nm
from cellstorm_lib.tables import Localizations

_Column = npt.NDArray[Any]
_NO_END = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeSettings:
    """How near in space and time two localizations of one molecule are.

    Attributes
    ----------
    radius_uncertainties : float
        Largest distance between the mean of the molecule so far and the new localization, in
        combined uncertainties: the root mean square distance that they have by chance, which is
        the root of the four variances (x and y of both) added. At 3, one in 8000 is left out.
        0 to use `radius_nm` instead.
    dark_frames : int
        Frames in a row that a molecule may be missing.
    radius_nm : float
        Largest distance in tables without uncertainties.
    largest_radius_nm : float
        Distance beyond which nothing is linked, however uncertain.
    """

    radius_uncertainties: float = field(
        default=3.0,
        metadata={"about": "largest distance, in combined uncertainties; 0: use radius_nm"},
    )
    dark_frames: int = field(
        default=1, metadata={"about": "frames in a row that a molecule may be missing"}
    )
    radius_nm: float = field(
        default=50.0,
        metadata={"about": "largest distance within a molecule where no uncertainty is known, nm"},
    )
    largest_radius_nm: float = field(
        default=200.0,
        metadata={"about": "distance beyond which nothing is linked, however uncertain, nm"},
    )

    def __post_init__(self) -> None:
        for name in ("radius_nm", "largest_radius_nm"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise SettingsError(f"{name} must be above 0, got {getattr(self, name)}")
        if not (np.isfinite(self.radius_uncertainties) and self.radius_uncertainties >= 0):
            raise SettingsError(
                f"radius_uncertainties must be 0 or more, got {self.radius_uncertainties}"
            )
        if self.dark_frames < 0:
            raise SettingsError(f"dark_frames must be 0 or more, got {self.dark_frames}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeReport:
    """What merging did.

    Attributes
    ----------
    localizations, molecules : int
        Rows before and after.
    copied : int
        Localizations that the codec copied from the frame before and that do not count as
        independent measurements.
    mean_detections : float
        Localizations per molecule.
    most_detections : int
        Localizations of the molecule seen most often.
    seen_once : int
        Molecules of a single localization.
    is_radius_fixed : bool
        Whether a fixed radius was used for lack of uncertainties (or on request).
    was_linked : bool
        Whether the table already said which localizations belong together.
    """

    localizations: int
    molecules: int
    copied: int
    mean_detections: float
    most_detections: int
    seen_once: int
    is_radius_fixed: bool
    was_linked: bool


def link(localizations: Localizations, settings: MergeSettings | None = None) -> Localizations:
    """Say which localizations are one molecule seen in consecutive frames.

    Molecules that come back after a longer dark time get a new number: without drift or with it
    corrected they may be told from neighbours only by chance.

    Parameters
    ----------
    localizations : Localizations
        Drift should be corrected first, though over the life of one blink it hardly matters.
    settings : MergeSettings
        Limits in space and time.

    Returns
    -------
    Localizations
        The same rows with a column ``molecule``, numbered from 0 by first appearance.
    """
    settings = settings or MergeSettings()
    uncertainty_nm = stated_uncertainty_nm(localizations)
    if uncertainty_nm is None or settings.radius_uncertainties == 0:
        variance_nm2, uncertainties = np.ones(len(localizations)), 0.0
        radius_nm = min(settings.radius_nm, settings.largest_radius_nm)
    else:
        variance_nm2, uncertainties = uncertainty_nm**2, settings.radius_uncertainties
        radius_nm = settings.largest_radius_nm
    reach = Reach(uncertainties, radius_nm, settings.dark_frames, _NO_END)
    frame = localizations.column("frame")
    return localizations.with_columns(
        molecule=number_tracks(frame, localizations.xy_nm, variance_nm2, reach)
    )


def merge(
    localizations: Localizations,
    settings: MergeSettings | None = None,
    *,
    progress: Progress | None = None,
) -> tuple[Localizations, MergeReport]:
    """Replace the localizations of each molecule by one row.

    Position: mean weighted by 1/variance. Uncertainty: that of this mean. Both use independent
    localizations only: one that the codec copied (``is_copied``) repeats the error of the frame
    before; the first of a molecule always counts. ``photons`` is the sum over all detections,
    copied ones too, and so is ``out_of_range_px``. ``background_photons``, ``sigma_nm``,
    ``log_likelihood_ratio``, ``temporal_difference`` and ``relative_sensitivity`` are plain
    means; ``molecule_probability`` is the largest;
    ``is_tainted`` holds if it held once, ``is_copied`` if it held always. ``frame`` and every
    other column, known or not, keep the value of the first localization.

    Parameters
    ----------
    localizations : Localizations
        Linked by its column ``molecule`` if it has one, else by `link`.
    settings : MergeSettings
        Limits in space and time for linking.
    progress : callable, optional
        Called with what is done and the whole.

    Returns
    -------
    Localizations
        One row per molecule by first frame, with ``molecule``, ``detections`` and
        ``independent_detections``.
    MergeReport
        Counts.
    """
    settings = settings or MergeSettings()
    was_linked = "molecule" in localizations
    linked, put_together = in_parts(progress, 1.0, 1.0)
    table = localizations if was_linked else link(localizations, settings)
    linked(1, 1)
    # frames ascend already: a stable sort keeps each molecule's rows in time
    order = np.argsort(table.column("molecule"), kind="stable")
    rows = table.data.iloc[order].reset_index(drop=True)
    number = rows["molecule"].to_numpy()
    starts = np.flatnonzero(np.append(True, number[1:] != number[:-1])[: len(number)])
    independent = _independent(rows, starts)
    merged = rows.iloc[starts].reset_index(drop=True)
    merged = merged.assign(
        **_combined(rows, starts), **_positions(table, order, independent, starts)
    )
    merged["detections"] = _counted(rows, "detections", starts)
    merged["independent_detections"] = _counted(
        rows, "independent_detections", starts, where=independent
    )
    order = np.lexsort((merged["molecule"].to_numpy(), merged["frame"].to_numpy()))
    result = localizations.with_data(merged.iloc[order])
    detections = result.column("detections")
    put_together(1, 1)
    return result, MergeReport(
        localizations=len(localizations),
        molecules=len(result),
        copied=int((~independent).sum()),
        mean_detections=float(detections.mean()) if len(detections) else 0.0,
        most_detections=int(detections.max(initial=0)),
        seen_once=int((detections == 1).sum()),
        is_radius_fixed=stated_uncertainty_nm(localizations) is None
        or settings.radius_uncertainties == 0,
        was_linked=was_linked,
    )


def _mean(values: _Column, starts: _Column) -> _Column:
    """Return the plain mean of each group, in double precision."""
    counts = np.diff(starts, append=len(values))
    return np.asarray(np.add.reduceat(values.astype(np.float64), starts) / counts)


_RULES: Mapping[str, Callable[[_Column, _Column], _Column]] = {
    "photons": lambda values, starts: np.add.reduceat(values.astype(np.float64), starts),
    "background_photons": _mean,
    "sigma_nm": _mean,
    "sigma_x_nm": _mean,
    "sigma_y_nm": _mean,
    "log_likelihood_ratio": _mean,
    "temporal_difference": _mean,
    "relative_sensitivity": _mean,
    "out_of_range_px": np.add.reduceat,
    "molecule_probability": np.maximum.reduceat,
    "is_tainted": np.logical_or.reduceat,
    "is_copied": np.logical_and.reduceat,
}


def _combined(rows: pd.DataFrame, starts: _Column) -> dict[str, _Column]:
    """Return the columns that `_RULES` names, one value per molecule."""
    if not len(starts):
        return {}
    return {
        name: rule(rows[name].to_numpy(), starts)
        for name, rule in _RULES.items()
        if name in rows.columns
    }


def _independent(rows: pd.DataFrame, starts: _Column) -> npt.NDArray[np.bool_]:
    """Return which localizations count: not copied by the codec, or first of their molecule."""
    if "is_copied" not in rows.columns:
        return np.ones(len(rows), bool)
    independent: npt.NDArray[np.bool_] = ~rows["is_copied"].to_numpy(bool)
    independent[starts] = True
    return independent


def _counted(
    rows: pd.DataFrame, name: str, starts: _Column, where: _Column | None = None
) -> npt.NDArray[np.int32]:
    """Return how many localizations each molecule has; rows merged before count as they did."""
    count = rows[name].to_numpy(np.int64) if name in rows.columns else np.ones(len(rows), np.int64)
    if where is not None:
        count = np.where(where, count, 0)
    total = np.add.reduceat(count, starts) if len(starts) else count
    return total.astype(np.int32)


def _positions(
    table: Localizations, order: _Column, independent: _Column, starts: _Column
) -> dict[str, _Column]:
    """Return weighted mean positions and what is left of their uncertainties."""
    merged: dict[str, _Column] = {}
    if not len(starts):
        return merged
    for axis in "xyz":
        if f"{axis}_nm" not in table:
            continue
        stated_nm = stated_uncertainty_nm(table, axis)
        spread_nm = np.ones(len(order)) if stated_nm is None else stated_nm[order]
        weight = independent / spread_nm**2
        total = np.add.reduceat(weight, starts)
        position_nm = table.column(f"{axis}_nm")[order]
        merged[f"{axis}_nm"] = np.add.reduceat(weight * position_nm, starts) / total
        if f"uncertainty_{axis}_nm" in table:
            merged[f"uncertainty_{axis}_nm"] = 1.0 / np.sqrt(total)
    for name in ("crlb_x_nm", "crlb_y_nm", "crlb_z_nm", "uncertainty_nm"):
        if name in table:
            bound_nm = np.maximum(table.column(name)[order].astype(np.float64), 1e-6)
            merged[name] = 1.0 / np.sqrt(np.add.reduceat(independent / bound_nm**2, starts))
    if "uncertainty_nm" in table and {"uncertainty_x_nm", "uncertainty_y_nm"} <= merged.keys():
        merged["uncertainty_nm"] = np.hypot(
            merged["uncertainty_x_nm"], merged["uncertainty_y_nm"]
        ) / np.sqrt(2.0)
    return merged
