"""ThunderSTORM's protocol: the settings of an analysis, as it saves them beside a table.

A line names a part (``Camera settings:``), JSON follows. The analysis holds one JSON object each
for filter, detector and estimator.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import CalibrationError, SettingsError
from cellstorm_lib.localize.like.settings import ThunderstormSettings
from cellstorm_lib.settings import settings_from

_START = "ThunderSTORM"
_MOST_BYTES = 1 << 20
_FILTER = {"Wavelet filter (B-Spline)": {"order": 3, "scale": 2.0}}
_DETECTORS = ("Local maximum", "Non-maximum suppression", "Maximum filter")
_NEIGHBOURS = {"8-neighbourhood": 8, "4-neighbourhood": 4}
_SHAPES = {"PSF: Integrated Gaussian": "integrated-gaussian", "PSF: Gaussian": "gaussian"}
_METHODS = {
    "weighted least squares": "weighted-least-squares",
    "least squares": "least-squares",
    "maximum likelihood": "maximum-likelihood",
}
_CAMERA = (
    "offset", "isEmGain", "photons2ADU", "pixelSize", "gain", "readoutNoise", "quantumEfficiency",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ThunderstormProtocol:
    """What a protocol says of an analysis.

    Attributes
    ----------
    settings : ThunderstormSettings
        Filter, threshold and fit.
    offset_adu, gain_e_per_adu, read_noise_e : float
        The camera; a multiplication of electrons is divided out of the gain.
    pixel_size_nm : float
        Object-side pixel.
    name : str
        The file's name.
    notes : tuple of str
        What it says and we do not do, one sentence each.
    """

    settings: ThunderstormSettings
    offset_adu: float
    gain_e_per_adu: float
    read_noise_e: float
    pixel_size_nm: float
    name: str
    notes: tuple[str, ...]

    def calibration(self, bit_depth: int) -> CameraCalibration:
        """Return the camera for frames of a bit depth.

        Raises
        ------
        CalibrationError
            When its numbers are no camera's.
        """
        try:
            return CameraCalibration(
                name=self.name,
                source="stated in a ThunderSTORM protocol",
                offset_adu=self.offset_adu,
                gain_e_per_adu=self.gain_e_per_adu,
                read_noise_e=self.read_noise_e,
                bit_depth=bit_depth,
            )
        except CalibrationError as error:
            raise CalibrationError(f"{self.name}: {error}") from error


def read_protocol(path: Path) -> ThunderstormProtocol:
    """Read a ThunderSTORM protocol (``...-protocol.txt``).

    Raises
    ------
    SettingsError
        When the file is no protocol, is damaged, or asks for what is not done here: another
        filter, detector or shape of a spot, the fit of several molecules at once.
    """
    said = _Said(path, _parts(path))
    analysis = said.parts["Analysis"]
    if len(analysis) < 3:
        raise SettingsError(f"{path} names no filter, detector and estimator under Analysis")
    _check_filter(said, analysis[0])
    values = {**_detector(said, analysis[1]), **_estimator(said, analysis[2])}
    values["uncertainty"] = "version-1.3" if re.search(r"\(1\.[0-3]\b", said.version) else "later"
    camera = said.object_of("Camera settings")
    values["has_em_gain"] = said.entry(camera, "isEmGain", bool, default=False)
    multiplied = said.entry(camera, "gain", float) if values["has_em_gain"] else 1.0
    try:
        settings = settings_from(ThunderstormSettings, values)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error
    if not multiplied > 0:
        raise SettingsError(f"{path} gives an EM gain of {multiplied:g}; expected above 0")
    return ThunderstormProtocol(
        settings=settings,
        offset_adu=said.entry(camera, "offset", float),
        gain_e_per_adu=said.entry(camera, "photons2ADU", float) / multiplied,
        read_noise_e=said.entry(camera, "readoutNoise", float, default=0.0),
        pixel_size_nm=said.entry(camera, "pixelSize", float),
        name=Path(path).name,
        notes=tuple(_notes(said, camera, analysis[3:])),
    )


@dataclass(frozen=True, slots=True, kw_only=False)
class _Said:
    """The parts of a protocol, and how to ask for an entry."""

    path: Path
    parts: Mapping[str, list[Any]]

    @property
    def version(self) -> str:
        """The first line."""
        return str(self.parts[""][0])

    def object_of(self, part: str) -> Mapping[str, Any]:
        """Return the only object of a part."""
        content = self.parts[part]
        if len(content) != 1 or not isinstance(content[0], dict):
            raise SettingsError(f"{self.path} must hold one JSON object under {part}")
        return content[0]

    def entry(self, content: Any, name: str, kind: Callable[[Any], Any], **default: Any) -> Any:
        """Return an entry as its type, or the default where it is missing."""
        if name not in content and "default" in default:
            return default["default"]
        value = content.get(name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        is_right = isinstance(value, bool) if kind is bool else is_number and math.isfinite(value)
        if not is_right:
            raise SettingsError(
                f"{self.path} gives {name} as {value!r}; expected "
                f"{'true or false' if kind is bool else 'a number'}"
            )
        return kind(value)

    def choices(self, module: Any) -> dict[str, Any]:
        """Return what was chosen for a filter, detector or estimator, by name."""
        try:
            tracked = module["parameters"]["trackedParameters"]
            return {name: choice["value"] for name, choice in tracked.items()}
        except (AttributeError, KeyError, TypeError) as error:
            raise SettingsError(f"{self.path} lacks the choices of {_name_of(module)}") from error

    def refuse(self, what: str, known: Any) -> SettingsError:
        """Return the error of something that is not done here."""
        return SettingsError(f"{self.path} asks for {what}, which is not done here; known: {known}")


def _parts(path: Path) -> dict[str, list[Any]]:
    """Return the JSON of each part by the line that names it; the first line under ''."""
    try:
        with Path(path).open("rb") as stream:
            text = stream.read(_MOST_BYTES).decode("utf-8")
    except FileNotFoundError as error:
        raise SettingsError(f"{path} does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read as text: {error}") from error
    version, _, rest = text.partition("\n")
    if not version.startswith(_START):
        raise SettingsError(
            f"{path} is no ThunderSTORM protocol: its first line does not start with {_START!r}"
        )
    pieces = re.split(r"^([A-Z][\w -]*):[ \t]*\r?$", rest, flags=re.MULTILINE)
    parts: dict[str, list[Any]] = {"": [version.strip()]}
    for name, content in zip(pieces[1::2], pieces[2::2], strict=True):
        parts[name] = _documents(content, name, path)
    missing = [name for name in ("Camera settings", "Analysis") if name not in parts]
    if missing:
        raise SettingsError(f"{path} is no whole ThunderSTORM protocol: it lacks {missing}")
    return parts


def _documents(text: str, part: str, path: Path) -> list[Any]:
    """Return the JSON values that follow each other in a text."""
    decoder, found, start = json.JSONDecoder(), [], 0
    while text[start:].strip():
        start += len(text[start:]) - len(text[start:].lstrip())
        try:
            value, start = decoder.raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            raise SettingsError(f"{path} holds no JSON under {part}: {error}") from error
        found.append(value)
    return found


def _name_of(module: Any) -> str:
    """Return what a part of the analysis is called."""
    return str(module.get("name")) if isinstance(module, dict) else repr(module)


def _check_filter(said: _Said, module: Any) -> None:
    """Raise unless the filter is the one we have."""
    name = _name_of(module)
    if name not in _FILTER:
        raise said.refuse(f"the filter {name!r}", list(_FILTER))
    chosen = said.choices(module)
    if chosen != _FILTER[name]:
        raise said.refuse(f"the filter {name!r} with {chosen}", _FILTER[name])


def _detector(said: _Said, module: Any) -> dict[str, Any]:
    """Return threshold and neighbours."""
    name, chosen = _name_of(module), said.choices(module)
    if name not in _DETECTORS:
        raise said.refuse(f"the detector {name!r}", list(_DETECTORS))
    connectivity = chosen.pop("connectivity", "8-neighbourhood")
    if connectivity not in _NEIGHBOURS:
        raise said.refuse(f"the connectivity {connectivity!r}", list(_NEIGHBOURS))
    if chosen.pop("radius", 1) != 1:
        raise said.refuse(f"the detector {name!r} with another radius", "1 pixel")
    threshold = chosen.pop("threshold", "")
    if chosen:
        raise said.refuse(f"{sorted(chosen)} of the detector {name!r}", "threshold")
    return {"threshold": str(threshold), "neighbours": _NEIGHBOURS[connectivity]}


def _estimator(said: _Said, module: Any) -> dict[str, Any]:
    """Return shape, method, radius and width of the fit."""
    name, chosen = _name_of(module), said.choices(module)
    if name not in _SHAPES:
        raise said.refuse(f"the estimator {name!r}", list(_SHAPES))
    crowded = module.get("crowdedField")
    if isinstance(crowded, dict):
        several = said.choices({"name": "the crowded field", "parameters": crowded.get("params")})
        if several.get("mfaenabled") is not False:
            raise said.refuse("the fit of several molecules at once", "mfaenabled false")
    method = str(chosen.pop("method", ""))
    if method.lower() not in _METHODS:
        raise said.refuse(f"the method {method!r}", list(_METHODS))
    if chosen.pop("full_image_fitting", False) is not False:
        raise said.refuse("the fit of whole frames", "full_image_fitting false")
    values = {
        "psf": _SHAPES[name],
        "estimator": _METHODS[method.lower()],
        "fit_radius_px": chosen.pop("fitradius", None),
        "sigma_px": chosen.pop("sigma", None),
    }
    if chosen:
        raise said.refuse(f"{sorted(chosen)} of the estimator {name!r}", "its other choices")
    return values


def _notes(said: _Said, camera: Mapping[str, Any], more: list[Any]) -> list[str]:
    """Return what the protocol says and is not followed."""
    notes = [f"{said.path.name}: {_name_of(step)} is left out of the analysis" for step in more]
    unknown = sorted(set(camera) - set(_CAMERA))
    if unknown:
        notes.append(f"{said.path.name}: {unknown} of the camera are not used")
    if said.entry(camera, "quantumEfficiency", float, default=1.0) != 1.0:
        notes.append(
            f"{said.path.name}: photons are stated as detected photoelectrons, not divided by the "
            "quantum efficiency"
        )
    for document in said.parts.get("Post-processing", []):
        steps = document if isinstance(document, list) else [document]
        notes += [
            f"{said.path.name}: the post-processing {json.dumps(step)} is not done here; use "
            "cellstorm drift, merge or select"
            for step in steps
        ]
    return notes
