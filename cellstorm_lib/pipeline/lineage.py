"""Which inputs made each result of a recording, and which results they no longer fit.

A result's record maps the name of each input, direct or by way of other results, to what it was:
``film``, ``calibration`` (which camera was chosen, and the pixel size), ``model``, ``depth`` (the
curve that tells z), ``settings.SECTION`` and ``code.RESULT``. What it was is written
``LABEL #IDENTITY``; only identities are compared, labels are for people.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Literal

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import SettingsError
from cellstorm_lib.files import digest_of
from cellstorm_lib.pipeline.choice import RecordingChoice
from cellstorm_lib.pipeline.settings import PipelineSettings
from cellstorm_lib.settings import in_words

Record = Mapping[str, str]

_SHORT = 8
#: What a value is that was not the same everywhere: it fits nothing.
_MIXED = "several"
#: How the names of what another program did to a table afterwards begin.
LATER = "later step"
LAUNCHPAD = "chosen on the launchpad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a result is made from: inputs that it reads itself, and other results.

    Attributes
    ----------
    inputs, results : tuple of str
        Their names.
    code : str
        Version of the code that makes it, counted up by hand when the result changes.
    """

    inputs: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    code: str = "1"


_JUDGED = ("spots", "localizations", "frc_report")
_OF_BRANCH = ("spots", "drift", "localizations", "super_resolution", "frc_report", "quality")
_BRANCHES = ("raw", "denoised")
_SECTIONS = tuple(f"settings.{entry.name}" for entry in fields(PipelineSettings))


def _branch(name: str, spots: Step) -> dict[str, Step]:
    """Return the steps of one branch."""
    found, molecules = f"{name}/spots", f"{name}/localizations"
    image, frc = f"{name}/super_resolution", f"{name}/frc_report"
    return {
        found: spots,
        f"{name}/drift": Step(inputs=("settings.drift",), results=(found,)),
        molecules: Step(
            inputs=("settings.merge", "settings.keep"), results=(found, f"{name}/drift")
        ),
        image: Step(inputs=("settings.render",), results=(molecules,)),
        frc: Step(inputs=("settings.frc", "settings.merge"), results=(molecules,)),
        f"{name}/quality": Step(results=(found, molecules, image, frc, "widefield"), code="2"),
    }


#: Every result in the order of the work. The facts per frame need no camera, so of the recording
#: they take nothing but the film.
STEPS: Mapping[str, Step] = {
    "recording": Step(inputs=("film", "calibration"), code="2"),
    "frame_facts": Step(inputs=("film",)),
    "widefield": Step(results=("recording",)),
    **_branch("raw", Step(inputs=("settings.localize", "depth"), results=("recording",), code="3")),
    "denoised_stack": Step(inputs=("model",), results=("recording",)),
    **_branch(
        "denoised",
        Step(inputs=("settings.localize",), results=("recording", "denoised_stack"), code="5"),
    ),
    "verdict": Step(
        results=(
            "recording",
            "denoised_stack",
            *(f"{branch}/{name}" for branch in _BRANCHES for name in _JUDGED),
        )
    ),
    "recording_report": Step(
        inputs=(*_SECTIONS, "depth"),
        results=(
            "recording",
            "frame_facts",
            "widefield",
            "verdict",
            *(f"{branch}/{name}" for branch in _BRANCHES for name in _OF_BRANCH),
        ),
        code="5",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Whether a result fits the project as it is now.

    Attributes
    ----------
    state : str
        ``up to date``, ``stale``, or ``unknown`` for a result of an older version.
    reason : str
        Which input changed, from what to what.
    is_deliberate : bool
        Whether it is stale only for what someone chose on the launchpad for this run.
    """

    state: Literal["up to date", "stale", "unknown"]
    reason: str
    is_deliberate: bool = False


def film_input(name: str, digest: str, roi: str | None = None) -> str:
    """Return the film as an input: its content, and the region of it that is read."""
    region = f"+{roi}" if roi else ""
    return f"{name}{f', region {roi}' if roi else ''} #{digest}{region}"


def film_digest(value: str) -> str:
    """Return the SHA-256 of the film from its value as an input."""
    return identity_of(value).partition("+")[0]


def calibration_input(given: CameraCalibration | None, choice: RecordingChoice) -> str:
    """Return what was chosen for a film as an input: its camera, and the size of a pixel.

    What is left open is told by the film itself, which is an input of its own.
    """
    parts = [choice.camera or (given.name if given else "estimated from the film")]
    if choice.pixel_size_nm is not None:
        parts.append(f"{choice.pixel_size_nm:g} nm per pixel")
    if choice.own_flat_field:
        parts.append("flat field of the film itself")
    content = [given.digest if given else "", choice.pixel_size_nm, choice.own_flat_field]
    return f"{', '.join(parts)} #{digest_of(content)}"


def model_input(label: str, digest: str, *, is_launchpad: bool = False) -> str:
    """Return a network as an input."""
    return f"{label}{f', {LAUNCHPAD}' if is_launchpad else ''} #{digest}"


def settings_inputs(
    settings: PipelineSettings, project: PipelineSettings | None = None
) -> dict[str, str]:
    """Return each section of the settings as an input: what differs from the defaults, and digest.

    Parameters
    ----------
    settings : PipelineSettings
        The settings that are used.
    project : PipelineSettings, optional
        Those of the project's file; a section that differs is marked as chosen on the launchpad.
    """
    used, expected = _sections(settings), _sections(project or settings)
    curve = settings.localize.z_calibration
    plain = _without_curve(settings)
    words = {name: in_words(getattr(plain, name.partition(".")[2])) for name in _SECTIONS}
    words["depth"] = curve.name if curve else "no z"
    labels = {
        name: ", ".join(filter(None, (words[name], LAUNCHPAD * (used[name] != expected[name]))))
        for name in used
    }
    return {name: f"{labels[name]} #{digest}".strip() for name, digest in used.items()}


def code_inputs() -> dict[str, str]:
    """Return the versions of the code of all results, as inputs."""
    return {f"code.{name}": step.code for name, step in STEPS.items()}


def identity_of(value: str) -> str:
    """Return what is compared of an input's value."""
    return value.rpartition("#")[2]


def _is_deliberate(name: str, value: str) -> bool:
    """Return whether an input was chosen for one run only: settings are, a film's name is not."""
    label = value.rpartition("#")[0].strip()
    return name.startswith("settings.") and label.endswith(LAUNCHPAD)


def label_of(value: str) -> str:
    """Return an input's value as people read it, its identity cut short."""
    label, _, identity = value.rpartition("#")
    named, short = label.strip(), identity[:_SHORT]
    return f"{named} ({short})" if named and short else named or short


def record_of(result: str, inputs: Record, made: Mapping[str, Record]) -> dict[str, str]:
    """Return what to write beside a result that is made now.

    Parameters
    ----------
    result : str
        Name of the result, as in `STEPS`.
    inputs : mapping
        The inputs it was made with. What is missing is left out: the result is unknown then.
    made : mapping
        The records of the results that it is made from. What they were made from counts, not
        what the project holds now; where they disagree, all values are kept, which fits nothing.
    """
    step = _step(result)
    found: dict[str, dict[str, str]] = {}
    for source in step.results:
        for name, value in made.get(source, {}).items():
            found.setdefault(name, {})[identity_of(value)] = value
    own = {f"code.{result}": step.code, **inputs}
    for name in (*step.inputs, f"code.{result}"):
        if name in own:
            found.setdefault(name, {})[identity_of(own[name])] = own[name]
    return {name: _joined(values) for name, values in sorted(found.items())}


@cache
def needed_inputs(result: str) -> frozenset[str]:
    """Return the names of all inputs of a result, also those by way of other results."""
    step = _step(result)
    own = frozenset({*step.inputs, f"code.{result}"})
    return own.union(*map(needed_inputs, step.results))


def standing_of(result: str, record: Record | None, now: Record) -> Standing:
    """Tell whether a result is up to date, and if not, what changed.

    Parameters
    ----------
    result : str
        Name of the result, as in `STEPS`.
    record : mapping or None
        What it was made from; None for a result without a record.
    now : mapping
        The inputs as they are now.

    Raises
    ------
    SettingsError
        When there is no such result.
    """
    names, known = sorted(needed_inputs(result)), record or {}
    current = {name: now.get(name, "nothing #") for name in names}
    changed = [
        name
        for name in names
        if name in known and identity_of(known[name]) != identity_of(current[name])
    ]
    if changed:
        return Standing(
            state="stale",
            reason="; ".join(_change(name, known[name], current[name]) for name in changed),
            is_deliberate=all(_is_deliberate(name, known[name]) for name in changed),
        )
    missing = [name for name in names if name not in known]
    if missing:
        reason = f"it does not say with which {', '.join(missing)} it was made"
        return Standing(state="unknown", reason=reason if known else "it has no record of its own")
    return Standing(state="up to date", reason="every input is as it was")


def standing_of_command(record: Record, now: Record) -> Standing:
    """Tell whether a command would make its file in the same way again, and if not, why.

    Its settings were chosen by hand, and its film and network may be anywhere: only the code is
    compared.

    Parameters
    ----------
    record : mapping
        What the file was made from.
    now : mapping
        The inputs as they are now.
    """
    versions = {name: value for name, value in record.items() if name.startswith("code.")}
    changed = [
        _change(name, value, now.get(name, "nothing #"))
        for name, value in versions.items()
        if identity_of(value) != identity_of(now.get(name, "nothing #"))
    ]
    if changed:
        return Standing(state="stale", reason="; ".join(changed))
    if any(name.startswith(LATER) for name in record):
        return Standing(state="unknown", reason="another program has changed it since")
    if "film" not in record or not versions:
        lacking = "which film it comes from" if versions else "by which version of the code"
        return Standing(state="unknown", reason=f"it does not say {lacking}")
    return Standing(
        state="up to date", reason="the program makes it the same way; a single step has no project"
    )


def results_after(names: Iterable[str]) -> list[str]:
    """Return these results and all that are made from them, in the order of the work."""
    found = set(names)
    for name, step in STEPS.items():
        if found.intersection(step.results):
            found.add(name)
    return [name for name in STEPS if name in found]


def _step(result: str) -> Step:
    """Return what a result is made from, or say that there is none of that name."""
    if result not in STEPS:
        raise SettingsError(f"there is no result {result!r}; known are {', '.join(STEPS)}")
    return STEPS[result]


def _sections(settings: PipelineSettings) -> dict[str, str]:
    """Return the digest of each section; the curve of z apart, as one branch alone uses it."""
    plain = _without_curve(settings)
    sections = {name: digest_of(getattr(plain, name.partition(".")[2])) for name in _SECTIONS}
    return {**sections, "depth": digest_of(settings.localize.z_calibration)}


def _without_curve(settings: PipelineSettings) -> PipelineSettings:
    """Return settings without the curve of z, which is an input of its own."""
    return replace(settings, localize=replace(settings.localize, z_calibration=None))


def _joined(values: Mapping[str, str]) -> str:
    """Return one value, or several as one that fits nothing."""
    if len(values) == 1:
        return next(iter(values.values()))
    labels = sorted(label_of(value) for value in values.values())
    return f"{' and '.join(labels)} #{_MIXED}"


def _change(name: str, was: str, is_now: str) -> str:
    """Return in words how an input changed."""
    kind, _, what = name.partition(".")
    before, after = label_of(was), label_of(is_now)
    if kind == "code":
        return f"the program makes {what} in another way (version {before}, now {after})"
    if LAUNCHPAD in was:
        return f"its {_called(name)} was {LAUNCHPAD} and is not the project's"
    if kind in {"settings", "depth"}:
        named = [value.rpartition("#")[0].strip() for value in (was, is_now)]
        says_how = all(named) and named[0] != named[1]
        return f"{_called(name)} changed{f': {named[0]}, now {named[1]}' if says_how else ''}"
    return f"the {_called(name)} changed from {before} to {after}"


def _called(name: str) -> str:
    """Return what people call an input."""
    names = {"model": "champion", "depth": "calibration of z"}
    return names.get(name, name)
