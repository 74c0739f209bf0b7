"""The registered denoisers: versions, the champion among them, and the file of a given one."""

# ruff: noqa: PLC0415 - MLflow takes more than a second to import; only those wait who need it.

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cellstorm_assets.markdown import quoted
from cellstorm_assets.project import Project
from cellstorm_assets.tracking import TrackedRun, Tracking
from cellstorm_lib.errors import CheckpointError
from cellstorm_lib.gan import SHIPPED

#: The model's name in the registry, and the alias of the version in use.
MODEL = "cellstorm-denoiser"
CHAMPION = "champion"
SHIPPED_LABEL = "champion shipped with cellstorm"
#: The tag that says how a version's last contest for the champion's place ended.
DECISION = "champion_decision"
_ABOUT = (
    "Networks that turn the film of a phone into the light of molecules. "
    "The alias champion marks the one that recordings are denoised with."
)
_NONE_YET = "None is yet: recordings are denoised with the network that comes with the program."
#: Where a run keeps its weights.
WEIGHTS = "weights/best.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundModel:
    """A checkpoint on this machine.

    Attributes
    ----------
    path : Path
        Its safetensors file.
    label : str
        What to call it: a registered version, or the file's name.
    version : int or None
        Its version in the registry; None for a file.
    """

    path: Path
    label: str
    version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredVersion:
    """A version in the registry.

    Attributes
    ----------
    version : int
        Its number, from 1.
    run_id : str
        The MLflow run of its training.
    tags : mapping
        Dataset, recipe, digests, camera and codec it is meant for, scores, decisions.
    is_champion : bool
        Whether it is the one in use.
    """

    version: int
    run_id: str
    tags: Mapping[str, str]
    is_champion: bool

    @property
    def label(self) -> str:
        """Its name and number."""
        return f"{MODEL}/{self.version}"


def checkpoint_path(model: str, project: Project) -> FoundModel:
    """Return the checkpoint that a person or a setting names.

    Parameters
    ----------
    model : str
        ``champion``: the version with this alias, or the file that comes with the program when
        nothing is registered yet; a version, as ``3`` or ``cellstorm-denoiser/3``; the id of an
        MLflow run; or the path of a safetensors file.
    project : Project
        Whose registry is asked.

    Raises
    ------
    CheckpointError
        When there is no such model.
    ExportError
        When the registry cannot be reached.
    """
    if model == CHAMPION:
        found = champion_of(project)
        if found is None:
            raise CheckpointError(
                "there is no champion yet; train a denoiser with `cellstorm train` and "
                "materialize champion_denoiser, or give the path of a checkpoint"
            )
        return found
    number = re.fullmatch(rf"(?:(?:models:/)?{MODEL}/)?v?(\d{{1,9}})", model)
    if number:
        return _version(int(number[1]), project)
    if re.fullmatch(r"[0-9a-f]{32}", model):
        return _of_run(model, project)
    path = Path(model).expanduser()
    if path.is_file():
        return FoundModel(path=path, label=path.name)
    raise CheckpointError(
        f"there is no model {model!r}: neither a file, nor a version as {MODEL}/3, nor an MLflow "
        f"run; take {CHAMPION}, or see what there is with `cellstorm models`"
    )


def champion_of(project: Project) -> FoundModel | None:
    """Return the champion of the registry, else the network that comes with the program.

    None when there is neither.

    Raises
    ------
    CheckpointError
        When there is a champion, but its weights are gone.
    """
    tracking = Tracking.of(project)
    if tracking.exists:
        client = tracking.client()
        with tracking.told_plainly():
            number = _champion_number(client)
        if number is not None:
            return _version(number, project)
    return FoundModel(path=SHIPPED, label=SHIPPED_LABEL) if SHIPPED.is_file() else None


def registered_versions(project: Project) -> list[RegisteredVersion]:
    """Return all versions, oldest first.

    Raises
    ------
    ExportError
        When the registry cannot be reached.
    """
    tracking = Tracking.of(project)
    if not tracking.exists:
        return []
    client = tracking.client()
    with tracking.told_plainly():
        champion = _champion_number(client)
        found = client.search_model_versions(f"name = '{MODEL}'")
    versions = [
        RegisteredVersion(
            version=int(entry.version),
            run_id=str(entry.run_id),
            tags=dict(entry.tags),
            is_champion=int(entry.version) == champion,
        )
        for entry in found
    ]
    return sorted(versions, key=lambda entry: entry.version)


def register(run: TrackedRun, source: str, tags: Mapping[str, str], description: str) -> int:
    """Add a version to the registry; the last step of a training, so that none is half there.

    Parameters
    ----------
    run : TrackedRun
        The run of the training; its weights are written down already.
    source : str
        Address of the exported program.
    tags : mapping
        What the version is made of and meant for.
    description : str
        The same in a sentence.

    Returns
    -------
    int
        The version's number.
    """
    with run.tracking.told_plainly():
        if not run.client.search_registered_models(f"name = '{MODEL}'"):
            run.client.create_registered_model(MODEL, description=f"{_ABOUT}\n\n{_NONE_YET}")
        made = run.client.create_model_version(
            MODEL,
            source,
            run_id=run.run_id,
            tags=dict(tags),
            description=description,
            model_id=source.removeprefix("models:/"),
        )
    return int(made.version)


def tag_version(project: Project, version: int, tags: Mapping[str, str]) -> None:
    """Put tags on a version."""
    tracking = Tracking.of(project)
    client = tracking.client()
    with tracking.told_plainly():
        for name, value in tags.items():
            client.set_model_version_tag(MODEL, str(version), name, value)


def crown(project: Project, version: int, reason: str) -> None:
    """Make a version the champion, for a reason that is written on it first.

    The page of the model says the same above its versions.
    """
    tag_version(project, version, {DECISION: f"became champion: {reason}"})
    tracking = Tracking.of(project)
    client = tracking.client()
    with tracking.told_plainly():
        client.set_registered_model_alias(MODEL, CHAMPION, str(version))
    tell_page(project, f"**It is version {version}**: {quoted(reason)}.")


def tell_page(project: Project, sentence: str) -> None:
    """Say above the versions on the page of the model, as Markdown, which is the champion."""
    tracking = Tracking.of(project)
    client = tracking.client()
    with tracking.told_plainly():
        client.update_registered_model(MODEL, f"{_ABOUT}\n\n{sentence}")


def _champion_number(client: Any) -> int | None:
    """Return the number of the version with the alias; None when there is none."""
    found = client.search_registered_models(f"name = '{MODEL}'")
    number = dict(found[0].aliases).get(CHAMPION) if found else None
    return None if number is None else int(number)


def _version(number: int, project: Project) -> FoundModel:
    """Return the weights of a registered version."""
    known = {entry.version: entry for entry in registered_versions(project)}
    if number not in known:
        there_are = f"there are 1 to {max(known)}" if known else "none is registered yet"
        raise CheckpointError(
            f"there is no version {number} of {MODEL} ({there_are}); see `cellstorm models`"
        )
    entry = known[number]
    found = _of_run(entry.run_id, project, label=entry.label)
    return FoundModel(path=found.path, label=entry.label, version=number)


def _of_run(run_id: str, project: Project, *, label: str = "") -> FoundModel:
    """Return the weights that a run keeps."""
    tracking = Tracking.of(project)
    label = label or f"MLflow run {run_id}"
    if not tracking.exists:
        raise CheckpointError(f"there is no {label}, for nothing is written down in MLflow yet")
    client = tracking.client()
    from mlflow.exceptions import MlflowException

    try:
        path = Path(client.download_artifacts(run_id, WEIGHTS))
    except (MlflowException, OSError) as error:
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise CheckpointError(
            f"{label} has no weights that can be read ({reason}); choose another model with "
            "`cellstorm models`"
        ) from error
    return FoundModel(path=path, label=label)
