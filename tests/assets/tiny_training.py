"""Tiny pairs, a recipe that trains in a second, and scores that cost nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cellstorm_assets.project import Project
from cellstorm_assets.training import TrainedVersion
from cellstorm_assets.training_plan import recipe_from
from cellstorm_lib.gan.recipe import Recipe
from cellstorm_lib.pairs.pair_set import PairSet
from cellstorm_lib.pipeline.film_look import BranchLook, FilmLook, Spots

#: A network that learns next to nothing, in a second.
TINY = {"steps": 4, "first_filters": 4, "batch": 2, "crop_px": 32, "half_precision": False}


def tiny_recipe(**changes: Any) -> Recipe:
    """Return a recipe that trains in a second."""
    return recipe_from("demo", {**TINY, **changes})


def tiny_pairs(*, clips: int = 4, seed: int = 1) -> PairSet:
    """Return clips of 5 frames of 48 x 48 pixels with square spots and photon noise."""
    rng = np.random.default_rng(seed)
    light = np.zeros((clips, 5, 48, 48))
    for clip, frame, row, column in rng.integers(0, 45, (clips * 40, 4)):
        light[clip % clips, frame % 5, row : row + 3, column : column + 3] = 40.0
    return PairSet(
        filmed=np.clip(rng.poisson(light + 8.0) / 0.7 + 3.0, 0, 255).astype(np.uint8),
        light_e=light.astype(np.float16),
        is_usable=np.ones((clips, 5), bool),
        is_key=np.zeros((clips, 5), bool),
        offset_adu=np.full(clips, 3.0, np.float32),
        gain_e_per_adu=np.full(clips, 0.7, np.float32),
        bits_per_px=np.full(clips, 0.4, np.float32),
        split=np.array(["train"] * (clips - 2) + ["validation", "test"]),
        origin=np.array([f"scene-{number}" for number in range(clips)]),
        method=np.array(["simulated"] * clips),
    )


def tiny_look(names: Sequence[str]) -> FilmLook:
    """Return a film of one molecule that all networks find."""
    one = Spots(frame=np.array([3]), xy_px=np.array([[9.5, 7.5]]), is_paired=np.array([True]))
    image = np.zeros((16, 16), np.float32)
    return FilmLook(
        film="fig7", pixel_size_nm=100.0, tolerance_nm=200.0, shape=(16, 16), frame=3,
        corner_px=(0, 0), light_e=image,
        branches=tuple(
            BranchLook(name=name, image_e=image, found=one, true=one, nearest_nm=np.zeros(1))
            for name in names
        ),
    )  # fmt: skip


class Scorer:
    """Stands in for `score_denoisers`: F1 by the learning rate of the recipe, raw at 0.5."""

    def __init__(self) -> None:
        self.f1_of: dict[float, float] = {1e-3: 0.6, 2e-3: 0.8}
        self.shipped_f1 = 0.7
        self.raw_f1 = 0.5
        self.asked: list[tuple[str, ...]] = []

    def __call__(
        self,
        denoisers: Mapping[str, Any],
        films: Sequence[str] | None = None,
        *,
        folder: Path | None = None,
        progress: Any = None,
        look: Any = None,
    ) -> pd.DataFrame:
        self.asked.append(tuple(denoisers))
        rows = []
        for film in films or ("D", "L", "empty"):
            for name, denoiser in denoisers.items():
                lit = np.nan if film.startswith("empty") else 1.0
                f1 = self._f1(denoiser) * lit
                rows.append(
                    {
                        "film": film,
                        "name": name,
                        **dict.fromkeys(("f1", "recall", "precision", "jaccard"), f1),
                        "f1_error": 0.01 * lit,
                        "rmse_nm": 40.0 * lit,
                        "count_over_truth": 0.9 * lit,
                        "bias_x_px": 0.01 * lit,
                        "bias_y_px": -0.02 * lit,
                        "false_per_frame": 0.01,
                        "frc_nm": 90.0 * lit,
                        "frc_low_nm": 80.0 * lit,
                        "frc_high_nm": 110.0 * lit,
                    }
                )
        if look is not None:
            look(tiny_look(tuple(denoisers)))
        return pd.DataFrame(rows)

    def _f1(self, denoiser: Any) -> float:
        """Return the F1 of a network."""
        if denoiser is None:
            return self.raw_f1
        if denoiser.recipe.first_filters != TINY["first_filters"]:
            return self.shipped_f1
        return self.f1_of[denoiser.recipe.learning_rate]


@dataclass(frozen=True, kw_only=True)
class TrainedProject:
    """A project with two versions trained on the dataset ``tiny``; version 2 scores better."""

    project: Project
    versions: tuple[TrainedVersion, TrainedVersion]
