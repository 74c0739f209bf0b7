"""What all trials in labs of their own need."""

import os

import pytest


@pytest.fixture
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a lab set the project, and put it back."""
    for name in ("CELLSTORM_HOME", "DAGSTER_HOME"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
