"""A week of a lab in accelerated ticks: each file ends in the right state exactly once."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
from watched_folder import FAILURE, SUCCESS, WAITING, Folder

from cellstorm_assets.automation import PARTITION_TAG
from cellstorm_assets.project import Project, recording_key, recording_of
from cellstorm_lib.camera import CAMERA_PRESETS, write_calibration
from cellstorm_lib.errors import CellstormError, RecordingError
from cellstorm_lib.files import digest_of_file
from cellstorm_lib.pipeline.choice import read_choice, sidecar_of

TICKS_A_DAY, DAYS = 120, 7
#: Ticks of the sensor from one tick of the schedule to the next; it looks every five minutes.
TICKS_OF_SCHEDULE = 30
NAMES = ("cell", "two words", "Zellkern Ü", "细胞", "a..b", "-rf", "CON", "line\nbreak")


@dataclass
class Lab:
    """People and phones that put, replace, copy, mend and remove files, and runs that end."""

    folder: Folder
    home: Path
    rng: np.random.Generator
    growing: dict[Path, int] = field(default_factory=dict)
    number: int = 0
    asked: list[str] = field(default_factory=list)
    asked_again: list[str] = field(default_factory=list)
    wanted_cameras: list[str] = field(default_factory=list)

    def content(self, *, is_good: bool) -> bytes:
        return (b"film " if is_good else b"bad ") + str(self.number).encode()

    def act(self) -> None:
        """Do one of the things that happen in a lab."""
        self.number += 1
        files = [path for path in self.films() if path not in self.growing]
        deed = int(self.rng.integers(11))
        path = self.folder.recordings / f"{NAMES[self.number % len(NAMES)]} {self.number}.mp4"
        if deed <= 1 or not files:
            path.write_bytes(self.content(is_good=True))
        elif deed == 2:
            path.write_bytes(b"")
            self.growing[path] = int(self.rng.integers(1, 6))
        elif deed == 3:
            path.write_bytes(self.content(is_good=False))
        elif deed == 4:
            self.chosen(files).write_bytes(self.content(is_good=True))
        elif deed == 5:
            path.write_bytes(self.chosen(files).read_bytes())
        elif deed == 6:
            self.chosen(files).unlink()
        elif deed == 7:
            os.utime(self.chosen(files))
        else:
            self.choose(deed, path, files)

    def choose(self, deed: int, path: Path, files: list[Path]) -> None:
        """Choose a pixel size, or a camera that is calibrated days later or never."""
        if deed == 8:
            sidecar_of(self.chosen(files)).write_text(f"pixel_size_nm: {80 + self.number}\n")
        elif deed == 9:
            self.wanted_cameras.append(f"phone-{self.number}")
            sidecar_of(path).write_text(f"camera: phone-{self.number}\n")
            path.write_bytes(self.content(is_good=True))
        elif self.wanted_cameras:
            self.calibrate(self.wanted_cameras.pop(0))

    def calibrate(self, name: str) -> None:
        """Do what was forgotten when the film was put there."""
        write_calibration(
            CAMERA_PRESETS["huawei-p9-raw"],
            Project(home=self.home).cameras_folder / f"{name}.json",
        )

    def grow(self) -> None:
        """Go on with the files that are being copied."""
        for path, left in list(self.growing.items()):
            with path.open("ab") as stream:
                stream.write(b"film part %d of %d " % (left, self.number))
            self.growing[path] = left - 1
            if left == 1:
                del self.growing[path]

    def work(self) -> None:
        """End some of the runs as their files deserve, or lose their worker once."""
        for run in self.folder.instance.get_runs(dg.RunsFilter(statuses=[WAITING])):
            chance = self.rng.random()
            if chance < 0.5:
                continue
            key = run.tags[PARTITION_TAG]
            if chance < 0.55 and "lost" not in run.tags:
                self.folder.end(key, is_success=False)
                self.folder.run_of(key, WAITING, {"lost": "yes"})  # as Dagster does by itself
            else:
                self.folder.end(key, is_success=self.is_good(key))

    def is_good(self, key: str) -> bool:
        try:
            path = recording_of(Project(home=self.home), key)
        except RecordingError:
            return False
        return self.may_succeed(path)

    def may_succeed(self, path: Path) -> bool:
        """Return whether a file is a film, and its camera, if it names one, is there."""
        try:
            camera = read_choice(path).camera
            if camera is not None:
                Project(home=self.home).cameras.camera(camera)
        except CellstormError:
            return False
        return path.read_bytes().startswith(b"film")

    def films(self) -> list[Path]:
        return Project(home=self.home).recording_files()

    def chosen(self, files: list[Path]) -> Path:
        return files[int(self.rng.integers(len(files)))]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with dg.DagsterInstance.ephemeral() as instance:
        folder = Folder(tmp_path, instance)
        folder.write("before the first start.mp4", b"film before")
        yield Lab(folder=folder, home=tmp_path, rng=np.random.default_rng(20261128))


def test_after_a_week_each_file_is_in_the_right_state_exactly_once(lab: Lab) -> None:
    for tick in range(DAYS * TICKS_A_DAY):
        hour = tick % TICKS_A_DAY
        if hour < TICKS_A_DAY // 3 and lab.rng.random() < 0.6:
            lab.act()
        lab.grow()
        before = lab.folder.cursor
        lab.asked += lab.folder.tick()
        if tick % TICKS_OF_SCHEDULE == 0:
            lab.asked_again += lab.folder.schedule_tick()
        if lab.rng.random() < 0.02:  # the daemon is killed before it kept what it knew
            lab.folder.cursor = before
        lab.work()
    for _ in range(40):
        lab.folder.tick()
        lab.folder.schedule_tick()
        lab.work()

    assert len(lab.films()) > 40
    assert len(lab.asked) > 100
    assert len(lab.asked_again) >= 3
    assert lab.wanted_cameras, "a camera that nobody ever calibrated"
    done_by_content: dict[str, list[str]] = {}
    for run in lab.folder.instance.get_runs():
        assert run.status in {SUCCESS, FAILURE}
        if run.status == SUCCESS:
            digest = run.tags[PARTITION_TAG]
            done_by_content.setdefault(digest, []).append(run.run_id)
    assert all(len(runs) == 1 for runs in done_by_content.values())  # no key was done twice
    for path in lab.films():
        copies = [other for other in lab.films() if digest_of_file(other) == digest_of_file(path)]
        statuses = [lab.folder.statuses(recording_key(copy)) for copy in copies]
        newest = [status[0] for status in statuses if status]
        assert newest, path
        assert (SUCCESS in newest) == any(map(lab.may_succeed, copies)), path
    for _ in range(3):  # nothing has changed, so nothing is asked for, of bad files neither
        assert lab.folder.tick() == lab.folder.schedule_tick() == []


def test_a_quiet_folder_asks_for_nothing(lab: Lab) -> None:
    for key in lab.folder.ticks(4):
        lab.folder.end(key, is_success=True)
    cursor = lab.folder.cursor
    assert lab.folder.ticks(20) == []
    assert lab.folder.cursor == cursor
