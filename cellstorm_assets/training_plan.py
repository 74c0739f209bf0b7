"""What is to be trained, on what, and how: recipes with changes, pairs by name, settings."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from cellstorm_assets.project import Project, partition_key
from cellstorm_lib.errors import TableError
from cellstorm_lib.files import digest_of
from cellstorm_lib.gan.recipe import RECIPES, Recipe, recipe_named
from cellstorm_lib.pairs.pair_set import PairSet, read_pairs
from cellstorm_lib.settings import settings_from


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """How a training is run; what is trained is the recipe's matter."""

    device: str = field(default="auto", metadata={"about": "auto, cpu, cuda or mps"})
    threads: int | None = field(
        default=None,
        metadata={"about": "threads of the CPU; the same number gives the same weights"},
    )
    resume: bool = field(
        default=False, metadata={"about": "go on with the same training where it was interrupted"}
    )
    start: str | None = field(
        default=None,
        metadata={"about": "network to fine-tune: champion, a version, or a checkpoint's path"},
    )
    films: tuple[str, ...] = field(
        default=(), metadata={"about": "benchmark films to score it by; all when empty"}
    )


def run_name(recipe: Recipe) -> str:
    """Return a recipe's name with what differs from the preset of that name."""
    preset = RECIPES.get(recipe.name, Recipe(name=recipe.name))
    changes = [
        f"{entry.name}={getattr(recipe, entry.name)}"
        for entry in fields(recipe)
        if getattr(recipe, entry.name) != getattr(preset, entry.name)
    ]
    return " ".join([recipe.name, *changes])


def recipe_from(preset: str, changes: Mapping[str, Any]) -> Recipe:
    """Return a recipe that comes with the program, with other values for some of its settings.

    Raises
    ------
    SettingsError
        When there is no such recipe or setting, or a value is wrong.
    """
    return settings_from(Recipe, {**asdict(recipe_named(preset)), **changes})


def training_folder(
    project: Project, dataset: str, recipe: Recipe, *, start_digest: str = ""
) -> Path:
    """Return where a training keeps what it needs to be resumed.

    It is the same for the same dataset, recipe and, when one is fine-tuned, network.
    """
    looked_at = (recipe, start_digest) if start_digest else recipe
    key = partition_key(recipe.name, digest_of(looked_at))
    return project.home / "data" / "training" / partition_key(dataset, digest_of(dataset)) / key


def pairs_named(dataset: str, project: Project) -> tuple[str, PairSet]:
    """Return pairs, and what to call them, by the name of a dataset or by their folder.

    Raises
    ------
    TableError
        When there are none.
    """
    stored = project.assets_folder / "training_pairs"
    for path in (Path(dataset).expanduser(), stored / f"{dataset}.zarr", stored / dataset):
        if path.is_dir():
            return path.stem, read_pairs(path)
    names = sorted(path.stem for path in stored.iterdir()) if stored.is_dir() else []
    raise TableError(
        f"there is no dataset {dataset!r} with training pairs (there are: "
        f"{', '.join(names) or 'none'}); materialize training_pairs for it, or give a folder"
    )
