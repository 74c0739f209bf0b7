"""What assets are given besides their inputs."""

from pathlib import Path

import dagster as dg

from cellstorm_assets.connections import keep_connections
from cellstorm_assets.launcher import tell_process
from cellstorm_assets.project import Project, find_project


class ProjectResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The project in use; an empty home asks the environment, as the command line does."""

    home: str = ""

    def project(self) -> Project:
        """Return the project."""
        return Project(home=Path(self.home)) if self.home else find_project()

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Let a run that begins keep its connections, and say which process works on it."""
        if context.run is not None and context.instance is not None:
            keep_connections(context.instance)
            tell_process(context.instance, context.run.run_id)
