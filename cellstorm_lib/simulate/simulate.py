"""A scene becomes frames: the truth once, then light, noise and grey values in chunks."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellstorm_lib.files import digest_of, digest_of_file
from cellstorm_lib.simulate.exposure import draw_pattern, expose, process_raw
from cellstorm_lib.simulate.illumination import background_photons, relative_illumination
from cellstorm_lib.simulate.noise import frame_seeds
from cellstorm_lib.simulate.photophysics import draw_blinks, draw_brightness, expose_blinks
from cellstorm_lib.simulate.pictures import MaskSettings
from cellstorm_lib.simulate.scene import Scene, plain_scene
from cellstorm_lib.simulate.spot import add_spots
from cellstorm_lib.simulate.stage import stage_drift
from cellstorm_lib.simulate.structures import draw_sites
from cellstorm_lib.tables import Emitters

_SITES, _BLINKS, _BRIGHTNESS, _BACKGROUND, _DRIFT, _PATTERN, _FRAMES = range(7)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulatedChunk:
    """Consecutive frames of a simulated recording.

    Attributes
    ----------
    first_frame : int
        Number of the first frame.
    expected_e : (N, Y, X) float32
        Expected photoelectrons per pixel: molecules and background, no noise.
    raw : (N, Y, X) uint16
        What the sensor reads out.
    levels : (N, Y, X) uint8
        What the phone hands to its video encoder.
    """

    first_frame: int
    expected_e: NDArray[np.float32]
    raw: NDArray[np.uint16]
    levels: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Simulation:
    """A scene with all its chance but the frames' noise decided.

    Attributes
    ----------
    scene : Scene
    emitters : Emitters
        The truth: where each molecule appears in each frame (the drift included) and its
        expected photoelectrons there, down to the shortest flash. Only molecules whose centre
        lies in the field; those just outside are drawn, too.
    drift_nm : (N, 2) float64
        Displacement of the sample in each frame.
    light : pandas.DataFrame
        Like the truth's rows, with those outside the field.
    background_e : (Y, X) float32
        Expected photoelectrons per frame without molecules.
    pattern_e : (Y, X) float32
        Fixed pattern of the sensor.
    """

    scene: Scene
    emitters: Emitters
    drift_nm: NDArray[np.float64]
    light: pd.DataFrame
    background_e: NDArray[np.float32]
    pattern_e: NDArray[np.float32]

    def chunks(self, size: int = 64) -> Iterator[SimulatedChunk]:
        """Yield all frames in order, `size` at a time; the size never changes what is in them."""
        for start in range(0, self.scene.frame_count, size):
            yield self.chunk(range(start, min(start + size, self.scene.frame_count)))

    def chunk(self, frames: range) -> SimulatedChunk:
        """Return some consecutive frames, the same whichever other frames are made."""
        scene = self.scene
        seeds = frame_seeds(scene.seed, frames, stream=_FRAMES)
        expected_e = self.expected_e(frames)
        raw = expose(expected_e, pattern_e=self.pattern_e, sensor=scene.camera.sensor, seeds=seeds)
        levels = process_raw(raw, expected_e=expected_e, camera=scene.camera)
        return SimulatedChunk(
            first_frame=frames.start, expected_e=expected_e, raw=raw, levels=levels
        )

    def expected_e(self, frames: range) -> NDArray[np.float32]:
        """Return the noise-free photoelectrons of some consecutive frames, (N, Y, X) float32."""
        pixel_size_nm = self.scene.field.pixel_size_nm
        all_frames = self.light["frame"].to_numpy()
        rows = slice(*np.searchsorted(all_frames, [frames.start, frames.stop]))
        light = self.light.iloc[rows]
        expected_e = np.repeat(self.background_e[None], len(frames), axis=0)
        add_spots(
            expected_e,
            frame=all_frames[rows] - frames.start,
            x_px=light["x_nm"].to_numpy() / pixel_size_nm,
            y_px=light["y_nm"].to_numpy() / pixel_size_nm,
            photons=light["photons"].to_numpy(),
            sigma_px=self.scene.spot.sigma_px,
        )
        return expected_e


def simulate_scene(scene: Scene) -> Simulation:
    """Decide the truth of a scene; its frames follow from `Simulation.chunks`.

    Each part of the scene draws from a stream of its own, so that, say, another camera leaves
    the molecules where and when they were.

    Parameters
    ----------
    scene : Scene
        Its seed decides all chance.
    """
    drift_nm = stage_drift(scene.stage, frame_count=scene.frame_count, rng=_rng(scene.seed, _DRIFT))
    light = _draw_light(scene, drift_nm)
    shape = (scene.field.height_px, scene.field.width_px)
    return Simulation(
        scene=scene,
        emitters=_emitters_in_field(scene, light),
        drift_nm=drift_nm,
        light=light,
        background_e=_background_e(scene, shape),
        pattern_e=draw_pattern(scene.camera.sensor, shape=shape, rng=_rng(scene.seed, _PATTERN)),
    )


def _rng(seed: int, stream: int) -> np.random.Generator:
    """Return the generator of one part of the scene."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(stream,)))


def _draw_light(scene: Scene, drift_nm: NDArray[np.float64]) -> pd.DataFrame:
    """Return which molecule sends how many photoelectrons from where, frame by frame."""
    sites_nm = draw_sites(
        scene.structure,
        width_nm=scene.field.width_nm,
        height_nm=scene.field.height_nm,
        rng=_rng(scene.seed, _SITES),
    )
    blinks = draw_blinks(
        len(sites_nm),
        duration_s=scene.frame_count * scene.frame_s,
        settings=scene.blinking,
        rng=_rng(scene.seed, _BLINKS),
    )
    emissions = expose_blinks(
        blinks,
        frame_count=scene.frame_count,
        frame_s=scene.frame_s,
        exposure_s=scene.exposure_s,
    )
    brightness = draw_brightness(
        len(sites_nm), settings=scene.blinking, rng=_rng(scene.seed, _BRIGHTNESS)
    )
    position_nm = sites_nm[emissions.molecule] + drift_nm[emissions.frame]
    shine = relative_illumination(
        scene.illumination,
        position_nm[:, 0],
        position_nm[:, 1],
        width_nm=scene.field.width_nm,
        height_nm=scene.field.height_nm,
    )
    photons = brightness[emissions.molecule] * emissions.exposed_share * shine
    return pd.DataFrame(
        {
            "frame": emissions.frame,
            "emitter": emissions.molecule,
            "x_nm": position_nm[:, 0],
            "y_nm": position_nm[:, 1],
            "photons": photons * scene.camera.sensor.quantum_efficiency,
        }
    )


def _emitters_in_field(scene: Scene, light: pd.DataFrame) -> Emitters:
    """Return the rows whose molecule lies in the field, with the scene as provenance."""
    is_inside = (
        light["x_nm"].between(0.0, scene.field.width_nm, inclusive="left")
        & light["y_nm"].between(0.0, scene.field.height_nm, inclusive="left")
        & (light["photons"] > 0.0)
    )
    provenance = {
        "scene": plain_scene(scene),
        "scene_digest": digest_of(scene),
        "seed": scene.seed,
    }
    if isinstance(scene.structure, MaskSettings):
        provenance["image_digest"] = digest_of_file(Path(scene.structure.image))
    return Emitters(data=light[is_inside], field=scene.field_of_view, provenance=provenance)


def _background_e(scene: Scene, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return the photoelectrons of the background: its glow under the laser's profile."""
    pixel_size_nm = scene.field.pixel_size_nm
    glow = background_photons(
        scene.background,
        shape=shape,
        pixel_size_nm=pixel_size_nm,
        rng=_rng(scene.seed, _BACKGROUND),
    )
    rows, columns = np.indices(shape).astype(np.float64)
    shine = relative_illumination(
        scene.illumination,
        (columns + 0.5) * pixel_size_nm,
        (rows + 0.5) * pixel_size_nm,
        width_nm=scene.field.width_nm,
        height_nm=scene.field.height_nm,
    )
    return (glow * shine * scene.camera.sensor.quantum_efficiency).astype(np.float32)
