"""Frames whose spots are known, and a recording in memory that may call itself a video."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import erf

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.recording import FrameChunk, LossSummary, RecordingFacts, Roi

#: Read noise 1.5 e in total: the rounding of 0.25 e/ADU is part of it.
SCIENTIFIC = CameraCalibration(
    name="scientific",
    source="given",
    offset_adu=100.0,
    gain_e_per_adu=0.25,
    read_noise_e=float(np.sqrt(1.5**2 - 0.25**2 / 12)),
    bit_depth=16,
)
PHONE = CameraCalibration(
    name="phone",
    source="given",
    offset_adu=4.0,
    gain_e_per_adu=0.34,
    read_noise_e=1.23,
    bit_depth=8,
)


def shares(centre, count, sigma):
    """Return the share of a Gaussian in each of `count` pixels, (..., count)."""
    edges = np.arange(count + 1) - np.asarray(centre, float)[..., None]
    return np.diff(0.5 * erf(edges / (np.sqrt(2) * sigma)), axis=-1)


def expected_frame(shape, spots, *, sigma=1.3, background=10.0):
    """Return the expected photoelectrons of spots given as (x, y, photons)."""
    image = np.full(shape, float(background))
    for x, y, photons in spots:
        image += photons * np.outer(shares(y, shape[0], sigma), shares(x, shape[1], sigma))
    return image


def exposed(expected, camera, rng):
    """Return grey values: shot noise, read noise, rounding, clipping."""
    electrons = rng.poisson(expected) + rng.normal(0, camera.read_noise_e, np.shape(expected))
    adu = np.rint(electrons / camera.gain_e_per_adu + camera.offset_adu)
    kind = np.uint8 if camera.bit_depth == 8 else np.uint16
    return np.clip(adu, 0, camera.saturation_adu).astype(kind)


def spot_boxes(
    rng, count, *, box=7, photons=1000.0, sigma=1.3, background=10.0, camera, spread=0.5
):
    """Return `count` frames the size of a box, with one spot each, and its x and y."""
    x, y = box / 2 + rng.uniform(-spread, spread, (2, count))
    mean = shares(y, box, sigma)[:, :, None] * shares(x, box, sigma)[:, None, :]
    return exposed(photons * mean + background, camera, rng), x, y


def assert_honest(errors, claimed):
    """Fail when estimates are biased, or scatter unlike their claimed uncertainty."""
    pulls = errors / claimed
    assert abs(pulls.mean()) < 4 / np.sqrt(len(pulls)), f"biased by {pulls.mean():.3f} s.d."
    assert abs(pulls.std() - 1) < 4 / np.sqrt(2 * len(pulls)), f"scatter {pulls.std():.3f}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """Frames in memory as a FrameSource: a video with key frames, or a stack."""

    frames: np.ndarray
    kind: str = "h264"
    gop_frames: int = 10
    tainted: tuple[int, ...] = ()
    roi_x_px: int = 0
    roi_y_px: int = 0
    frame_range: range = range(0)
    most: int = 10**9
    facts: RecordingFacts | None = None

    def __post_init__(self):
        height, width = self.frames.shape[1:]
        if self.facts is None:
            facts = RecordingFacts(
                name="made.mp4",
                digest="0",
                kind=self.kind,
                frame_width_px=width + self.roi_x_px,
                frame_height_px=height + self.roi_y_px,
                roi=Roi(width_px=width, height_px=height, x_px=self.roi_x_px, y_px=self.roi_y_px),
                frame_count=len(self.frames),
                bit_depth=8 * self.frames.dtype.itemsize,
            )
            object.__setattr__(self, "facts", facts)
            object.__setattr__(self, "frame_range", range(len(self.frames)))

    def in_chunks_of(self, most):
        """Return the same recording, which never gives more than `most` frames at once."""
        return replace(self, most=most)

    def with_facts(self, **changes):
        """Return the same frames with other facts."""
        return replace(self, facts=replace(self.facts, **changes))

    def part(self, start, stop):
        return replace(
            self,
            frame_range=range(max(start, self.frame_range.start), min(stop, self.frame_range.stop)),
        )

    def key_frames(self):
        step = self.gop_frames if self.facts.is_video else 1
        return np.array([frame for frame in self.frame_range if frame % step == 0], np.int64)

    def loss(self):
        return LossSummary(expected_count=len(self.frames), decoded_count=len(self.frames))

    def chunks(self, size):
        size = min(size, self.most)
        step = self.gop_frames if self.facts.is_video else 1
        for start in range(self.frame_range.start, self.frame_range.stop, size):
            number = np.arange(start, min(start + size, self.frame_range.stop))
            since = (number % step).astype(np.int32)
            yield FrameChunk(
                frames=np.ascontiguousarray(self.frames[number]),
                frame=number.astype(np.int64),
                time_s=number / 20.0,
                is_key=since == 0,
                frames_since_key=since,
                is_tainted=np.isin(number, self.tainted),
                packet_bytes=np.full(len(number), 100, np.int64),
                previous=self.frames[start - 1] if start > self.frame_range.start else None,
            )
