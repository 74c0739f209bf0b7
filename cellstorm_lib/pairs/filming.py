"""A display movie filmed by a simulated phone: all that goes wrong, and the truth of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.pairs.display_plan import DisplayPlan, light_of
from cellstorm_lib.pairs.lens import LensMap
from cellstorm_lib.recording import FrameSource
from cellstorm_lib.simulate.ranges import about, check_ranges
from cellstorm_lib.video.read import open_recording

_Light = npt.NDArray[np.float32]

_MARGIN_PX = 8
_MOVIE_CHUNK = 12
_RESPONSE_POINTS = 4


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
        default=0.5,
        metadata=about("depth of the grid of screen pixels before defocus", at_least=0, at_most=1),
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilmedFrame:
    """A camera frame and what it shows.

    Attributes
    ----------
    levels : (Y, X) uint8
        Grey values before the codec.
    number : int
        Number of the frame of the movie that was seen longest; -1 where there is none.
    purity : float
        Its share of the light in the row where it has least.
    """

    levels: npt.NDArray[np.uint8]
    number: int
    purity: float


class Filming:
    """A display movie on a screen, and a phone before it.

    Parameters
    ----------
    plan : DisplayPlan
        What is shown.
    folder : Path
        Where its movie lies; the movie file itself is filmed.
    settings : FilmingSettings or None
        None for the defaults, which have every fault.
    """

    def __init__(
        self, plan: DisplayPlan, folder: Path, settings: FilmingSettings | None = None
    ) -> None:
        self.plan = plan
        self.settings = settings or FilmingSettings()
        self._movie = open_recording(
            Path(folder) / plan.movie,
            roi=f"{plan.settings.screen_width_px}x{plan.settings.screen_height_px}+0+0",
        )

    @cached_property
    def lens(self) -> LensMap:
        """Where the screen really lies on the camera."""
        chosen, layout = self.settings, self.plan.layout
        width_px, height_px = chosen.frame_width_px, chosen.frame_height_px
        angle, scale = np.deg2rad(chosen.rotation_deg), chosen.camera_px_per_screen_px
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        to_middle = np.eye(3)
        to_middle[:2, 2] = (-layout.screen_width_px / 2, -layout.screen_height_px / 2)
        seen = np.eye(3)
        seen[:2, :2] = turn
        seen[2, :2] = (
            chosen.tilt_x * scale / (width_px / 2),
            chosen.tilt_y * scale / (height_px / 2),
        )
        from_middle = np.eye(3)
        from_middle[:2, 2] = (width_px / 2, height_px / 2)
        return LensMap(
            matrix=from_middle @ seen @ to_middle,
            centre_px=np.array([width_px / 2, height_px / 2]) + chosen.off_centre_px,
            radius_px=float(np.hypot(width_px, height_px) / 2),
            k1=chosen.k1,
            k2=chosen.k2,
        )

    def frames(self) -> Iterator[FilmedFrame]:
        """Yield the camera frames in order."""
        chosen, rng = self.settings, np.random.default_rng(self.settings.seed)
        interval_s = 1.0 / (chosen.frame_rate_hz * (1.0 + chosen.clock_error))
        hold_s = self.plan.settings.repeats / self.plan.settings.frame_rate_hz
        length_s = self.plan.frame_count * hold_s + 2 * chosen.lead_s
        lights = _Lights(self, self._movie)
        start_s = -chosen.lead_s + rng.uniform(0, interval_s)
        for index in range(int(length_s / interval_s)):
            time_s = start_s + index * interval_s
            is_lost, is_copied = rng.random(2) < (chosen.drop_share, chosen.copy_share)
            light, number, purity = self._exposed(lights, time_s, interval_s, hold_s)
            if is_lost:
                continue
            light = light * self._flicker(time_s, interval_s)[:, None]
            light = light * np.float32(1.0 + chosen.unsteady_share * rng.standard_normal())
            filmed = FilmedFrame(levels=self._developed(light, rng), number=number, purity=purity)
            yield filmed
            if is_copied:
                yield filmed

    def _exposed(
        self, lights: "_Lights", time_s: float, interval_s: float, hold_s: float
    ) -> tuple[_Light, int, float]:
        """Return the light of one exposure, its number and the purity."""
        chosen = self.settings
        rows = np.arange(chosen.frame_height_px) / chosen.frame_height_px
        opens_s = time_s + rows * chosen.readout_share * interval_s
        closes_s = opens_s + chosen.exposure_share * interval_s
        first = int(np.floor((opens_s[0] - 5 * chosen.response_ms / 1000) / hold_s))
        last = int(np.floor(closes_s[-1] / hold_s))
        shares = {}
        for number in range(first, last + 1):
            begun = self._shown_share(opens_s, closes_s, number * hold_s)
            gone = self._shown_share(opens_s, closes_s, (number + 1) * hold_s)
            shares[number] = begun - gone
        in_movie = [key for key in shares if 0 <= key < self.plan.frame_count]
        number = max(in_movie or shares, key=lambda key: float(shares[key].sum()))
        light = sum(
            share.astype(np.float32)[:, None] * lights.light(key)
            for key, share in shares.items()
            if share.max() > 0
        )
        purity = float(shares[number].min())
        return np.asarray(light, np.float32), number if in_movie else -1, purity

    def _shown_share(
        self, opens_s: npt.NDArray[np.float64], closes_s: npt.NDArray[np.float64], change_s: float
    ) -> npt.NDArray[np.float64]:
        """Return which share of each row's exposure sees the screen after a change."""
        lags = (np.arange(_RESPONSE_POINTS) + 0.5) / _RESPONSE_POINTS
        delays_s = -self.settings.response_ms / 1000 * np.log1p(-lags)
        late_s = closes_s[:, None] - change_s - delays_s
        shares = (late_s / (closes_s - opens_s)[:, None]).clip(0.0, 1.0)
        return np.asarray(shares.mean(axis=1))

    def _flicker(self, time_s: float, interval_s: float) -> npt.NDArray[np.float32]:
        """Return the backlight's mean brightness during each row's exposure."""
        chosen = self.settings
        rows = np.arange(chosen.frame_height_px) / chosen.frame_height_px
        exposure_s = chosen.exposure_share * interval_s
        middle_s = time_s + rows * chosen.readout_share * interval_s + exposure_s / 2
        depth = chosen.flicker_share * np.sinc(chosen.flicker_hz * exposure_s)
        wave = 1.0 + depth * np.sin(2 * np.pi * chosen.flicker_hz * middle_s)
        return wave.astype(np.float32)

    def _developed(self, light: _Light, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
        """Return grey values with the camera's noise."""
        chosen = self.settings
        electrons = light * np.float32(chosen.white_adu * chosen.gain_e_per_adu)
        spread = np.sqrt(electrons + np.float32(chosen.read_noise_e**2))
        electrons += spread * rng.standard_normal(electrons.shape, np.float32)
        levels = electrons * np.float32(1 / chosen.gain_e_per_adu) + np.float32(chosen.offset_adu)
        return np.asarray(np.rint(levels).clip(0, 255), np.uint8)


class _Lights:
    """Light of shown frames on the camera's pixels, of the last few asked for."""

    def __init__(self, filming: Filming, movie: FrameSource) -> None:
        self._filming, self._movie = filming, movie
        chosen, layout = filming.settings, filming.plan.layout
        rows, columns = np.indices((chosen.frame_height_px, chosen.frame_width_px))
        screen = filming.lens.to_screen(np.stack([columns + 0.5, rows + 0.5], axis=-1))
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
        if not 0 <= number < self._filming.plan.frame_count:
            return np.full_like(self._factor, self._filming.settings.leak_share)
        while number not in self._held:
            read, picture = next(self._reading)
            if read >= number - 1:
                self._held[read] = self._filmed(picture)
            for old in [key for key in self._held if key < read - 3]:
                del self._held[old]
        return self._held[number]

    def _pictures(self) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
        """Yield number and luma of each shown frame, from the movie file."""
        repeats = self._filming.plan.settings.repeats
        (left, top), (right, bottom) = self._low, self._high
        for chunk in self._movie.chunks(_MOVIE_CHUNK):
            for frame, picture in zip(chunk.frame.tolist(), chunk.frames, strict=True):
                if frame % repeats == 0:
                    yield frame // repeats, picture[top:bottom, left:right]

    def _filmed(self, picture: npt.NDArray[np.uint8]) -> _Light:
        """Return the light of one picture on the camera's pixels."""
        light = light_of(picture, self._filming.plan.settings.gamma)
        blurred = ndimage.gaussian_filter(light, self._blur_px, truncate=5.0)
        seen = np.full_like(self._factor, self._filming.settings.leak_share)
        values = ndimage.map_coordinates(blurred, self._places, order=3, mode="constant")
        seen[self._is_seen] += np.maximum(values, 0.0)
        return np.asarray(seen * self._factor)

    def _screen_blur(self, middle_px: npt.NDArray[np.float64]) -> float:
        """Return defocus and the camera's pixels as a width in screen pixels."""
        across, down = self._filming.lens.scale_at(middle_px)
        sigma_px = np.hypot(self._filming.settings.defocus_px, np.sqrt(1 / 12))
        return float(sigma_px / np.sqrt(across * down))

    def _vignetting(self, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]) -> _Light:
        """Return the share of light that reaches each pixel."""
        chosen = self._filming.settings
        x = (columns + 0.5) / chosen.frame_width_px - 0.5
        y = (rows + 0.5) / chosen.frame_height_px - 0.5
        fall = (x**2 + y**2) / 0.5
        return (1.0 - (1.0 - chosen.corner_share) * fall).astype(np.float32)

    def _moire(self, screen: npt.NDArray[np.float64]) -> _Light:
        """Return what defocus and the camera's pixels leave of the grid of screen pixels.

        The first harmonic of the grid along both axes; camera pixels sample it, which makes the
        beat. The grid is strongest across, where the colours lie side by side.
        """
        damping = np.exp(-2 * (np.pi * self._blur_px) ** 2)
        depth = self._filming.settings.moire_share * damping
        waves = np.cos(2 * np.pi * screen) * (1.0, 0.5)
        return np.asarray(1.0 + depth * waves.sum(axis=-1), np.float32)
