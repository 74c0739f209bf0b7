"""Small pairs made with numpy alone: spots, photon noise, a camera."""

from typing import Any

import numpy as np

from cellstorm_lib.pairs.pair_set import PairSet

OFFSET_ADU, GAIN = 3.0, 0.7


def spots(shape: tuple[int, int, int], rng: np.random.Generator, photons: float = 900.0) -> Any:
    """Return (N, Y, X) expected photoelectrons of a few Gaussian spots per frame."""
    rows, columns = np.mgrid[: shape[1], : shape[2]] + 0.5
    light = np.zeros(shape)
    for index in range(shape[0]):
        for x_px, y_px in rng.uniform(0, shape[1], (max(shape[1] * shape[2] // 1500, 1), 2)):
            square = (columns - x_px) ** 2 + (rows - y_px) ** 2
            light[index] += photons / (2 * np.pi * 1.69) * np.exp(-square / 2 / 1.69)
    return light


def filmed(light: Any, rng: np.random.Generator, background_e: float = 8.0) -> Any:
    """Return the 8-bit frames a noisy camera makes of light."""
    electrons = rng.poisson(light + background_e) + rng.normal(0.0, 1.2, light.shape)
    return np.clip(np.rint(electrons / GAIN + OFFSET_ADU), 0, 255).astype(np.uint8)


def small_pairs(*, clips: int = 8, frames: int = 5, side_px: int = 64, seed: int = 1) -> PairSet:
    """Return clips of which the last but one is for validation and the last for testing."""
    rng = np.random.default_rng(seed)
    light = np.stack([spots((frames, side_px, side_px), rng) for _ in range(clips)])
    split = ["train"] * (clips - 2) + ["validation", "test"]
    return PairSet(
        filmed=filmed(light, rng),
        light_e=light.astype(np.float16),
        is_usable=np.ones((clips, frames), bool),
        is_key=np.zeros((clips, frames), bool),
        offset_adu=np.full(clips, OFFSET_ADU, np.float32),
        gain_e_per_adu=np.full(clips, GAIN, np.float32),
        bits_per_px=np.full(clips, 0.4, np.float32),
        split=np.array(split),
        origin=np.array([f"scene-{number}" for number in range(clips)]),
        method=np.array(["simulated"] * clips),
    )
