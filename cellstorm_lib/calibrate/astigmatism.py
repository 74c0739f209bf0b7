"""What widths of beads, plane after plane of a stack, tell about an astigmatic microscope."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from cellstorm_lib.calibrate.defocus_curves import BeadWidths, Curves, fit_curves, heights_of
from cellstorm_lib.errors import CalibrationError, SettingsError
from cellstorm_lib.z_calibration import ZCalibration

#: A bead whose ln(sigma_x / sigma_y) does not reach this to both sides does not show astigmatism.
_LEAST_LOG_RATIO = 0.1
#: Planes beyond the largest ratios of the widths that are fitted too, as a share of their distance.
_BEYOND = 0.2
_FOLDS = 5
_BINS = 12
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class AstigmatismSettings:
    """How z is calibrated with beads.

    Attributes
    ----------
    z_step_nm : float
        Distance of two planes. z grows from the first plane to the last; below 0 it falls.
    frames_per_plane : int
        Frames in a row at the same place of the stage.
    min_beads : int
        Fewest beads.
    min_planes : int
        Fewest planes in which a bead must be seen, and that the range of z must hold.
    largest_uncertainty : float
        The range of z ends where the uncertainty is this many times that of the best height.
    background_share : float
        Background per pixel / photons of the molecules that will be localized. No spot is exactly
        a Gaussian, and the width found depends on how much its bright pixels count: beads are
        fitted as if they stood out from their background no more than molecules do.
    mismatch_factor : float
        Distance in the sample / distance the stage moved.
    """

    z_step_nm: float = field(default=20.0, metadata={"about": "distance of two planes, nm"})
    frames_per_plane: int = field(default=1, metadata={"about": "frames at the same height"})
    min_beads: int = field(default=3, metadata={"about": "fewest beads"})
    min_planes: int = field(default=10, metadata={"about": "fewest planes a bead is seen in"})
    largest_uncertainty: float = field(
        default=3.0, metadata={"about": "uncertainty at the ends of z / that of the best height"}
    )
    background_share: float = field(
        default=0.01, metadata={"about": "background per pixel / photons of later molecules"}
    )
    mismatch_factor: float = field(
        default=1.0, metadata={"about": "distance in the sample / distance the stage moved"}
    )

    def __post_init__(self) -> None:
        if not (np.isfinite(self.z_step_nm) and 1.0 <= abs(self.z_step_nm) <= 1000.0):
            raise SettingsError(
                "z_step_nm is the distance of two planes, between 1 and 1000 nm, got "
                f"{self.z_step_nm:g}"
            )
        if self.frames_per_plane < 1:
            raise SettingsError(f"frames_per_plane must be 1 or more, got {self.frames_per_plane}")
        if self.min_beads < 2:
            raise SettingsError(f"min_beads must be 2 or more, got {self.min_beads}")
        if self.min_planes < 6:
            raise SettingsError(f"min_planes must be 6 or more, got {self.min_planes}")
        if not 1.1 <= self.largest_uncertainty <= 100:
            raise SettingsError(
                f"largest_uncertainty must lie between 1.1 and 100, got {self.largest_uncertainty}"
            )
        if not 0 <= self.background_share <= 1:
            raise SettingsError(
                f"background_share must lie between 0 and 1, got {self.background_share}"
            )
        if not 0.1 <= self.mismatch_factor <= 10:
            raise SettingsError(
                f"mismatch_factor must lie between 0.1 and 10, got {self.mismatch_factor}"
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeldOut:
    """How far heights found by the curves of other beads are from the stage.

    Attributes
    ----------
    z_nm : (B,) float64
        Middles of intervals of height.
    bias_nm, rms_nm : (B,) float64
        Mean and root mean square of (z found - z by the stage) there.
    residual_nm : float
        Root mean square over the whole range.
    systematic_nm : float
        The part of it that planes next to each other have in common, bead by bead.
    """

    z_nm: _Floats
    bias_nm: _Floats
    rms_nm: _Floats
    residual_nm: float
    systematic_nm: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AstigmatismReport:
    """A z calibration, with what it was read from.

    Attributes
    ----------
    calibration : ZCalibration
        The result.
    widths : BeadWidths
        The widths that were fitted, the stage position counted from each bead's z = 0.
    left_out : mapping
        Beads that were not used, by reason.
    held_out : HeldOut
        How well beads that were not fitted follow the curves.
    """

    calibration: ZCalibration
    widths: BeadWidths
    left_out: Mapping[str, int]
    held_out: HeldOut


def calibrate_astigmatism(
    widths: BeadWidths,
    *,
    name: str,
    source: str,
    pixel_size_nm: float,
    settings: AstigmatismSettings,
    left_out: Mapping[str, int] | None = None,
    source_digest: str = "",
) -> AstigmatismReport:
    """Find both defocus curves, the range in which they tell z, and how well they do.

    Each bead's own height is fitted along with the curves, so a tilted or uneven slide does no
    harm. z is 0 where a spot is as wide along x as along y. Beads are left out of the fit in turn,
    and their height found by the curves of the others is compared with the stage.

    Parameters
    ----------
    widths : BeadWidths
        Widths of every bead in every plane in which it could be fitted.
    name : str
        What to call the calibration.
    source : str
        Which recording the beads are from, for messages and for the file.
    pixel_size_nm : float
        Object-side pixel.
    settings : AstigmatismSettings
        How.
    left_out : mapping, optional
        Beads left out before, by reason.
    source_digest : str
        SHA-256 of the recording.

    Raises
    ------
    CalibrationError
        When there are too few beads or planes, or the widths do not tell z.

    References
    ----------
    Huang et al., Science 319, 810 (2008). doi:10.1126/science.1153529
    """
    chosen, zero_nm, found = _useful(widths, settings.min_planes)
    left_out = {**(left_out or {}), **found}
    _require_beads(chosen, widths, settings, source, left_out)
    curves, z_from_nm, z_to_nm = _with_range(fit_curves(chosen, zero_nm), chosen, settings)
    within_nm = chosen.stage_nm - curves.zero_nm[chosen.bead]
    is_inside = (within_nm >= z_from_nm) & (within_nm <= z_to_nm)
    planes = int(np.median(_plane_counts(chosen, is_inside)))
    if planes < settings.min_planes:
        raise CalibrationError(
            f"the beads of {source} tell z only over {z_to_nm - z_from_nm:.0f} nm, {planes} "
            f"planes, but {settings.min_planes} are needed; record planes closer to each other, "
            "or more of them"
        )
    held_out = _held_out(chosen, curves, z_from_nm, z_to_nm)
    calibration = ZCalibration(
        name=name,
        source=source,
        source_digest=source_digest,
        pixel_size_nm=pixel_size_nm,
        along_x=curves.along_x,
        along_y=curves.along_y,
        z_from_nm=z_from_nm,
        z_to_nm=z_to_nm,
        residual_nm=held_out.residual_nm,
        systematic_nm=held_out.systematic_nm,
        bead_count=chosen.bead_count,
        plane_count=planes,
        background_share=settings.background_share,
        mismatch_factor=settings.mismatch_factor,
    )
    return AstigmatismReport(
        calibration=calibration,
        widths=replace(chosen, stage_nm=within_nm),
        left_out={reason: count for reason, count in left_out.items() if count},
        held_out=held_out,
    )


def _useful(widths: BeadWidths, min_planes: int) -> tuple[BeadWidths, _Floats, dict[str, int]]:
    """Return the beads that show astigmatism, near their focus, and where it is.

    Those seen in few planes are left out, and those whose ratio of widths never passes through 1,
    or does so the other way round than that of most; all are counted.
    """
    windows = np.array([_window(widths, bead) for bead in range(widths.bead_count)])
    windows = windows.reshape(-1, 4)
    zero_nm, from_nm, to_nm, direction = windows.T
    is_astigmatic = np.isfinite(zero_nm)
    usual = np.sign(np.sum(direction[is_astigmatic]))
    is_usual = is_astigmatic & (direction == usual)
    is_near = (widths.stage_nm >= from_nm[widths.bead]) & (widths.stage_nm <= to_nm[widths.bead])
    is_useful = is_usual & (_plane_counts(widths, is_near) >= min_planes)
    found = {
        "not astigmatic": int(np.count_nonzero(~is_astigmatic)),
        "unlike the others": int(np.count_nonzero(is_astigmatic & ~is_usual)),
        "seen in few planes": int(np.count_nonzero(is_usual & ~is_useful)),
    }
    return widths.take(is_near & is_useful[widths.bead]), zero_nm[is_useful], found


def _plane_counts(widths: BeadWidths, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return in how many planes each bead has chosen rows."""
    seen = np.unique(np.stack([widths.bead[chosen], widths.stage_nm[chosen]]), axis=1)
    return np.bincount(seen[0].astype(np.int64), minlength=widths.bead_count)


def _window(widths: BeadWidths, bead: int) -> tuple[float, float, float, float]:
    """Return where a bead's widths are equal, the planes around, and whether the ratio grows.

    All NaN for a bead whose widths are never clearly different to both sides.
    """
    mine = widths.bead == bead
    stage_nm, plane = np.unique(widths.stage_nm[mine], return_inverse=True)
    if len(stage_nm) < 3:
        return (np.nan,) * 4
    ratio = np.bincount(plane, widths.log_ratio[mine]) / np.bincount(plane)
    ratio = np.median(sliding_window_view(np.pad(ratio, 1, mode="edge"), 3), axis=1)
    low, high = int(ratio.argmin()), int(ratio.argmax())
    if ratio[low] > -_LEAST_LOG_RATIO or ratio[high] < _LEAST_LOG_RATIO:
        return (np.nan,) * 4
    first, last = min(low, high), max(low, high)
    direction = 1.0 if high > low else -1.0
    rising = direction * ratio[first : last + 1]
    after = first + int(np.flatnonzero(rising > 0)[0])
    share = ratio[after - 1] / (ratio[after - 1] - ratio[after])
    zero_nm = stage_nm[after - 1] + share * (stage_nm[after] - stage_nm[after - 1])
    beyond_nm = _BEYOND * (stage_nm[last] - stage_nm[first])
    return zero_nm, stage_nm[first] - beyond_nm, stage_nm[last] + beyond_nm, direction


def _with_range(
    curves: Curves, widths: BeadWidths, settings: AstigmatismSettings
) -> tuple[Curves, float, float]:
    """Return the curves with z = 0 where both widths are equal, and the range of z they tell.

    The range holds 0 and ends where half of the beads were no longer seen, where the ratio of the
    widths turns back, or where z would become too uncertain.
    """
    z_nm = widths.stage_nm - curves.zero_nm[widths.bead]
    ends = np.array(
        [
            (z_nm[widths.bead == bead].min(), z_nm[widths.bead == bead].max())
            for bead in range(widths.bead_count)
        ]
    )
    lowest, highest = np.median(ends, axis=0)
    grid_nm = np.arange(lowest, highest + 0.5, 1.0)
    ratio = curves.log_ratio(grid_nm)
    zeros = np.flatnonzero(np.diff(np.sign(ratio)) != 0)
    zero = zeros[np.abs(grid_nm[zeros]).argmin()] if len(zeros) else int(np.abs(grid_nm).argmin())
    by_x, by_y = curves.slopes(grid_nm)
    uncertainty = 1.0 / np.sqrt(np.maximum(by_x**2 + by_y**2, 1e-12))
    turn = (by_x - by_y) * np.sign(by_x[zero] - by_y[zero])
    is_good = (turn > 0) & (uncertainty <= settings.largest_uncertainty * uncertainty.min())
    bad = np.flatnonzero(~is_good)
    first = bad[bad < zero].max(initial=-1) + 1
    last = bad[bad > zero].min(initial=len(grid_nm)) - 1
    zero_nm = float(grid_nm[zero])
    if len(zeros):
        zero_nm -= float(ratio[zero] / (ratio[zero + 1] - ratio[zero]))
    return (
        curves.moved(zero_nm),
        float(grid_nm[first] - zero_nm),
        float(grid_nm[last] - zero_nm),
    )


def _held_out(widths: BeadWidths, curves: Curves, z_from_nm: float, z_to_nm: float) -> HeldOut:
    """Find the heights of beads by curves that were fitted to the others."""
    margin_nm = _BEYOND * (z_to_nm - z_from_nm)
    parts = []
    fold = np.arange(widths.bead_count) % _FOLDS
    for number in np.unique(fold):
        is_out = fold[widths.bead] == number
        others, out = widths.take(~is_out), widths.take(is_out)
        fitted = fit_curves(others, curves.zero_nm[fold != number])
        found_nm = heights_of(out, fitted, z_from_nm - margin_nm, z_to_nm + margin_nm)
        zero_nm = curves.zero_nm[fold == number][out.bead]
        is_inside = (out.stage_nm - zero_nm >= z_from_nm) & (out.stage_nm - zero_nm <= z_to_nm)
        # how high a bead lies is not known but by its own widths
        off_nm = found_nm - out.stage_nm
        height_nm = np.array(
            [np.median(off_nm[is_inside & (out.bead == bead)]) for bead in range(out.bead_count)]
        )
        error_nm = off_nm - height_nm[out.bead]
        bead = number + _FOLDS * out.bead
        parts.append(np.stack([bead, out.stage_nm - zero_nm, error_nm])[:, is_inside])
    bead, z_nm, error_nm = np.concatenate(parts, axis=1)
    edges_nm = np.linspace(z_from_nm, z_to_nm, _BINS + 1)
    place = np.clip(np.digitize(z_nm, edges_nm) - 1, 0, _BINS - 1)
    cell = np.unique(np.stack([bead, place]), axis=1, return_inverse=True)[1]
    filled, place = np.unique(place, return_inverse=True)
    counts = np.bincount(place)
    return HeldOut(
        z_nm=0.5 * (edges_nm[:-1] + edges_nm[1:])[filled],
        bias_nm=np.bincount(place, error_nm) / counts,
        rms_nm=np.sqrt(np.bincount(place, error_nm**2) / counts),
        residual_nm=float(np.sqrt(np.mean(error_nm**2))),
        systematic_nm=_shared_nm(error_nm, cell),
    )


def _shared_nm(error_nm: _Floats, cell: npt.NDArray[np.int64]) -> float:
    """Return the part of errors that those of one cell have in common, root mean square."""
    counts = np.bincount(cell)
    mean_nm = np.bincount(cell, error_nm) / counts
    spread_nm2 = np.bincount(cell, (error_nm - mean_nm[cell]) ** 2)
    several = counts > 1
    if not several.any():
        return float(np.sqrt(np.mean(error_nm**2)))
    noise_nm2 = spread_nm2[several].sum() / (counts[several] - 1).sum()
    shared_nm2 = np.average(mean_nm**2, weights=counts) - noise_nm2 * len(counts) / counts.sum()
    return float(np.sqrt(max(shared_nm2, 0.0)))


def _require_beads(
    chosen: BeadWidths,
    widths: BeadWidths,
    settings: AstigmatismSettings,
    source: str,
    left_out: Mapping[str, int],
) -> None:
    """Refuse a recording with too few beads, and say where they went."""
    if chosen.bead_count >= settings.min_beads:
        return
    if left_out["not astigmatic"] > max(widths.bead_count // 2, settings.min_beads - 1):
        raise _no_astigmatism(widths, source)
    why = ", ".join(f"{count} {reason}" for reason, count in left_out.items() if count)
    raise CalibrationError(
        f"{source} has {chosen.bead_count} beads that can be used, but {settings.min_beads} are "
        f"needed{f' (left out: {why})' if why else ''}; record a slide of single bright beads, "
        "none of them saturated, at 20 planes or more through the focus"
    )


def _no_astigmatism(widths: BeadWidths, source: str) -> CalibrationError:
    """Say that width does not tell z."""
    low, high = np.exp(np.percentile(widths.log_ratio, [5, 95]))
    return CalibrationError(
        f"the beads of {source} are nearly as wide along x as along y in all planes (ratio "
        f"{low:.2f} to {high:.2f}) or never in focus, so their widths do not tell z; put a "
        "cylindrical lens into the path, its axis along the rows or columns of the camera, and "
        "record planes on both sides of the focus"
    )
