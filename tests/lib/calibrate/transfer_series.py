"""Series of frames of cameras of which every number is known, made with plain numpy."""

from dataclasses import dataclass, replace

import numpy as np

from cellstorm_lib.video.array import ArraySource


@dataclass(frozen=True)
class Camera:
    offset_adu: float = 4.074
    gain_e_per_adu: float = 0.34
    read_noise_e: float = 1.23
    fixed_pattern_e: float = 0.343
    gain_spread: float = 0.0
    bits: int = 12


P9 = Camera()
SCMOS = Camera(offset_adu=100.4, gain_e_per_adu=0.46, read_noise_e=1.6, fixed_pattern_e=0.3,
               gain_spread=0.01, bits=16)  # fmt: skip


def corner(at, steepness):
    """Return a response that is straight up to `at` electrons and less steep beyond."""
    return lambda electrons: np.where(electrons < at, electrons, at + steepness * (electrons - at))


def defocused(side, brightest):
    """Return a smooth picture, electrons per pixel."""
    y, x = np.mgrid[:side, :side] / side
    picture = np.sin(8.2 * x + 0.6) + np.cos(5.7 * y + 1.3 + x)
    picture = (picture - picture.min()) / np.ptp(picture)
    return brightest * (0.002 + 0.998 * picture)


class Sensor:
    """One copy of a camera: its pixels stay the same from series to series."""

    def __init__(self, camera, seed, side=64):
        self.camera = camera
        self.rng = np.random.default_rng(seed)
        self.shape = (side, side)
        self.offset_e = self.rng.normal(0, camera.fixed_pattern_e, self.shape)
        self.response = 1 + self.rng.normal(0, camera.gain_spread, self.shape)
        self.read_noise_e = np.full(self.shape, camera.read_noise_e)

    def frames(self, light_e, *, count=100, lamp=None, bend=None, excess=0.0):
        """Return raw frames; `light_e` is a picture, one number, or a picture per frame."""
        camera, rng = self.camera, self.rng
        lamp = np.ones(count) if lamp is None else lamp
        light_e = np.broadcast_to(light_e, (count, *self.shape))
        frames = np.empty((count, *self.shape), np.uint16)
        for k in range(count):
            light = light_e[k] * self.response * lamp[k]
            electrons = rng.poisson(light).astype(float)
            if bend is not None:
                electrons = bend(electrons)
            noise = rng.normal(0, 1, self.shape) * self.read_noise_e + self.offset_e
            noise += rng.normal(0, 1, self.shape) * np.sqrt(excess) * light
            grey = camera.offset_adu + (electrons + noise) / camera.gain_e_per_adu
            frames[k] = np.clip(np.rint(grey), 0, 2**camera.bits - 1)
        return frames

    def source(self, light_e, name="bright", **how):
        return ArraySource(self.frames(light_e, **how), name=name)

    def dark(self, count=100):
        return self.source(0.0, name="dark", count=count)


def with_facts(source, **facts):
    """Return a source that says other things of itself."""
    source._facts = replace(source.facts, **facts)
    return source


class VideoSource(ArraySource):
    """A stack that says it is a video; what lies between its key frames is rubbish."""

    def __init__(self, frames, *, gop=3, name="clip.mp4"):
        spread = np.full((len(frames) * gop, *frames.shape[1:]), 77, frames.dtype)
        spread[::gop] = frames
        super().__init__(spread, name=name)
        self._facts = replace(self._facts, kind="h264", bits_per_px=2.0)
        self._gop = gop

    def key_frames(self):
        return np.arange(self._range.start, self._range.stop, self._gop)

    def chunks(self, size):
        for chunk in super().chunks(size):
            since = (chunk.frame % self._gop).astype(np.int32)
            yield replace(chunk, is_key=since == 0, frames_since_key=since)
