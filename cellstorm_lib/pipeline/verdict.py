"""Raw or denoised: which of the two tables of one recording to trust, and why."""

from dataclasses import dataclass
from typing import Self

from cellstorm_lib.evaluate.agreement import Agreement, compare_tables
from cellstorm_lib.pipeline.result import (
    BranchResult,
    CheckOutcome,
    Favours,
    Use,
    Verdict,
)
from cellstorm_lib.pipeline.verdict_evidence import (
    alone_row,
    check_row,
    counts_row,
    displacement_row,
    domain_row,
    photons_row,
    real_spots_row,
    resolution_row,
    shown_row,
    width_row,
)
from cellstorm_lib.reconstruct.frc import FrcReport
from cellstorm_lib.tables import Localizations

_CHECKS = {
    "codec_grid": "Positions follow the codec's blocks",
    "subpixel_bias": "Positions lean to a place within the pixel",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BranchFindings:
    """What is compared of one branch.

    Attributes
    ----------
    spots : Localizations
        Spots as found, before merging.
    frc : FrcReport or None
        Resolution by the default split.
    checks : tuple of CheckOutcome
        Checks of the positions.
    """

    spots: Localizations
    frc: FrcReport | None
    checks: tuple[CheckOutcome, ...]

    @classmethod
    def of(cls, branch: BranchResult) -> Self:
        """Return the findings of a whole branch."""
        return cls(
            spots=branch.spots, frc=next(iter(branch.frc.values()), None), checks=branch.checks
        )


def judge(
    raw: BranchFindings,
    denoised: BranchFindings,
    *,
    agreement: Agreement | None = None,
    model: str = "",
    remarks: tuple[str, ...] = (),
) -> Verdict:
    """Compare both branches of one recording without a truth and say which to use.

    Parameters
    ----------
    raw, denoised : BranchFindings
        Both branches, made with the same settings.
    agreement : Agreement, optional
        Of the two tables, when it is known already.
    model : str
        The network that denoised.
    remarks : tuple of str
        In what the recording differs from the film the network was trained on; with any, a
        sharper image alone is no reason to use it.

    Notes
    -----
    What decides is how much more of what is real the denoised branch has, and how much less of
    what is not, by `evaluate.agreement.compare_tables`; the resolution must not speak against it.
    Neither may positions that follow the codec's blocks or the pixel; a network that moves all
    spots is never used.
    Where the recording does not show what is real, only the resolution, and spots of which the
    recording shows no light, can advise against the network, never for it: a network that draws
    smooth spots in the wrong place is resolved well.
    """
    agreement = agreement or compare_tables(raw.spots, denoised.spots)
    resolution = resolution_row(raw.frc, denoised.frc)
    checks = [
        check_row(name, question, raw.checks, denoised.checks) for name, question in _CHECKS.items()
    ]
    domain = domain_row(remarks)
    real = real_spots_row(agreement)
    moved, shown = displacement_row(agreement), shown_row(agreement)
    use, reason = _decision(
        _Said(
            real=real.favours,
            resolution=resolution.favours,
            is_moved=moved.favours == "raw",
            gathers=" and ".join(row.question.lower() for row in checks if row.favours == "raw"),
            adds_unseen=shown.favours == "raw",
            is_foreign=domain.favours == "raw",
        )
    )
    if agreement.reason and use == "cannot tell":
        reason = f"{reason}: {agreement.reason}"
    return Verdict(
        use=use,
        reason=reason,
        evidence=(
            real,
            resolution,
            moved,
            shown,
            *checks,
            domain,
            counts_row(raw.spots, denoised.spots, agreement),
            alone_row(agreement),
            photons_row(raw.spots, denoised.spots, agreement),
            width_row(raw.spots, denoised.spots),
        ),
        gain=agreement.gain,
        common=agreement.common,
        only_raw=int(agreement.only_first.sum()),
        only_denoised=int(agreement.only_second.sum()),
        model=model,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What the rows of evidence say, as far as the decision rests on them."""

    real: Favours
    resolution: Favours
    is_moved: bool
    gathers: str
    adds_unseen: bool
    is_foreign: bool


def _decision(said: _Said) -> tuple[Use, str]:
    """Return which branch to use, and why: the first rule that applies."""
    for applies, use, reason in (*_rules_of_positions(said), *_rules_of_spots(said)):
        if applies:
            return use, reason
    reason = "the recording does not show which of the spots are real"
    if said.is_foreign:
        reason += ", and the network was trained on other film"
    return "cannot tell", reason


def _rules_of_positions(said: _Said) -> tuple[tuple[bool, Use, str], ...]:
    """Return what positions and resolution that are spoilt by the network lead to."""
    return (
        (said.is_moved, "raw", "the network moves spots as a whole"),
        (
            bool(said.gathers) and said.real == "denoised",
            "cannot tell",
            f"the denoised branch has more real spots, but {said.gathers}, in the raw not",
        ),
        (
            bool(said.gathers),
            "raw",
            f"in the denoised branch {said.gathers}, in the raw not",
        ),
        (
            said.real == "denoised" and said.resolution == "raw",
            "cannot tell",
            "the denoised branch has more real spots, but is resolved worse",
        ),
        (
            # what is made up at the same places again and again is even resolved well
            said.adds_unseen and said.real != "denoised",
            "raw",
            "the network adds spots of which the recording shows no light",
        ),
        (
            said.real == "raw" and said.resolution == "denoised",
            "cannot tell",
            "the raw branch has more real spots, but is resolved worse",
        ),
    )


def _rules_of_spots(said: _Said) -> tuple[tuple[bool, Use, str], ...]:
    """Return what the spots of both branches lead to when nothing speaks against them."""
    return (
        (
            said.real == "denoised",
            "denoised",
            "it has more spots that are likely to be real, or fewer that are not",
        ),
        (
            said.real == "raw",
            "raw",
            "the network loses spots that are likely to be real, or adds others",
        ),
        (
            said.real == "both alike" and said.resolution == "denoised" and not said.is_foreign,
            "denoised",
            "both branches have the same spots, and the denoised one is sharper",
        ),
        (
            said.real == "both alike",
            "raw",
            "the network changes nothing that matters, and the raw frames are as filmed",
        ),
        (
            said.resolution == "raw",
            "raw",
            "nothing shows that the network helps, and the resolution is worse with it",
        ),
    )
