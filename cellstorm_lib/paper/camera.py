"""Table 1, Fig. 5 and 6: the phone's sensor by photon transfer, and its video of the dark."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cellstorm_lib.calibrate.dark_stability import DarkStability, measure_dark_stability
from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.paper.settings import FRAME_RATE_HZ
from cellstorm_lib.pipeline.calibrate_camera import calibrate_camera
from cellstorm_lib.pipeline.film import film_scene
from cellstorm_lib.progress import Progress, in_parts
from cellstorm_lib.report.camera_curves import photon_transfer_figure
from cellstorm_lib.report.camera_numbers import interval_of
from cellstorm_lib.report.dark_curves import dark_stability_figure
from cellstorm_lib.report.paper import PaperFigure, PaperRow, drawn_panel
from cellstorm_lib.report.rows import number_text
from cellstorm_lib.simulate.cameras import read_camera
from cellstorm_lib.simulate.noise import expose, frame_seeds
from cellstorm_lib.simulate.scene import read_preset
from cellstorm_lib.simulate.sensor import SensorSettings, draw_pattern
from cellstorm_lib.video.read import open_recording
from cellstorm_lib.video.tiff import write_stack

SIDE_PX = 256
_SEED = 5
#: Brighter than the sensor's full well, so that the end of its linear range is in the picture.
BRIGHTEST_E, _FULL_WELL_E = 1330.0, 1100.0
#: The paper's numbers, Supplement B.
_SAID = {
    "offset_adu": ("Offset", "4.074 grey values", "grey values"),
    "gain_e_per_adu": ("Gain", "0.34 e-/grey value", "e-/grey value"),
    "read_noise_e": ("Read noise", "1.23 e- RMS", "e- RMS"),
    "fixed_pattern_e": ("Fixed pattern", "0.343 e- RMS", "e- RMS"),
}


def paper_sensor() -> SensorSettings:
    """Return the phone's sensor as the paper measured it, with pixels that can be full."""
    return replace(read_camera("huawei-p9-raw").camera.sensor, full_well_e=_FULL_WELL_E)


def blurred_object() -> npt.NDArray[np.float64]:
    """Return a smooth picture of all strengths of light, (Y, X), 0 to 1."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX] / SIDE_PX
    picture = np.sin(8.2 * x + 0.6) + np.cos(5.7 * y + 1.3 + x)
    return np.asarray((picture - picture.min()) / np.ptp(picture))


def measured_camera(
    folder: Path, *, pictures: int, progress: Progress | None = None
) -> CameraCalibration:
    """Measure the paper's phone by photon transfer from simulated raw pictures.

    Parameters
    ----------
    folder : Path
        For the series.
    pictures : int
        In each series.
    progress : callable, optional
        Called with what is done and the whole.
    """
    *drawn, measured_told = in_parts(progress, 1.0, 1.0, 2.0)
    light_e = BRIGHTEST_E * blurred_object()
    series = {"bright": light_e, "dark": np.zeros_like(light_e)}
    paths = {name: folder / f"{name}.ome.tif" for name in series}
    for stream, (name, expected_e) in enumerate(series.items()):
        frames = _pictures(expected_e, paper_sensor(), pictures, stream=stream)
        write_stack(paths[name], [frames], pixel_size_nm=None)
        drawn[stream](1, 1)
    measured = calibrate_camera(
        [paths["bright"]], [paths["dark"]],
        name="huawei-p9-raw, simulated", progress=measured_told,
    )  # fmt: skip
    return measured.calibration


def dark_video(
    folder: Path, *, frame_count: int, progress: Progress | None = None
) -> DarkStability:
    """Film the dark with the phone, and measure how steady its level is."""
    filmed, measured = in_parts(progress, 3.0, 1.0)
    scene = replace(read_preset("dark"), frame_count=frame_count)
    film = film_scene(scene, folder, stacks=(), progress=filmed)
    stability = measure_dark_stability(open_recording(film.movie))
    measured(1, 1)
    return stability


def table_figure() -> PaperFigure:
    """Return Table 1: the two cameras, as the program knows them."""
    rows = []
    for name, preset, theirs in (
        ("emCCD", "andor-ixon-897", ("14 bit", "0.2 e- RMS", "90 % or more")),
        ("phone", "huawei-p9-raw", ("12 bit", "1.23 e- RMS", "about 70 to 80 %")),
    ):
        sensor = read_camera(preset).camera.sensor
        noise_e = sensor.read_noise_e / (sensor.em_gain or 1.0)
        ours = (
            f"{sensor.bit_depth} bit",
            f"{number_text(noise_e)} e- RMS",
            f"{100 * sensor.quantum_efficiency:.0f} %",
        )
        for what, their, our in zip(
            ("Bit depth", "Read noise", "Quantum efficiency"), theirs, ours, strict=True
        ):
            rows.append(PaperRow(what=f"{what}, {name}", theirs=their, ours=our))
    return PaperFigure(
        name="cameras",
        title="Table 1: the two cameras",
        about="What the simulator takes for the two cameras; read noise as seen behind the "
        "electron multiplication of the emCCD.",
        rows=tuple(rows),
        panels=(),
    )


def transfer_figure(calibration: CameraCalibration, *, pictures: int) -> PaperFigure:
    """Return Fig. 5: the photon transfer curve, and what was measured back."""
    return PaperFigure(
        name="photon-transfer",
        title="Fig. 5: photon transfer of the phone's raw pictures",
        about=f"{pictures} simulated raw pictures (12 bit, ISO 3200) of a defocused object and "
        f"{pictures} of the dark, from a sensor with the numbers the paper gives; our calibration "
        "has to find them again.",
        rows=tuple(
            PaperRow(
                what=what,
                theirs=said,
                ours=f"{number_text(getattr(calibration, name))} {unit}",
                remark=interval_of(calibration, name),
            )
            for name, (what, said, unit) in _SAID.items()
        ),
        panels=(
            drawn_panel(
                photon_transfer_figure(calibration),
                "Photon transfer curve",
                "Variance against mean; the straight line ends where the pixels are full.",
            ),
        ),
        remarks=(
            (
                "The paper's camera left the straight line at all intensities, which it ascribes "
                "to further noise of the sensor; the simulated one leaves it where its pixels are "
                "full."
            ),
        ),
    )


def dark_figure(stability: DarkStability) -> PaperFigure:
    """Return Fig. 6: the dark video's level over time."""
    period = stability.period_s
    return PaperFigure(
        name="dark-video",
        title="Fig. 6: a video of the dark",
        about=f"The simulated phone films the dark for {stability.time_s[-1]:.0f} s at "
        f"{FRAME_RATE_HZ:g} frames per second and 120 kbit per second, a key frame every 21 "
        "frames. The period is found without looking at where the key frames are.",
        rows=(
            PaperRow(
                what="Period of the drops",
                theirs="1.07 s",
                ours="none found" if period is None else f"{period:.2f} s",
                remark=""
                if stability.step_adu is None
                else f"by {number_text(stability.step_adu)} grey values",
            ),
            PaperRow(
                what="Slow change of the level",
                theirs="falls",
                ours={"none": "steady"}.get(stability.decay, f"falls, {stability.decay}"),
            ),
        ),
        panels=(
            drawn_panel(
                dark_stability_figure(stability),
                "Mean of the dark frames",
                "Above over time, below folded over the period.",
            ),
        ),
        remarks=(
            (
                "The slow fall that the paper saw is not in this scene: what caused it is not "
                "known. The simulator can add one (black_drift_levels)."
            ),
        ),
    )


def _pictures(
    expected_e: npt.NDArray[np.float64], sensor: SensorSettings, count: int, *, stream: int
) -> npt.NDArray[np.uint16]:
    """Return raw pictures of one light, (N, Y, X)."""
    pattern = draw_pattern(sensor, shape=expected_e.shape, rng=np.random.default_rng(_SEED))
    light = np.broadcast_to(expected_e.astype(np.float32), (count, *expected_e.shape))
    seeds = frame_seeds(_SEED, range(count), stream=stream)
    return expose(np.ascontiguousarray(light), pattern=pattern, sensor=sensor, seeds=seeds)
