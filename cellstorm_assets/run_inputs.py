"""What a run of a recording depends on, written on the run, so that a change is seen later.

A run that fails leaves no result that could say what it was made from; its tag does.
"""

from collections.abc import Iterable, Mapping

from cellstorm_assets.lineage import Present, RecordingLineage
from cellstorm_assets.project import Project
from cellstorm_lib import __version__
from cellstorm_lib.errors import CellstormError
from cellstorm_lib.files import digest_of
from cellstorm_lib.pipeline.lineage import (
    STEPS,
    Record,
    film_input,
    identity_of,
    needed_inputs,
)

#: What a run was asked for with: ``KIND=DIGEST`` for each kind of input.
INPUTS_TAG = "cellstorm/inputs"
_UNREADABLE = "the settings cannot be read"
_DIGEST_LENGTH = 12
#: Its code is of the program; a new version may read a film that the last one could not.
_PROGRAM = "program"


def inputs_of_run(present: Present, key: str, file_name: str) -> dict[str, str]:
    """Return the digest of each kind of input that a run of a recording would have now.

    Parameters
    ----------
    present : Present
        The inputs of the project.
    key : str
        The recording's key, which tells its content.
    file_name : str
        Its file in the watched folder.

    Returns
    -------
    dict of str to str
        By kind: ``film``, ``calibration``, ``model``, ``depth``, ``settings``, ``program``. What
        cannot be read has the digest of nothing, whatever the reason.
    """
    film = film_input(file_name, key)
    return _by_kind(present.inputs(file_name, {"film": film, "calibration": "#"}))


def tags_of_runs(project: Project, files: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the tags for runs that are asked for now.

    Parameters
    ----------
    project : Project
        Whose inputs they have.
    files : mapping of str to str
        The file of each recording, by its key.
    """
    try:
        present = Present(project) if files else None
    except CellstormError:
        present = None
    if present is None:
        return {key: {INPUTS_TAG: _UNREADABLE} for key in files}
    return {key: tag_of(inputs_of_run(present, key, name)) for key, name in files.items()}


def tag_of(inputs: Mapping[str, str]) -> dict[str, str]:
    """Return inputs as the tag of a run."""
    return {INPUTS_TAG: " ".join(f"{kind}={digest}" for kind, digest in inputs.items())}


def changed_kinds(
    tag: str, now: Mapping[str, str], kinds: Iterable[str] | None = None
) -> tuple[str, ...]:
    """Return the kinds of inputs, of all or of some, that are not as a run's tag says."""
    then = dict(part.split("=", 1) for part in tag.split() if "=" in part)
    return tuple(kind for kind in kinds or now if then.get(kind) != now.get(kind))


def missing_results(lineage: RecordingLineage) -> list[str]:
    """Return the results that a recording lacks, in the order of the work."""
    return [name for name in STEPS if name not in lineage.standings]


def kinds_that_matter(missing: Iterable[str]) -> tuple[str, ...]:
    """Return the kinds of inputs that can have kept results from being made.

    Of those that lack a result to be made from, that one tells it: a film that cannot be read has
    nothing to do with the champion.
    """
    lacking = set(missing)
    first = [name for name in lacking if not lacking.intersection(STEPS[name].results)]
    names = {name for result in first for name in needed_inputs(result)}
    return tuple(sorted({_kind(name) for name in names}))


def _by_kind(inputs: Record) -> dict[str, str]:
    """Return the digest of the inputs of each kind."""
    kinds: dict[str, dict[str, str]] = {_PROGRAM: {"version": __version__}}
    for name, value in inputs.items():
        kinds.setdefault(_kind(name), {})[name] = identity_of(value)
    return {kind: digest_of(kinds[kind])[:_DIGEST_LENGTH] for kind in sorted(kinds)}


def _kind(name: str) -> str:
    """Return the kind of an input."""
    kind = name.partition(".")[0]
    return _PROGRAM if kind == "code" else kind
