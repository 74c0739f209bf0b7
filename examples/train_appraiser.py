"""Train what the spots of videos, or of denoised frames, are appraised by, again.

    python examples/train_appraiser.py               (replaces what is shipped for videos)
    python examples/train_appraiser.py --denoised    (that for denoised frames)
    python examples/train_appraiser.py --check       (compares with it)

Random scenes, cameras and codecs, filmed by the simulator, and denoised by the champion that is
shipped: when it is replaced, this has to be done again. One thread, which decides the last bits.
One film of five is kept for the figures that are printed.
"""

import argparse
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from cellstorm_assets.command_options import STEPS, announced
from cellstorm_lib.files import digest_of_file
from cellstorm_lib.gan import SHIPPED as CHAMPION
from cellstorm_lib.gan.appraiser_training import AppraiserSettings, Lesson, train_appraiser
from cellstorm_lib.gan.checkpoint import read_checkpoint
from cellstorm_lib.gan.denoiser import Denoiser
from cellstorm_lib.localize.appraisal import SHIPPED, Appraiser, write_appraiser
from cellstorm_lib.localize.traits import Kind
from cellstorm_lib.pipeline.spot_lessons import LessonSettings, spot_lessons

EVERY = 5


def tell_figures(appraiser: Appraiser, lessons: list[Lesson]) -> None:
    """Print how good the appraisal of films is that were not trained on."""
    lessons = [lesson for lesson in lessons if len(lesson.traits)]
    found = [appraiser.appraise(lesson.traits) for lesson in lessons]
    truth = np.concatenate([lesson.is_molecule for lesson in lessons])
    claimed = np.concatenate([one.probability for one in found])
    for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.01)):
        part = (claimed >= low) & (claimed < high)
        print(f"probability {low:.1f} to {min(high, 1):.1f}: {part.sum()} spots, claimed "
              f"{claimed[part].mean():.3f}, true {truth[part].mean():.3f}")  # fmt: skip
    error = np.concatenate(
        [
            lesson.error / one.error_factor[:, None]
            for lesson, one in zip(lessons, found, strict=True)
        ]
    )[truth & (claimed > 0.5)]
    light = np.concatenate(
        [lesson.log_photons - np.log(one.photon_factor)
         for lesson, one in zip(lessons, found, strict=True)]
    )[truth & (claimed > 0.5)]  # fmt: skip
    print(f"error / claimed: RMS {np.sqrt(np.mean(error**2)):.3f}, "
          f"of the middle half {np.median(np.abs(error)) / 0.6745:.3f}")  # fmt: skip
    print(f"photons / true: median {np.exp(-np.median(light)):.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scenes", type=int, default=LessonSettings().scenes)
    parser.add_argument("--denoised", action="store_true", help="for denoised frames")
    parser.add_argument("--check", action="store_true", help="compare with what is shipped")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settings = LessonSettings(scenes=arguments.scenes)
    kind: Kind = "denoised" if arguments.denoised else "film"
    denoiser = Denoiser(read_checkpoint(CHAMPION), workers=1) if arguments.denoised else None
    origin = {"lessons": asdict(settings)}
    if denoiser is not None:
        origin["denoiser"] = denoiser.checkpoint.digest
    lessons = []
    filmed = announced()("films", "films")
    for lesson in spot_lessons(settings, denoiser):
        lessons.append(lesson)
        filmed(len(lessons), settings.scenes)
    kept = [lesson for number, lesson in enumerate(lessons) if number % EVERY]
    trained = announced()("training", "steps")
    appraiser = train_appraiser(
        kept,
        origin=origin,
        report=lambda step, _: trained(step, AppraiserSettings().steps),
    )
    STEPS.finish()
    tell_figures(appraiser, lessons[::EVERY])
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "again.safetensors" if arguments.check else SHIPPED[kind]
        write_appraiser(appraiser, out, kind)
        print(f"{out.name} {digest_of_file(out)}")
        if arguments.check:
            print(f"shipped {digest_of_file(SHIPPED[kind])}")


if __name__ == "__main__":
    main()
