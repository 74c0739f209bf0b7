"""One training from pairs to a registered version; the same for the asset and the command."""

# ruff: noqa: PLC0415 - torch and MLflow take seconds to import; only those wait who need them.

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cellstorm_assets.markdown import quoted
from cellstorm_assets.project import Project
from cellstorm_assets.registry import WEIGHTS, checkpoint_path, register
from cellstorm_assets.scoring import DENOISED, RAW, benchmark_scores, figure_tags, log_scores
from cellstorm_assets.tracking import TrackedRun, Tracking
from cellstorm_assets.training_plan import TrainingSettings, run_name, training_folder
from cellstorm_lib.gan.recipe import Recipe
from cellstorm_lib.pairs.pair_set import PairSet
from cellstorm_lib.progress import Announce, Progress, silently

if TYPE_CHECKING:
    from cellstorm_lib.gan.checkpoint import Checkpoint
    from cellstorm_lib.gan.train import Progress as LearningPoint
    from cellstorm_lib.gan.train import Trained

#: All trainings are runs of one experiment, so that any of them can be compared.
EXPERIMENT = "denoisers"
#: What the picture of the samples is called, in every run the same.
PANEL = "film - output - truth"
#: The tag that MLflow shows as the description of a run.
NOTE = "mlflow.note.content"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedVersion:
    """A registered version and how it came to be.

    Attributes
    ----------
    version : int
        Its number in the registry.
    run_id, run_url : str
        Its MLflow run.
    dataset, dataset_digest, weights_digest : str
        What it was trained on, and what came out.
    recipe : Recipe
        Network and training.
    best_step : int
        The step that did best on the validation pairs; its weights are kept.
    figures : mapping of str to float
        Benchmark scores over all films.
    step, loss, validation_loss, light_kept : (N,) arrays
        The learning curves.
    """

    version: int
    run_id: str
    run_url: str
    dataset: str
    dataset_digest: str
    weights_digest: str
    recipe: Recipe
    best_step: int
    figures: Mapping[str, float]
    step: npt.NDArray[np.int64]
    loss: npt.NDArray[np.float64]
    validation_loss: npt.NDArray[np.float64]
    light_kept: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingOutcome:
    """A registered version, and the picture film | output | truth as PNG."""

    version: TrainedVersion
    panel: bytes


def train_version(
    pairs: PairSet,
    recipe: Recipe,
    project: Project,
    *,
    dataset: str,
    settings: TrainingSettings | None = None,
    tags: Mapping[str, str] | None = None,
    announce: Announce = silently,
) -> TrainingOutcome:
    """Train a denoiser, write everything down in MLflow, and register it.

    The registry is the last step: of a training that fails, the run remains, marked FAILED.

    Parameters
    ----------
    pairs : PairSet
        What to train on.
    recipe : Recipe
        Network and training.
    project : Project
        Whose MLflow and folders are used.
    dataset : str
        Name of the pairs.
    settings : TrainingSettings, optional
        Device, threads, whether to resume, and the network to start from.
    tags : mapping, optional
        Further tags of the run.
    announce : callable, optional
        Told which step begins: the training, named as the recipe, the scoring, the registration.

    Raises
    ------
    CellstormError
        When the pairs do not suit, the network collapses, or MLflow cannot be reached.
    """
    from cellstorm_lib.gan.checkpoint import read_checkpoint
    from cellstorm_lib.gan.devices import device_named

    settings = settings or TrainingSettings()
    device_named(settings.device)
    start, begun = None, {}
    if settings.start is not None:
        found = checkpoint_path(settings.start, project)
        start = read_checkpoint(found.path)
        begun = {"start": found.label, "start_digest": start.digest}
    folder = training_folder(project, dataset, recipe, start_digest=begun.get("start_digest", ""))
    tracking = Tracking.of(project)
    names = {
        "dataset": dataset, "dataset_digest": pairs.digest, "recipe": run_name(recipe), **begun,
    }  # fmt: skip
    with tracking.run(EXPERIMENT, run_name(recipe), {**names, **(tags or {})}) as run:
        run.log_dataset(dataset, pairs.digest, f"training_pairs of {dataset}")
        run.log_settings({**asdict(recipe), **names})
        trained = _learned(
            run, pairs, recipe, folder, settings, start, announce(recipe.name, "steps")
        )
        checkpoint = read_checkpoint(folder / "best.safetensors")
        for name in ("best.safetensors", "last.safetensors"):
            run.log_file(folder / name, str(Path(WEIGHTS).parent))
        panel = sample_panel(pairs, checkpoint)
        run.log_picture(panel, PANEL, step=recipe.steps)
        scored = announce(f"{recipe.name}: scores", "rows")
        figures = _scored(run, checkpoint, project, settings.films, scored)
        announce(f"{recipe.name}: registration", "")
        version = _registered(run, checkpoint, dataset, figures)
    kept = _version_of(run, trained, checkpoint, dataset=dataset, figures=figures, version=version)
    return TrainingOutcome(version=kept, panel=panel)


def _learned(
    run: TrackedRun,
    pairs: PairSet,
    recipe: Recipe,
    folder: Path,
    settings: TrainingSettings,
    start: "Checkpoint | None",
    progress: Progress,
) -> "Trained":
    """Train, and write the learning curves down; of a resumed training the earlier part too."""
    from cellstorm_lib.gan.train import train

    told: set[int] = set()

    def report(now: "LearningPoint") -> None:
        told.add(now.step)
        run.log_numbers(_curve_numbers(now), step=now.step)
        progress(now.step, recipe.steps)

    trained = train(
        pairs, recipe, out=folder, resume=settings.resume, start=start, device=settings.device,
        threads=settings.threads, report=report,
    )  # fmt: skip
    for earlier in trained.curve:
        if earlier.step not in told:
            run.log_numbers(_curve_numbers(earlier), step=earlier.step)
    return trained


def _scored(
    run: TrackedRun,
    checkpoint: "Checkpoint",
    project: Project,
    films: Sequence[str],
    progress: Progress,
) -> dict[str, float]:
    """Score a network beside the raw films, and return the figures over all films."""
    from cellstorm_lib.gan.denoiser import Denoiser

    denoisers = {RAW: None, DENOISED: Denoiser(checkpoint)}
    table = benchmark_scores(denoisers, project, films, progress=progress)
    return log_scores(run, table, DENOISED)


def _registered(
    run: TrackedRun, checkpoint: "Checkpoint", dataset: str, figures: Mapping[str, float]
) -> int:
    """Keep a network as a program, register it, and return its version."""
    from cellstorm_lib.gan.program import DenoiserProgram, example_frames

    tags = purpose_tags(checkpoint, dataset)
    description = described(checkpoint, dataset)
    facts = checkpoint.facts
    run.tag({**tags, "threads": str(facts.threads), "device": facts.device, NOTE: description})
    source = run.log_program(
        DenoiserProgram(checkpoint),
        example_frames(checkpoint),
        name="denoiser",
        channels=checkpoint.recipe.frames,
    )
    version = register(run, source, {**tags, **figure_tags(figures)}, description)
    run.tag({"version": str(version)})
    return version


def sample_panel(pairs: PairSet, checkpoint: "Checkpoint") -> bytes:
    """Return the picture film | output | truth of the same frames each time, as PNG."""
    from cellstorm_lib.gan.denoiser import Denoiser
    from cellstorm_lib.gan.samples import fixed_samples
    from cellstorm_lib.report.denoised_panel import denoised_panel_figure
    from cellstorm_lib.report.drawing import figure_png

    samples = fixed_samples(pairs, Denoiser(checkpoint))
    return figure_png(denoised_panel_figure(samples), width_px=900)


def purpose_tags(checkpoint: "Checkpoint", dataset: str) -> dict[str, str]:
    """Return what a version was made of, and the cameras and codecs it is meant for."""
    domain = checkpoint.domain
    return {
        "dataset": dataset,
        "recipe": run_name(checkpoint.recipe),
        "camera": f"{_span(domain.gain_e_per_adu)} e-/grey value, background "
        f"{_span(domain.background_e)} e-/px ({domain.cameras} cameras)",
        "codec": f"{_span(domain.bits_per_px)} bit/px",
        "dataset_digest": checkpoint.facts.dataset_digest,
        "weights_digest": checkpoint.digest,
    }


def described(checkpoint: "Checkpoint", dataset: str) -> str:
    """Return in a sentence, as Markdown, what a version is and what it is meant for."""
    tags = purpose_tags(checkpoint, dataset)
    return (
        f"Recipe {quoted(run_name(checkpoint.recipe))}, trained on {quoted(dataset)} "
        f"({tags['dataset_digest'][:12]}); meant for cameras of {tags['camera']} and codecs of "
        f"{tags['codec']}."
    )


def _curve_numbers(now: "LearningPoint") -> dict[str, float]:
    """Return a point of the learning curves."""
    return {
        "training/loss": now.loss,
        "training/adversary_loss": now.adversary_loss,
        "training/validation_loss": now.validation_loss,
        "training/light_kept": now.light_kept,
    }


def _span(values: tuple[float, float]) -> str:
    """Return a range in words."""
    return f"{values[0]:.3g} to {values[1]:.3g}"


def _version_of(
    run: TrackedRun,
    trained: "Trained",
    checkpoint: "Checkpoint",
    *,
    dataset: str,
    figures: Mapping[str, float],
    version: int,
) -> TrainedVersion:
    """Return what is kept of a training."""

    def curve(name: str) -> Any:
        return np.array([getattr(now, name) for now in trained.curve])

    return TrainedVersion(
        version=version,
        run_id=run.run_id,
        run_url=run.url,
        dataset=dataset,
        dataset_digest=checkpoint.facts.dataset_digest,
        weights_digest=checkpoint.digest,
        recipe=checkpoint.recipe,
        best_step=checkpoint.facts.steps,
        figures=dict(figures),
        step=curve("step"),
        loss=curve("loss"),
        validation_loss=curve("validation_loss"),
        light_kept=curve("light_kept"),
    )
