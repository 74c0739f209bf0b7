"""A display movie filmed by a simulated phone: all that goes wrong, and the truth of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cellstorm_lib.pairs.display_plan import DisplayPlan
from cellstorm_lib.pairs.filming_light import FilmingSettings, ScreenLight
from cellstorm_lib.pairs.lens import LensMap
from cellstorm_lib.video.read import open_recording

_Light = npt.NDArray[np.float32]

_RESPONSE_POINTS = 4


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
        lights = ScreenLight(self.plan, self._movie, self.lens, self.settings)
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
        self, lights: ScreenLight, time_s: float, interval_s: float, hold_s: float
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
