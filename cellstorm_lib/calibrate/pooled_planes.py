"""The numbers of a whole sensor from those of its colour planes."""

from collections.abc import Mapping

from cellstorm_lib.calibrate.estimates import Estimate, pooled


def pooled_numbers(
    planes: Mapping[str, Mapping[str, Estimate]],
) -> tuple[dict[str, Estimate], list[str]]:
    """Return weighted means over the planes, and a remark where planes differ.

    Parameters
    ----------
    planes : mapping of str to mapping of str to Estimate
        The numbers of each plane, by name.

    Returns
    -------
    (dict of str to Estimate, list of str)
        The linear range is where all planes are linear: its end is that of the plane that bends
        first, or, where none was seen to bend, the brightest light measured on any.
    """
    names = dict.fromkeys(name for numbers in planes.values() for name in numbers)
    found, differing = {}, []
    for name in names:
        estimates = [numbers[name] for numbers in planes.values() if name in numbers]
        if name == "linear_from_adu":
            found[name] = max(estimates)
        elif name == "linear_to_adu":
            bent = [each for each in estimates if each.low < each.value]
            found[name] = min(bent) if bent else max(estimates)
        else:
            found[name], differ = pooled(estimates)
            differing += [name] if differ else []
    remark = (
        f"the planes {', '.join(planes)} differ beyond their intervals in {', '.join(differing)}; "
        "the numbers of each plane stand in the calibration"
    )
    return found, [remark] if differing else []


def joined_remarks(planes: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return the remarks of all planes; what is said of every plane is said once."""
    said: dict[str, list[str]] = {}
    for name, remarks in planes.items():
        for remark in remarks:
            said.setdefault(remark, []).append(name)
    return [
        remark if len(names) == len(planes) else f"{' and '.join(names)}: {remark}"
        for remark, names in said.items()
    ]
