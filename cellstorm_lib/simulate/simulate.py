"""A scene becomes frames: the truth once, then light, noise and grey values in chunks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellstorm_lib.files import digest_of, digest_of_file
from cellstorm_lib.simulate.background import background_over_time, background_photons
from cellstorm_lib.simulate.exposure import recorded_frames
from cellstorm_lib.simulate.illumination import relative_illumination
from cellstorm_lib.simulate.labelling import Dyes, label_sites
from cellstorm_lib.simulate.noise import expose, frame_seeds
from cellstorm_lib.simulate.photophysics import draw_blinks, draw_brightness, expose_blinks
from cellstorm_lib.simulate.scene import Scene, plain_scene, scene_files
from cellstorm_lib.simulate.sensor import SensorPattern, draw_pattern
from cellstorm_lib.simulate.spot import Spot, add_spots, prepared_spot
from cellstorm_lib.simulate.stage import stage_drift
from cellstorm_lib.simulate.structures import MARGIN_NM, draw_sites
from cellstorm_lib.tables import Emitters

_SITES, _BLINKS, _BRIGHTNESS, _BACKGROUND, _DRIFT, _PATTERN, _FRAMES = range(7)
_LABELS, _FADING, _PROCESSING = 7, 8, 9


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
    levels : (N, Y, X) uint8 or uint16
        What the camera hands to its video encoder, or the raw frames it records.
    """

    first_frame: int
    expected_e: NDArray[np.float32]
    raw: NDArray[np.uint16]
    levels: NDArray[Any]


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
    sites_nm : (S, 2) float64
        The structure: x and y of every site, before any drift.
    dyes : Dyes
        The dyes on them; the truth's `emitter` is an index into these.
    light : pandas.DataFrame
        Like the truth's rows, with those outside the field.
    background_e : (Y, X) float32
        Expected photoelectrons per frame without molecules, before they fade or flicker.
    background_factor : (N,) float32
        What becomes of them in each frame.
    spot : Spot
        The image of a molecule, ready to be drawn.
    pattern : SensorPattern
        What differs from pixel to pixel of the sensor.
    """

    scene: Scene
    emitters: Emitters
    drift_nm: NDArray[np.float64]
    sites_nm: NDArray[np.float64]
    dyes: Dyes
    light: pd.DataFrame
    background_e: NDArray[np.float32]
    background_factor: NDArray[np.float32]
    spot: Spot
    pattern: SensorPattern

    def chunks(self, size: int = 64) -> Iterator[SimulatedChunk]:
        """Yield all frames in order, `size` at a time; the size never changes what is in them."""
        for start in range(0, self.scene.frame_count, size):
            yield self.chunk(range(start, min(start + size, self.scene.frame_count)))

    def chunk(self, frames: range) -> SimulatedChunk:
        """Return some consecutive frames, the same whichever other frames are made."""
        camera, seed = self.scene.camera, self.scene.seed
        lead = min(frames.start, camera.memory_frames)
        exposed = range(frames.start - lead, frames.stop)
        expected_e = self.expected_e(exposed)
        raw = expose(
            expected_e,
            pattern=self.pattern,
            sensor=camera.sensor,
            seeds=frame_seeds(seed, exposed, stream=_FRAMES),
        )
        levels = recorded_frames(
            raw,
            expected_e=expected_e,
            camera=camera,
            time_s=np.array(exposed) * self.scene.frame_s,
            seeds=frame_seeds(seed, exposed, stream=_PROCESSING),
            lead=lead,
        )
        return SimulatedChunk(
            first_frame=frames.start, expected_e=expected_e[lead:], raw=raw[lead:], levels=levels
        )

    def expected_e(self, frames: range) -> NDArray[np.float32]:
        """Return the noise-free photoelectrons of some consecutive frames, (N, Y, X) float32."""
        pixel_size_nm = self.scene.field.pixel_size_nm
        all_frames = self.light["frame"].to_numpy()
        rows = slice(*np.searchsorted(all_frames, [frames.start, frames.stop]))
        light = self.light.iloc[rows]
        expected_e = self.background_over(frames)
        add_spots(
            expected_e,
            frame=all_frames[rows] - frames.start,
            x_px=light["x_nm"].to_numpy() / pixel_size_nm,
            y_px=light["y_nm"].to_numpy() / pixel_size_nm,
            photons=light["photons"].to_numpy(),
            spot=self.spot,
        )
        return expected_e

    def background_over(self, frames: range) -> NDArray[np.float32]:
        """Return what of `expected_e` no molecule sends, (N, Y, X) float32."""
        factor = self.background_factor[frames.start : frames.stop, None, None]
        return self.background_e * factor


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
    sites_nm = draw_sites(
        scene.structure,
        width_nm=scene.field.width_nm,
        height_nm=scene.field.height_nm,
        rng=_rng(scene.seed, _SITES),
    )
    dyes = label_sites(
        sites_nm,
        settings=scene.labelling,
        low_nm=(-MARGIN_NM, -MARGIN_NM),
        high_nm=(scene.field.width_nm + MARGIN_NM, scene.field.height_nm + MARGIN_NM),
        rng=_rng(scene.seed, _LABELS),
    )
    light = _draw_light(scene, dyes, drift_nm)
    shape = (scene.field.height_px, scene.field.width_px)
    background_factor = background_over_time(
        scene.background,
        frame_count=scene.frame_count,
        frame_s=scene.frame_s,
        rng=_rng(scene.seed, _FADING),
    )
    return Simulation(
        scene=scene,
        emitters=_emitters_in_field(scene, light),
        drift_nm=drift_nm,
        sites_nm=sites_nm,
        dyes=dyes,
        light=light,
        background_e=_background_e(scene, shape, sites_nm),
        background_factor=background_factor.astype(np.float32),
        spot=prepared_spot(scene.spot, pixel_size_nm=scene.field.pixel_size_nm),
        pattern=draw_pattern(scene.camera.sensor, shape=shape, rng=_rng(scene.seed, _PATTERN)),
    )


def _rng(seed: int, stream: int) -> np.random.Generator:
    """Return the generator of one part of the scene."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(stream,)))


def _draw_light(scene: Scene, dyes: Dyes, drift_nm: NDArray[np.float64]) -> pd.DataFrame:
    """Return which dye sends how many photoelectrons from where, frame by frame."""
    count = len(dyes.site)
    blinks = draw_blinks(
        count,
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
        count,
        settings=scene.blinking,
        exposure_s=scene.exposure_s,
        rng=_rng(scene.seed, _BRIGHTNESS),
    )
    position_nm = dyes.position_nm[emissions.molecule] + drift_nm[emissions.frame]
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
        "file_digests": {name: digest_of_file(path) for name, path in scene_files(scene).items()},
    }
    return Emitters(data=light[is_inside], field=scene.field_of_view, provenance=provenance)


def _background_e(
    scene: Scene, shape: tuple[int, int], sites_nm: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return the photoelectrons of the background: its glow under the laser's profile."""
    pixel_size_nm = scene.field.pixel_size_nm
    glow = background_photons(
        scene.background,
        shape=shape,
        pixel_size_nm=pixel_size_nm,
        sites_nm=sites_nm,
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
