"""A scene: everything a simulated recording depends on, in one YAML file with units."""

import dataclasses
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from cellstorm_lib.errors import SettingsError, refusing
from cellstorm_lib.files import written_whole
from cellstorm_lib.settings import first_of_yaml, plain_yaml, settings_from
from cellstorm_lib.simulate.background import BackgroundSettings
from cellstorm_lib.simulate.blinking import BlinkingSettings, blinking_from
from cellstorm_lib.simulate.cameras import camera_from, refuse_codec_of_raw_frames
from cellstorm_lib.simulate.codec import CodecSettings
from cellstorm_lib.simulate.exposure import CameraSettings
from cellstorm_lib.simulate.filaments import FilamentSettings
from cellstorm_lib.simulate.gaussian import GaussianSpotSettings
from cellstorm_lib.simulate.illumination import IlluminationSettings
from cellstorm_lib.simulate.labelling import LabellingSettings
from cellstorm_lib.simulate.ranges import about, check_ranges
from cellstorm_lib.simulate.settings_text import settings_text
from cellstorm_lib.simulate.spot import SpotSettings
from cellstorm_lib.simulate.stage import StageSettings
from cellstorm_lib.simulate.structures import StructureSettings
from cellstorm_lib.tables import FieldOfView

_PARTS_WITH_FILES = ("structure", "spot")


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSettings:
    """The camera pixels looked at; even numbers, for the codec codes blocks of 2 x 2."""

    width_px: int = dataclasses.field(
        default=256, metadata=about("columns of a frame", at_least=16, at_most=8192)
    )
    height_px: int = dataclasses.field(
        default=256, metadata=about("rows of a frame", at_least=16, at_most=8192)
    )
    pixel_size_nm: float = dataclasses.field(
        default=100.0,
        metadata=about("size of a camera pixel in the sample", at_least=1, at_most=100_000),
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        for name in ("width_px", "height_px"):
            if getattr(self, name) % 2:
                raise SettingsError(f"{name} must be even, got {getattr(self, name)}")

    @property
    def width_nm(self) -> float:
        """Width in the sample."""
        return self.width_px * self.pixel_size_nm

    @property
    def height_nm(self) -> float:
        """Height in the sample."""
        return self.height_px * self.pixel_size_nm


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Sample, microscope, phone and recording. The same scene always gives the same frames."""

    name: str = dataclasses.field(default="scene", metadata=about("what to call the recording"))
    seed: int = dataclasses.field(
        default=1, metadata=about("number that decides all chance", at_least=0, at_most=2**63 - 1)
    )
    frame_count: int = dataclasses.field(
        default=1000, metadata=about("frames of the recording", at_least=1, at_most=10_000_000)
    )
    frame_rate_hz: float = dataclasses.field(
        default=20.0, metadata=about("frames per second", above=0, at_most=10_000)
    )
    exposure_ms: float | None = dataclasses.field(
        default=None,
        metadata=about("time the shutter is open; empty: the whole frame time", above=0),
    )
    field: FieldSettings = dataclasses.field(
        default_factory=FieldSettings, metadata=about("the camera pixels looked at")
    )
    structure: StructureSettings | None = dataclasses.field(
        default_factory=FilamentSettings, metadata=about("what is labelled; empty: nothing")
    )
    labelling: LabellingSettings = dataclasses.field(
        default_factory=LabellingSettings, metadata=about("how the structure gets its dyes")
    )
    blinking: BlinkingSettings = dataclasses.field(
        default_factory=BlinkingSettings, metadata=about("when and how brightly molecules shine")
    )
    spot: SpotSettings = dataclasses.field(
        default_factory=GaussianSpotSettings, metadata=about("the image of a molecule")
    )
    background: BackgroundSettings = dataclasses.field(
        default_factory=BackgroundSettings, metadata=about("light from no molecule")
    )
    illumination: IlluminationSettings = dataclasses.field(
        default_factory=IlluminationSettings, metadata=about("profile of the laser")
    )
    stage: StageSettings = dataclasses.field(
        default_factory=StageSettings, metadata=about("drift of the sample")
    )
    camera: CameraSettings = dataclasses.field(
        default_factory=CameraSettings, metadata=about("sensor and image signal processor")
    )
    codec: CodecSettings | None = dataclasses.field(
        default_factory=CodecSettings,
        metadata=about("compression of the video; empty: an uncompressed stack"),
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.exposure_s > self.frame_s * (1 + 1e-9):
            raise SettingsError(
                f"exposure_ms must be at most the frame time of {self.frame_s * 1000:g} ms "
                f"({self.frame_rate_hz:g} frames per second), got {self.exposure_ms}"
            )
        refuse_codec_of_raw_frames(self.camera, self.codec)
        if self.structure is None and self.background.autofluorescence_share > 0.0:
            raise SettingsError(
                "background.autofluorescence_share must be 0 in a scene without structure, which "
                f"it follows, got {self.background.autofluorescence_share:g}"
            )

    @property
    def frame_s(self) -> float:
        """Time from frame to frame."""
        return 1.0 / self.frame_rate_hz

    @property
    def exposure_s(self) -> float:
        """Time the shutter is open in each frame."""
        return self.frame_s if self.exposure_ms is None else self.exposure_ms / 1000.0

    @property
    def field_of_view(self) -> FieldOfView:
        """What positions in the truth refer to."""
        return FieldOfView(
            width_px=self.field.width_px,
            height_px=self.field.height_px,
            pixel_size_nm=self.field.pixel_size_nm,
            frame_count=self.frame_count,
        )


def read_scene(path: Path) -> Scene:
    """Read a scene from a YAML file; what the file leaves out takes its default.

    Raises
    ------
    SettingsError
        Naming the file, the key and the rule it breaks.
    """
    path = Path(path)
    try:
        content = plain_yaml(path)
    except FileNotFoundError as error:
        raise SettingsError(
            f"{path} does not exist; give a scene file or one of {', '.join(preset_names())}"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} is not YAML: {error}") from error
    with refusing(SettingsError, path, "is no scene", "correct it"):
        scene = _scene_from({} if content is None else content, folder=path.parent)
        return _with_files_beside(scene, path.parent)


def write_scene(scene: Scene, path: Path) -> None:
    """Write a scene with all its settings, also those left at their defaults, explained."""
    with written_whole(path) as temporary:
        temporary.write_text(settings_text(scene), encoding="utf-8")


def plain_scene(scene: Scene) -> dict[str, Any]:
    """Return a scene as plain mappings, texts and numbers, as they stand in its file."""
    plain: dict[str, Any] = _with_lists(asdict(scene))
    return plain


def _with_lists(content: Any) -> Any:
    """Return plain content with its tuples as lists, as they come out of a file."""
    if isinstance(content, dict):
        return {name: _with_lists(value) for name, value in content.items()}
    if isinstance(content, tuple | list):
        return [_with_lists(value) for value in content]
    return content


def preset_names() -> tuple[str, ...]:
    """Return the names of the scenes that come with the program."""
    return tuple(sorted(_preset_files()))


def read_preset(name: str) -> Scene:
    """Return a scene that comes with the program.

    Raises
    ------
    SettingsError
        When there is none of that name.
    """
    files = _preset_files()
    if name not in files:
        raise SettingsError(f"there is no scene {name!r}; there are {', '.join(sorted(files))}")
    return _scene_from(first_of_yaml(files[name]))


def scene_files(scene: Scene) -> dict[str, Path]:
    """Return the files a scene refers to, by the names of their settings, as structure.image."""
    return {
        f"{part}.{entry.name}": Path(getattr(getattr(scene, part), entry.name))
        for part in _PARTS_WITH_FILES
        for entry in _file_fields(getattr(scene, part))
    }


def _scene_from(content: Any, *, folder: Path | None = None) -> Scene:
    """Return a scene from plain content; a dye's and a camera's name stand for their settings."""
    if not isinstance(content, Mapping):
        return settings_from(Scene, content)
    built = dict(content)
    if "blinking" in content:
        built["blinking"] = blinking_from(content["blinking"])
    if "camera" in content:
        phone = camera_from(content["camera"], folder=folder)
        built = {"codec": phone.codec} | built | {"camera": phone.camera}
    return settings_from(Scene, built)


def _preset_files() -> Mapping[str, str]:
    """Return the text of every packaged scene, by name."""
    folder = resources.files("cellstorm_lib.simulate") / "scenes"
    return {
        entry.name.removesuffix(".yaml"): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    }


def _with_files_beside(scene: Scene, folder: Path) -> Scene:
    """Return the scene with the paths of its files resolved against the scene's folder."""
    for part in _PARTS_WITH_FILES:
        settings = getattr(scene, part)
        paths = {
            entry.name: str((folder / getattr(settings, entry.name)).resolve())
            for entry in _file_fields(settings)
        }
        if paths:
            scene = replace(scene, **{part: replace(settings, **paths)})
    return scene


def _file_fields(settings: Any) -> list[dataclasses.Field[Any]]:
    """Return the settings that hold the path of a file."""
    if settings is None:
        return []
    return [entry for entry in dataclasses.fields(settings) if entry.metadata.get("is_file")]
