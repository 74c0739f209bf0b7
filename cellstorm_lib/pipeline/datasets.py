"""What a dataset is made of: one YAML file per dataset."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.files import inside, is_plain_name
from cellstorm_lib.pairs.localized_settings import LocalizedPairsSettings
from cellstorm_lib.pairs.mixture import MethodShares
from cellstorm_lib.pairs.pair_set import LIGHT_SIGMA_PX
from cellstorm_lib.pairs.random_scenes import SceneRanges
from cellstorm_lib.pairs.simulated import SimulatedPairsSettings
from cellstorm_lib.pipeline.display_capture import DisplayRecipe
from cellstorm_lib.settings import read_settings
from cellstorm_lib.simulate.ranges import about, check_ranges
from cellstorm_lib.simulate.scene import Scene, preset_names, read_preset, read_scene


@dataclass(frozen=True, slots=True, kw_only=True)
class PairsRecipe:
    """What the training pairs of a dataset are made of; everything left out takes its default.

    Where displayed pairs have a share, molecules of all pairs are as wide as they are filmed.
    """

    shares: MethodShares = field(
        default_factory=MethodShares,
        metadata={"about": "in which proportion the methods are mixed, as simulated: 1"},
    )
    simulated: SimulatedPairsSettings = field(
        default_factory=SimulatedPairsSettings,
        metadata={"about": "how many scenes are simulated, and how much of each"},
    )
    ranges: SceneRanges = field(
        default_factory=SceneRanges,
        metadata={"about": "between what limits chance chooses the simulated scenes"},
    )
    phone: str | None = field(
        default=None,
        metadata={
            "about": "camera of all simulated scenes, to fit a network to one phone: one that "
            "comes with the program, or a camera file beside this one; empty: another each time"
        },
    )
    localized: LocalizedPairsSettings = field(
        default_factory=LocalizedPairsSettings,
        metadata={"about": "how pairs are drawn from localized recordings"},
    )
    recordings: tuple[str, ...] = field(
        default=(),
        metadata={"about": "localized recordings to draw pairs from: names of files, or keys"},
    )
    meant_for: str | None = field(
        default=None,
        metadata={
            "about": "the recording that the film in the pairs is compared with; empty: the first "
            "of the recordings"
        },
    )
    most_frames: int | None = field(
        default=None, metadata={"about": "frames to train on, at most; empty: all there are"}
    )
    seed: int = field(
        default=0, metadata=about("number that decides which frames are mixed", at_least=0)
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.shares.localized > 0 and not self.recordings:
            raise SettingsError(
                "localized pairs have a share, but no recording is named; name those to draw "
                "pairs from under `recordings`"
            )
        if len(set(self.recordings)) < len(self.recordings):
            raise SettingsError(f"recordings must differ, got {list(self.recordings)}")
        if self.shares.displayed > 0:
            self._draw_as_filmed()
        if self.most_frames is not None and self.most_frames < 1:
            raise SettingsError(f"most_frames must be 1 or more, got {self.most_frames}")

    def _draw_as_filmed(self) -> None:
        """Leave molecules as wide as filmed: a network that learned two widths knows neither."""
        for name, width_px in (
            ("simulated.light_sigma_px", self.simulated.light_sigma_px),
            ("localized.sigma_px", self.localized.sigma_px),
        ):
            if width_px not in (None, LIGHT_SIGMA_PX):
                raise SettingsError(
                    f"{name} is {width_px}, but molecules of displayed pairs are as wide as "
                    "filmed; leave it out, or give displayed pairs no share"
                )
        as_filmed = replace(self.simulated, light_sigma_px=None)
        object.__setattr__(self, "simulated", as_filmed)
        object.__setattr__(self, "localized", replace(self.localized, sigma_px=None))


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRecipe:
    """A ``NAME.yaml`` in the datasets folder."""

    scene: str = field(
        default="demo",
        metadata={"about": "a scene that comes with the program, or a scene file beside this one"},
    )
    real_clip: str | None = field(
        default=None,
        metadata={
            "about": "a real video, beside this file, that the simulated one is compared with"
        },
    )
    pairs: PairsRecipe | None = field(
        default=None,
        metadata={"about": "what the training pairs are made of; empty: none are made"},
    )
    display: DisplayRecipe | None = field(
        default=None,
        metadata={"about": "how the scene is shown on a screen and filmed; empty: it is not"},
    )

    def __post_init__(self) -> None:
        if self.pairs is None:
            return
        shares = self.pairs.shares
        if shares.displayed > 0 and self.display is None:
            raise SettingsError(
                "displayed pairs have a share, but nothing says what is shown and filmed; add a "
                "line `display: {}`"
            )
        parts = {
            "simulated": self.pairs.simulated,
            "displayed": None if self.display is None else self.display.clips,
            "localized": self.pairs.localized,
        }
        sizes = {
            method: f"{part.frames} frames of {part.side_px} px"
            for method, part in parts.items()
            if part is not None and getattr(shares, method) > 0
        }
        if len(set(sizes.values())) > 1:
            found = ", ".join(f"{method} {size}" for method, size in sizes.items())
            raise SettingsError(f"pairs that are mixed need clips of one size, got {found}")


def read_recipe(folder: Path, name: str) -> DatasetRecipe:
    """Read the recipe of a dataset.

    Raises
    ------
    SettingsError
        When it is missing or wrong; the message names the file.
    """
    path = inside(folder, f"{name}.yaml")
    if not path.exists():
        raise SettingsError(
            f"the dataset {name} has no {path}; put its recipe back, or delete its partition"
        )
    return read_settings(DatasetRecipe, path)


def dataset_names(folder: Path) -> tuple[str, ...]:
    """Return the names of the datasets that have a recipe."""
    if not folder.is_dir():
        return ()
    names = (path.stem for path in folder.glob("*.yaml") if path.stem[0] != ".")
    return tuple(sorted(filter(is_plain_name, names)))


def scene_of(recipe: DatasetRecipe, folder: Path) -> Scene:
    """Return the scene a recipe names."""
    if recipe.scene in preset_names():
        return read_preset(recipe.scene)
    return read_scene(inside(folder, recipe.scene))
