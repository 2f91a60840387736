"""One town for all of its tests: it takes a second to make."""

import pytest

from simscale.scene import Scene
from simscale.town import SMALL_TOWN, Town, TownSettings, town_of, town_scenes
from simscale.town.drive import scenes_of

SETTINGS = TownSettings(size=400.0, drives=12)


@pytest.fixture(scope="session")
def town() -> Town:
    """A town of four by four crossings."""
    return town_of(3, settings=SETTINGS)


@pytest.fixture(scope="session")
def scenes(town: Town) -> list[Scene]:
    """The drives of that town."""
    return list(scenes_of(town, settings=SETTINGS))


@pytest.fixture(scope="session")
def small_scenes() -> list[Scene]:
    """The drives of the smallest town."""
    return list(town_scenes(1, settings=SMALL_TOWN))
