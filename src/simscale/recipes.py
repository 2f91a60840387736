"""Recipes: whole runs by name, as functions that return their configuration."""

from collections.abc import Callable

from simscale.train import TrainConfig

RECIPES: dict[str, Callable[[], TrainConfig]] = {}
"""Trainings that `simscale train` knows by name."""
