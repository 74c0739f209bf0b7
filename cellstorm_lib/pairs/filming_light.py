"""The light of a screen on the pixels of a simulated camera, and the settings of both."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.pairs.display_plan import DisplayPlan, light_of
from cellstorm_lib.pairs.lens import LensMap
from cellstorm_lib.recording import FrameSource
from cellstorm_lib.simulate.ranges import about, check_ranges

_Light = npt.NDArray[np.float32]

_MARGIN_PX = 8
_MOVIE_CHUNK = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmingSettings:
    """Camera, lens, screen and their faults; each has a neutral value."""

    frame_width_px: int = field(default=800, metadata=about("camera pixels across", at_least=64))
    frame_height_px: int = field(default=512, metadata=about("camera pixels down", at_least=64))
    frame_rate_hz: float = field(default=20.0, metadata=about("camera frames per second", above=0))
    camera_px_per_screen_px: float = field(default=1.0, metadata=about("scale", above=0))
    rotation_deg: float = field(default=1.5, metadata=about("turn of the camera"))
    tilt_x: float = field(default=0.03, metadata=about("perspective across the frame"))
    tilt_y: float = field(default=-0.02, metadata=about("perspective down the frame"))
    k1: float = field(default=-0.03, metadata=about("radial distortion; below 0 a barrel"))
    k2: float = field(default=0.006, metadata=about("radial distortion of the next order"))
    off_centre_px: float = field(default=12.0, metadata=about("lens axis beside the middle"))
    defocus_px: float = field(
        default=1.2, metadata=about("blur, standard deviation in camera pixels", at_least=0.3)
    )
    corner_share: float = field(
        default=0.6, metadata=about("light in the corners of the frame", above=0, at_most=1)
    )
    exposure_share: float = field(
        default=0.6, metadata=about("exposure as a share of the frame time", above=0, at_most=1)
    )
    readout_share: float = field(
        default=0.5,
        metadata=about(
            "rolling shutter: first to last row as a share of the frame time", at_least=0, at_most=1
        ),
    )
    response_ms: float = field(
        default=4.0, metadata=about("time the screen needs to change", at_least=0)
    )
    clock_error: float = field(
        default=0.003, metadata=about("how much faster the camera's clock runs than the screen's")
    )
    drop_share: float = field(
        default=0.02, metadata=about("camera frames lost", at_least=0, at_most=0.9)
    )
    copy_share: float = field(
        default=0.02, metadata=about("camera frames written twice", at_least=0, at_most=0.9)
    )
    flicker_share: float = field(
        default=0.15, metadata=about("amplitude of the backlight's flicker", at_least=0, at_most=1)
    )
    flicker_hz: float = field(default=237.0, metadata=about("its frequency", above=0))
    unsteady_share: float = field(
        default=0.01, metadata=about("random brightness from frame to frame", at_least=0)
    )
    moire_share: float = field(
        default=0.03,
        metadata=about(
            "depth of the beat between the screen's and the camera's pixels", at_least=0, at_most=1
        ),
    )
    leak_share: float = field(
        default=0.002, metadata=about("light of the black screen and the room", at_least=0)
    )
    offset_adu: float = field(default=4.0, metadata=about("grey value without light", at_least=0))
    white_adu: float = field(
        default=200.0, metadata=about("grey values of the screen's white, mid frame", above=0)
    )
    gain_e_per_adu: float = field(default=3.0, metadata=about("electrons per grey value", above=0))
    read_noise_e: float = field(default=3.0, metadata=about("read noise", at_least=0))
    lead_s: float = field(
        default=0.7, metadata=about("filmed before the movie begins and after its end", at_least=0)
    )
    seed: int = field(default=1, metadata=about("number that decides all chance", at_least=0))

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.frame_width_px % 2 or self.frame_height_px % 2:
            raise SettingsError(
                "frame_width_px and frame_height_px must be even, got "
                f"{self.frame_width_px} x {self.frame_height_px}"
            )


class ScreenLight:
    """Light of shown frames on the camera's pixels; the last few asked for are kept.

    Parameters
    ----------
    plan : DisplayPlan
        What is shown.
    movie : FrameSource
        The movie file, whole frames.
    lens : LensMap
        Where the screen really lies on the camera.
    settings : FilmingSettings
        Camera, lens and screen.
    """

    def __init__(
        self, plan: DisplayPlan, movie: FrameSource, lens: LensMap, settings: FilmingSettings
    ) -> None:
        self._plan, self._movie, self._lens, self._settings = plan, movie, lens, settings
        chosen, layout = settings, plan.layout
        rows, columns = np.indices((chosen.frame_height_px, chosen.frame_width_px))
        screen = lens.to_screen(np.stack([columns + 0.5, rows + 0.5], axis=-1))
        reach = np.array([layout.screen_width_px, layout.screen_height_px])
        low = np.floor(screen.min(axis=(0, 1))).astype(int) - _MARGIN_PX
        high = np.ceil(screen.max(axis=(0, 1))).astype(int) + _MARGIN_PX
        self._low, self._high = low.clip(0, reach), high.clip(0, reach)
        inside = (screen > layout.outer.corners[0]) & (screen < layout.outer.corners[2])
        self._is_seen = inside.all(axis=-1)
        self._places = (screen - self._low - 0.5)[self._is_seen][:, ::-1].T
        self._blur_px = self._screen_blur(layout.data.corners.mean(axis=0))
        self._factor = self._vignetting(rows, columns) * self._moire(screen)
        self._held: dict[int, _Light] = {}
        self._reading = self._pictures()

    def light(self, number: int) -> _Light:
        """Return the light of one shown frame; numbers must not fall far back."""
        if not 0 <= number < self._plan.frame_count:
            return np.full_like(self._factor, self._settings.leak_share)
        while number not in self._held:
            read, picture = next(self._reading)
            if read >= number - 1:
                self._held[read] = self._filmed(picture)
            for old in [key for key in self._held if key < read - 3]:
                del self._held[old]
        return self._held[number]

    def _pictures(self) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
        """Yield number and luma of each shown frame, from the movie file."""
        repeats = self._plan.settings.repeats
        (left, top), (right, bottom) = self._low, self._high
        for chunk in self._movie.chunks(_MOVIE_CHUNK):
            for frame, picture in zip(chunk.frame.tolist(), chunk.frames, strict=True):
                if frame % repeats == 0:
                    yield frame // repeats, picture[top:bottom, left:right]

    def _filmed(self, picture: npt.NDArray[np.uint8]) -> _Light:
        """Return the light of one picture on the camera's pixels."""
        light = light_of(picture, self._plan.settings.gamma)
        blurred = ndimage.gaussian_filter(light, self._blur_px, truncate=5.0)
        seen = np.full_like(self._factor, self._settings.leak_share)
        values = ndimage.map_coordinates(blurred, self._places, order=3, mode="constant")
        seen[self._is_seen] += np.maximum(values, 0.0)
        return np.asarray(seen * self._factor)

    def _screen_blur(self, middle_px: npt.NDArray[np.float64]) -> float:
        """Return defocus and the camera's pixels as a width in screen pixels."""
        across, down = self._lens.scale_at(middle_px)
        sigma_px = np.hypot(self._settings.defocus_px, np.sqrt(1 / 12))
        return float(sigma_px / np.sqrt(across * down))

    def _vignetting(self, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]) -> _Light:
        """Return the share of light that reaches each pixel."""
        chosen = self._settings
        x = (columns + 0.5) / chosen.frame_width_px - 0.5
        y = (rows + 0.5) / chosen.frame_height_px - 0.5
        fall = (x**2 + y**2) / 0.5
        return (1.0 - (1.0 - chosen.corner_share) * fall).astype(np.float32)

    def _moire(self, screen: npt.NDArray[np.float64]) -> _Light:
        """Return the beat: the grid of screen pixels as the camera's pixels sample it.

        It is strongest across, where the colours lie side by side.
        """
        waves = np.cos(2 * np.pi * screen) * (1.0, 0.5)
        return np.asarray(1.0 + self._settings.moire_share * waves.sum(axis=-1), np.float32)
