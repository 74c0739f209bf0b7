"""A simulated phone fitted to a real clip: "make me a phone like this recording"."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from cellstorm_lib.errors import RecordingError
from cellstorm_lib.evaluate.clip_measures import (
    FEWEST_FRAMES,
    MOST_FRAMES,
    STILL_SHARE,
    ClipMeasures,
    measure_clip,
)
from cellstorm_lib.evaluate.fidelity import FidelityReport, compare
from cellstorm_lib.pipeline.compare_clips import (
    MOST_PX,
    central_region,
    measured_clip,
    quantisers_of,
)
from cellstorm_lib.pipeline.film import encoder_of
from cellstorm_lib.pipeline.matching import Turned, matched
from cellstorm_lib.pipeline.phone_model import (
    CodecModel,
    PhoneModel,
    first_guess,
    is_dark_clip,
    phone_of,
    with_levels_moved,
)
from cellstorm_lib.recording import FrameSource, RecordingFacts, Roi
from cellstorm_lib.simulate.background import BackgroundSettings
from cellstorm_lib.simulate.cameras import PhoneSettings
from cellstorm_lib.simulate.scene import FieldSettings, Scene
from cellstorm_lib.simulate.simulate import simulate_scene
from cellstorm_lib.video.read import open_recording
from cellstorm_lib.video.write import write_video

_FEWEST_IN_ALL = 2 * (FEWEST_FRAMES + 2)
_ROUNDS, _LEVEL_MOVES = 12, 2
#: Frames of an imitation made to fit; it is judged by one as long as the clip.
_IMITATED_FRAMES = 18
#: The picture of a lit clip is smoothed so far that its noise does not count as structure.
_LIGHT_SIGMA_PX = 2.0
_CHUNK = 12
#: Grey values from which on a pixel is overexposed, and how many pixels may be.
_WHITE, _LIMITED_WHITE, _MOST_WHITE = 255, 235, 0.01
_SEED = 1
#: How much the rows of a group count in the fit. Levels are moved apart from the rest; block edges
#: have a row for each position after the key frame. A tuned part has few key frames; if it has only
#: the first, which phones code in a way of their own, they do not count.
_WEIGHTS = {"shading": 0.0, "grey-level histogram": 0.3, "grid ratio": 0.7}
_KEY_WEIGHT = 0.3
#: Differences above this pull no harder, in the fit, than differences of this size.
_FARTHEST = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedPhone:
    """A simulated phone and how well it does.

    Attributes
    ----------
    phone : PhoneSettings
        Camera and codec, to be written with `simulate.cameras.write_camera`.
    model : PhoneModel
        The fitted numbers.
    codec : CodecModel
        What the file says of its compression.
    is_dark : bool
        Whether the clip's picture was taken for the phone's own black level; otherwise its mean
        picture was taken for the light of the scene.
    tuned, judged : range
        Frames the phone was fitted to, and others on which it was judged.
    tuning : FidelityReport
        On the frames it was fitted to.
    report : FidelityReport
        On the frames it was not fitted to.
    """

    phone: PhoneSettings
    model: PhoneModel
    codec: CodecModel
    is_dark: bool
    tuned: range
    judged: range
    tuning: FidelityReport
    report: FidelityReport


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Clip:
    """The real clip, and where its imitations are written."""

    path: Path
    facts: RecordingFacts
    roi: Roi
    codec: CodecModel
    tuned: range
    judged: range
    light_levels: npt.NDArray[np.float32]
    folder: Path


def fit_camera(
    clip: Path,
    *,
    name: str = "fitted",
    rounds: int = _ROUNDS,
    progress: Callable[[int, int], None] | None = None,
) -> FittedPhone:
    """Fit the simulated phone to a real clip of a still scene, and judge it on other frames.

    The first half of the clip's frames (64 at most are used) is measured, imitated and compared
    until the imitation's measures match; the second half says how well. Dark clips are imitated
    without light. The quantisers are read from the file: of key frames from all the frames used,
    because a half has too few of them, of the others from the first half. What the measures cannot
    tell apart, such as the electrons behind a grey value, is not found out: the phone makes videos
    like this one, and is no calibration.

    Parameters
    ----------
    clip : Path
        A video as a phone made it: 8 bit, at least 16 frames, nothing in it moving.
    name : str
        What to call the camera.
    rounds : int
        Steps of the fit after its slopes were measured.
    progress : callable, optional
        Called with imitations made and imitations in all.

    Raises
    ------
    RecordingError
        When the clip is no video, too short, damaged, overexposed, of more than 8 bit, or
        something moves.
    """
    clip = Path(clip)
    source = open_recording(clip)
    facts = source.facts
    _refuse(source)
    width, height = (min(pair) for pair in zip(_even_size(facts), MOST_PX, strict=True))
    roi = central_region(facts, width, height)
    count = min(facts.frame_count, MOST_FRAMES)
    tuned, judged = range(count // 2), range(count // 2, count)
    real = measured_clip(clip, roi=roi, frames=(tuned.start, tuned.stop))
    _refuse_scene(real)
    is_dark = is_dark_clip(real)
    model = first_guess(real, is_dark=is_dark)
    codec = _codec_model(clip, source, roi, tuned, judged)
    light = np.zeros_like(real.mean_adu) if is_dark else _light_levels(real, model)
    with tempfile.TemporaryDirectory(prefix="cellstorm-fit-") as folder:
        work = _Clip(
            path=clip, facts=facts, roi=roi, codec=codec, tuned=tuned, judged=judged,
            light_levels=light, folder=Path(folder),
        )  # fmt: skip
        model = _fitted(model, work, real, rounds=rounds, progress=progress)
        film = _filmed(model, work, frame_count=count)
        judged_real = measured_clip(clip, roi=roi, frames=(judged.start, judged.stop))
        tuning, report = (
            compare(
                one,
                measured_clip(film, roi=_whole(film), frames=(frames.start, frames.stop)),
                remarks=_remarks(work, is_dark),
            )
            for one, frames in ((real, tuned), (judged_real, judged))
        )
    return FittedPhone(
        phone=phone_of(model, codec, name=name), model=model, codec=codec, is_dark=is_dark,
        tuned=tuned, judged=judged, tuning=tuning, report=report,
    )  # fmt: skip


def _refuse(source: FrameSource) -> None:
    """Raise for clips no phone can be fitted to."""
    facts = source.facts
    if not facts.is_video:
        raise RecordingError(
            f"{facts.name} is {facts.kind}, but how a phone compresses shows only in its video; "
            "give the video as the phone saved it"
        )
    if facts.bit_depth != 8:
        raise RecordingError(
            f"{facts.name} has {facts.bit_depth} bits per grey value, but the simulated phone "
            "records 8; record without HDR"
        )
    if facts.frame_count < _FEWEST_IN_ALL:
        raise RecordingError(
            f"{facts.name} has {facts.frame_count} frames, but at least {_FEWEST_IN_ALL} are "
            "needed, half to fit the phone to and half to judge it by; give a longer clip"
        )
    count = min(facts.frame_count, MOST_FRAMES)
    loss = source.part(0, count).loss()
    if loss.missing_count or loss.tainted_count:
        raise RecordingError(
            f"{facts.name} is damaged within its first {count} frames ({loss.missing_count} "
            f"missing, {loss.tainted_count} doubtful); give an intact clip"
        )


def _refuse_scene(real: ClipMeasures) -> None:
    """Raise for scenes whose noise cannot be seen."""
    if real.moving_share > STILL_SHARE:
        raise RecordingError(
            f"in {real.facts.name} something moves (shifts of the picture explain "
            f"{real.moving_share:.0%} of what changes from frame to frame), but a phone can only "
            "be fitted to a still scene; put it on a stand, or cover its lens"
        )
    white = _WHITE if real.facts.colour_range == "full" else _LIMITED_WHITE
    white_share = float(real.share[:, white:].sum(axis=1).mean())
    if white_share > _MOST_WHITE:
        raise RecordingError(
            f"{real.facts.name} is overexposed ({white_share:.0%} of its pixels are white), so it "
            "shows no noise to fit a phone to; record with less light"
        )


def _even_size(facts: RecordingFacts) -> tuple[int, int]:
    """Return the frame's width and height, without an odd last row or column."""
    return facts.frame_width_px // 2 * 2, facts.frame_height_px // 2 * 2


def _light_levels(real: ClipMeasures, model: PhoneModel) -> npt.NDArray[np.float32]:
    """Return the picture of a lit clip above its black level, smoothed."""
    smooth = gaussian_filter(real.mean_adu, _LIGHT_SIGMA_PX, mode="nearest")
    above: npt.NDArray[np.float32] = np.maximum(smooth - np.float32(model.level), 0.0)
    return above


def _codec_model(
    clip: Path, source: FrameSource, roi: Roi, tuned: range, judged: range
) -> CodecModel:
    """Return what the file says of its compression."""
    facts = source.facts
    keys = source.key_frames()
    gop = int(np.median(np.diff(keys))) if len(keys) > 1 else max(facts.frame_count, judged.stop)
    qp = quantisers_of(clip, roi, (0, judged.stop))
    others, later, start = (None, None, None) if qp is None else _mean_quantisers(qp, keys, tuned)
    return CodecModel(
        codec=facts.kind,
        gop_frames=min(gop, 1000),
        bits_per_px=facts.bits_per_px or 0.4,
        qp=others,
        key_qp=later,
        start_qp=start,
        is_full_range=facts.colour_range == "full",
    )


def _mean_quantisers(
    qp: npt.NDArray[np.float64], keys: npt.NDArray[np.int64], tuned: range
) -> tuple[float, float, float]:
    """Return the mean QP of tuned frames that are no key frames, of later keys, of the first.

    Where there are no frames of a kind, the nearest kind stands for them.
    """
    is_key = np.isin(np.arange(len(qp)), keys)
    later_keys = qp[is_key][1:] if is_key.sum() > 1 else qp[is_key]
    others = qp[: tuned.stop][~is_key[: tuned.stop]]
    others = others if len(others) else later_keys
    return float(others.mean()), float(later_keys.mean()), float(qp[0])


def _remarks(work: _Clip, is_dark: bool) -> tuple[str, ...]:
    """Return what the reader of the comparison has to know."""
    tuned = f"frames {work.tuned.start} to {work.tuned.stop - 1}"
    if work.codec.qp is None:
        strength = (
            "The decoder does not tell the quantisers of HEVC: the simulated encoder works at "
            "the clip's mean bit rate."
        )
    else:
        strength = (
            "The quantisers were read from the file, those of its key frames from all frames "
            "used, and given to the simulated encoder: that they agree is no merit of the fit."
        )
    light = (
        "The clip is dark: its picture is taken for the phone's own black level and glow."
        if is_dark
        else "The clip is lit: its mean picture is taken for the light of the scene."
    )
    return (f"The phone was fitted to {tuned}.", strength, light)


def _filmed(model: PhoneModel, work: _Clip, *, frame_count: int) -> Path:
    """Return a video of the simulated phone: the clip's still scene, in its size and rate."""
    phone = phone_of(model, work.codec, name="fit")
    scene = Scene(
        name="still", seed=_SEED, frame_count=frame_count,
        frame_rate_hz=work.facts.frame_rate_hz or 30.0,
        field=FieldSettings(width_px=work.roi.width_px, height_px=work.roi.height_px),
        structure=None, background=BackgroundSettings(photons=0.0, structure_share=0.0),
        camera=phone.camera, codec=phone.codec,
    )  # fmt: skip
    dark = simulate_scene(scene)
    simulation = replace(dark, background_e=model.light_e(work.light_levels))

    def frames() -> Iterator[npt.NDArray[Any]]:
        for chunk in simulation.chunks(_CHUNK):
            yield from chunk.levels

    path = work.folder / "simulated.mp4"
    if phone.codec is not None:
        write_video(path, frames(), encoder_of(phone.codec, scene.frame_rate_hz))
    return path


def _whole(path: Path) -> Roi:
    """Return the whole frame of a simulated clip."""
    facts = open_recording(path).facts
    return Roi(width_px=facts.frame_width_px, height_px=facts.frame_height_px)


def _fitted(
    model: PhoneModel,
    work: _Clip,
    real: ClipMeasures,
    *,
    rounds: int,
    progress: Callable[[int, int], None] | None,
) -> PhoneModel:
    """Return the model whose film of the tuned frames is most like the real one."""
    turned = _turned(model, work.codec)
    total, done = len(turned) + rounds + 1 + _LEVEL_MOVES, 0

    def imitation(tried: PhoneModel) -> ClipMeasures:
        nonlocal done
        film = _filmed(tried, work, frame_count=min(_IMITATED_FRAMES, len(work.tuned)))
        measured = measure_clip(open_recording(film, roi=_whole(film)))
        done += 1
        if progress is not None:
            progress(done, total)
        return measured

    def difference(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return _weighted(compare(real, imitation(_with(base, turned, values))))

    base = with_levels_moved(model, real, imitation(model))
    values = matched(difference, tuple(turned.values()), rounds=rounds)
    found = _with(base, turned, values)
    return with_levels_moved(found, real, imitation(found))


def _turned(model: PhoneModel, codec: CodecModel) -> dict[str, Turned]:
    """Return what is turned, by its name in the model; variances by their logarithm."""
    turned = {
        "read_variance": Turned(start=np.log(model.read_variance), low=-6, high=6, step=0.3),
        "shot_variance": Turned(start=np.log(model.shot_variance), low=-7, high=4, step=0.3),
        "correlation_x": Turned(start=model.correlation_x, low=0.0, high=0.64, step=0.06),
        "correlation_y": Turned(start=model.correlation_y, low=0.0, high=0.64, step=0.06),
        "correlation_time": Turned(start=model.correlation_time, low=0.0, high=0.78, step=0.06),
        "pattern_levels": Turned(start=np.log(model.pattern_levels), low=-7, high=4, step=0.4),
    }
    if codec.qp is not None:
        for name in ("deadzone_inter", "deadzone_intra"):
            start = getattr(model, name)
            turned[name] = Turned(start=start, low=0.0, high=32.0, step=4.0)
    return turned


def _with(
    model: PhoneModel, turned: dict[str, Turned], values: npt.NDArray[np.float64]
) -> PhoneModel:
    """Return a model with the turned values in place."""
    logarithmic = {"read_variance", "shot_variance", "pattern_levels"}
    plain = {
        name: float(np.exp(value)) if name in logarithmic else float(value)
        for name, value in zip(turned, values.tolist(), strict=True)
    }
    return replace(model, **plain)


def _weighted(report: FidelityReport) -> npt.NDArray[np.float64]:
    """Return the differences the fit makes small, each with its weight."""
    key_weight = _KEY_WEIGHT if np.count_nonzero(report.real.is_key) > 1 else 0.0
    weighted = []
    for row in report.rows:
        is_key = row.measure.endswith("key frames")
        weight = key_weight if is_key else _WEIGHTS.get(row.group, 1.0)
        weighted.append(weight * _FARTHEST * np.tanh(row.relative_difference / _FARTHEST))
    return np.array(weighted)
