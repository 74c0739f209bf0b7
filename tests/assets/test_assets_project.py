"""Where a project keeps things, and the keys of its recordings."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellstorm_assets.project import (
    Project,
    add_recording,
    find_project,
    partition_key,
    recording_key,
    recording_of,
)
from cellstorm_lib.errors import ExportError, RecordingError, SettingsError
from cellstorm_lib.files import is_plain_name
from cellstorm_lib.pairs.pair_set import LIGHT_SIGMA_PX
from cellstorm_lib.pipeline.choice import RecordingChoice, read_choice, sidecar_of
from cellstorm_lib.pipeline.datasets import DatasetRecipe, dataset_names, read_recipe, scene_of


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("CELLSTORM_HOME", str(tmp_path / "lab"))
    return find_project()


@given(st.text(max_size=300))
def test_a_key_is_a_safe_file_name_on_every_system(name: str) -> None:
    key = partition_key(name, "0123456789abcdef")
    assert re.fullmatch(r"[a-z0-9_][a-z0-9_-]*-01234567", key)
    assert len(key) <= 49


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("My Cell 1.mp4", "my-cell-1"),
        ("../../etc/passwd", "passwd"),
        ("a/b\nc.mp4", "b-c"),
        ("Zellkern_Ü.tif", "zellkern_u"),
        ("细胞.mp4", "recording"),
        ("", "recording"),
    ],
)
def test_hostile_names_become_plain_slugs(name: str, slug: str) -> None:
    assert partition_key(name, "f" * 64) == f"{slug}-ffffffff"


def test_a_project_is_made_where_the_environment_says(project: Project, tmp_path: Path) -> None:
    assert project.home == tmp_path / "lab"
    assert project.recordings_folder.is_dir()
    assert project.mlflow_artifacts.is_dir()
    instance = Path(__file__).parent.parent.parent / "dagster.yaml"
    assert (project.home / "dagster.yaml").read_text() == instance.read_text()


def test_a_project_folder_that_cannot_be_made_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CELLSTORM_HOME", str(tmp_path / "file" / "lab"))
    with pytest.raises(ExportError, match="cannot be used.*set CELLSTORM_HOME"):
        find_project()


def test_a_recording_is_added_with_its_choice_and_found_by_its_key(
    project: Project, tmp_path: Path
) -> None:
    film = tmp_path / "My film.mp4"
    film.write_bytes(b"frames")
    choice = RecordingChoice(camera="huawei-p9-raw", pixel_size_nm=80.0)
    target = add_recording(project, film, choice)
    assert target.read_bytes() == b"frames"
    assert read_choice(target) == choice
    assert project.recording_files() == [target]
    assert recording_of(project, recording_key(target)) == target
    assert add_recording(project, film, choice) == target
    assert film.exists()


def test_another_recording_of_the_same_name_is_refused(project: Project, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"one")
    add_recording(project, film, RecordingChoice())
    film.write_bytes(b"two")
    with pytest.raises(RecordingError, match="already called film.mp4"):
        add_recording(project, film, RecordingChoice())


def test_files_that_are_no_recordings_are_refused(project: Project, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="does not exist"):
        add_recording(project, tmp_path / "none.mp4", RecordingChoice())
    notes = tmp_path / "notes.docx"
    notes.write_text("x")
    with pytest.raises(RecordingError, match="no recording by its ending"):
        add_recording(project, notes, RecordingChoice())


def test_a_recording_that_was_removed_is_named(project: Project, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"one")
    target = add_recording(project, film, RecordingChoice())
    key = recording_key(target)
    target.write_bytes(b"other content")
    with pytest.raises(RecordingError, match="no longer in .*found: film.mp4"):
        recording_of(project, key)


def test_a_sidecar_with_a_wrong_entry_is_named(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    sidecar_of(film).write_text("pixel_size: 80\n")
    with pytest.raises(SettingsError, match=r"film.mp4.cellstorm.yaml.*unknown setting pixel_size"):
        read_choice(film)
    sidecar_of(film).write_text("pixel_size_nm: 0\n")
    with pytest.raises(SettingsError, match="between 1 and 10000 nm, got 0"):
        read_choice(film)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (os.fsdecode(b"caf\xe9.mp4"), r"'caf\\udce9.mp4' is no Unicode text; rename it"),
        ("a" * 251 + ".mp4", "no room for its sidecar; rename it to less than 241 bytes"),
    ],
)
def test_names_that_cannot_be_used_are_said(project: Project, name: str, said: str) -> None:
    path = project.recordings_folder / name
    path.write_bytes(b"x")
    with pytest.raises(RecordingError, match=said):
        recording_of(project, recording_key(path))


@pytest.mark.parametrize(
    "name", ["../out", "/etc/passwd", "a/../../b", "nul\0", "link/x", "x" * 5000]
)
def test_names_in_recipes_lead_nowhere_else(project: Project, tmp_path: Path, name: str) -> None:
    (project.datasets_folder / "link").symlink_to(tmp_path)
    with pytest.raises(SettingsError, match="must name a file in"):
        scene_of(DatasetRecipe(scene=name), project.datasets_folder)
    with pytest.raises(SettingsError, match="must name a file in"):
        read_recipe(project.datasets_folder, name)


@pytest.mark.parametrize(
    ("shares", "width_px"), [("{simulated: 1}", LIGHT_SIGMA_PX), ("{displayed: 1}", None)]
)
def test_all_pairs_of_a_mixture_are_of_one_width(
    project: Project, shares: str, width_px: float | None
) -> None:
    recipe = f"pairs: {{shares: {shares}, recordings: [a.mp4]}}\ndisplay: {{}}\n"
    (project.datasets_folder / "mixed.yaml").write_text(recipe)
    pairs = read_recipe(project.datasets_folder, "mixed").pairs
    assert (pairs.simulated.light_sigma_px, pairs.localized.sigma_px) == (width_px, width_px)


@pytest.mark.parametrize("given", ["simulated: {light_sigma_px: 0.7}", "localized: {sigma_px: 1}"])
def test_a_width_that_was_asked_for_is_never_dropped(project: Project, given: str) -> None:
    recipe = f"pairs:\n  shares: {{displayed: 1}}\n  {given}\ndisplay: {{}}\n"
    (project.datasets_folder / "mixed.yaml").write_text(recipe)
    with pytest.raises(SettingsError, match="sigma_px is .* displayed pairs are as wide as filmed"):
        read_recipe(project.datasets_folder, "mixed")


def test_hidden_files_and_sidecars_are_not_recordings(project: Project) -> None:
    for name in (".partial.mp4", "film.mp4.cellstorm.yaml", "notes.txt"):
        (project.recordings_folder / name).write_text("")
    assert project.recording_files() == []


@pytest.mark.parametrize(
    "name", ["CON.mp4", "nul.mp4", "a:b.mp4", "film. .mp4", "..mp4", "\\x.mp4"]
)
def test_keys_are_names_of_files_on_every_system(name: str) -> None:
    assert is_plain_name(partition_key(name, "f" * 64))


def test_a_link_out_of_the_watched_folder_is_no_recording(project: Project, tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_bytes(b"secret")
    (project.recordings_folder / "film.mp4").symlink_to(tmp_path / "out.mp4")
    with pytest.raises(RecordingError, match="no longer in .*none of that name"):
        recording_of(project, recording_key(project.recordings_folder / "film.mp4"))


def test_names_of_datasets_are_those_of_files_on_every_system(tmp_path: Path) -> None:
    for name in ("mine", "CON", "a:b", "dot.", ".hidden"):
        (tmp_path / f"{name}.yaml").write_text("")
    assert dataset_names(tmp_path) == ("mine",)
