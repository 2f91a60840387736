"""A procedural world with known truth: streets, lights, traffic, and drives through it as scenes."""

from simscale.town.drive import town_scenes
from simscale.town.furnish import scenery_of
from simscale.town.town import SMALL_TOWN, Town, TownSettings, town_of

__all__ = ["SMALL_TOWN", "Town", "TownSettings", "scenery_of", "town_of", "town_scenes"]
