"""A short soak, and whether it would see what it looks for."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from chaos_lab import Process
from soak_run import LEAST_DONE, MOST_FILES, MOST_MB, Soaked, copies, judge_servers, soak
from soak_watch import Sample, Scales, growth_of, held_by, wait_until

SEED = 20261128


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.usefixtures("own_environment")
def test_a_queue_drains_and_every_recording_is_right_once(tmp_path: Path) -> None:
    outcome = soak(tmp_path, recordings=6, seconds=900.0)
    assert outcome.done == 6, outcome.remarks
    assert outcome.faults == []  # of growth six recordings say nothing, which it tells
    assert "6 recordings are too few to judge growth by" in outcome.remarks
    told = " ".join(outcome.remarks)
    for server in ("daemon", "page", "code server of the daemon", "code server of the page"):
        assert f"{server}: " in told


def scales_with(memory_per_recording: float, files_per_recording: float) -> Scales:
    """Return what was seen of a server that grows, with noise and caches that fill first."""
    rng = np.random.default_rng(SEED)
    done = np.repeat(np.arange(201), 3)
    memory = 200 + 50 * (1 - np.exp(-done / 10)) + memory_per_recording * done
    files = 40 + files_per_recording * done
    samples = [
        Sample(done=int(n), memory_mb=float(m), files=int(f))
        for n, m, f in zip(
            done, memory + rng.normal(0, 3, len(done)), files + rng.integers(0, 4, len(done)),
            strict=True,
        )
    ]  # fmt: skip
    return Scales(servers=list, done=lambda: 0, samples={"daemon": samples})


def test_a_server_that_stays_as_it_is_has_no_fault() -> None:
    outcome = Soaked(asked=200, done=200, seconds=1.0)
    judge_servers(scales_with(0.0, 0.0), outcome)
    assert outcome.faults == []
    assert len(outcome.remarks) == 1


@pytest.mark.parametrize(
    ("memory_per_recording", "files_per_recording", "said"),
    [(2.5 * MOST_MB / 1000, 0.0, "MB in 1,000"), (0.0, 2.5 * MOST_FILES / 1000, "files more")],
)
def test_growth_is_seen(memory_per_recording: float, files_per_recording: float, said: str) -> None:
    outcome = Soaked(asked=200, done=200, seconds=1.0)
    judge_servers(scales_with(memory_per_recording, files_per_recording), outcome)
    assert len(outcome.faults) == 1
    assert said in outcome.faults[0]


def test_few_recordings_say_nothing_of_growth() -> None:
    outcome = Soaked(asked=200, done=LEAST_DONE - 1, seconds=1.0)
    judge_servers(scales_with(2.5 * MOST_MB / 1000, 0.0), outcome)
    assert outcome.faults == []
    assert "too few" in outcome.remarks[0]


def test_the_error_of_a_slope_is_what_slopes_scatter_by() -> None:
    rng = np.random.default_rng(SEED)
    done = np.repeat(np.arange(200), 2)
    fits = [
        growth_of(list(done), list(10 + 0.02 * done + rng.normal(0, 2, len(done))))
        for _ in range(400)
    ]
    pulls = np.array([(fit.per_1000 - 20.0) / fit.error for fit in fits])
    # Student's t with 10 degrees of freedom: a variance of 10 / 8, an excess kurtosis of 1.
    sigma = np.sqrt(1.25)
    assert abs(pulls.mean()) < 4 * sigma / np.sqrt(len(pulls))
    assert pulls.std() == pytest.approx(sigma, rel=4 * np.sqrt((1 + 2) / (4 * len(pulls))))


def test_too_few_samples_are_no_growth() -> None:
    fit = growth_of([0, 5], [1.0, 2.0])
    assert np.isnan(fit.per_1000)
    assert not fit.at_least > 0


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_memory_and_files_of_a_process_are_told() -> None:
    program = (
        "import sys; x = bytearray(b'x') * (64 << 20); f = [open('/dev/null') for _ in range(9)]; "
        "print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        memory_mb, files = held_by([process.pid])
        scales = Scales(servers=lambda: [Process(pid=process.pid, kind="it")], done=lambda: 3)
        scales.weigh()
        process.stdin.close()
    assert 64 < memory_mb < 110
    assert files == 3 + 9
    assert [sample.done for sample in scales.samples["it"]] == [3]
    scales.weigh()  # it ended meanwhile
    assert len(scales.samples["it"]) == 1


def test_copies_differ_and_show_the_same_film(tmp_path: Path) -> None:
    base = tmp_path / "base.mp4"
    base.write_bytes(b"\x00\x00\x00\x08ftyp")
    made = copies([base], tmp_path / "copies", 3)
    contents = {path.read_bytes() for path, _ in made}
    assert len(contents) == 3
    assert all(content.startswith(base.read_bytes()) for content in contents)
    assert all(content[8:16] == b"\x00\x00\x00\x10free" for content in contents)


def test_waiting_ends() -> None:
    assert wait_until(lambda: True, seconds=0.0)
    assert not wait_until(lambda: False, seconds=0.0)
