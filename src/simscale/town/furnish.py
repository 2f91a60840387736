"""Scenery of a town: the streets' ground and markings, and everything that stands beside them.

Drawn from a random stream of its own, so that other drives and other traffic see the same streets.
"""

import numpy as np
import shapely

from simscale.scene.seeds import generator_of
from simscale.town.furniture import (
    Furniture,
    add_lamps,
    add_lights,
    add_signs,
    add_small_things,
    add_zebra_signs,
    street_trees,
)
from simscale.town.ground import areas_of, lines_of, paved_of
from simscale.town.kerbs import sides_of
from simscale.town.lots import characters_of, lots_of
from simscale.town.scenery import Scenery, Sky, joined
from simscale.town.town import Town

SUN_HEIGHT = (30.0, 60.0)
"""Degrees above the horizon."""


def scenery_of(town: Town) -> Scenery:
    """Everything in a town that stands still; the same for the same streets, to the byte."""
    rng = generator_of(town.seed, "town", "scenery")
    sides = sides_of(town.roads, town.bays)
    paved = shapely.union_all([polygon for _, polygon in paved_of(town.road)])
    shapely.prepare(paved)
    lots = lots_of(rng, sides, characters_of(rng, town.roads.layout.lanes), paved)
    furniture = Furniture()
    for side in sides:
        add_lamps(furniture, side, phase=float(rng.uniform(8.0, 22.0)))
        add_signs(furniture, town.roads, side)
        add_zebra_signs(furniture, side, town.zebras)
        add_small_things(rng, furniture, side)
    furniture.clear(paved)
    add_lights(furniture, town.roads, paved)
    poles, signs, heads, props = furniture.tables()
    return Scenery(
        location=town.location,
        areas=areas_of(town.road, town.roads),
        lines=lines_of(town.roads, town.zebras, town.car_parks),
        buildings=lots.buildings,
        trees=joined(street_trees(rng, sides, poles.foot[:, :2], paved), lots.trees),
        poles=poles,
        signs=signs,
        light_heads=heads,
        props=joined(props, lots.hedges),
        sky=_sky(rng),
    )


def _sky(rng: np.random.Generator) -> Sky:
    height, bearing = np.deg2rad(rng.uniform(*SUN_HEIGHT)), rng.uniform(-np.pi, np.pi)
    sun = np.array([np.cos(height) * np.cos(bearing), np.cos(height) * np.sin(bearing), np.sin(height)])
    clouds, haze = float(rng.uniform(0.1, 0.6)), float(rng.uniform(500.0, 1500.0))
    return Sky(sun=sun, clouds=clouds, haze=haze, seed=int(rng.integers(1 << 31)))
