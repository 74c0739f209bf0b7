"""The datasets group, second part: pairs of film and light, from which a denoiser learns."""

from collections.abc import Callable, Sequence

import dagster as dg

from cellstorm_assets.datasets import GROUP, OWNERS
from cellstorm_assets.metadata import said_plainly
from cellstorm_assets.partitions import DATASETS
from cellstorm_assets.project import Project, partition_key
from cellstorm_assets.recordings import source_of
from cellstorm_assets.resources import ProjectResource
from cellstorm_assets.storage import ParquetFiles, Stored
from cellstorm_assets.training_facts import (
    Facts,
    likeness_facts,
    localized_facts,
    made,
    mixture_facts,
    not_asked,
)
from cellstorm_lib.errors import SettingsError
from cellstorm_lib.pairs import localized, simulated
from cellstorm_lib.pairs.film_likeness import film_likeness
from cellstorm_lib.pairs.mixture import mixed_pairs
from cellstorm_lib.pairs.pair_set import Method, PairSet, joined, split_of
from cellstorm_lib.pipeline.datasets import PairsRecipe, read_recipe
from cellstorm_lib.pipeline.result import RecordingEntry
from cellstorm_lib.simulate.cameras import read_camera
from cellstorm_lib.tables import Localizations

RECORDING = dg.AssetKey("recording")
SPOTS = dg.AssetKey(["raw", "spots"])

_ANY_RECORDING = dg.AllPartitionMapping()
_REPORTS = 10


def pairs_recipe_of(project: ProjectResource, name: str) -> PairsRecipe:
    """Return what the training pairs of a dataset are made of.

    Raises
    ------
    SettingsError
        When its recipe cannot be read, or asks for none.
    """
    folder = project.project().datasets_folder
    recipe = read_recipe(folder, name).pairs
    if recipe is None:
        raise SettingsError(
            f"{folder / f'{name}.yaml'} asks for no training pairs; add a line `pairs: {{}}` for "
            "simulated ones, or see docs/how-to/training-pairs.md"
        )
    return recipe


def recording_named(name: str, keys: Sequence[str]) -> str:
    """Return the partition key of a recording that a recipe names by its file or its key.

    Raises
    ------
    SettingsError
        When there is none, or more than one.
    """
    if name in keys:
        return name
    slug = partition_key(name, "").rpartition("-")[0]
    found = [key for key in keys if key.rpartition("-")[0] == slug]
    if len(found) == 1:
        return found[0]
    if not found:
        raise SettingsError(
            f"there is no recording {name!r}; known are {sorted(keys) or 'none'}: put the file "
            "into the recordings folder first"
        )
    raise SettingsError(f"{name!r} may be any of {sorted(found)}; write the one that is meant")


def refuse_unready(project: Project, name: str, localized_keys: Sequence[str]) -> None:
    """Raise when the pairs of a dataset cannot be made yet.

    Parameters
    ----------
    project : Project
        Where films and recipes are.
    name : str
        The dataset.
    localized_keys : sequence of str
        Recordings whose spots were found.

    Raises
    ------
    SettingsError
        Naming the recording that is not localized, or the film that is not there.
    """
    recipe = read_recipe(project.datasets_folder, name)
    if recipe.pairs is None:
        return
    for recording in (*_asked_recordings(recipe.pairs), recipe.pairs.meant_for):
        if recording is not None:
            recording_named(recording, localized_keys)
    if recipe.pairs.shares.displayed > 0 and recipe.display is not None:
        film = project.datasets_folder / name / recipe.display.film
        if not film.is_file():
            raise SettingsError(
                f"{film} is not there yet; materialize display_movie, show it, and film it"
            )


def _asked_recordings(recipe: PairsRecipe) -> tuple[str, ...]:
    """Return the names of the recordings that pairs are drawn from."""
    return recipe.recordings if recipe.shares.localized > 0 else ()


@dg.asset(
    partitions_def=DATASETS,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"zarr"},
    code_version="1",
    io_manager_key="pairs",
)
def simulated_pairs(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> dg.MaterializeResult[PairSet]:
    """Films of simulated molecules with their true light (method 1), each from another camera.

    Empty when the dataset's recipe gives simulated pairs no share.
    """
    with said_plainly():
        recipe = pairs_recipe_of(project, context.partition_key)
        if recipe.shares.simulated == 0:
            return not_asked("simulated")
        folder = project.project().datasets_folder
        pairs = simulated.simulated_pairs(
            recipe.simulated,
            ranges=recipe.ranges,
            phone=None if recipe.phone is None else read_camera(recipe.phone, folder=folder),
            progress=_told(context, "scene"),
        )
    return made(pairs, {})


@dg.asset(
    partitions_def=DATASETS,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"zarr"},
    code_version="1",
    io_manager_key="pairs",
    deps=[
        dg.AssetDep(RECORDING, partition_mapping=_ANY_RECORDING),
        dg.AssetDep(SPOTS, partition_mapping=_ANY_RECORDING),
    ],
)
def localized_pairs(
    context: dg.AssetExecutionContext,
    project: ProjectResource,
    parquet: dg.ResourceParam[ParquetFiles],
) -> dg.MaterializeResult[PairSet]:
    """Real film with light drawn where spots were localized in it (method 3).

    Empty when the dataset's recipe gives localized pairs no share.
    """
    with said_plainly():
        recipe = pairs_recipe_of(project, context.partition_key)
        names = _asked_recordings(recipe)
        if not names:
            return not_asked("localized")
        known = context.instance.get_dynamic_partitions("recording")
        keys = [recording_named(name, known) for name in names]
        parts, reports = [], {}
        for number, key in enumerate(keys):
            entry, spots = _localized(parquet, key)
            part, reports[key] = localized.localized_pairs(
                source_of(entry, project),
                entry.calibration,
                spots,
                recipe.localized,
                split=split_of(number, len(keys)),
                origin=key,
                progress=_told(context, f"{key}: window"),
            )
            parts.append(part)
        pairs = joined(parts)
    return made(pairs, localized_facts(reports))


@dg.asset(
    partitions_def=DATASETS,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"zarr"},
    code_version="1",
    io_manager_key="pairs",
    deps=[dg.AssetDep(RECORDING, partition_mapping=_ANY_RECORDING)],
)
def training_pairs(
    context: dg.AssetExecutionContext,
    project: ProjectResource,
    parquet: dg.ResourceParam[ParquetFiles],
    simulated_pairs: PairSet,
    displayed_pairs: PairSet,
    localized_pairs: PairSet,
) -> dg.MaterializeResult[PairSet]:
    """What a denoiser of this dataset learns from: the pairs of all methods, in proportion.

    Scenes and recordings are for training, for validation or for the test, never for two.
    """
    parts: dict[Method, PairSet] = {
        "simulated": simulated_pairs,
        "displayed": displayed_pairs,
        "localized": localized_pairs,
    }
    with said_plainly():
        recipe = pairs_recipe_of(project, context.partition_key)
        pairs, report = mixed_pairs(
            parts, recipe.shares, most_frames=recipe.most_frames, seed=recipe.seed
        )
        meant_for = recipe.meant_for or next(iter(recipe.recordings), None)
        likeness: Facts = {}
        if meant_for is not None:
            known = context.instance.get_dynamic_partitions("recording")
            entry = _stored(parquet, RecordingEntry, RECORDING, recording_named(meant_for, known))
            found = film_likeness(pairs, source_of(entry, project), entry.calibration)
            likeness = likeness_facts(found)
    return made(pairs, {**mixture_facts(report), **likeness})


def _told(context: dg.AssetExecutionContext, what: str) -> Callable[[int, int], None]:
    """Return a callback that writes a line into the run's log, ten times in all."""

    def tell(done: int, total: int) -> None:
        if done == total or done % max(1, total // _REPORTS) == 0:
            context.log.info(f"{what} {done} of {total}")

    return tell


def _localized(parquet: ParquetFiles, key: str) -> tuple[RecordingEntry, Localizations]:
    """Return a recording, and the spots found in it frame by frame."""
    return (
        _stored(parquet, RecordingEntry, RECORDING, key),
        _stored(parquet, Localizations, SPOTS, key),
    )


def _stored(parquet: ParquetFiles, kind: type[Stored], asset: dg.AssetKey, key: str) -> Stored:
    """Return what was materialized of a recording, or say that it was not."""
    try:
        return parquet.stored(kind, asset, key)
    except FileNotFoundError as error:
        raise SettingsError(
            f"{asset.to_user_string()} of the recording {key} was not made yet; materialize the "
            "recordings group for it first"
        ) from error


TRAINING_ASSETS = (simulated_pairs, localized_pairs, training_pairs)
