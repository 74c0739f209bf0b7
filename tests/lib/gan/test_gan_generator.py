"""The networks: sizes, what they see, and that no batch statistics reach a denoised frame."""

import pytest
import torch
from torch import nn

from cellstorm_lib.gan.discriminator import PatchDiscriminator
from cellstorm_lib.gan.generator import LeanGenerator, UnetGenerator


def parameters(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def test_the_lean_network_is_as_small_as_it_says() -> None:
    assert parameters(LeanGenerator(3, (16, 32, 48))) == 64_532


def test_the_papers_networks_have_the_size_of_its_published_code() -> None:
    # 9.79 and 0.69 million parameters for 32 first filters
    assert parameters(UnetGenerator(1, 32, 8)) == pytest.approx(9.79e6, rel=0.1)
    assert parameters(PatchDiscriminator(1, 32)) == pytest.approx(0.694e6, rel=0.02)


@pytest.mark.parametrize("side", [(64, 64), (48, 96), (16, 32)])
def test_light_has_the_size_of_the_frame(side: tuple[int, int]) -> None:
    network = LeanGenerator(3).eval()
    assert network(torch.zeros(2, 3, *side)).shape == (2, 1, *side)


def test_the_unet_needs_its_multiple_and_gives_the_same_size() -> None:
    network = UnetGenerator(1, 8, 4).eval()
    assert network(torch.zeros(1, 1, 32, 48)).shape == (1, 1, 32, 48)


@pytest.mark.parametrize("network", [LeanGenerator(3), UnetGenerator(3, 8, 4)])
def test_a_frames_light_does_not_depend_on_the_rest_of_the_batch(network: nn.Module) -> None:
    network.eval()
    film = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        alone = network(film[:1])
        together = network(torch.cat([film[:1], 50 * film[1:]]))[:1]
    torch.testing.assert_close(alone, together)


def test_the_lean_network_sees_no_farther_than_its_field() -> None:
    network = LeanGenerator(1).eval()
    film = torch.rand(1, 1, 256, 256, generator=torch.Generator().manual_seed(2))
    changed = film.clone()
    changed[..., :8, :8] += 10.0
    with torch.no_grad():
        difference = (network(film) - network(changed)).abs()[0, 0]
    touched = torch.nonzero(difference > 0)
    assert 0 < touched.max() < 8 + 64
    assert difference[100:, 100:].max() == 0
