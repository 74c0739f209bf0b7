"""A project with one processed recording, whose inputs a test can change and set back."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from cellstorm_assets import registry
from cellstorm_assets.definitions import build_defs
from cellstorm_assets.lineage import Present, RecordingLineage, recording_lineage
from cellstorm_assets.project import Project, add_recording, recording_key
from cellstorm_lib.camera import read_calibration, write_calibration
from cellstorm_lib.pipeline.choice import RecordingChoice, write_choice
from cellstorm_lib.pipeline.lineage import STEPS
from cellstorm_lib.simulate.record import SimulatedRecording

CHOICE = RecordingChoice(camera="phone", pixel_size_nm=100.0)


class LineageLab:
    """The project, its instance, and its recording."""

    def __init__(
        self, project: Project, instance: dg.DagsterInstance, film: SimulatedRecording
    ) -> None:
        self.project, self.instance = project, instance
        write_calibration(read_calibration(film.camera), self.camera_file)
        self.movie = add_recording(project, film.movie, CHOICE)
        self.key = recording_key(self.movie)
        instance.add_dynamic_partitions("recording", [self.key])

    @property
    def camera_file(self) -> Path:
        return self.project.cameras_folder / "phone.json"

    def run(
        self,
        *results: str,
        config: dict[str, Any] | None = None,
        tags: dict[str, str] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """Make results anew; all when none are named."""
        run = (
            build_defs()
            .resolve_job_def("process_recordings")
            .execute_in_process(
                instance=self.instance,
                partition_key=self.key,
                asset_selection=[dg.AssetKey(name.split("/")) for name in results] or None,
                run_config={
                    "ops": config or {},
                    "loggers": {"console": {"config": {"log_level": "ERROR"}}},
                },
                tags=tags,
            )
        )
        assert run.success
        return run

    def lineage(self) -> RecordingLineage:
        return recording_lineage(Present(self.project), self.key)

    def stale(self) -> set[str]:
        return set(self.lineage().stale())

    @contextmanager
    def settings(self, **sections: Any) -> Iterator[None]:
        """Change the project's settings for a while."""
        self.project.settings_file.write_text(yaml.safe_dump(sections))
        try:
            yield
        finally:
            self.project.settings_file.unlink()

    @contextmanager
    def gain(self, e_per_adu: float) -> Iterator[None]:
        """Change the camera for a while."""
        kept = self.camera_file.read_bytes()
        changed = replace(read_calibration(self.camera_file), gain_e_per_adu=e_per_adu)
        write_calibration(changed, self.camera_file)
        try:
            yield
        finally:
            self.camera_file.write_bytes(kept)

    @contextmanager
    def choice(self, **changes: Any) -> Iterator[None]:
        """Change what is chosen for the recording for a while."""
        write_choice(replace(CHOICE, **changes), self.movie)
        try:
            yield
        finally:
            write_choice(CHOICE, self.movie)

    @contextmanager
    def code(self, result: str) -> Iterator[None]:
        """Change the code of a result for a while."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(STEPS, result, replace(STEPS[result], code="new"))
            yield

    @contextmanager
    def champion(self, folder: Path) -> Iterator[None]:
        """Let another file be the champion for a while."""
        other = Path(shutil.copy(registry.SHIPPED, folder / "other.safetensors"))
        other.write_bytes(other.read_bytes() + b" ")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(registry, "SHIPPED", other)
            yield
