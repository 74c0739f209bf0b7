"""The catalog of the Dagster page, as someone who never programmed reads it."""

import re

import dagster as dg
import pytest

from cellstorm_assets.definitions import defs

#: The groups in the order of the story: nothing is made from what comes later.
STORY = ("calibration", "datasets", "models", "recordings", "comparisons", "paper")
#: What goes back in the story on purpose: pairs are also made from recordings, for the next model.
GOES_BACK = {("localized_pairs", "recordings"), ("training_pairs", "recordings")}
#: Words of programmers, which no microscopist has to know.
JARGON = re.compile(
    r"\b(dataclass|tuple|dict|kwargs|config|callable|boolean|int|str|null|array|"
    r"dataframe|asset|op|materiali[sz]\w*|IO manager|pydantic|deserial\w*|serial\w*|schema|API|"
    r"tensor|backend|pipeline|util\w*|param\w*|NaN|UPath|json)\b",
    re.IGNORECASE,
)
GRAPH = defs.resolve_asset_graph()
NODES = {node.key.to_user_string(): node for node in GRAPH.asset_nodes}


@pytest.mark.parametrize("key", NODES)
def test_an_asset_is_told_in_plain_words_with_owner_group_and_kind(key: str) -> None:
    node = NODES[key]
    told = " ".join((node.description or "").split())
    assert len(told) > 30
    assert told[0].isupper()
    assert told.endswith(".")
    assert not JARGON.search(told), JARGON.search(told)
    assert node.group_name in STORY
    assert node.owners
    assert all(re.fullmatch(r"team:[a-z-]+", owner) for owner in node.owners)
    assert node.kinds


def test_no_two_assets_are_told_alike() -> None:
    told = [node.description for node in NODES.values()]
    assert len(set(told)) == len(told)


def test_the_groups_follow_the_story() -> None:
    assert {node.group_name for node in NODES.values()} == set(STORY)
    back = {
        (key, NODES[parent.to_user_string()].group_name)
        for key, node in NODES.items()
        for parent in node.parent_keys
        if STORY.index(NODES[parent.to_user_string()].group_name) > STORY.index(node.group_name)
    }
    assert back == GOES_BACK


def test_every_check_says_what_it_asks() -> None:
    checks = defs.get_repository_def().asset_checks_defs_by_key
    assert checks
    for key, check in checks.items():
        told = check.get_spec_for_check_key(key).description or ""
        assert told.endswith("."), key
        assert not JARGON.search(told), (key, JARGON.search(told))


def test_what_runs_by_itself_says_what_it_looks_for() -> None:
    repository = defs.get_repository_def()
    jobs = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
    for found in (*jobs, *repository.sensor_defs, *repository.schedule_defs):
        assert found.description, found.name
        assert found.description.endswith("."), found.name
        assert not JARGON.search(found.description), (
            found.name,
            JARGON.search(found.description),
        )


def test_the_forms_explain_every_entry() -> None:
    for key in (
        "denoiser",
        "raw/spots",
        "raw/drift",
        "raw/localizations",
        "denoised_stack",
        "paper_cell",
    ):
        node = GRAPH.get(dg.AssetKey(key.split("/"))).assets_def
        form = node.op.config_schema.config_type
        fields = getattr(form, "fields", {})
        assert fields, key
        for name, entry in fields.items():
            assert entry.description, (key, name)
