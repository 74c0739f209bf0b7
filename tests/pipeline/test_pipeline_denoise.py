"""A recording denoised into a stack: every frame in its place, and what is found in it is true."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cellstorm_lib.camera import CameraCalibration, read_calibration
from cellstorm_lib.errors import RecordingError, SettingsError
from cellstorm_lib.evaluate.scores import score
from cellstorm_lib.gan import SHIPPED
from cellstorm_lib.gan.checkpoint import read_checkpoint
from cellstorm_lib.gan.denoiser import Denoiser
from cellstorm_lib.gan.gate import GateSettings
from cellstorm_lib.localize.detect import DetectSettings
from cellstorm_lib.localize.fit_settings import FitSettings
from cellstorm_lib.localize.localize import localize
from cellstorm_lib.localize.prepare import LocalizeSettings, prepare
from cellstorm_lib.pipeline.choice import calibration_for, pixel_size_for
from cellstorm_lib.pipeline.denoise import Network, denoise_recording
from cellstorm_lib.pipeline.pieces import Pieces
from cellstorm_lib.recording import FrameSource
from cellstorm_lib.simulate.record import SimulatedRecording
from cellstorm_lib.tables import read_emitters
from cellstorm_lib.video.array import ArraySource
from cellstorm_lib.video.read import open_recording

CAMERA = CameraCalibration(
    name="c", source="s", offset_adu=4.0, gain_e_per_adu=1.0, read_noise_e=1.2
)


@pytest.fixture(scope="module")
def network() -> Network:
    checkpoint = read_checkpoint(SHIPPED)
    denoiser = Denoiser(checkpoint, device="cpu", engine="auto", gate=GateSettings())
    return Network(denoiser=denoiser, label="champion")


class Lossy(ArraySource):
    """A recording some frames of which cannot be decoded."""

    lost = (0, 3, 4, 9)

    def chunks(self, size: int):
        for chunk in super().chunks(size):
            kept = ~np.isin(chunk.frame, self.lost)
            if kept.any():
                yield replace(chunk, frames=chunk.frames[kept], frame=chunk.frame[kept])


def blinking(frames: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    light = np.full((frames, 48, 64), 8.0)
    rows, columns = np.mgrid[:48, :64] - 30.2
    light += 120.0 * np.exp(-(rows**2 + columns**2) / 3.4)
    return (rng.poisson(light) + CAMERA.offset_adu).astype(np.uint8)


def read_all(source: FrameSource) -> np.ndarray:
    return np.concatenate([chunk.frames for chunk in source.chunks(7)])


def test_frames_that_were_lost_are_black_and_the_others_in_their_place(
    network: Network, tmp_path: Path
) -> None:
    path = tmp_path / "d.ome.tif"
    report = denoise_recording(Lossy(blinking(10)), CAMERA, network, path, pixel_size_nm=None)
    shown = read_all(open_recording(path)).max(axis=(1, 2)) > 0
    assert report.frames == len(shown) == 10
    assert np.flatnonzero(~shown).tolist() == list(Lossy.lost)
    assert 0.0 < report.active_share < 0.25


def test_a_part_says_where_it_begins(network: Network, tmp_path: Path) -> None:
    path = tmp_path / "d.ome.tif"
    part = ArraySource(blinking(9)).part(4, 9)
    report = denoise_recording(part, CAMERA, network, path, pixel_size_nm=80.0)
    facts = open_recording(path).facts
    assert (facts.frame_count, report.frames) == (5, 5)
    assert facts.details["first_frame"] == 4
    assert facts.details["region_px"] == {"width_px": 64, "height_px": 48, "x_px": 0, "y_px": 0}


def test_frames_of_a_part_keep_their_numbers(network: Network, tmp_path: Path) -> None:
    frames = np.random.default_rng(3).poisson(20, (30, 32, 32)).astype(np.uint8)
    source, out = ArraySource(frames), tmp_path / "part.ome.tif"
    denoise_recording(source.part(12, 25), CAMERA, network, out, pixel_size_nm=100.0)
    stack = open_recording(out)
    assert stack.frame_range == range(12, 25)
    assert stack.facts.frame_count == 13
    chunks = list(stack.chunks(5))
    assert chunks[0].previous is None
    np.testing.assert_array_equal(np.concatenate([c.frame for c in chunks]), np.arange(12, 25))
    whole = np.concatenate([c.frames for c in chunks])
    part = next(iter(stack.part(20, 22).chunks(2)))
    np.testing.assert_array_equal(part.frames, whole[8:10])
    np.testing.assert_array_equal(part.previous, whole[7])
    assert stack.loss().missing_count == 0
    assert stack.loss().decoded_count == 13


def test_what_cannot_be_denoised_leaves_nothing_behind(network: Network, tmp_path: Path) -> None:
    nothing = ArraySource(blinking(4)).part(2, 2)
    with pytest.raises(RecordingError, match="holds no frame"):
        denoise_recording(nothing, CAMERA, network, tmp_path / "d.ome.tif", pixel_size_nm=None)
    assert not list(tmp_path.iterdir())


def by_brightness(
    movie: FrameSource, camera: CameraCalibration, pixel_nm: float
) -> LocalizeSettings:
    """Return settings by which the spots of a film are neither judged one by one nor parted."""
    ready = prepare(movie, camera, LocalizeSettings(), pixel_size_nm=pixel_nm)
    assert ready.detector.level is not None
    height = ready.detector.level.threshold_photons
    return LocalizeSettings(
        detect=DetectSettings(threshold_photons=height), fit=FitSettings(max_emitters=1)
    )


def test_spots_of_the_stack_are_true_and_their_photons_right(
    network: Network, film: SimulatedRecording, tmp_path: Path
) -> None:
    movie, camera = open_recording(film.movie), read_calibration(film.camera)
    truth = read_emitters(film.truth)
    path = tmp_path / "d.ome.tif"
    pixel_nm = truth.field.pixel_size_nm
    denoise_recording(movie, camera, network, path, pixel_size_nm=pixel_nm)
    stack = open_recording(path)
    stored, notes = calibration_for(stack, None)
    assert notes == ()
    found, _ = localize(stack, stored, pixel_size_nm=pixel_size_for(stack, None))
    raw, _ = localize(
        movie, camera, pixel_size_nm=pixel_nm, settings=by_brightness(movie, camera, pixel_nm)
    )
    bright = replace(truth, data=truth.data[truth.column("photons") > 112.5])
    denoised_score, raw_score = (score(table, bright, 2 * pixel_nm) for table in (found, raw))
    # no worse than the raw film searched and fitted as denoised frames are, by brightness and
    # each spot alone, within three standard errors of a share of so many molecules
    error = np.sqrt(0.25 / denoised_score.true)
    assert denoised_score.true > 300
    assert denoised_score.f1 > raw_score.f1 - 3 * error
    assert denoised_score.precision > 0.9
    assert abs(denoised_score.bias_x_nm) < 0.05 * pixel_nm


PIECE_FRAMES = 4
PIECE_PX = PIECE_FRAMES * 48 * 64
SMALL_PIECES = {"pixel_size_nm": 80.0, "piece_px": PIECE_PX}
FANNED_OUT = {"pixel_size_nm": 80.0, "fan_out_px": PIECE_PX}


class InThrees(Lossy):
    """A recording that is read three frames at a time."""

    def chunks(self, size: int):
        return super().chunks(min(size, 3))


def broken_off(network: Network, out: Path, frames: np.ndarray, *, at: int) -> None:
    """Denoise until a run of frames, as if the process ended there."""
    inner, runs = network.denoiser.denoised, iter(range(at))

    def ending(*given: object, **rest: object) -> object:
        if next(runs, None) is None:
            raise KeyboardInterrupt
        return inner(*given, **rest)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(network.denoiser, "denoised", ending)
        denoise_recording(InThrees(frames), CAMERA, network, out, **SMALL_PIECES)
    assert not out.exists()


def denoised_frames(network: Network, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by the frames the network is shown."""
    shown: list[int] = []
    inner = network.denoiser.denoised

    def counted(frames_e: np.ndarray, **rest: object) -> object:
        shown.append(len(frames_e))
        return inner(frames_e, **rest)

    monkeypatch.setattr(network.denoiser, "denoised", counted)
    return shown


def parts_of(folder: Path) -> list[Path]:
    return sorted(folder.rglob("0*.ome.tif"))


@pytest.mark.parametrize("at", [0, 1, 6, 11, 20])
def test_work_that_was_broken_off_is_gone_on_with_to_the_same_stack(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    frames = blinking(70)
    whole = tmp_path / "whole" / "d.ome.tif"
    told = denoise_recording(InThrees(frames), CAMERA, network, whole, pixel_size_nm=80.0)
    out = tmp_path / "d.ome.tif"
    broken_off(network, out, frames, at=at)
    finished = len(parts_of(tmp_path)) * PIECE_FRAMES
    shown = denoised_frames(network, monkeypatch)
    again = denoise_recording(InThrees(frames), CAMERA, network, out, **SMALL_PIECES)
    assert out.read_bytes() == whole.read_bytes()
    assert replace(again, frames_per_second=0.0) == replace(told, frames_per_second=0.0)
    assert list(tmp_path.iterdir()) in ([whole.parent, out], [out, whole.parent])
    chunk, neighbours = 3, 2 * network.denoiser.reach
    assert sum(count - neighbours for count in shown) <= len(frames) - finished + chunk


@pytest.mark.parametrize("harm", ["cut", "zeros", "no note", "half a note"])
def test_a_damaged_piece_is_made_anew(network: Network, tmp_path: Path, harm: str) -> None:
    frames = blinking(70)
    whole = tmp_path / "whole" / "d.ome.tif"
    denoise_recording(InThrees(frames), CAMERA, network, whole, pixel_size_nm=80.0)
    out = tmp_path / "d.ome.tif"
    broken_off(network, out, frames, at=15)
    piece = parts_of(tmp_path)[1]
    note, content = piece.with_name("00001.json"), piece.read_bytes()
    if harm == "cut":
        piece.write_bytes(content[:-100])
    elif harm == "zeros":
        piece.write_bytes(content[:-300] + bytes(300))
    elif harm == "no note":
        note.unlink()
    else:
        note.write_bytes(note.read_bytes()[:30])
    denoise_recording(InThrees(frames), CAMERA, network, out, **SMALL_PIECES)
    assert out.read_bytes() == whole.read_bytes()


def test_pieces_of_another_film_are_never_used_and_go(network: Network, tmp_path: Path) -> None:
    out, frames = tmp_path / "d.ome.tif", blinking(70)
    broken_off(network, out, frames, at=15)
    assert parts_of(tmp_path)
    darker = (frames // 2).astype(np.uint8)
    denoise_recording(InThrees(darker), CAMERA, network, out, **SMALL_PIECES)
    whole = tmp_path / "whole" / "d.ome.tif"
    denoise_recording(InThrees(darker), CAMERA, network, whole, pixel_size_nm=80.0)
    assert out.read_bytes() == whole.read_bytes()
    assert not parts_of(tmp_path)


def test_two_at_the_same_stack_do_not_use_each_others_pieces(
    network: Network, tmp_path: Path
) -> None:
    out, frames = tmp_path / "d.ome.tif", blinking(70)

    met: list[int] = []

    class Meanwhile(InThrees):
        def chunks(self, size: int):
            for chunk in super().chunks(size):
                if parts_of(tmp_path) and not met:
                    met.append(len(parts_of(tmp_path)))
                    denoise_recording(InThrees(frames), CAMERA, network, out, **SMALL_PIECES)
                yield chunk

    denoise_recording(Meanwhile(frames), CAMERA, network, out, **SMALL_PIECES)
    assert met
    whole = tmp_path / "whole" / "d.ome.tif"
    denoise_recording(InThrees(frames), CAMERA, network, whole, pixel_size_nm=80.0)
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(tmp_path.iterdir()) == sorted([out, whole.parent])


def travelling(work, items):
    """Map in this process what was pickled, as it goes to another one."""
    return map(pickle.loads(pickle.dumps(work)), items)


@pytest.mark.parametrize("kind", ["lossy", "whole", "movie"])
def test_pieces_denoised_by_others_give_the_same_stack(
    network: Network, film: SimulatedRecording, tmp_path: Path, kind: str
) -> None:
    if kind == "movie":
        source, camera = open_recording(film.movie).part(0, 90), read_calibration(film.camera)
        roi = source.facts.roi
        fan_out_px = 20 * roi.width_px * roi.height_px
    else:
        source = (InThrees if kind == "lossy" else ArraySource)(blinking(70))
        camera, fan_out_px = CAMERA, PIECE_PX
    whole, out = tmp_path / "whole" / "d.ome.tif", tmp_path / "d.ome.tif"
    told = denoise_recording(source, camera, network, whole, pixel_size_nm=80.0)
    seen: list[tuple[int, int]] = []
    again = denoise_recording(
        source, camera, network, out, pixel_size_nm=80.0, fan_out_px=fan_out_px,
        map_chunks=travelling, progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert out.read_bytes() == whole.read_bytes()
    assert replace(again, frames_per_second=0.0) == replace(told, frames_per_second=0.0)
    assert len(seen) > 3
    assert seen[-1] == (told.frames, told.frames)
    assert not parts_of(tmp_path)


def test_pieces_that_others_finished_are_not_made_again(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = ArraySource(blinking(70)), tmp_path / "d.ome.tif"

    def breaks_off(work, items):
        for item in [3, 0, 5]:
            work(item)
        raise RecordingError("the workers were lost")

    with pytest.raises(RecordingError, match="were lost"):
        denoise_recording(source, CAMERA, network, out, **FANNED_OUT, map_chunks=breaks_off)
    assert len(parts_of(tmp_path)) == 3
    shown = denoised_frames(network, monkeypatch)
    denoise_recording(source, CAMERA, network, out, **FANNED_OUT, map_chunks=map)
    rest = 70 - 3 * PIECE_FRAMES
    surplus = 2 * network.denoiser.reach
    assert rest <= sum(count - surplus for count in shown) < rest + 20 * surplus
    whole = tmp_path / "whole" / "d.ome.tif"
    denoise_recording(source, CAMERA, network, whole, pixel_size_nm=80.0)
    assert out.read_bytes() == whole.read_bytes()


def test_a_graphics_card_denoises_by_itself(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(work, items):
        raise AssertionError

    monkeypatch.setattr(network.denoiser, "is_on_cpu", False)
    source, out = ArraySource(blinking(70)), tmp_path / "d.ome.tif"
    kept: list[int] = []
    monkeypatch.setattr(Pieces, "keep", lambda *given, **_: kept.append(given[1]))
    denoise_recording(source, CAMERA, network, out, **FANNED_OUT, map_chunks=never)
    assert out.exists()
    assert not kept  # its own pieces are larger, and this is less than one


def test_a_machine_without_the_folder_is_told(network: Network, tmp_path: Path) -> None:
    def elsewhere(work, items):
        (folder,) = tmp_path.glob(".parts-*")
        folder.rename(tmp_path / "away")
        return map(work, items)

    with pytest.raises(SettingsError, match="let all machines share the project's folder"):
        denoise_recording(
            ArraySource(blinking(70)), CAMERA, network, tmp_path / "d.ome.tif",
            **FANNED_OUT, map_chunks=elsewhere,
        )  # fmt: skip


def test_a_machine_with_another_engine_refuses(network: Network) -> None:
    made_by, given = network.denoiser.__reduce__()
    with pytest.raises(SettingsError, match="computes with .*, and the run with another engine;"):
        made_by(*given[:-1], "another engine")
    assert made_by(*given).workers == 1
