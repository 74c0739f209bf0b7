"""Whether a network was trained for film like this one."""

from cellstorm_lib.gan.checkpoint import TrainingDomain

#: A recording may lie so far outside the training film before it is worth a remark.
_SLACK = 0.1


def domain_remarks(
    domain: TrainingDomain,
    *,
    gain_e_per_adu: float,
    background_e: float,
    bits_per_px: float | None,
) -> tuple[str, ...]:
    """Return in what a recording differs from what a network was trained on.

    Parameters
    ----------
    domain : TrainingDomain
        What the training film was like.
    gain_e_per_adu : float
        Photoelectrons per grey value of the recording's camera.
    background_e : float
        Median light of a pixel of the recording, photoelectrons.
    bits_per_px : float or None
        Strength of its codec: bits of the file per pixel; 0 without a codec, None when unknown.

    Returns
    -------
    tuple of str
        One sentence for each of the three that lies more than 10 % outside the range of the
        training film; empty when the network fits.
    """
    remarks = [
        _outside("gain", gain_e_per_adu, domain.gain_e_per_adu, "e-/grey value"),
        _outside("background", background_e, domain.background_e, "e-/px"),
    ]
    if bits_per_px is not None and bits_per_px <= 0 < domain.bits_per_px[0]:
        remarks.append(
            "the recording was never compressed, but the network learned from film that was"
        )
    elif bits_per_px is not None:
        remarks.append(_outside("codec's rate", bits_per_px, domain.bits_per_px, "bit/px"))
    return tuple(remark for remark in remarks if remark)


def _outside(what: str, value: float, span: tuple[float, float], unit: str) -> str:
    """Return that a value lies outside a range; nothing when it does not."""
    low, high = span
    if low - _SLACK * abs(low) <= value <= high + _SLACK * abs(high):
        return ""
    side = "below" if value < low else "above"
    return (
        f"the {what} of the recording, {value:.3g} {unit}, lies {side} what the network was "
        f"trained on ({low:.3g} to {high:.3g})"
    )
