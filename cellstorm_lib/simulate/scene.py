"""A scene: everything a simulated recording depends on, in one YAML file with units."""

import dataclasses
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.files import written_whole
from cellstorm_lib.settings import settings_from
from cellstorm_lib.simulate.exposure import CameraSettings
from cellstorm_lib.simulate.filaments import FilamentSettings
from cellstorm_lib.simulate.illumination import BackgroundSettings, IlluminationSettings
from cellstorm_lib.simulate.photophysics import BlinkingSettings
from cellstorm_lib.simulate.pictures import MaskSettings
from cellstorm_lib.simulate.ranges import about, check_ranges
from cellstorm_lib.simulate.spot import SpotSettings
from cellstorm_lib.simulate.stage import StageSettings
from cellstorm_lib.simulate.structures import STRUCTURES, StructureSettings
from cellstorm_lib.tables import FieldOfView


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
class CodecSettings:
    """How strongly the video is compressed; exactly one of `bits_per_px` and `crf` is given."""

    codec: Literal["h264", "hevc"] = dataclasses.field(
        default="h264", metadata=about("video standard")
    )
    bits_per_px: float | None = dataclasses.field(
        default=0.4,
        metadata=about("constant bit rate as bits per pixel and frame", above=0, at_most=20),
    )
    crf: int | None = dataclasses.field(
        default=None,
        metadata=about(
            "constant quality instead of a bit rate; higher is worse", at_least=0, at_most=51
        ),
    )
    tune: str | None = dataclasses.field(
        default=None, metadata=about("'grain': the encoder's preset for grainy pictures; or empty")
    )
    gop_frames: int = dataclasses.field(
        default=21, metadata=about("frames from key frame to key frame", at_least=1, at_most=1000)
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        if (self.bits_per_px is None) == (self.crf is None):
            raise SettingsError(
                f"bits_per_px and crf exclude each other and one is needed: leave one empty, "
                f"got bits_per_px {self.bits_per_px} and crf {self.crf}"
            )
        if self.tune not in (None, "grain"):
            raise SettingsError(f"tune must be grain or empty, got {self.tune!r}")


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
    blinking: BlinkingSettings = dataclasses.field(
        default_factory=BlinkingSettings, metadata=about("when and how brightly molecules shine")
    )
    spot: SpotSettings = dataclasses.field(
        default_factory=SpotSettings, metadata=about("the image of a molecule")
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
    codec: CodecSettings = dataclasses.field(
        default_factory=CodecSettings, metadata=about("compression of the video")
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.exposure_s > self.frame_s * (1 + 1e-9):
            raise SettingsError(
                f"exposure_ms must be at most the frame time of {self.frame_s * 1000:g} ms "
                f"({self.frame_rate_hz:g} frames per second), got {self.exposure_ms}"
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
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(
            f"{path} does not exist; give a scene file or one of {', '.join(preset_names())}"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    try:
        scene = _scene_from({} if content is None else content)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error
    return _with_image_beside(scene, path.parent)


def write_scene(scene: Scene, path: Path) -> None:
    """Write a scene with all its settings, also those left at their defaults."""
    text = yaml.safe_dump(plain_scene(scene), sort_keys=False, allow_unicode=True)
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def plain_scene(scene: Scene) -> dict[str, Any]:
    """Return a scene as plain mappings, texts and numbers, as they stand in its file."""
    return asdict(scene)


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
    return _scene_from(yaml.safe_load(files[name]))


def _scene_from(content: Any) -> Scene:
    """Return a scene from plain content; its structure is of the class that `kind` names."""
    if not isinstance(content, dict) or content.get("structure") is None:
        return settings_from(Scene, content)
    structure = content["structure"]
    if not isinstance(structure, dict) or str(structure.get("kind")) not in STRUCTURES:
        raise SettingsError(
            f"structure must hold `kind`, one of {list(STRUCTURES)}, and its settings, "
            f"got {structure!r}"
        )
    kind = STRUCTURES[str(structure["kind"])]
    scene = settings_from(Scene, {**content, "structure": None})
    return replace(scene, structure=settings_from(kind, structure, where="structure"))


def _preset_files() -> Mapping[str, str]:
    """Return the text of every packaged scene, by name."""
    folder = resources.files("cellstorm_lib.simulate") / "scenes"
    return {
        entry.name.removesuffix(".yaml"): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    }


def _with_image_beside(scene: Scene, folder: Path) -> Scene:
    """Return the scene with its mask image's path resolved against the scene's folder."""
    if not isinstance(scene.structure, MaskSettings):
        return scene
    image = str((folder / scene.structure.image).resolve())
    return replace(scene, structure=replace(scene.structure, image=image))
