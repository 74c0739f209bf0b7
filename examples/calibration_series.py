"""Write the calibration series of a simulated camera, to try calibration without a microscope.

A phone like the paper's HUAWEI P9 takes 100 raw pictures of a blurred object, 100 dark ones and
100 of even light, 256 x 256 pixels as DNG files, and films darkness at 120 kbit/s:

    python examples/calibration_series.py data/cameras/p9
"""

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from pidng.core import RAW2DNG, DNGTags, Tag
from pidng.defs import PhotometricInterpretation

from cellstorm_lib.paper.camera import BRIGHTEST_E, SIDE_PX, blurred_object, paper_sensor
from cellstorm_lib.pipeline.film import film_scene
from cellstorm_lib.simulate.noise import expose, frame_seeds
from cellstorm_lib.simulate.scene import read_preset
from cellstorm_lib.simulate.sensor import SensorSettings, draw_pattern, vignetting

FRAMES, ISO = 100, 3200
#: Share of white light behind the filters of the mosaic's first and second row.
FILTERS = ((0.62, 1.0), (1.0, 0.71))
FLAT_E = 500.0


def even_light(sensor: SensorSettings) -> NDArray[np.float64]:
    """Return even light as an eyepiece passes it on: 70 % of it in the corners, (Y, X)."""
    dimmed = replace(sensor, corner_share=0.7)
    return vignetting(dimmed, (SIDE_PX, SIDE_PX))


def behind_filters(light_e: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return what the colour filters of a sensor leave of white light, (Y, X)."""
    return (light_e * np.tile(FILTERS, (SIDE_PX // 2, SIDE_PX // 2))).astype(np.float32)


def write_dng(path: Path, raw: NDArray[np.uint16], *, white_adu: int) -> None:
    """Write one raw picture as a phone does."""
    tags = DNGTags()
    for tag, value in {
        Tag.ImageWidth: SIDE_PX, Tag.ImageLength: SIDE_PX, Tag.TileWidth: SIDE_PX,
        Tag.TileLength: SIDE_PX, Tag.Orientation: 1, Tag.SamplesPerPixel: 1,
        Tag.BitsPerSample: 16, Tag.BlackLevel: 4, Tag.WhiteLevel: white_adu,
        Tag.PhotometricInterpretation: PhotometricInterpretation.Color_Filter_Array,
        Tag.CFARepeatPatternDim: [2, 2], Tag.CFAPattern: [0, 1, 1, 2],
        Tag.ColorMatrix1: [[int(i == j), 1] for i in range(3) for j in range(3)],
        Tag.AsShotNeutral: [[1, 1]] * 3, Tag.Make: "simulated", Tag.Model: "P9-like",
        Tag.PhotographicSensitivity: ISO, Tag.ExposureTime: [(1, 20)],
    }.items():  # fmt: skip
        tags.set(tag, value)
    writer = RAW2DNG()
    writer.options(tags, path="", compress=False)
    path.write_bytes(writer.convert(raw.copy()))


def write_series(folder: Path) -> None:
    """Write bright, dark, flat and dark-video below a camera's folder."""
    sensor = paper_sensor()
    pattern = draw_pattern(sensor, shape=(SIDE_PX, SIDE_PX), rng=np.random.default_rng(9))
    lights = {
        "bright": behind_filters(BRIGHTEST_E * blurred_object()),
        "dark": np.zeros((SIDE_PX, SIDE_PX), np.float32),
        "flat": behind_filters(FLAT_E * even_light(sensor)),
    }
    for stream, (name, light_e) in enumerate(lights.items()):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for frame in range(FRAMES):
            seeds = frame_seeds(9, range(frame, frame + 1), stream=stream)
            raw = expose(light_e[None], pattern=pattern, sensor=sensor, seeds=seeds)
            path = folder / name / f"{name}-{frame:03d}.dng"
            write_dng(path, raw[0], white_adu=sensor.top_adu)
    (folder / "dark-video").mkdir(exist_ok=True)
    with TemporaryDirectory() as made:
        film = film_scene(read_preset("dark"), Path(made) / "dark", stacks=())
        shutil.copy(film.movie, folder / "dark-video" / "dark-120-kbit.mp4")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("give the folder of the camera, as data/cameras/p9")
    write_series(Path(sys.argv[1]))
