"""Known molecules added to a real recording of the dark: its noise is a phone's own."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import RecordingError
from cellstorm_lib.recording import FrameSource
from cellstorm_lib.simulate.background import BackgroundSettings
from cellstorm_lib.simulate.scene import Scene
from cellstorm_lib.simulate.simulate import Simulation, simulate_scene
from cellstorm_lib.tables import Emitters

_TOP_LEVEL = 255.0
_CHUNK = 8

Levels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LitDark:
    """A recording of the dark with molecules in it.

    Attributes
    ----------
    frames : (N, Y, X) uint8
        Grey values.
    scene : Scene
        The molecules' scene, as large and long as the recording.
    truth : Emitters
        Where the molecules are, and their expected photoelectrons.
    saturated_share : float
        Share of the pixels with light of molecules (1 photoelectron or more) at the top value.
    """

    frames: Levels
    scene: Scene
    truth: Emitters
    saturated_share: float


def add_molecules(
    dark: FrameSource,
    calibration: CameraCalibration,
    scene: Scene,
    rng: np.random.Generator,
) -> LitDark:
    """Add the light of a scene's molecules, with its shot noise, to a recording of the dark.

    What the phone does to light before it writes the file (denoising, tone) is not done to that of
    the molecules; encode the frames again to have them compressed.

    Parameters
    ----------
    dark : FrameSource
        8-bit frames without molecules.
    calibration : CameraCalibration
        Its gain says how many grey values a photoelectron makes.
    scene : Scene
        Its molecules are used; its field and length become those of the recording, its background,
        camera and codec are left out.
    rng : numpy.random.Generator
        Shot noise, and the rounding to grey values.

    Raises
    ------
    RecordingError
        When the recording has more than 8 bit, or frames of it cannot be read.
    """
    facts = dark.facts
    if facts.bit_depth != 8:
        raise RecordingError(
            f"{facts.name} has {facts.bit_depth} bit; molecules are added to 8-bit video"
        )
    roi = facts.roi
    field = replace(scene.field, width_px=roi.width_px, height_px=roi.height_px)
    scene = replace(
        scene,
        field=field,
        frame_count=len(dark.frame_range),
        codec=None,
        background=BackgroundSettings(photons=0.0, structure_share=0.0),
    )
    simulation = simulate_scene(scene)
    parts, at_top, lit = [], 0, 0
    for frames, light_e in _chunks(dark, simulation):
        made = frames + rng.poisson(light_e) / np.float32(calibration.gain_e_per_adu)
        # rounded by chance, so that faint light is not lost in steps
        levels = np.clip(np.floor(made + rng.uniform(size=made.shape)), 0.0, _TOP_LEVEL)
        at_top += int(((levels == _TOP_LEVEL) & (light_e >= 1.0)).sum())
        lit += int((light_e >= 1.0).sum())
        parts.append(levels.astype(np.uint8))
    return LitDark(
        frames=np.concatenate(parts),
        scene=scene,
        truth=simulation.emitters,
        saturated_share=at_top / max(lit, 1),
    )


def _chunks(
    dark: FrameSource, simulation: Simulation
) -> Iterator[tuple[Levels, npt.NDArray[np.float32]]]:
    """Yield frames of the recording and the expected light of the molecules in them."""
    count = 0
    for chunk in dark.chunks(_CHUNK):
        yield (
            chunk.frames.astype(np.uint8, copy=False),
            simulation.expected_e(range(count, count + len(chunk.frames))),
        )
        count += len(chunk.frames)
    if count != len(dark.frame_range):
        raise RecordingError(
            f"{dark.facts.name} is damaged: {len(dark.frame_range) - count} of its frames cannot "
            "be read; give another recording"
        )
