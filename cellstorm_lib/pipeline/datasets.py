"""What a dataset is made of: one YAML file per dataset."""

from dataclasses import dataclass, field
from pathlib import Path

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.settings import read_settings
from cellstorm_lib.simulate.scene import Scene, preset_names, read_preset, read_scene


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


def read_recipe(folder: Path, name: str) -> DatasetRecipe:
    """Read the recipe of a dataset.

    Raises
    ------
    SettingsError
        When it is missing or wrong; the message names the file.
    """
    path = folder / f"{name}.yaml"
    if not path.exists():
        raise SettingsError(
            f"the dataset {name} has no {path}; put its recipe back, or delete its partition"
        )
    return read_settings(DatasetRecipe, path)


def dataset_names(folder: Path) -> tuple[str, ...]:
    """Return the names of the datasets that have a recipe."""
    if not folder.is_dir():
        return ()
    return tuple(sorted(path.stem for path in folder.glob("*.yaml") if path.stem[0] != "."))


def scene_of(recipe: DatasetRecipe, folder: Path) -> Scene:
    """Return the scene a recipe names."""
    if recipe.scene in preset_names():
        return read_preset(recipe.scene)
    return read_scene(folder / recipe.scene)
