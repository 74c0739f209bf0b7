"""Cameras by name: those that come with the program, and files of one's own.

A camera file is a piece of a scene file: what stands there under ``camera`` and under ``codec``.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from cellstorm_lib.errors import SettingsError, refusing
from cellstorm_lib.files import inside, written_whole
from cellstorm_lib.settings import first_of_yaml, plain_yaml, settings_from
from cellstorm_lib.simulate.codec import CodecSettings
from cellstorm_lib.simulate.exposure import CameraSettings
from cellstorm_lib.simulate.ranges import about


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneSettings:
    """A camera and what becomes of its frames: a video, or an uncompressed stack."""

    camera: CameraSettings = field(
        default_factory=CameraSettings, metadata=about("sensor and image signal processor")
    )
    codec: CodecSettings | None = field(
        default_factory=CodecSettings,
        metadata=about("compression of the video; empty: an uncompressed stack"),
    )

    def __post_init__(self) -> None:
        refuse_codec_of_raw_frames(self.camera, self.codec)


def refuse_codec_of_raw_frames(camera: CameraSettings, codec: CodecSettings | None) -> None:
    """Raise when frames of more than 8 bits are to become a video.

    Raises
    ------
    SettingsError
        Saying which of the two to empty.
    """
    if codec is not None and camera.frame_bit_depth != 8:
        raise SettingsError(
            f"codec must be empty for the camera {camera.name!r}, which records raw frames of "
            f"{camera.frame_bit_depth} bits; write `codec: null`, or give the camera a processing"
        )


def camera_names() -> tuple[str, ...]:
    """Return the names of the cameras that come with the program."""
    return tuple(sorted(_preset_files()))


def read_camera(name: str | Path, *, folder: Path | None = None) -> PhoneSettings:
    """Return a camera that comes with the program, or one from a file.

    Parameters
    ----------
    name : str or Path
        One of `camera_names`, or a YAML file.
    folder : Path or None
        Where the file must lie, for a name that was read in another file; None: anywhere.

    Raises
    ------
    SettingsError
        When there is neither a camera nor a file of that name, or the file is no camera's.
    """
    presets = _preset_files()
    if str(name) in presets:
        return _phone_from(first_of_yaml(presets[str(name)]))
    path = Path(name) if folder is None else inside(folder, str(name))
    if not path.exists():
        raise SettingsError(
            f"there is no camera {str(name)!r}; give a camera file or one of "
            f"{', '.join(sorted(presets))}"
        )
    with refusing(SettingsError, path, "cannot be read as YAML", "correct it"):
        return _phone_from(plain_yaml(path), path.parent)


def camera_from(
    content: str | Mapping[str, Any] | None, *, folder: Path | None = None
) -> PhoneSettings:
    """Return the camera that stands under ``camera`` in a scene, with the codec it brings along.

    Parameters
    ----------
    content : str, mapping or None
        A name or file as for `read_camera`; or settings, which start from the defaults or, with
        the key ``like``, from such a camera; None for the default camera.
    folder : Path or None
        Where files named without their folder lie.

    Returns
    -------
    PhoneSettings
        Its codec is that of the camera named; without one, the default, or none for raw frames.

    Raises
    ------
    SettingsError
        When there is no such camera, or a setting is unknown or out of its range.
    """
    if content is None:
        return PhoneSettings()
    if isinstance(content, str):
        return read_camera(content, folder=folder)
    if not isinstance(content, Mapping):
        raise SettingsError(
            f"camera must be the name of a camera, a file or settings, got {content!r}"
        )
    given = dict(content)
    like = given.pop("like", None)
    if like is None:
        camera = settings_from(CameraSettings, given, where="camera")
        return PhoneSettings(
            camera=camera, codec=CodecSettings() if camera.frame_bit_depth == 8 else None
        )
    phone = read_camera(str(like), folder=folder)
    camera = settings_from(CameraSettings, _merged(asdict(phone.camera), given), where="camera")
    return PhoneSettings(camera=camera, codec=phone.codec if camera.frame_bit_depth == 8 else None)


def write_camera(phone: PhoneSettings, path: Path, *, comment: str = "") -> None:
    """Write a camera file with all its settings, below a comment that says where they come from."""
    lines = "".join(f"# {line}\n" for line in comment.splitlines())
    text = yaml.safe_dump(asdict(phone), sort_keys=False, allow_unicode=True)
    with written_whole(path) as temporary:
        temporary.write_text(lines + text, encoding="utf-8")


def _phone_from(content: Any, folder: Path | None = None) -> PhoneSettings:
    """Return the camera of a file's content."""
    if not isinstance(content, Mapping) or "camera" not in content:
        raise SettingsError(
            f"a camera file must hold `camera` and may hold `codec`, got {content!r}"
        )
    phone = camera_from(content["camera"], folder=folder)
    given = {"camera": phone.camera, "codec": phone.codec, **_without_camera(content)}
    return settings_from(PhoneSettings, given)


def _without_camera(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a camera file holds besides the camera."""
    return {str(name): value for name, value in content.items() if name != "camera"}


def _merged(plain: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings with those given in place of what was there."""
    merged = dict(plain)
    for name, value in given.items():
        inner = plain.get(name)
        if isinstance(inner, Mapping) and isinstance(value, Mapping):
            merged[name] = _merged(inner, value)
        else:
            merged[name] = value
    return merged


def _preset_files() -> Mapping[str, str]:
    """Return the text of every packaged camera, by name."""
    folder = resources.files("cellstorm_lib.simulate") / "cameras"
    return {
        entry.name.removesuffix(".yaml"): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    }
