"""The training loop learns, repeats itself, can be interrupted, and notices when it fails."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from gan_pairs import GAIN, OFFSET_ADU, small_pairs

from cellstorm_lib.errors import CheckpointError, SettingsError
from cellstorm_lib.gan.batches import BatchMaker
from cellstorm_lib.gan.checkpoint import make_generator
from cellstorm_lib.gan.generator import scale_light
from cellstorm_lib.gan.recipe import RECIPES, Recipe, recipe_named
from cellstorm_lib.gan.train import Progress, train
from cellstorm_lib.gan.validation import ValidationSet

TINY = Recipe(name="tiny", steps=40, batch=4, crop_px=32, first_filters=4, half_precision=False)


def test_training_learns_to_take_the_background_away() -> None:
    reports: list[Progress] = []
    recipe = replace(TINY, steps=150, averaging=0.9, learning_rate=5e-3)
    trained = train(small_pairs(), recipe, threads=1, report=reports.append)
    assert len(reports) == len(trained.curve) >= 20
    black = np.mean([float((batch.light**2).mean()) for batch in _validation(recipe)])
    assert trained.curve[-1].validation_loss < 0.5 * black
    assert trained.best.facts.steps <= trained.last.facts.steps == 150
    best = min(entry.validation_loss for entry in trained.curve)
    at_best = next(entry for entry in trained.curve if entry.validation_loss == best)
    assert trained.best.facts.steps == at_best.step


def _validation(recipe: Recipe) -> list:
    maker = BatchMaker(small_pairs().of_split("validation"), recipe)
    rng = np.random.default_rng(0)
    return [maker.draw(rng) for _ in range(8)]


def test_the_same_seed_gives_the_same_weights_and_another_one_others() -> None:
    one, same = (train(small_pairs(), TINY, threads=1).last for _ in range(2))
    other = train(small_pairs(), replace(TINY, seed=1), threads=1).last
    assert all(torch.equal(one.weights[name], same.weights[name]) for name in one.weights)
    assert not all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)
    assert one.facts.threads == 1


@pytest.mark.parametrize("adversarial_weight", [0.0, 0.01])
def test_an_interrupted_training_ends_like_an_undisturbed_one(
    tmp_path: Path, adversarial_weight: float
) -> None:
    recipe = replace(TINY, crop_px=64, adversarial_weight=adversarial_weight)

    class StopHereError(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.step == 20:
            raise StopHereError

    with pytest.raises(StopHereError):
        train(small_pairs(), recipe, threads=1, out=tmp_path, report=stop)
    resumed = train(small_pairs(), recipe, threads=1, out=tmp_path, resume=True)
    undisturbed = train(small_pairs(), recipe, threads=1)
    for name, weights in undisturbed.last.weights.items():
        torch.testing.assert_close(resumed.last.weights[name], weights, rtol=0, atol=0)
    # the losses since the last report are not kept, so the first one after resuming differs
    assert [entry.step for entry in resumed.curve] == [entry.step for entry in undisturbed.curve]
    assert resumed.curve[-1].validation_loss == undisturbed.curve[-1].validation_loss


def test_a_training_is_not_resumed_with_other_pairs_or_settings(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="resumed from a folder; give one"):
        train(small_pairs(), TINY, resume=True, threads=1)
    with pytest.raises(CheckpointError, match=r"holds no training that can be resumed"):
        train(small_pairs(), TINY, resume=True, threads=1, out=tmp_path)
    train(small_pairs(), replace(TINY, steps=2), threads=1, out=tmp_path)
    with pytest.raises(CheckpointError, match="begun with other settings"):
        train(small_pairs(), replace(TINY, steps=9), threads=1, out=tmp_path, resume=True)
    with pytest.raises(CheckpointError, match="begun with other pairs"):
        train(small_pairs(seed=2), replace(TINY, steps=2), threads=1, out=tmp_path, resume=True)


def test_fine_tuning_begins_with_what_was_learned() -> None:
    learned = train(small_pairs(), replace(TINY, steps=150, averaging=0.9), threads=1).last
    brief = replace(TINY, name="tuned", steps=20, learning_rate=1e-4)
    tuned = train(small_pairs(), brief, start=learned, threads=1)
    anew = train(small_pairs(), brief, threads=1)
    assert tuned.last.recipe.name == "tuned"
    assert tuned.curve[0].validation_loss < 0.7 * anew.curve[0].validation_loss
    with pytest.raises(CheckpointError, match="do not fit the network of the recipe wide"):
        train(small_pairs(), replace(brief, name="wide", first_filters=8), start=learned)


def test_best_is_judged_by_the_difference_that_training_ends_with() -> None:
    black = make_generator(TINY)
    scale_light(black, 0.0)
    for absolute_after, power in ((0.2, 1), (1.0, 2)):
        recipe = replace(TINY, absolute_after=absolute_after)
        look = ValidationSet(small_pairs(), recipe, torch.device("cpu")).look(black)
        light = [float((batch.light**power).mean()) for batch in _validation(recipe)]
        assert look.difference == pytest.approx(np.mean(light), rel=1e-5)
        assert look.light_kept == 0.0


def test_a_checkpoint_is_as_bright_as_its_molecules() -> None:
    recipe = replace(
        TINY, steps=150, averaging=0.9, learning_rate=5e-3, camera_error=0.0, absolute_after=1.0
    )
    trained = train(small_pairs(), recipe, threads=1)
    shown = trained.curve[-1].light_shown
    assert shown != pytest.approx(1.0, abs=1e-4)
    look = ValidationSet(small_pairs(), recipe, torch.device("cpu")).look(trained.last.network())
    # the pixels that count as shown are chosen anew, so a little is left
    assert look.light_shown == pytest.approx(shown / max(shown, 0.9), abs=0.03)


@pytest.mark.parametrize("architecture", ["lean", "unet"])
def test_light_is_scaled_as_a_whole(architecture: str) -> None:
    recipe = replace(TINY, architecture=architecture, depth=3)
    network = make_generator(recipe).eval()
    film = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        before = network(film)
        scale_light(network, 1.5)
        torch.testing.assert_close(network(film), 1.5 * before)


def test_a_validation_without_light_has_nothing_to_show() -> None:
    pairs = small_pairs()
    dark = replace(pairs, light_e=np.zeros_like(pairs.light_e))
    network = make_generator(TINY)
    assert ValidationSet(dark, TINY, torch.device("cpu")).look(network).light_shown == 1.0


def test_a_network_that_goes_black_is_noticed() -> None:
    dark = small_pairs()
    unlearnable = replace(
        dark,
        filmed=np.zeros_like(dark.filmed),
        light_e=np.where(dark.light_e > 60, dark.light_e, 0).astype(np.float16),
    )
    recipe = replace(
        TINY, steps=2000, loss="absolute", absolute_after=0.0, share_with_light=0.0, batch=1
    )
    with pytest.raises(CheckpointError, match=r"after \d+ steps: it collapsed to black; let the"):
        train(unlearnable, recipe, threads=1)


def test_a_training_that_explodes_is_noticed() -> None:
    recipe = replace(TINY, learning_rate=1e5, steps=60, averaging=0.0, schedule="constant")
    with pytest.raises(CheckpointError, match="not finite .* lower learning_rate"):
        train(small_pairs(), recipe, threads=1)


def test_samples_are_what_the_camera_saw_on_the_codecs_grid() -> None:
    pairs = small_pairs(clips=3, side_px=64)
    recipe = replace(
        TINY, camera_error=0.0, offset_error_e=0.0, batch=64, crop_px=32, input_scale_e=1.0
    )
    batch = BatchMaker(pairs, recipe).draw(np.random.default_rng(3))
    assert batch.film.shape == (64, 3, 32, 32)
    film_e = (pairs.filmed.astype(np.float32) - OFFSET_ADU) * GAIN
    cut = {
        film_e[clip, frame, top : top + 32, left : left + 32].tobytes()
        for clip in range(3)
        for frame in range(5)
        for top in (0, 16, 32)
        for left in (0, 16, 32)
    }
    for sample in batch.film[:, 1].numpy():
        ways = [np.rot90(square, turn) for square in (sample, sample.T) for turn in range(4)]
        assert any(np.round(way, 4).tobytes() in _rounded(cut) for way in ways)


def _rounded(cut: set[bytes]) -> set[bytes]:
    return {np.round(np.frombuffer(entry, np.float32), 4).tobytes() for entry in cut}


def test_film_and_light_are_turned_together() -> None:
    pairs = small_pairs(clips=3)
    noise_free = replace(
        pairs,
        filmed=(pairs.light_e.astype(np.float32) * 200).astype(np.uint16),
        gain_e_per_adu=np.full(3, 1 / 200, np.float32),
        offset_adu=np.zeros(3, np.float32),
    )
    recipe = replace(TINY, camera_error=0.2, offset_error_e=0.0, batch=32)
    batch = BatchMaker(noise_free, recipe).draw(np.random.default_rng(4))
    torch.testing.assert_close(batch.film[:, 1], batch.light[:, 0], atol=2e-3, rtol=2e-3)


def test_the_offset_is_told_wrong_but_the_light_stays() -> None:
    pairs = small_pairs(clips=3)
    told = replace(TINY, camera_error=0.0, offset_error_e=3.0, batch=256, input_scale_e=1.0)
    wrong = BatchMaker(pairs, told).draw(np.random.default_rng(5))
    # the background of each sample is off by its own number, 3 photoelectrons RMS
    levels = np.median(wrong.film[:, 1].numpy(), axis=(1, 2)) - 8.0
    assert levels.std() == pytest.approx(3.0, rel=4 / np.sqrt(2 * 256) + 0.1)
    assert float(wrong.light.min()) == 0.0


def test_pairs_too_small_for_the_recipe_are_refused() -> None:
    with pytest.raises(CheckpointError, match=r"clips of 5 frames of 64 x 64 .* needs 7 frames"):
        train(small_pairs(), replace(TINY, frames=7))
    with pytest.raises(CheckpointError, match="needs 3 frames of 96 x 96"):
        train(small_pairs(), replace(TINY, crop_px=96))
    pairs = small_pairs()
    unusable = replace(pairs, is_usable=np.zeros_like(pairs.is_usable))
    with pytest.raises(CheckpointError, match="none of the 6 clips has a frame"):
        train(unusable, TINY)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"frames": 2}, "frames must be odd"),
        ({"crop_px": 40}, "crop_px must be a multiple of 16"),
        ({"architecture": "unet", "crop_px": 64}, "multiple of 256"),
        ({"steps": 0}, "steps must be from 1"),
        ({"learning_rate": 0.0}, "learning_rate must be from"),
        ({"averaging": 1.5}, "averaging must be from 0 to 1, got 1.5"),
        ({"adversarial_weight": -1.0}, "adversarial_weight must be from 0"),
        ({"offset_error_e": -1.0}, "offset_error_e must be from 0"),
    ],
)
def test_impossible_recipes_are_refused(change: dict, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        replace(Recipe(), **change)


def test_recipes_have_names() -> None:
    assert recipe_named("paper") is RECIPES["paper"]
    assert all(recipe.name == name for name, recipe in RECIPES.items())
    with pytest.raises(SettingsError, match=re.escape("no recipe 'best'; there are ['default'")):
        recipe_named("best")


def test_devices_that_are_not_there_are_refused() -> None:
    with pytest.raises(SettingsError, match="no device 'tpu'; there are auto, cpu"):
        train(small_pairs(), TINY, device="tpu")
    if not torch.cuda.is_available():
        with pytest.raises(SettingsError, match="no cuda device on this machine; take auto or cpu"):
            train(small_pairs(), TINY, device="cuda")
    with pytest.raises(SettingsError, match="threads must be 1 or more"):
        train(small_pairs(), TINY, threads=0)
