"""What people see of training pairs: counts, pictures, how like the film is to a real one."""

from collections.abc import Mapping

import dagster as dg
import numpy as np
import numpy.typing as npt

from cellstorm_assets.metadata import as_metadata, picture, table
from cellstorm_lib.pairs.film_likeness import FilmLikeness
from cellstorm_lib.pairs.localized_settings import LocalizedReport
from cellstorm_lib.pairs.mixture import METHODS, SPLITS, MixtureReport, no_pairs
from cellstorm_lib.pairs.pair_set import Method, PairSet
from cellstorm_lib.report.pair_panel import pair_panel
from cellstorm_lib.report.rows import number_text

Facts = dict[str, dg.MetadataValue]


def not_asked(method: Method) -> dg.MaterializeResult[PairSet]:
    """Return that a recipe does not ask for a method."""
    note = f"the recipe gives {method} pairs no share, so none were made"
    empty = no_pairs()
    return dg.MaterializeResult(
        value=empty,
        metadata={"note": note, "clips": 0},
        data_version=dg.DataVersion(empty.digest[:16]),
    )


def made(pairs: PairSet, facts: Mapping[str, dg.MetadataValue]) -> dg.MaterializeResult[PairSet]:
    """Return pairs with what people want to see of them."""
    frames, height, width = pairs.filmed.shape[1:]
    return dg.MaterializeResult(
        value=pairs,
        metadata={
            "pairs": picture(pair_panel(pairs), "film, light of molecules, light over film"),
            **facts,
            "clips": len(pairs),
            "clip": f"{frames} frames of {width} x {height} px",
            "frames to train on": int(pairs.of_split("train").is_usable.sum()),
            "cameras": len(np.unique(np.stack([pairs.offset_adu, pairs.gain_e_per_adu]), axis=1).T),
            "bits_per_px": _range_text(pairs.bits_per_px),
            "digest": pairs.digest,
        },
        data_version=dg.DataVersion(pairs.digest[:16]),
    )


def _range_text(values: npt.NDArray[np.float32]) -> str:
    """Return from where to where numbers go."""
    return f"{number_text(float(values.min()))} to {number_text(float(values.max()))}"


def localized_facts(reports: Mapping[str, LocalizedReport]) -> Facts:
    """Return the counts of each recording; of a single one without its name."""
    prefixes = {key: f"{key}/" if len(reports) > 1 else "" for key in reports}
    return {
        name: value
        for key, report in reports.items()
        for name, value in as_metadata(report, prefix=prefixes[key]).items()
    }


def mixture_facts(report: MixtureReport) -> Facts:
    """Return the counts by method and split."""
    rows = [
        (method, split, str(report.origins[name]), str(report.clips[name]), str(frames))
        for method in METHODS
        for split in SPLITS
        for name, frames in report.frames.items()
        if name == f"{method} {split}"
    ]
    unused = {f"unused frames/{name}": count for name, count in report.unused_frames.items()}
    return {
        "mixture": table(("method", "split", "scenes or recordings", "clips", "frames"), rows),
        **{name: dg.MetadataValue.int(count) for name, count in unused.items()},
    }


def likeness_facts(found: FilmLikeness) -> Facts:
    """Return how like the film is to the recording it is meant for."""
    rows = [
        (
            f"{row.measure}, {row.unit}",
            *(number_text(value) for value in (row.recording, row.low, row.median, row.high)),
            "yes" if row.is_covered else "no",
        )
        for row in found.rows
    ]
    headings = ("measure", "recording", "5 % of clips", "median", "95 % of clips", "covered")
    return {
        "meant for": dg.MetadataValue.text(found.recording),
        "film against recording": table(headings, rows),
        "not covered": dg.MetadataValue.text(", ".join(found.uncovered) or "nothing"),
        "histogram distance, grey values": dg.MetadataValue.float(found.histogram_distance_adu),
        "most alike": dg.MetadataValue.text(
            f"{found.nearest_origin}, {found.nearest_distance_adu:.2g} grey values away"
        ),
    }
