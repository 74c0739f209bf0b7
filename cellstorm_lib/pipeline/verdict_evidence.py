"""What raw and denoised branch of a recording are compared in, row by row."""

import math
from dataclasses import replace

import numpy as np

from cellstorm_lib.evaluate.agreement import Agreement, Mask
from cellstorm_lib.evaluate.real_shares import LEAST_SHOWN, Range
from cellstorm_lib.pipeline.result import CheckOutcome, Evidence, Favours
from cellstorm_lib.reconstruct.frc import FrcReport
from cellstorm_lib.tables import Localizations

#: Differences of the Jaccard index below this are not worth a network.
_ALIKE = 0.02
#: 16 to 84 % intervals of two resolutions are far apart when their middles differ by so many of
#: their joint half-widths.
_APART = 3.0
#: Positions moved as a whole by more than this, clearly, are none to rely on.
_MOVED_PX = 0.1
#: Spots that show less than this of the light of others are not in the recording: half of what
#: real ones show at least.
_UNSEEN = LEAST_SHOWN / 2


def real_spots_row(agreement: Agreement) -> Evidence:
    """Return which branch has more of what is real and less of what is not."""
    gain = agreement.gain
    favours: Favours = "cannot tell"
    if gain is not None:
        if gain.low > 0 and gain.value > _ALIKE / 2:
            favours = "denoised"
        elif gain.high < 0 and gain.value < -_ALIKE / 2:
            favours = "raw"
        elif gain.low > -_ALIKE and gain.high < _ALIKE:
            favours = "both alike"
    about = (
        f"not known: {agreement.reason}"
        if gain is None
        else f"Jaccard index of the denoised branch less that of the raw one {gain.value:+.3f} "
        f"({gain.low:+.3f} to {gain.high:+.3f}), judged by how many of the spots that one branch "
        "alone has lie on what is seen at other times; faint ones and those at the edge aside"
    )
    return Evidence(
        question="Real spots found, false ones avoided",
        raw=_percent(agreement.real_first, agreement.only_first, is_told=gain is not None),
        denoised=_percent(agreement.real_second, agreement.only_second, is_told=gain is not None),
        favours=favours,
        about=about,
    )


def _percent(real: Range | None, only: Mask, *, is_told: bool) -> str:
    """Return how much of what a branch alone has is real."""
    count = int(only.sum())
    if real is None:
        return f"{count:,} spots of its own" + (", all at the edge" if is_told and count else "")
    return f"{count:,} spots of its own, {real.value:.0%} real ({real.low:.0%} to {real.high:.0%})"


def resolution_row(raw: FrcReport | None, denoised: FrcReport | None) -> Evidence:
    """Return which branch is resolved better."""
    numbers = [
        None
        if report is None or report.resolution_nm is None
        else (report.resolution_nm, report.low_nm, report.high_nm)
        for report in (raw, denoised)
    ]
    one, other = numbers
    favours: Favours = "cannot tell"
    if one is None and other is not None:
        favours = "denoised"
    elif one is not None and other is None:
        favours = "raw"
    elif one is not None and other is not None:
        half_widths = [(high - low) / 2 for _, low, high in (one, other) if low and high]
        difference = other[0] - one[0]
        if abs(difference) <= _APART * math.hypot(*half_widths):
            favours = "both alike"
        else:
            favours = "denoised" if difference < 0 else "raw"
    return Evidence(
        question="Resolution (Fourier ring correlation)",
        raw=_nanometres(one),
        denoised=_nanometres(other),
        favours=favours,
        about=f"split by {raw.split}; alike when the intervals are not clearly apart"
        if raw is not None
        else "not measured",
    )


def _nanometres(numbers: tuple[float, float | None, float | None] | None) -> str:
    """Return a resolution with its interval."""
    if numbers is None:
        return "none"
    value, low, high = numbers
    return f"{value:.0f} nm" + (f" ({low:.0f} to {high:.0f})" if low and high else "")


def check_row(
    name: str,
    question: str,
    raw: tuple[CheckOutcome, ...],
    denoised: tuple[CheckOutcome, ...],
) -> Evidence:
    """Return whether a check fails in one branch only."""
    outcomes = [next((c for c in checks if c.name == name), None) for checks in (raw, denoised)]
    passed = [None if outcome is None else outcome.passed for outcome in outcomes]
    said = {True: "no", False: "yes", None: "cannot be told"}
    favours: Favours = "both alike" if passed[0] == passed[1] else "cannot tell"
    if passed == [True, False]:
        favours = "raw"
    elif passed == [False, True]:
        favours = "denoised"
    about = outcomes[1].reason if outcomes[1] is not None else "not asked"
    return Evidence(
        question=question,
        raw=said[passed[0]],
        denoised=said[passed[1]],
        favours=favours,
        about=about,
    )


def domain_row(remarks: tuple[str, ...]) -> Evidence:
    """Return whether the network was trained on film like this."""
    return Evidence(
        question="Recording like the film the network was trained on",
        raw="",
        denoised="no" if remarks else "yes",
        favours="raw" if remarks else "both alike",
        about="; ".join(remarks) or "camera, codec and background lie within what it has seen",
    )


def displacement_row(agreement: Agreement) -> Evidence:
    """Return whether the network moves molecules as a whole."""
    moved = agreement.displacement
    favours: Favours = "cannot tell"
    about = "too few spots are found in both branches"
    if moved is not None:
        length, error = math.hypot(moved.x_px, moved.y_px), 3.0 * moved.error_px
        if length - error > _MOVED_PX:
            favours = "raw"
        elif length + error < _MOVED_PX:
            favours = "both alike"
        about = (
            f"median of the spots that both branches have, {moved.error_px:.3f} px uncertain; "
            f"more than {_MOVED_PX:g} px matters"
        )
    return Evidence(
        question="Spots are moved as a whole",
        raw="",
        denoised="not known"
        if moved is None
        else f"{moved.x_px:+.3f} px right, {moved.y_px:+.3f} px down",
        favours=favours,
        about=about,
    )


def shown_row(agreement: Agreement) -> Evidence:
    """Return whether the recording shows light where the network alone has spots."""
    shown = agreement.shown_second
    favours: Favours = "cannot tell"
    if shown is not None and shown.high < _UNSEEN:
        favours = "raw"
    elif shown is not None and shown.low > _UNSEEN:
        favours = "both alike"
    return Evidence(
        question="Light of the network's own spots in the recording",
        raw="",
        denoised="not known"
        if shown is None
        else f"{shown.value:.0%} ({shown.low:.0%} to {shown.high:.0%})",
        favours=favours,
        about="of what it shows, for the same photons, of spots that both branches have; noise "
        "that was taken for molecules shows light, too, what a network makes up does not",
    )


def counts_row(raw: Localizations, denoised: Localizations, agreement: Agreement) -> Evidence:
    """Return how many spots there are; a number that says nothing by itself."""
    return Evidence(
        question="Spots found",
        raw=f"{len(raw):,}",
        denoised=f"{len(denoised):,}",
        favours="cannot tell",
        about=f"{agreement.common:,} are found in both; more is not better by itself",
    )


def alone_row(agreement: Agreement) -> Evidence:
    """Return how many spots one branch alone has."""
    return Evidence(
        question="Spots that this branch alone has",
        raw=f"{int(agreement.only_first.sum()):,}",
        denoised=f"{int(agreement.only_second.sum()):,}",
        favours="cannot tell",
        about="some are shown below",
    )


def photons_row(raw: Localizations, denoised: Localizations, agreement: Agreement) -> Evidence:
    """Return how bright spots are, all of either branch and those that both have."""
    row = _medians_row("Photons per spot", "photons", raw, denoised, "photoelectrons")
    moved = agreement.displacement
    if moved is None or moved.photons_ratio is None:
        return row
    share = f"a spot that both have keeps {moved.photons_ratio:.0%} of its photons"
    return replace(row, about=f"median; denoised, {share}")


def width_row(raw: Localizations, denoised: Localizations) -> Evidence:
    """Return how wide spots are."""
    row = _medians_row("Width of a spot", "sigma_nm", raw, denoised, "nm")
    return replace(row, about="median; a network may show molecules narrower than the lens does")


def _medians_row(
    question: str, column: str, raw: Localizations, denoised: Localizations, unit: str
) -> Evidence:
    """Return the medians of a column; different ones are a matter of bias, not of quality."""
    texts = [
        f"{np.median(table.column(column)):.4g} {unit}"
        if column in table and len(table)
        else "none"
        for table in (raw, denoised)
    ]
    return Evidence(
        question=question,
        raw=texts[0],
        denoised=texts[1],
        favours="cannot tell",
        about="median",
    )
