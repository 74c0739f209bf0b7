"""Another network in a project's registry, to see what a change of the champion makes stale."""

from pathlib import Path
from tempfile import TemporaryDirectory

from safetensors import safe_open
from safetensors.numpy import save_file

from cellstorm_assets.project import Project
from cellstorm_assets.registry import CHAMPION, MODEL, WEIGHTS, checkpoint_path, crown
from cellstorm_assets.tracking import Tracking
from cellstorm_lib.files import digest_of_file


def crown_another(project: Project) -> str:
    """Register the champion with all its weights a tenth larger as the new champion.

    Returns
    -------
    str
        Its name and version.
    """
    tracking = Tracking.of(project)
    with TemporaryDirectory() as folder, tracking.run("denoisers", "a tenth louder") as run:
        weights = Path(folder) / Path(WEIGHTS).name
        with safe_open(checkpoint_path(CHAMPION, project).path, "numpy") as checkpoint:
            tensors = {name: checkpoint.get_tensor(name) for name in checkpoint.keys()}  # noqa: SIM118
            about = checkpoint.metadata()
        save_file({name: values * 1.1 for name, values in tensors.items()}, weights, about)
        run.log_file(weights, Path(WEIGHTS).parent.as_posix())
        client = tracking.client()
        if not client.search_registered_models(f"name = '{MODEL}'"):
            client.create_registered_model(MODEL)
        made = client.create_model_version(
            MODEL,
            f"runs:/{run.run_id}/{WEIGHTS}",
            run_id=run.run_id,
            tags={
                "dataset": "none",
                "recipe": "the champion, a tenth louder",
                "weights_digest": digest_of_file(weights),
            },
        )
    crown(project, int(made.version), "only to show what follows")
    return f"{MODEL}/{made.version}"
