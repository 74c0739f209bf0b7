"""Which program this is, for those who want to repeat what it did."""

import shutil
import subprocess

from cellstorm_assets.project import CHECKOUT
from cellstorm_lib import __version__

_SHORT = 12


def code_tags() -> dict[str, str]:
    """Return the program's version as tags of an MLflow run, and the commit in a checkout.

    A plus behind the commit means that files of the program differ from it.
    """
    commit, is_changed = _commit()
    tags = {
        "code_version": f"cellstorm {__version__}",
        "mlflow.source.name": "cellstorm",
        "mlflow.source.type": "LOCAL",
    }
    if commit:
        tags["code_version"] += f", commit {commit[:_SHORT]}{'+' if is_changed else ''}"
        tags["mlflow.source.git.commit"] = commit
    return tags


def _commit() -> tuple[str, bool]:
    """Return the commit of the checkout, and whether files of the program differ from it."""
    git = shutil.which("git")
    if git is None or not (CHECKOUT / ".git").exists():
        return "", False

    def answer(*words: str) -> str:
        ran = subprocess.run(  # noqa: S603 - git itself, without a word from outside
            [git, "-C", str(CHECKOUT), *words], capture_output=True, text=True, check=False
        )
        return ran.stdout.strip() if ran.returncode == 0 else ""

    commit = answer("rev-parse", "HEAD")
    return commit, bool(answer("status", "--porcelain", "--", "cellstorm_lib", "cellstorm_assets"))
