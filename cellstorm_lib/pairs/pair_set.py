"""Training pairs: what was filmed, and the light of molecules that was there."""

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt
import zarr

from cellstorm_lib.errors import ExportError, SettingsError, TableError

Split = Literal["train", "validation", "test"]
Method = Literal["simulated", "displayed", "localized"]

#: The codec's macroblock; clips lie on this grid of the full frame.
GRID_PX = 16
#: Width that molecules are given in the light, camera pixels: narrower than any lens makes them, so
#: that a network that learned it parts those that touch; wide enough for their place to be fitted.
LIGHT_SIGMA_PX = 0.85

_FORMAT = "cellstorm pairs 1"
_FRAMES = ("filmed", "light_e")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairSet:
    """Short clips of film with the light that molecules sent into each pixel.

    Attributes
    ----------
    filmed : (C, T, Y, X) uint8 or uint16
        Consecutive frames as decoded; the corner lies on the codec's 16-px grid.
    light_e : (C, T, Y, X) float16
        Expected photoelectrons of molecules, without background and noise.
    is_usable : (C, T) bool
        Frames that may stand in the middle of a training sample.
    is_key : (C, T) bool
        Frames coded without reference to others.
    offset_adu, gain_e_per_adu : (C,) float32
        Camera of each clip: light = (grey value - offset) * gain.
    bits_per_px : (C,) float32
        Strength of the codec; 0 for clips that never saw one.
    split : (C,) str
        ``train``, ``validation`` or ``test``; clips of one origin are never parted.
    origin : (C,) str
        Scene or recording that a clip comes from.
    method : (C,) str
        ``simulated``, ``displayed`` or ``localized``.
    """

    filmed: npt.NDArray[Any]
    light_e: npt.NDArray[np.float16]
    is_usable: npt.NDArray[np.bool_]
    is_key: npt.NDArray[np.bool_]
    offset_adu: npt.NDArray[np.float32]
    gain_e_per_adu: npt.NDArray[np.float32]
    bits_per_px: npt.NDArray[np.float32]
    split: npt.NDArray[np.str_]
    origin: npt.NDArray[np.str_]
    method: npt.NDArray[np.str_]

    def __post_init__(self) -> None:
        if self.filmed.ndim != 4 or self.filmed.shape != self.light_e.shape:
            raise TableError(
                "pairs need film and light of one shape (clips, frames, Y, X), got "
                f"{self.filmed.shape} and {self.light_e.shape}"
            )
        clips, frames = self.filmed.shape[:2]
        for entry in fields(self):
            expected = (clips, frames) if entry.name.startswith("is_") else (clips,)
            found = getattr(self, entry.name).shape
            if entry.name not in _FRAMES and found != expected:
                raise TableError(f"{entry.name} of {clips} clips must be {expected}, got {found}")
        self._check_values()

    def _check_values(self) -> None:
        """Raise when a value is impossible, or when an origin is in two splits."""
        if not (np.isfinite(self.light_e).all() and np.isfinite(self.offset_adu).all()):
            raise TableError("pairs hold light or offsets that are not finite; make them again")
        if not (self.gain_e_per_adu > 0).all():
            raise TableError("pairs hold a gain that is not above 0; make them again")
        for name, allowed in (("split", get_args(Split)), ("method", get_args(Method))):
            unknown = sorted(set(getattr(self, name).tolist()) - set(allowed))
            if unknown:
                raise TableError(f"{name} must be one of {list(allowed)}, got {unknown[0]!r}")
        homes: dict[str, str] = {}
        for origin, split in zip(self.origin.tolist(), self.split.tolist(), strict=True):
            if homes.setdefault(origin, split) != split:
                raise TableError(
                    f"clips of {origin} are in {homes[origin]} and in {split}; what a network is "
                    "trained on must not come back in its test, so keep an origin together"
                )

    def __len__(self) -> int:
        return len(self.filmed)

    @property
    def digest(self) -> str:
        """SHA-256 of everything in it."""
        total = hashlib.sha256(_FORMAT.encode())
        for entry in fields(self):
            values = getattr(self, entry.name)
            plain = np.char.encode(values, "utf-8") if values.dtype.kind == "U" else values
            total.update(f"{entry.name} {values.shape} {values.dtype.kind}".encode())
            total.update(np.ascontiguousarray(plain).tobytes())
        return total.hexdigest()

    def part(self, is_wanted: npt.NDArray[np.bool_]) -> Self:
        """Return the clips that are wanted."""
        return type(self)(
            **{entry.name: getattr(self, entry.name)[is_wanted] for entry in fields(self)}
        )

    def of_split(self, split: Split) -> Self:
        """Return the clips of one split."""
        return self.part(self.split == split)


def refuse_off_grid(side_px: int) -> None:
    """Raise when clips of a side would not lie on the codec's grid."""
    if side_px < GRID_PX or side_px % GRID_PX:
        raise SettingsError(f"side_px must be a multiple of {GRID_PX}, got {side_px}")


def split_of(number: int, count: int) -> Split:
    """Return where a recording belongs: of three or more the last is for the test.

    The last but one is then for validation; of two, the last. A single one is trained on.
    """
    if count >= 3 and number == count - 1:
        return "test"
    if (count == 2 and number == 1) or (count >= 3 and number == count - 2):
        return "validation"
    return "train"


def joined(sets: Sequence[PairSet]) -> PairSet:
    """Return several sets of clips of the same size as one.

    Raises
    ------
    TableError
        When there is none, when they differ in size, or when one origin gets into two splits.
    """
    if not sets:
        raise TableError("there are no pairs to join; make some first")
    shapes = {pairs.filmed.shape[1:] for pairs in sets}
    if len(shapes) > 1:
        raise TableError(f"pairs of one set need clips of one size, got {sorted(shapes)}")
    return PairSet(
        **{
            entry.name: np.concatenate([getattr(pairs, entry.name) for pairs in sets])
            for entry in fields(PairSet)
        }
    )


def write_pairs(pairs: PairSet, path: Path) -> None:
    """Write pairs as a Zarr folder, whole or not at all; one that was there is replaced.

    Raises
    ------
    ExportError
        When the folder cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".pairs-", dir=path.parent) as folder:
            temporary = Path(folder) / path.name
            group = zarr.open_group(str(temporary), mode="w")
            for entry in fields(pairs):
                values = getattr(pairs, entry.name)
                if values.dtype.kind == "U":
                    continue
                chunks = (1, *values.shape[1:]) if entry.name in _FRAMES else values.shape
                group.create_array(entry.name, data=values, chunks=chunks)
            texts = {name: getattr(pairs, name).tolist() for name in ("split", "origin", "method")}
            group.attrs.update({"format": _FORMAT, "digest": pairs.digest, **texts})
            old = Path(folder) / "old"
            if path.exists():
                path.replace(old)
            temporary.replace(path)
            shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise ExportError(
            f"cannot write {path}: {error.strerror or error}; choose a folder with space that you "
            "may write to"
        ) from error


def read_pairs(path: Path) -> PairSet:
    """Read pairs that `write_pairs` wrote.

    Raises
    ------
    TableError
        When the folder is missing, holds something else, or was changed since.
    """
    path = Path(path)
    if not path.is_dir():
        raise TableError(f"{path} does not exist; make the pairs first")
    try:
        group = zarr.open_group(str(path), mode="r")
        attributes = dict(group.attrs)
        if attributes.get("format") != _FORMAT:
            raise TableError(f"{path} holds no pairs of this program; make them again")
        columns: dict[str, Any] = {
            entry.name: (
                np.array(attributes[entry.name], np.str_)
                if entry.name in attributes
                else np.asarray(group[entry.name][...])  # type: ignore[index]
            )
            for entry in fields(PairSet)
        }
    except (KeyError, ValueError, FileNotFoundError, RuntimeError) as error:
        raise TableError(f"{path} holds no pairs: {error}; make them again") from error
    pairs = PairSet(**columns)
    if pairs.digest != attributes.get("digest"):
        raise TableError(f"{path} was changed or damaged since it was written; make it again")
    return pairs
