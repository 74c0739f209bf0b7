"""Light drawn from localizations against the true light, for crowded, dim and compressed films."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from cellstorm_lib.localize.localize import localize
from cellstorm_lib.pairs.localized_clips import drawn_light
from cellstorm_lib.pairs.trust import agreement_of, changes_together
from cellstorm_lib.pipeline.film import film_scene
from cellstorm_lib.recording import Roi
from cellstorm_lib.simulate.exposure import calibration_of
from cellstorm_lib.simulate.scene import Scene, read_preset
from cellstorm_lib.simulate.simulate import simulate_scene
from cellstorm_lib.video.read import open_recording

FRAMES, SIDE_PX, CLIP_FRAMES = 140, 192, 14


def measure(scene: Scene) -> str:
    with tempfile.TemporaryDirectory() as folder:
        movie = film_scene(scene, Path(folder), stacks=()).movie
        source, camera = open_recording(movie), calibration_of(scene.camera)
        spots, _ = localize(source, camera, pixel_size_nm=scene.field.pixel_size_nm, threads=1)
        film = np.concatenate([chunk.frames for chunk in source.chunks(64)])
    simulation = simulate_scene(scene)
    frames = range(FRAMES)
    true = np.maximum(simulation.expected_e(frames) - simulation.background_over(frames), 0)
    sigma_px = float(np.median(spots.column("sigma_nm"))) / scene.field.pixel_size_nm
    region = Roi(width_px=SIDE_PX, height_px=SIDE_PX)
    light, count, _ = drawn_light(spots, region, frames, sigma_px=sigma_px)
    film_e = camera.photoelectrons(film)
    changes = sum(
        changes_together(
            film_e[first : first + CLIP_FRAMES],
            light[first : first + CLIP_FRAMES],
            sigma_px=sigma_px,
        )
        for first in range(0, FRAMES, CLIP_FRAMES)
    )
    return (
        f"{1000 * count / light.size:5.2f} spots/1000 px, wrong light "
        f"{np.abs(light - true).sum() / true.sum():4.0%}, agreement {agreement_of(changes):.2f}"
    )


def main() -> None:
    demo = read_preset("demo")
    base = replace(
        demo,
        frame_count=FRAMES,
        field=replace(demo.field, width_px=SIDE_PX, height_px=SIDE_PX),
    )
    for labels_per_um in (3.0, 8.0, 20.0, 40.0):
        for photons in (1000.0, 300.0):
            for bits_per_px in (0.4, 0.05):
                scene = replace(
                    base,
                    structure=replace(base.structure, labels_per_um=labels_per_um),
                    blinking=replace(base.blinking, photons_per_frame=photons),
                    codec=replace(base.codec, bits_per_px=bits_per_px),
                )
                print(f"{photons:5.0f} photons, {bits_per_px:4.2f} bit/px: {measure(scene)}")


if __name__ == "__main__":
    main()
