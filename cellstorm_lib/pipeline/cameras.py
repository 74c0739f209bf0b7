"""The cameras of a project: series to calibrate, numbers stated by hand, and what was measured."""

import os
import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from cellstorm_lib.camera import CAMERA_PRESETS, CameraCalibration, read_calibration
from cellstorm_lib.errors import CalibrationError, SettingsError, refusing
from cellstorm_lib.files import digest_of, is_plain_name
from cellstorm_lib.pixel_maps import PixelMaps, read_map
from cellstorm_lib.settings import read_settings

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_STATED = (".json", ".yaml", ".yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedCamera:
    """A ``NAME.yaml``: the numbers of a camera as someone states them, or a preset's name."""

    preset: str | None = field(
        default=None, metadata={"about": "name of a camera that comes with the program"}
    )
    source: str = field(default="stated by hand", metadata={"about": "where the numbers come from"})
    offset_adu: float | None = field(
        default=None, metadata={"about": "mean grey value without light"}
    )
    gain_e_per_adu: float | None = field(
        default=None, metadata={"about": "photoelectrons per grey value"}
    )
    read_noise_e: float | None = field(
        default=None, metadata={"about": "read noise of a pixel, electrons RMS"}
    )
    bit_depth: int | None = field(default=None, metadata={"about": "bits of a grey value"})
    iso: int | None = field(default=None, metadata={"about": "sensitivity setting"})
    linear_to_adu: float | None = field(
        default=None, metadata={"about": "grey value up to which the response is linear"}
    )

    def calibration(self, name: str) -> CameraCalibration:
        """Return the numbers as a calibration.

        Raises
        ------
        SettingsError
            When neither a preset nor all of offset, gain, read noise and bit depth are given.
        """
        if self.preset is not None and self.preset not in CAMERA_PRESETS:
            raise SettingsError(
                f"there is no preset {self.preset!r}; there are {sorted(CAMERA_PRESETS)}"
            )
        stated = {
            key: getattr(self, key)
            for key in (
                "offset_adu", "gain_e_per_adu", "read_noise_e", "bit_depth", "iso", "linear_to_adu",
            )
            if getattr(self, key) is not None
        }  # fmt: skip
        if self.preset is not None:
            return replace(CAMERA_PRESETS[self.preset], name=name, **stated)
        missing = {"offset_adu", "gain_e_per_adu", "read_noise_e", "bit_depth"} - set(stated)
        if missing:
            raise SettingsError(
                f"a camera needs a preset, or offset_adu, gain_e_per_adu, read_noise_e and "
                f"bit_depth; {sorted(missing)} are missing"
            )
        return CameraCalibration(name=name, source=self.source, **stated)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSeries:
    """The calibration series of one camera, in the folders of that name; empty where there is none.

    Attributes
    ----------
    bright : tuple of Path
        ``bright/``: a stationary, defocused object, or even light of several strengths.
    dark : tuple of Path
        ``dark/``: the same settings without any light.
    flat : tuple of Path
        ``flat/``: even light over the whole field.
    dark_video : Path or None
        The recording in ``dark-video/``: a minute of darkness in the mode used for recordings.
    """

    bright: tuple[Path, ...] = ()
    dark: tuple[Path, ...] = ()
    flat: tuple[Path, ...] = ()
    dark_video: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraShelf:
    """Where a project's cameras are.

    Attributes
    ----------
    folder : Path
        One entry per camera: ``NAME/`` with series, ``NAME.yaml`` or ``NAME.json``.
    measured : Path
        Where calibrations made from series are kept, ``NAME.json``.
    flat_fields : Path
        Where flat fields are kept, ``NAME.tif``.
    """

    folder: Path
    measured: Path
    flat_fields: Path

    def names(self) -> tuple[str, ...]:
        """Return the names of the project's own cameras."""
        if not self.folder.is_dir():
            return ()
        entries = [
            path.name if path.is_dir() else path.stem
            for path in self.folder.iterdir()
            if path.is_dir() or path.suffix.lower() in _STATED
        ]
        return tuple(sorted({name for name in entries if _is_name(name)}))

    def look_of(self, name: str) -> str:
        """Return what changes whenever a file of a camera is added, removed or written anew."""
        if not is_plain_name(name):
            return ""
        files = [path for path in self.folder.glob(f"{name}.*") if path.suffix.lower() in _STATED]
        files += [path for path in (self.folder / name).rglob("*") if path.is_file()]
        looks = []
        for path in sorted(files):
            with suppress(FileNotFoundError):
                status = path.stat()
                looks.append([str(path), status.st_size, status.st_mtime_ns])
        return digest_of(looks)[:16]

    def series(self, name: str) -> CameraSeries | None:
        """Return the series of a camera; None when it is no folder."""
        folder = self.folder / name
        if not _is_name(name) or not folder.is_dir():
            return None
        videos = _entries(folder / "dark-video")
        if len(videos) > 1:
            raise CalibrationError(
                f"{folder / 'dark-video'} must hold one recording, found {len(videos)}; "
                "leave the one in the mode used for recordings"
            )
        return CameraSeries(
            bright=_series_in(folder / "bright"),
            dark=_series_in(folder / "dark"),
            flat=_series_in(folder / "flat"),
            dark_video=videos[0] if videos else None,
        )

    def stated(self, name: str) -> CameraCalibration | None:
        """Return the numbers of a ``NAME.json`` or ``NAME.yaml``; None when there is neither.

        Raises
        ------
        CalibrationError, SettingsError
            When the file does not hold a camera.
        """
        if not _is_name(name):
            return None
        path = self.folder / f"{name}.json"
        if os.path.lexists(path):
            return read_calibration(path)
        for ending in (".yaml", ".yml"):
            path = self.folder / f"{name}{ending}"
            if os.path.lexists(path):  # a link to nowhere is said as such
                try:
                    return read_settings(StatedCamera, path).calibration(name)
                except (SettingsError, CalibrationError) as error:
                    prefix = "" if str(path) in str(error) else f"{path}: "
                    raise SettingsError(f"{prefix}{error}") from error
        return None

    def camera(self, name: str) -> CameraCalibration:
        """Return a preset, or a camera of the project with its flat field.

        A name never leads out of the project's folder of cameras, for it may be written in a
        file of someone else, as the sidecar of a recording is.

        Parameters
        ----------
        name : str
            The camera's name, or the name of its file in the folder, as ``NAME.json``.

        Raises
        ------
        CalibrationError
            When there is no such camera, or it was never calibrated; the message says what to do.
        """
        if name in CAMERA_PRESETS:
            return CAMERA_PRESETS[name]
        found = self._own(name) or self._own(name.removesuffix(".json"))
        if found is not None:
            return found
        if self.series(name) is not None:
            raise CalibrationError(
                f"the camera {name} has series in {self.folder / name} but was not calibrated yet; "
                "materialize camera_calibration for it, or run `cellstorm calibrate`"
            )
        known = sorted({*CAMERA_PRESETS, *self.names()})
        raise CalibrationError(
            f"there is no camera {name!r}; known are {', '.join(known)}; leave the camera out to "
            f"have it estimated, or put a CAL.json into {self.folder}"
        )

    def camera_or_file(self, name: str) -> CameraCalibration:
        """Return a camera as `camera` does, or the one of a CAL.json anywhere.

        For names that the person in front of the program gives, not for those in files.

        Raises
        ------
        CalibrationError
            When there is no such camera or file.
        """
        is_file = name.lower().endswith(".json")
        if is_file and (Path(name).is_file() or self._own(name.removesuffix(".json")) is None):
            return read_calibration(Path(name))
        return self.camera(name)

    def _own(self, name: str) -> CameraCalibration | None:
        """Return a camera of the project with its flat field; None when there is none."""
        found = self._measured_or_stated(name)
        return None if found is None else self._with_flat_field(found, name)

    def _measured_or_stated(self, name: str) -> CameraCalibration | None:
        """Return what was measured from series, else what someone stated."""
        measured = self.measured / f"{name}.json"
        if self.series(name) is not None and measured.exists():
            return read_calibration(measured)
        return self.stated(name)

    def _with_flat_field(self, calibration: CameraCalibration, name: str) -> CameraCalibration:
        """Return the camera with the flat field measured for it, if there is one."""
        path = self.flat_fields / f"{name}.tif"
        if not path.exists():
            return calibration
        others = calibration.maps.named() if calibration.maps is not None else {}
        with refusing(
            CalibrationError, path, "is no flat field of this camera", "measure it again"
        ):
            maps = PixelMaps(**{**others, "relative_sensitivity": read_map(path)})
        return replace(calibration, maps=maps)


def _is_name(name: str) -> bool:
    """Whether a camera may be called so."""
    return bool(_NAME.fullmatch(name)) and is_plain_name(name)


def _series_in(folder: Path) -> tuple[Path, ...]:
    """Return what to open as series: folders apart, files of the folder itself together."""
    entries = _entries(folder)
    if not entries:
        return ()
    folders = tuple(path for path in entries if path.is_dir())
    return (*folders, folder) if len(folders) < len(entries) else folders


def _entries(folder: Path) -> list[Path]:
    """Return what lies in a folder, by name, without hidden files."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
