"""A small display movie, filmed with every fault at once and read again, for all who look at it."""

import pytest
from filmed_displays import displayed, filmed

from cellstorm_lib.pairs.displayed import read_displayed


@pytest.fixture(scope="session")
def shown(tmp_path_factory):
    """Return the folder and the plan of a display movie."""
    folder = tmp_path_factory.mktemp("display")
    return folder, displayed(folder)


@pytest.fixture(scope="session")
def film(shown, tmp_path_factory):
    """Return how it was filmed, number and purity of each frame, and the film."""
    folder, plan = shown
    return filmed(plan, folder, tmp_path_factory.mktemp("film") / "film.mp4")


@pytest.fixture(scope="session")
def read(shown, film):
    """Return the film as it is understood."""
    folder, plan = shown
    return read_displayed(film[2], plan, folder)
