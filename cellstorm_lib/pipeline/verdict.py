"""Raw or denoised: which of the two tables of one recording to trust, and why."""

from dataclasses import dataclass
from typing import Self

from cellstorm_lib.evaluate.agreement import Agreement, compare_tables
from cellstorm_lib.pipeline.result import (
    BranchResult,
    CheckOutcome,
    Evidence,
    Favours,
    Use,
    Verdict,
)
from cellstorm_lib.pipeline.verdict_evidence import (
    alone_row,
    check_row,
    counts_row,
    domain_row,
    medians_row,
    real_spots_row,
    resolution_row,
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
        In what the recording differs from the film the network was trained on; with any, the
        network must prove its worth.

    Notes
    -----
    What decides is how much more of what is real the denoised branch has, and how much less of
    what is not, by `evaluate.agreement.compare_tables`; the resolution must not speak against it.
    Where the recording does not show what is real, only the resolution can advise against the
    network, never for it: a network that draws smooth spots in the wrong place is resolved well.
    """
    agreement = agreement or compare_tables(raw.spots, denoised.spots)
    resolution = resolution_row(raw.frc, denoised.frc)
    checks = [
        check_row(name, question, raw.checks, denoised.checks) for name, question in _CHECKS.items()
    ]
    domain = domain_row(remarks)
    real = real_spots_row(agreement)
    use, reason = _decision(real.favours, resolution.favours, checks, domain)
    if agreement.reason and use == "cannot tell":
        reason = f"{reason}: {agreement.reason}"
    return Verdict(
        use=use,
        reason=reason,
        evidence=(
            real,
            resolution,
            *checks,
            domain,
            counts_row(raw.spots, denoised.spots, agreement),
            alone_row(agreement),
            medians_row("Photons per spot", "photons", raw.spots, denoised.spots, "photoelectrons"),
            medians_row("Width of a spot", "sigma_nm", raw.spots, denoised.spots, "nm"),
        ),
        gain=agreement.gain,
        common=agreement.common,
        only_raw=int(agreement.only_first.sum()),
        only_denoised=int(agreement.only_second.sum()),
        model=model,
    )


def _decision(
    real: Favours, resolution: Favours, checks: list[Evidence], domain: Evidence
) -> tuple[Use, str]:
    """Return which branch to use, and why: the first rule that applies."""
    worse = [check.question.lower() for check in checks if check.favours == "raw"]
    is_foreign = domain.favours == "raw"
    rules: tuple[tuple[bool, Use, str], ...] = (
        (bool(worse), "raw", f"in the denoised branch {' and '.join(worse)}, in the raw not"),
        (
            real == "denoised" and resolution == "raw",
            "cannot tell",
            "the denoised branch has more real spots, but is resolved worse",
        ),
        (
            real == "denoised",
            "denoised",
            "it has more spots that are likely to be real, or fewer that are not",
        ),
        (
            real == "raw" and resolution == "denoised",
            "cannot tell",
            "the raw branch has more real spots, but is resolved worse",
        ),
        (
            real == "raw",
            "raw",
            "the network loses spots that are likely to be real, or adds others",
        ),
        (
            real == "both alike" and resolution == "denoised" and not is_foreign,
            "denoised",
            "both branches have the same spots, and the denoised one is sharper",
        ),
        (
            real == "both alike",
            "raw",
            "the network changes nothing that matters, and the raw frames are as filmed",
        ),
        (
            resolution == "raw",
            "raw",
            "nothing shows that the network helps, and the resolution is worse with it",
        ),
        (
            is_foreign,
            "raw",
            "nothing shows that the network helps, and it was trained on other film",
        ),
    )
    for applies, use, reason in rules:
        if applies:
            return use, reason
    return "cannot tell", "the recording does not show which of the spots are real"
