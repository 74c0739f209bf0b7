"""Which camera frame shows which frame of the display movie, and which of them are kept."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.pairs.display_plan import DisplayPlan
from cellstorm_lib.simulate.ranges import about, check_ranges

#: A frame that differs from the one before by less than this share of the usual is its copy.
_COPY_SHARE = 0.25
#: Brightness below which an exposure is mixed with darkness, which leaves the barcodes right.
_LEAST_BRIGHTNESS = 0.8
_NOT_THE_NTH = "not the n-th"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairingSettings:
    """Which camera frames become pairs."""

    keep_nth: int = field(
        default=3,
        metadata=about(
            "keep every n-th camera frame after the number changed; 1 keeps all", at_least=1
        ),
    )
    max_overlap: float = field(
        default=0.05,
        metadata=about(
            "share of another shown frame in the exposure above which it is not kept",
            at_least=0,
            at_most=0.225,
        ),
    )

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilmedFrames:
    """What was read from each camera frame, in order.

    Attributes
    ----------
    frame : (N,) int64
        Number of the camera frame.
    time_s : (N,) float64
        Its time.
    is_tainted : (N,) bool
        The file is damaged there.
    number : (N,) int64
        Number of the shown frame; -1 where the barcodes are not believed.
    is_torn : (N,) bool
        Both barcodes are right and differ.
    weakest_cell, overlap : (N,) float64
        As in `BarcodeReading`.
    brightness : (N,) float64
        Light of the barcodes relative to that during the uniform frames.
    difference_adu : (N,) float64
        Mean absolute difference from the camera frame before; infinite at the first.
    """

    frame: npt.NDArray[np.int64]
    time_s: npt.NDArray[np.float64]
    is_tainted: npt.NDArray[np.bool_]
    number: npt.NDArray[np.int64]
    is_torn: npt.NDArray[np.bool_]
    weakest_cell: npt.NDArray[np.float64]
    overlap: npt.NDArray[np.float64]
    brightness: npt.NDArray[np.float64]
    difference_adu: npt.NDArray[np.float64]


def pair_frames(
    filmed: FilmedFrames, plan: DisplayPlan, settings: PairingSettings | None = None
) -> pd.DataFrame:
    """Decide for each camera frame what it shows and whether it is kept.

    Of the frames that show the same number, those at every n-th place after the change are
    kept (the place of a mixed exposure counts, that of a copy does not). Where none of these is
    whole, the whole one nearest to the n-th place is taken, of two the later.

    Returns
    -------
    pandas.DataFrame
        One row per camera frame: ``frame``, ``time_s``, ``number`` and ``part`` of the movie,
        ``truth_frame`` (-1: none), ``overlap``, ``weakest_cell``, ``brightness``, ``place`` after
        the change (0: none), ``is_kept`` and the ``reason`` why not.

    Raises
    ------
    SettingsError
        When the plan is shorter than a number that was read.
    """
    settings = settings or PairingSettings()
    number = np.where(filmed.number < plan.frame_count, filmed.number, -1)
    if (number != filmed.number).any():
        raise SettingsError(
            f"the film shows frame {int(filmed.number.max())}, but the plan ends at "
            f"{plan.frame_count - 1}; give the display.json of the movie that was filmed"
        )
    data = plan.part("data")
    is_data = (number >= data.first) & (number < data.first + data.count)
    is_copy = _copies(filmed)
    reason = _reasons(filmed, number, is_data, is_copy, settings)
    place = np.zeros(len(number), dtype=np.int64)
    is_kept = np.zeros(len(number), dtype=bool)
    for rows, places in _showings(number, is_copy):
        place[rows] = places
        is_whole = reason[rows] == ""
        is_kept[rows] = is_whole & _is_chosen(places, is_whole, settings.keep_nth)
    reason = np.where((reason == "") & ~is_kept, _NOT_THE_NTH, reason)
    return pd.DataFrame(
        {
            "frame": filmed.frame,
            "time_s": filmed.time_s,
            "number": number,
            "part": _part_names(plan, number),
            "truth_frame": np.where(is_data, number - data.first, -1),
            "overlap": filmed.overlap,
            "weakest_cell": filmed.weakest_cell,
            "brightness": filmed.brightness,
            "place": place,
            "is_kept": is_kept,
            "reason": pd.array(reason.tolist(), dtype="str"),
        }
    )


def whole_frames(table: pd.DataFrame) -> "pd.Series[bool]":
    """Return which camera frames of a pairing show one frame of the data and nothing else."""
    return table["reason"].isin(["", _NOT_THE_NTH])


def _copies(filmed: FilmedFrames) -> npt.NDArray[np.bool_]:
    """Return which frames repeat the one before instead of being a new exposure."""
    is_same = np.append(False, filmed.number[1:] == filmed.number[:-1]) & (filmed.number >= 0)
    if not is_same.any():
        return is_same
    usual = float(np.median(filmed.difference_adu[is_same]))
    return np.asarray(is_same & (filmed.difference_adu < _COPY_SHARE * usual))


def _reasons(
    filmed: FilmedFrames,
    number: npt.NDArray[np.int64],
    is_data: npt.NDArray[np.bool_],
    is_copy: npt.NDArray[np.bool_],
    settings: PairingSettings,
) -> npt.NDArray[np.str_]:
    """Return why each frame cannot be kept; empty where it can."""
    rules = [
        (filmed.is_tainted, "damaged"),
        (filmed.is_torn, "torn"),
        ((number < 0) & (filmed.weakest_cell > 0), "mixed"),
        (number < 0, "no barcode"),
        (~is_data, "no data"),
        (is_copy, "copy"),
        (filmed.overlap > settings.max_overlap, "mixed"),
        (filmed.brightness < _LEAST_BRIGHTNESS, "dim"),
    ]
    return np.select([rule for rule, _ in rules], [text for _, text in rules], "").astype("<U16")


def _showings(
    number: npt.NDArray[np.int64], is_copy: npt.NDArray[np.bool_]
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Yield the rows of each run of one number, and their places after the change to it.

    An unread exposure before a run is the change itself and takes the first place.
    """
    read = np.flatnonzero(number >= 0)
    if not len(read):
        return
    starts = np.flatnonzero(np.diff(number[read], prepend=-1))
    for rows in np.split(read, starts[1:]):
        is_change_seen = rows[0] > 0 and number[rows[0] - 1] < 0
        elapsed = rows - rows[0] - np.cumsum(is_copy[rows])
        yield rows, elapsed + 1 + int(is_change_seen)


def _is_chosen(
    places: npt.NDArray[np.int64], is_whole: npt.NDArray[np.bool_], keep_nth: int
) -> npt.NDArray[np.bool_]:
    """Return which of the frames of a run are at the wanted places, or nearest to the first."""
    is_wanted = places % keep_nth == 0
    if (is_wanted & is_whole).any() or not is_whole.any():
        return np.asarray(is_wanted, bool)
    away = np.where(is_whole, np.abs(places - keep_nth) - 1e-3 * (places > keep_nth), np.inf)
    return np.asarray(np.arange(len(places)) == away.argmin())


def _part_names(plan: DisplayPlan, number: npt.NDArray[np.int64]) -> npt.NDArray[np.str_]:
    """Return the kind of what each frame shows; empty where it was not read."""
    firsts = np.array([part.first for part in plan.parts])
    kinds = np.array([part.kind for part in plan.parts])
    return np.where(number >= 0, kinds[np.searchsorted(firsts, number, side="right") - 1], "")
