"""What the platform costs over the bare library, and how long a recording takes to its report.

The same film goes through `process_recording` and the page in one process, and through the job
`process_recordings` of a project with its databases in another; each with its imports. Seconds of
CPU, as wall time says little on a busy machine. `python -m benchmarks.bench_platform 2000 4000`
takes other numbers of frames of 512 x 512; 18,000 with `18000`. Then the daemon: from a film of
500 frames put into the watched folder to its finished report, by the clock.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

FRAMES = (2000,)
SIDE_PX, PIXEL_NM = 512, 100.0
WATCHED_FRAMES, WATCHED_LIMIT_S = 500, 600.0


def film_of(frames: int, side_px: int) -> Path:
    """Return a film that is made once and kept in the temporary folder."""
    from cellstorm_lib.pipeline.film import film_scene
    from cellstorm_lib.simulate.scene import read_preset

    folder = Path(tempfile.gettempdir()) / f"cellstorm-bench-platform-{frames}-{side_px}"
    if not (folder / "movie.mp4").exists():
        demo = read_preset("demo")
        scene = replace(
            demo,
            frame_count=frames,
            field=replace(demo.field, width_px=side_px, height_px=side_px),
            codec=replace(demo.codec, bits_per_px=0.1),
        )
        film_scene(scene, folder, stacks=())
    return folder / "movie.mp4"


def bare(film: Path, home: Path) -> None:
    """Process a film by the library alone, with the network that comes with the program."""
    from cellstorm_lib.gan import SHIPPED
    from cellstorm_lib.gan.checkpoint import read_checkpoint
    from cellstorm_lib.gan.denoiser import Denoiser
    from cellstorm_lib.gan.gate import GateSettings
    from cellstorm_lib.pipeline.denoise import Network
    from cellstorm_lib.pipeline.process import process_recording
    from cellstorm_lib.report.page import recording_page
    from cellstorm_lib.video.read import open_recording

    denoiser = Denoiser(read_checkpoint(SHIPPED), gate=GateSettings(), half_precision=True)
    result = process_recording(
        open_recording(film),
        home,
        pixel_size_nm=PIXEL_NM,
        network=Network(denoiser=denoiser, label="champion"),
    )
    (home / "report.html").write_text(recording_page(result), encoding="utf-8")


def platform(film: Path, home: Path) -> None:
    """Process a film by the job of a project, with its databases and its store."""
    import dagster as dg

    from cellstorm_assets.definitions import build_defs
    from cellstorm_assets.project import add_recording, find_project, recording_key
    from cellstorm_lib.pipeline.choice import RecordingChoice

    imported_s = time.process_time()
    os.environ["CELLSTORM_HOME"] = os.environ["DAGSTER_HOME"] = str(home)
    project = find_project()
    choice = RecordingChoice(pixel_size_nm=PIXEL_NM)
    key = recording_key(add_recording(project, film, choice, name="film.mp4"))
    job = build_defs().resolve_job_def("process_recordings")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.add_dynamic_partitions("recording", [key])
        ready_s = time.process_time()
        done = job.execute_in_process(instance=instance, partition_key=key)
        steps = [
            (stat.step_key, (stat.end_time or 0.0) - (stat.start_time or 0.0))
            for stat in instance.get_run_step_stats(done.run_id)
        ]
    slowest = sorted(steps, key=lambda step: -step[1])
    print(f"  CPU: imports {imported_s:.1f} s, definitions and database "
          f"{ready_s - imported_s:.1f} s, run {time.process_time() - ready_s:.1f} s; steps by the "
          f"clock: {', '.join(f'{name} {wall_s:.1f} s' for name, wall_s in slowest)}")  # fmt: skip


def cpu_of(kind: str, film: Path) -> float:
    """Return the seconds of CPU of a process of its own that processes a film."""
    with tempfile.TemporaryDirectory() as home:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.bench_platform", kind]
        subprocess.run([*command, str(film), home], check=True, stderr=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def overhead(frames: int) -> None:
    """Tell what the platform costs for one recording."""
    film = film_of(frames, SIDE_PX)
    platform_s, bare_s = cpu_of("platform", film), cpu_of("bare", film)
    print(f"{frames} frames of {SIDE_PX} x {SIDE_PX}: the library {bare_s:.1f} s CPU, the platform "
          f"{platform_s:.1f} s, {platform_s - bare_s:+.1f} s "
          f"({100 * (platform_s / bare_s - 1):+.0f} %)", flush=True)  # fmt: skip


def watched() -> None:
    """Tell how long a film takes from the watched folder to its report."""
    from cellstorm_assets.project import add_recording, find_project, recording_key
    from cellstorm_assets.serve import commands_of, environment_of
    from cellstorm_lib.pipeline.choice import RecordingChoice

    film = film_of(WATCHED_FRAMES, 128)
    with tempfile.TemporaryDirectory() as home:
        os.environ["CELLSTORM_HOME"] = os.environ["DAGSTER_HOME"] = home
        project = find_project()
        daemon = subprocess.Popen(
            commands_of(0, 0)["daemon"], env=environment_of(project), start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            time.sleep(45.0)  # the servers are up, as in a lab
            began, before = time.monotonic(), os.getloadavg()[0]
            choice = RecordingChoice(pixel_size_nm=PIXEL_NM)
            key = recording_key(add_recording(project, film, choice, name="film.mp4"))
            report = project.assets_folder / "recording_report" / f"{key}.html"
            while not report.exists() and time.monotonic() - began < WATCHED_LIMIT_S:
                time.sleep(0.25)
            told = f"{time.monotonic() - began:.0f} s" if report.exists() else "no report in time"
            film_text = f"{WATCHED_FRAMES} frames of 128 x 128"
            print(f"watched folder to report, {film_text}: {told} by the clock, with {before:.0f} "
                  f"processes that want {os.cpu_count()} cores")  # fmt: skip
        finally:
            daemon.terminate()
            daemon.wait(60)


if __name__ == "__main__":
    if sys.argv[1:2] in (["bare"], ["platform"]):
        {"bare": bare, "platform": platform}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
    elif sys.argv[1:2] == ["watched"]:
        watched()
    else:
        for wanted in [int(text) for text in sys.argv[1:]] or FRAMES:
            overhead(wanted)
        watched()
