"""Where a project keeps its recordings, cameras, results, settings and databases."""

import os
import re
import shutil
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from cellstorm_lib.errors import ExportError, RecordingError
from cellstorm_lib.files import copy_file, digest_of_file, is_inside, written_whole
from cellstorm_lib.pipeline.cameras import CameraShelf
from cellstorm_lib.pipeline.choice import RecordingChoice, sidecar_of, write_choice
from cellstorm_lib.pipeline.settings import PipelineSettings
from cellstorm_lib.progress import Progress, in_parts
from cellstorm_lib.settings import read_settings

#: The dagster.yaml that a new project gets.
INSTANCE_TEMPLATE = Path(__file__).with_name("instance.yaml")
#: Where this program runs from: a checkout, or where it is installed.
CHECKOUT = Path(__file__).parent.parent
_SLUG_LENGTH = 40
_HASH_LENGTH = 8
#: What file systems take, in bytes.
_LONGEST_NAME_BYTES = 255
#: How long a copy takes to be made beside reaching the disk.
_COPYING_TIME, _KEEPING_TIME = 3.0, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A folder that holds everything of one lab or one person.

    Attributes
    ----------
    home : Path
        The folder; Dagster's instance lives in it too.
    """

    home: Path

    @property
    def recordings_folder(self) -> Path:
        """The watched folder."""
        return self.home / "data" / "recordings"

    @property
    def cameras_folder(self) -> Path:
        """One entry per camera: ``NAME/`` with series, ``NAME.yaml`` or ``NAME.json``."""
        return self.home / "data" / "cameras"

    @property
    def datasets_folder(self) -> Path:
        """One ``NAME.yaml`` per dataset."""
        return self.home / "data" / "datasets"

    @property
    def cameras(self) -> CameraShelf:
        """The project's cameras and what was measured of them."""
        return CameraShelf(
            folder=self.cameras_folder,
            measured=self.assets_folder / "camera_calibration",
            flat_fields=self.assets_folder / "flat_field",
        )

    @property
    def assets_folder(self) -> Path:
        """Materialized results."""
        return self.home / "data" / "assets"

    @property
    def settings_file(self) -> Path:
        """The project's settings; defaults hold for what it does not name."""
        return self.home / "data" / "settings.yaml"

    @property
    def private_folder(self) -> Path:
        """What only the owner of the project may read: the token of its pages."""
        return self.home / "private"

    @property
    def mlflow_uri(self) -> str:
        """MLflow's database."""
        return f"sqlite:///{(self.home / 'mlruns' / 'mlflow.db').as_posix()}"

    @property
    def mlflow_artifacts(self) -> Path:
        """MLflow's files."""
        return self.home / "mlruns" / "artifacts"

    def settings(self) -> PipelineSettings:
        """Read the project's settings."""
        if not self.settings_file.exists():
            return PipelineSettings()
        return read_settings(PipelineSettings, self.settings_file)

    def recording_files(self) -> list[Path]:
        """Return the files in the watched folder that may be recordings, by name."""
        if not self.recordings_folder.is_dir():
            return []
        return sorted(
            path
            for path in self.recordings_folder.iterdir()
            if path.is_file()
            and not path.name.startswith(".")
            and path.suffix.lower() in RECORDINGS
        )


#: Endings of files that the watched folder is searched for. A ``.dax`` brings its ``.inf``.
RECORDINGS = frozenset({".mp4", ".mov", ".mkv", ".m4v", ".tif", ".tiff", ".dax", ".sif"})


def find_project() -> Project:
    """Return the project in use, making its folders when they are missing.

    ``CELLSTORM_HOME`` decides; without it the checkout this program runs from when that holds
    dagster.yaml, else the user's data folder.

    Raises
    ------
    ExportError
        When the folders cannot be made.
    """
    given = os.environ.get("CELLSTORM_HOME")
    if given and "://" in given:
        raise ExportError(
            f"CELLSTORM_HOME is {given}, and must be a folder that all machines share; results go "
            "to a store with CELLSTORM_STORE, and films come from one with CELLSTORM_FILMS"
        )
    if given:
        home = Path(given).expanduser()
    elif (CHECKOUT / "dagster.yaml").exists():
        home = CHECKOUT
    else:
        home = platformdirs.user_data_path("cellstorm", appauthor=False)
    project = Project(home=home.resolve())
    try:
        for folder in (
            project.recordings_folder,
            project.cameras_folder,
            project.datasets_folder,
            project.assets_folder,
            project.mlflow_artifacts,
        ):
            folder.mkdir(parents=True, exist_ok=True)
        if not (project.home / "dagster.yaml").exists():
            shutil.copyfile(INSTANCE_TEMPLATE, project.home / "dagster.yaml")
    except OSError as error:
        raise ExportError(
            f"the project folder {project.home} cannot be used: {error.strerror}; "
            "set CELLSTORM_HOME to a folder that you may write to"
        ) from error
    return project


def partition_key(name: str, digest: str) -> str:
    """Return the key of a recording: a slug of its name and a short hash of its content.

    The key is safe as a file name on every system: lower-case letters, digits, ``-`` and ``_``.
    """
    plain = unicodedata.normalize("NFKD", Path(name).stem).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9_]+", "-", plain.lower()).strip("-_")[:_SLUG_LENGTH].strip("-_")
    return f"{slug or 'recording'}-{digest[:_HASH_LENGTH]}"


def recording_key(path: Path) -> str:
    """Return the partition key of a recording file."""
    return partition_key(path.name, digest_of_file(path))


def recording_of(project: Project, key: str) -> Path:
    """Return the file in the watched folder that belongs to a partition key.

    Raises
    ------
    RecordingError
        When the file was removed or its content changed.
    """
    slug = key.rpartition("-")[0]
    candidates = [
        path
        for path in project.recording_files()
        if partition_key(path.name, "0" * _HASH_LENGTH).rpartition("-")[0] == slug
        and is_inside(path.parent, path.name)
    ]
    for path in candidates:
        if recording_key(path) == key:
            return _with_usable_name(path)
    names = ", ".join(path.name for path in candidates) or "none of that name"
    raise RecordingError(
        f"the recording {key} is no longer in {project.recordings_folder} (found: {names}); "
        "put the file back, or delete its partition"
    )


def _with_usable_name(path: Path) -> Path:
    """Return a file whose name can be written down, and has room for the sidecar's ending.

    Raises
    ------
    RecordingError
        When it must be renamed.
    """
    shown = ascii(path.name)
    try:
        length = len(sidecar_of(path).name.encode())
    except UnicodeEncodeError as error:
        raise RecordingError(f"the file name {shown} is no Unicode text; rename it") from error
    if length > _LONGEST_NAME_BYTES:
        raise RecordingError(
            f"the file name {shown} leaves no room for its sidecar; rename it to less than "
            f"{_LONGEST_NAME_BYTES - length + len(path.name.encode()) + 1} bytes"
        )
    return path


def add_recording(
    project: Project,
    path: Path,
    choice: RecordingChoice,
    *,
    name: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Copy a recording into the watched folder, whole, with its sidecar before it.

    Parameters
    ----------
    project : Project
        Whose folder it is.
    path : Path
        The recording; it is not changed.
    choice : RecordingChoice
        What goes into the sidecar.
    name : str, optional
        Of the copy; by default that of the recording.
    progress : callable, optional
        Called with what is done and the whole.

    Returns
    -------
    Path
        The copy. A file of the same name and content is left as it is.

    Raises
    ------
    RecordingError
        When the file does not exist, is no kind of recording, or another one has its name.
    """
    if not path.is_file():
        raise RecordingError(f"{path} does not exist")
    if path.suffix.lower() not in RECORDINGS:
        raise RecordingError(
            f"{path} is no recording by its ending; known are {', '.join(sorted(RECORDINGS))}"
        )
    target = project.recordings_folder / (name or path.name)
    is_there = target.exists()
    if is_there and not _are_same(target, path, progress):
        raise RecordingError(
            f"another recording is already called {target.name} in {target.parent}; "
            "rename one of them"
        )
    write_choice(choice, target)
    companion = path.with_suffix(".inf")
    if path.suffix.lower() == ".dax" and companion.exists():
        with written_whole(project.recordings_folder / companion.name) as temporary:
            shutil.copyfile(companion, temporary)
    if not is_there:
        copying, keeping = in_parts(progress, _COPYING_TIME, _KEEPING_TIME)
        with written_whole(target) as temporary:
            copy_file(path, temporary, progress=copying)
        keeping(1, 1)
    return target


def _are_same(one: Path, other: Path, progress: Progress | None) -> bool:
    """Return whether two files have the same content."""
    first, second = in_parts(progress, 1.0, 1.0)
    return digest_of_file(one, progress=first) == digest_of_file(other, progress=second)
