"""Checkpoints: whole, without code, and refused when they are anything else."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from gan_pairs import small_pairs
from safetensors.torch import save_file

from cellstorm_lib.errors import CheckpointError
from cellstorm_lib.gan.checkpoint import (
    Checkpoint,
    TrainingDomain,
    TrainingFacts,
    make_generator,
    read_checkpoint,
    weights_of,
    write_checkpoint,
)
from cellstorm_lib.gan.recipe import Recipe

RECIPE = Recipe(name="tiny", first_filters=4)


@pytest.fixture
def checkpoint() -> Checkpoint:
    return Checkpoint(
        recipe=RECIPE,
        weights=weights_of(make_generator(RECIPE)),
        domain=TrainingDomain.of(small_pairs()),
        facts=TrainingFacts(dataset_digest="abc", steps=7, threads=1),
    )


def test_a_checkpoint_survives_its_file(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    write_checkpoint(checkpoint, path)
    back = read_checkpoint(path)
    assert (back.recipe, back.domain, back.facts) == (
        checkpoint.recipe, checkpoint.domain, checkpoint.facts,
    )  # fmt: skip
    assert all(torch.equal(back.weights[name], checkpoint.weights[name]) for name in back.weights)
    assert len(back.digest) == 64
    write_checkpoint(back, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_the_domain_says_what_the_film_was_like(checkpoint: Checkpoint) -> None:
    domain = checkpoint.domain
    assert domain.gain_e_per_adu == pytest.approx((0.7, 0.7))
    assert domain.bits_per_px == pytest.approx((0.4, 0.4))
    assert domain.background_e[0] == pytest.approx(8.0, abs=1.0)
    assert domain.cameras == 1


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "harm",))

    for name in ("net.pt", "net.safetensors"):
        (tmp_path / name).write_bytes(pickle.dumps(Harm()))
        with pytest.raises(CheckpointError, match=f"{name} is no checkpoint .* never opened"):
            read_checkpoint(tmp_path / name)
    assert not (tmp_path / "harm").exists()


def test_damaged_and_foreign_files_are_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    with pytest.raises(CheckpointError, match="net.safetensors does not exist; give a checkpoint"):
        read_checkpoint(path)
    write_checkpoint(checkpoint, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="only a part of one"):
        read_checkpoint(path)
    save_file({"weight": torch.zeros(3)}, str(path))
    with pytest.raises(CheckpointError, match="holds weights, but not of this program"):
        read_checkpoint(path)


def test_a_recipe_of_any_size_takes_no_memory_that_its_weights_do_not(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    huge = replace(checkpoint, recipe=replace(RECIPE, first_filters=200_000))  # 2 TB
    write_checkpoint(huge, tmp_path / "net.safetensors")
    with pytest.raises(CheckpointError, match=r"net.safetensors cannot be used: the weights do"):
        read_checkpoint(tmp_path / "net.safetensors")


def test_weights_of_another_network_are_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    other = replace(checkpoint, recipe=replace(RECIPE, first_filters=8))
    write_checkpoint(other, tmp_path / "net.safetensors")
    with pytest.raises(
        CheckpointError, match=r"net.safetensors cannot be used: the weights do not"
    ):
        read_checkpoint(tmp_path / "net.safetensors")
