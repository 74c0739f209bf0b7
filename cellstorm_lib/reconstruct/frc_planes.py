"""Resolution at every depth: Fourier ring correlation of slices in z."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.progress import Progress, in_parts
from cellstorm_lib.reconstruct.frc import FrcReport, FrcSettings, measure_frc
from cellstorm_lib.tables import Localizations

_MOST_PLANES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneFrc:
    """Resolution of one slice.

    Attributes
    ----------
    z_from_nm, z_to_nm : float
        The slice; it holds its lower end.
    report : FrcReport
        Resolution within it, along x and y.
    """

    z_from_nm: float
    z_to_nm: float
    report: FrcReport


def measure_frc_planes(
    localizations: Localizations,
    *,
    thickness_nm: float,
    settings: FrcSettings | None = None,
    progress: Progress | None = None,
) -> tuple[PlaneFrc, ...]:
    """Measure the resolution of each slice of a table with z.

    All localizations of one molecule belong to the slice of their mean height, so that none is
    torn apart at a border.

    Parameters
    ----------
    localizations : Localizations
        With ``z_nm``; linked or merged for the split ``molecules``.
    thickness_nm : float
        Thickness of a slice; z = 0 lies on a border.
    settings : FrcSettings, optional
        As for `measure_frc`.
    progress : callable, optional
        Called with what is done and the whole.

    Returns
    -------
    tuple of PlaneFrc
        From the lowest slice with localizations to the highest.

    Raises
    ------
    TableError
        When the table has no z, or lacks what the split needs.
    SettingsError
        When the thickness is 0 or less, or makes more than 200 slices.
    """
    if not (np.isfinite(thickness_nm) and thickness_nm > 0):
        raise SettingsError(f"the thickness of a slice must be above 0 nm, got {thickness_nm:g}")
    height_nm = _heights_nm(localizations)
    plane = np.floor(height_nm / thickness_nm).astype(np.int64)
    numbers = np.arange(plane.min(), plane.max() + 1) if len(plane) else plane
    if len(numbers) > _MOST_PLANES:
        raise SettingsError(
            f"slices of {thickness_nm:g} nm make {len(numbers)} of a table that is "
            f"{np.ptp(height_nm):.0f} nm deep; choose thicker ones, {_MOST_PLANES} at most"
        )
    found = []
    for number, told in zip(numbers, in_parts(progress, *[1.0] * len(numbers)), strict=True):
        found.append(
            PlaneFrc(
                z_from_nm=float(number * thickness_nm),
                z_to_nm=float((number + 1) * thickness_nm),
                report=measure_frc(localizations.take(plane == number), settings, progress=told),
            )
        )
        told(1, 1)
    return tuple(found)


def _heights_nm(localizations: Localizations) -> npt.NDArray[np.float64]:
    """Return the height of the molecule of each row."""
    z_nm = localizations.column("z_nm").astype(np.float64)
    if "molecule" not in localizations:
        return z_nm
    _, molecule = np.unique(localizations.column("molecule"), return_inverse=True)
    return np.asarray((np.bincount(molecule, z_nm) / np.bincount(molecule))[molecule])
