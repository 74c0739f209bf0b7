"""The versions of a dataset scored side by side, and the contest for the champion's place."""

# ruff: noqa: PLC0415 - torch takes seconds to import; only those wait who need it.

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from cellstorm_assets.markdown import quoted
from cellstorm_assets.project import Project
from cellstorm_assets.registry import (
    CHAMPION,
    DECISION,
    FoundModel,
    RegisteredVersion,
    champion_of,
    checkpoint_path,
    crown,
    registered_versions,
    tag_version,
    tell_page,
)
from cellstorm_assets.scoring import (
    RAW,
    benchmark_scores,
    figure_tags,
    log_scores,
    look_pictures,
)
from cellstorm_assets.tracking import Tracking
from cellstorm_lib.errors import CheckpointError, TableError
from cellstorm_lib.evaluate.benchmark import mean_f1
from cellstorm_lib.evaluate.championship import (
    ChampionshipSettings,
    Decision,
    decide_championship,
)

if TYPE_CHECKING:
    from cellstorm_lib.pipeline.film_look import FilmLook


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """One version that asked for the champion's place.

    Attributes
    ----------
    version : int
        Its number.
    label, dataset : str
        Its name, and what it was trained on.
    f1, f1_error : float
        Mean over the benchmark films.
    decision : Decision
        The outcome.
    """

    version: int
    label: str
    dataset: str
    f1: float
    f1_error: float
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Championship:
    """All contests, and who is champion after them, with the digest of its weights."""

    before: str
    after: str
    weights_digest: str
    contests: tuple[Contest, ...]


def score_versions(
    project: Project,
    dataset: str,
    *,
    films: Sequence[str] = (),
    at_most: int = 8,
    look: "Callable[[FilmLook], None] | None" = None,
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Score the versions trained on a dataset, the champion and the raw films side by side.

    Parameters
    ----------
    project : Project
        Whose registry is asked; the scores go to the MLflow runs of the versions, too.
    dataset : str
        Name of the pairs they were trained on.
    films : sequence of str
        Names of benchmark films; all when empty.
    at_most : int
        Newest versions that are scored.
    look : callable, optional
        Given each film with molecules as it looks closely, raw and denoised.

    Returns
    -------
    (DataFrame, tuple of str)
        The rows of `score_denoisers` with the columns ``version`` (0 for what is not registered),
        ``dataset`` and ``weights_digest`` (empty for the raw films); and what was left out.

    Raises
    ------
    CheckpointError
        When no version was trained on the dataset.
    """
    from cellstorm_lib.gan.checkpoint import read_checkpoint
    from cellstorm_lib.gan.denoiser import Denoiser

    entries = [item for item in registered_versions(project) if item.tags.get("dataset") == dataset]
    if not entries:
        raise CheckpointError(
            f"no registered denoiser was trained on {dataset}; materialize denoiser first"
        )
    denoisers: dict[str, Denoiser | None] = {RAW: None}
    facts: dict[str, dict[str, object]] = {RAW: {"version": 0, "dataset": "", "weights_digest": ""}}
    remarks = [f"{item.label} is older and was not scored" for item in entries[:-at_most]]
    for model in (CHAMPION, *(entry.label for entry in entries[-at_most:])):
        try:
            found = _found(model, project)
            if found is None:
                continue
            checkpoint = read_checkpoint(found.path)
        except CheckpointError as error:
            remarks.append(str(error))
            continue
        if any(fact["weights_digest"] == checkpoint.digest for fact in facts.values()):
            continue
        denoisers[found.label] = Denoiser(checkpoint)
        facts[found.label] = {
            "version": found.version or 0,
            "dataset": _dataset_of(found, entries),
            "weights_digest": checkpoint.digest,
        }
    looks: list[FilmLook] = []
    table = benchmark_scores(denoisers, project, films, look=looks.append)
    about = pd.DataFrame.from_dict(facts, orient="index").loc[table["name"]].reset_index(drop=True)
    _write_down(project, table, entries, looks)
    if look is not None:
        for one in looks:
            look(one)
    return pd.concat([table.reset_index(drop=True), about], axis=1), tuple(remarks)


def _found(model: str, project: Project) -> FoundModel | None:
    """Return a model; None for a champion when there is none yet."""
    return champion_of(project) if model == CHAMPION else checkpoint_path(model, project)


def _dataset_of(found: FoundModel, entries: Iterable[RegisteredVersion]) -> str:
    """Return what a model was trained on, as far as it is known."""
    named = {entry.version: entry.tags.get("dataset", "") for entry in entries}
    return named.get(found.version or 0, "")


def _write_down(
    project: Project,
    table: pd.DataFrame,
    entries: Iterable[RegisteredVersion],
    looks: "Sequence[FilmLook]",
) -> None:
    """Write the scores and pictures of each version to its run, and figures to the registry."""
    tracking = Tracking.of(project)
    for entry in entries:
        if (table["name"] == entry.label).any():
            run = tracking.reopened(entry.run_id)
            figures = log_scores(run, table, entry.label)
            for title, png in look_pictures(looks, (RAW, entry.label)).items():
                run.log_picture(png, title)
            tag_version(project, entry.version, figure_tags(figures))


def hold_championship(
    tables: Iterable[pd.DataFrame],
    project: Project,
    settings: ChampionshipSettings | None = None,
) -> Championship:
    """Let every scored version ask for the champion's place, the best first, until one gets it.

    Where nothing is registered and no network comes with the program, the raw films are to be
    beaten. The reason of each decision is written on the version.

    Parameters
    ----------
    tables : iterable of DataFrame
        What `score_versions` returned, of all datasets.
    project : Project
        Whose registry is changed.
    settings : ChampionshipSettings, optional
        What a version must show.

    Raises
    ------
    TableError
        When the champion was not scored on the same films; then it stays.
    """
    versions = {entry.version: entry for entry in registered_versions(project)}
    before, digest = _incumbent(project)
    given = [table for table in tables if len(table)]
    contests: list[Contest] = []
    for rows, table in _rivals(given, digest):
        entry = versions.get(int(rows["version"].iloc[0]))
        if entry is None:
            continue
        champion = _rows_of([table, *given], digest, before)
        decision = decide_championship(rows, champion, settings)
        contests.append(_contest(entry, rows, decision))
        reason = f"{decision.reason}; compared with {before}"
        if decision.is_better:
            crown(project, entry.version, reason)
            return Championship(
                before=before,
                after=entry.label,
                weights_digest=str(rows["weights_digest"].iloc[0]),
                contests=tuple(contests),
            )
        tag_version(project, entry.version, {DECISION: f"refused: {reason}"})
    if contests:
        best = contests[0]
        why = f"{quoted(best.label)} was refused: {quoted(best.decision.reason)}"
        tell_page(project, f"**It is still** {quoted(before)}; of the others, {why}.")
    return Championship(
        before=before, after=before, weights_digest=digest, contests=tuple(contests)
    )


def _incumbent(project: Project) -> tuple[str, str]:
    """Return the name of what is to be beaten, and the digest of its weights."""
    from cellstorm_lib.gan.checkpoint import read_checkpoint

    found = champion_of(project)
    return (RAW, "") if found is None else (found.label, read_checkpoint(found.path).digest)


def _rivals(
    tables: Iterable[pd.DataFrame], incumbent: str
) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """Return the rows of each registered version, with their table, the best mean F1 first."""
    found = []
    for table in tables:
        is_rival = (table["version"] > 0) & (table["weights_digest"] != incumbent)
        found += [(rows, table) for _, rows in table[is_rival].groupby("version")]
    return sorted(found, key=lambda pair: mean_f1(pair[0])[0], reverse=True)


def _rows_of(tables: Iterable[pd.DataFrame], digest: str, label: str) -> pd.DataFrame:
    """Return the rows of the incumbent from the first table that has them."""
    for table in tables:
        rows = table[table["weights_digest"] == digest]
        if len(rows):
            return rows
    raise TableError(
        f"{label} is not among the scores, for they are older than its place; materialize "
        "denoiser_scores again"
    )


def _contest(entry: RegisteredVersion, rows: pd.DataFrame, decision: Decision) -> Contest:
    """Return what people are told of a contest."""
    f1, f1_error = mean_f1(rows)
    return Contest(
        version=entry.version,
        label=entry.label,
        dataset=entry.tags.get("dataset", ""),
        f1=f1,
        f1_error=f1_error,
        decision=decision,
    )
