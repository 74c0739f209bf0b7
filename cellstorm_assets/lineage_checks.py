"""Checks that tell in the page which results no longer fit the project, and why."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import dagster as dg

from cellstorm_assets.lineage import Present, RecordingLineage, lineages
from cellstorm_assets.metadata import said_plainly, table
from cellstorm_assets.resources import ProjectResource
from cellstorm_lib.pipeline.lineage import STEPS

UP_TO_DATE = "up_to_date"
#: Recordings named in a check; the command names all.
_MOST_ROWS = 50
UP_TO_DATE_KEYS = tuple(
    dg.AssetCheckKey(dg.AssetKey(name.split("/")), UP_TO_DATE) for name in STEPS
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """How a result stands over all recordings.

    Attributes
    ----------
    stale, unknown : tuple of (str, str)
        Recordings and the reason.
    count : int
        Recordings that have this result.
    """

    stale: tuple[tuple[str, str], ...]
    unknown: tuple[tuple[str, str], ...]
    count: int

    @classmethod
    def of(cls, result: str, found: Sequence[RecordingLineage]) -> "Overview":
        """Return how a result stands."""
        standings = {each.key: each.standings[result] for each in found if result in each.standings}

        def those(state: str) -> tuple[tuple[str, str], ...]:
            return tuple((key, it.reason) for key, it in standings.items() if it.state == state)

        return cls(stale=those("stale"), unknown=those("unknown"), count=len(standings))

    @property
    def sentence(self) -> str:
        """What to say of it."""
        if self.stale:
            key, reason = self.stale[0]
            more = f"; so are {len(self.stale) - 1} more" if len(self.stale) > 1 else ""
            return f"stale for {len(self.stale)} of {self.count}: {key}, because {reason}{more}"
        told = f"all {self.count} fit the film, the camera, the model, the settings and the program"
        if not self.unknown:
            return told
        return f"of {len(self.unknown)} of {self.count} nothing is on record; the others are fresh"

    def metadata(self) -> dict[str, dg.MetadataValue]:
        """Return what the page shows of it."""
        shown: dict[str, dg.MetadataValue] = {
            "reason": dg.MetadataValue.text(self.sentence),
            "stale": dg.MetadataValue.int(len(self.stale)),
            "unknown": dg.MetadataValue.int(len(self.unknown)),
            "results": dg.MetadataValue.int(self.count),
        }
        rows = [*self.stale, *self.unknown][:_MOST_ROWS]
        return {**shown, "why": table(("recording", "why"), rows)} if rows else shown


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec(
            UP_TO_DATE,
            asset=key.asset_key,
            description="Every recording's result was made from the film, camera, model, settings "
            "and code that the project has now.",
        )
        for key in UP_TO_DATE_KEYS
    ],
    can_subset=True,
)
def up_to_date(
    context: dg.AssetCheckExecutionContext, project: ProjectResource
) -> Iterator[dg.AssetCheckResult]:
    """Compare what each stored result was made from with what there is now."""
    with said_plainly():
        found = list(lineages(Present(project.project())))
    for key in UP_TO_DATE_KEYS:
        if key in context.selected_asset_check_keys:
            overview = Overview.of("/".join(key.asset_key.path), found)
            yield dg.AssetCheckResult(
                asset_key=key.asset_key,
                check_name=key.name,
                passed=not overview.stale,
                severity=dg.AssetCheckSeverity.WARN,
                metadata=overview.metadata(),
            )


def tell_page(instance: dg.DagsterInstance, found: Sequence[RecordingLineage]) -> list[str]:
    """Write the checks anew whose answer changed, or whose results were made anew.

    Returns
    -------
    list of str
        The results whose check was written.
    """
    told = []
    for key in UP_TO_DATE_KEYS:
        result = "/".join(key.asset_key.path)
        overview = Overview.of(result, found)
        if not overview.count or _is_told(instance, key, overview):
            continue
        evaluation = dg.AssetCheckEvaluation(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=not overview.stale,
            severity=dg.AssetCheckSeverity.WARN,
            metadata=overview.metadata(),
        )
        instance.report_runless_asset_event(evaluation)
        told.append(result)
    return told


def _is_told(instance: dg.DagsterInstance, key: dg.AssetCheckKey, overview: Overview) -> bool:
    """Return whether the page shows this already, and for the newest materialization."""
    last = instance.event_log_storage.get_latest_asset_check_execution_by_key([key]).get(key)
    entry = None if last is None else last.event
    event = None if entry is None else entry.dagster_event
    if entry is None or event is None or event.event_type_value != "ASSET_CHECK_EVALUATION":
        return False
    made = instance.get_latest_materialization_event(key.asset_key)
    if made is not None and made.timestamp >= entry.timestamp:
        return False
    shown = event.asset_check_evaluation_data.metadata
    return dict(shown) == overview.metadata()
