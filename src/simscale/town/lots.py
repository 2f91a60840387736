"""Buildings and gardens: rows of houses along the streets, towers behind them, trees and hedges in between.

Lots are drawn along both sides of every street and then at random; each is taken if it leaves the pavement and the
lots before it free. A street has one character: offices and shops, terraces, or homes with gardens.
"""

from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Float

from simscale.geometry.boxes import corners_of
from simscale.town.kerbs import PAVEMENT_WIDTH, Side
from simscale.town.scenery import Buildings, Facade, PropKind, Props, Trees, joined, no_rows

Array = np.ndarray

STOREY = 3.1
"""m."""
BESIDE_PAVEMENT = 0.3
"""No wall is nearer to a pavement, m."""
BETWEEN_LOTS = 0.4
"""Least distance between two buildings, m."""
TOWERS = 0.0026
"""Lots to try behind the rows, for each m^2 of the town."""
GARDEN_TREES = 0.0022
"""Trees to try off the streets, for each m^2 of the town."""
OUTSKIRTS = 45.0
"""The town goes on this far beyond its outermost crossings, m."""


@dataclass(frozen=True, kw_only=True)
class Character:
    """What stands along a street."""

    width: tuple[float, float]  # along the street, m
    depth: tuple[float, float]  # m
    setback: tuple[float, float]  # from the pavement to the front, m
    gap: tuple[float, float]  # between neighbours, m
    storeys: tuple[int, int]
    gable: float  # share with a gable
    hedge: float  # share with a hedge or wall along the pavement
    facades: tuple[Facade, ...]


OFFICES = Character(
    width=(16.0, 30.0),
    depth=(13.0, 20.0),
    setback=(0.5, 2.5),
    gap=(0.5, 7.0),
    storeys=(4, 10),
    gable=0.0,
    hedge=0.0,
    facades=(Facade.GLASS, Facade.CONCRETE, Facade.SHOPS, Facade.SHOPS, Facade.PLASTER),
)
TERRACES = Character(
    width=(9.0, 20.0),
    depth=(10.0, 14.0),
    setback=(0.5, 3.0),
    gap=(0.5, 4.0),
    storeys=(2, 6),
    gable=0.35,
    hedge=0.2,
    facades=(Facade.BRICK, Facade.BRICK, Facade.PLASTER, Facade.PLASTER, Facade.SHOPS),
)
HOMES = Character(
    width=(8.0, 13.0),
    depth=(8.0, 11.0),
    setback=(3.5, 7.5),
    gap=(4.0, 11.0),
    storeys=(1, 2),
    gable=0.85,
    hedge=0.65,
    facades=(Facade.HOUSE,),
)
BACKYARD = Character(
    width=(12.0, 26.0),
    depth=(10.0, 18.0),
    setback=(0.0, 0.0),
    gap=(0.0, 0.0),
    storeys=(2, 12),
    gable=0.25,
    hedge=0.0,
    facades=(Facade.BRICK, Facade.PLASTER, Facade.CONCRETE, Facade.GLASS),
)


@dataclass(frozen=True, kw_only=True)
class Lots:
    """What fills the blocks."""

    buildings: Buildings
    trees: Trees
    hedges: Props


def characters_of(rng: np.random.Generator, lanes: Array) -> list[Character]:
    """Offices along avenues; side streets are mixed."""
    drawn = rng.choice(3, size=len(lanes), p=(0.15, 0.45, 0.4))
    return [OFFICES if avenue else (OFFICES, TERRACES, HOMES)[k] for k, avenue in zip(drawn, lanes > 1, strict=True)]


def lots_of(rng: np.random.Generator, sides: list[Side], characters: list[Character], paved: shapely.Geometry) -> Lots:
    """Fills the blocks of a town.

    Args:
        rng: Where everything random comes from.
        sides: Of all streets.
        characters: One a street.
        paved: Everything that wheels can roll on, bays too.
    """
    pavement = shapely.buffer(paved, PAVEMENT_WIDTH + BESIDE_PAVEMENT)
    rows = [_row(rng, side, characters[side.street]) for side in sides]
    rows += [_row(rng, side, HOMES) for side in sides]  # small ones where a larger one found no room
    low, high = np.split(shapely.bounds(paved) + OUTSKIRTS * np.array([-1, -1, 1, 1]), 2)
    drawn = joined(*rows, _behind(rng, low, high))
    shape = np.asarray(shapely.polygons(corners_of(drawn.xy, drawn.yaw, drawn.size[:, 0], drawn.size[:, 1])))
    taken = _taken(shape, pavement)
    buildings = _rows_of(drawn, taken)
    built = shapely.union_all(shape[taken])
    hedges = _hedges(rng, sides, characters, pavement, built)
    return Lots(buildings=buildings, trees=_garden_trees(rng, low, high, pavement, built), hedges=hedges)


def _row(rng: np.random.Generator, side: Side, character: Character) -> Buildings:
    """Fronts along a side; the length axis of a building lies along the street."""
    width, gap, at = [], [], [rng.uniform(0.0, 8.0)]
    while at[-1] < side.length:
        width.append(rng.uniform(*character.width))
        gap.append(rng.uniform(*character.gap))
        at.append(at[-1] + width[-1] + gap[-1])
    count = len(width)
    if not count:
        return no_rows(Buildings)
    middle = np.array(at[:-1]) + np.array(width) / 2
    depth = rng.uniform(*character.depth, count)
    out = PAVEMENT_WIDTH + BESIDE_PAVEMENT + 0.1 + rng.uniform(*character.setback, count) + depth / 2
    return _buildings(
        rng,
        character,
        xy=side.beyond_bays(np.minimum(middle, side.length), out),
        yaw=side.heading(np.minimum(middle, side.length)),
        footprint=np.stack([np.array(width), depth], axis=-1),
    )


def _behind(rng: np.random.Generator, low: Array, high: Array) -> Buildings:
    count = int(TOWERS * np.prod(high - low))
    footprint = np.stack([rng.uniform(*BACKYARD.width, count), rng.uniform(*BACKYARD.depth, count)], axis=-1)
    yaw = rng.choice(4, count) * np.pi / 2 + rng.normal(0.0, 0.05, count)
    return _buildings(rng, BACKYARD, xy=rng.uniform(low, high, (count, 2)), yaw=yaw, footprint=footprint)


def _buildings(rng: np.random.Generator, character: Character, *, xy: Array, yaw: Array, footprint: Array) -> Buildings:
    count = len(xy)
    storeys = rng.integers(*character.storeys, count, endpoint=True)
    height = storeys * STOREY + rng.uniform(0.2, 1.0, count)
    gable = (rng.random(count) < character.gable) & (storeys <= 4)
    return Buildings(
        xy=xy,
        yaw=yaw,
        size=np.concatenate([footprint, height[:, None]], axis=1),
        roof=np.where(gable, footprint[:, 1] * rng.uniform(0.25, 0.42, count), 0.0),
        facade=np.array([int(facade) for facade in character.facades])[
            rng.integers(len(character.facades), size=count)
        ],
        seed=rng.integers(1 << 31, size=count),
    )


def _taken(shape: Array, pavement: shapely.Geometry) -> Array:
    """Which lots are taken, in their order: those that leave pavement and earlier lots free."""
    shapely.prepare(pavement)
    free = ~shapely.intersects(pavement, shape)
    rivals: dict[int, list[int]] = {}
    pairs = shapely.STRtree(shape).query(shape, predicate="dwithin", distance=BETWEEN_LOTS)
    for a, b in pairs.T.tolist():
        if b < a:
            rivals.setdefault(a, []).append(b)
    for lot in range(len(shape)):
        free[lot] = free[lot] and not any(free[rival] for rival in rivals.get(lot, ()))
    return np.flatnonzero(free)


def _rows_of(buildings: Buildings, rows: Array) -> Buildings:
    return Buildings(**{name: column[rows] for name, column in vars(buildings).items()})


def _hedges(
    rng: np.random.Generator,
    sides: list[Side],
    characters: list[Character],
    pavement: shapely.Geometry,
    built: shapely.Geometry,
) -> Props:
    """Hedges, walls and fences between gardens and pavement, in pieces that follow the street."""
    centre, yaw, size, kind = [], [], [], []
    for side in sides:
        pieces = int(side.length / 9.0)
        wanted = rng.random(pieces) < characters[side.street].hedge
        which = rng.choice([int(PropKind.HEDGE), int(PropKind.HEDGE), int(PropKind.WALL), int(PropKind.FENCE)], pieces)
        at = (np.arange(pieces) + 0.5) * 9.0
        out = PAVEMENT_WIDTH + BESIDE_PAVEMENT + 0.35
        height = np.where(which == int(PropKind.HEDGE), rng.uniform(0.8, 1.5, pieces), rng.uniform(0.8, 1.2, pieces))
        centre.append(np.concatenate([side.beyond_bays(at, out), height[:, None] / 2], axis=1)[wanted])
        yaw.append(side.heading(at)[wanted])
        thick = np.where(which == int(PropKind.HEDGE), 0.55, 0.18)
        size.append(np.stack([rng.uniform(6.0, 8.6, pieces), thick, height], axis=-1)[wanted])
        kind.append(which[wanted])
    props = Props(
        xyz=np.concatenate(centre),
        yaw=np.concatenate(yaw),
        size=np.concatenate(size),
        kind=np.concatenate(kind),
        seed=rng.integers(1 << 31, size=sum(len(part) for part in yaw)),
    )
    shape = shapely.polygons(corners_of(props.xyz[:, :2], props.yaw, props.size[:, 0], props.size[:, 1]))
    free = ~shapely.intersects(pavement, shape) & ~shapely.intersects(built, shape)
    return Props(**{name: column[free] for name, column in vars(props).items()})


def _garden_trees(
    rng: np.random.Generator, low: Array, high: Array, pavement: shapely.Geometry, built: shapely.Geometry
) -> Trees:
    """Trees where there is neither street nor house."""
    count = int(GARDEN_TREES * np.prod(high - low))
    xy = rng.uniform(low, high, (count, 2))
    trees = trees_at(rng, xy, large=1.25)
    points = shapely.points(xy)
    shapely.prepare(built)
    free = (shapely.distance(built, points) > 0.8 * trees.crown_radius) & (shapely.distance(pavement, points) > 0.5)
    return Trees(**{name: column[free] for name, column in vars(trees).items()})


def trees_at(rng: np.random.Generator, xy: Float[Array, "n 2"], *, large: float = 1.0) -> Trees:
    """Trees of different sizes at given places."""
    count = len(xy)
    size = large * rng.uniform(0.8, 1.25, count)
    return Trees(
        xy=xy,
        trunk_radius=0.14 * size + rng.uniform(0.0, 0.06, count),
        trunk_height=rng.uniform(2.3, 3.0, count) * np.sqrt(size),
        crown_radius=1.7 * size * rng.uniform(0.85, 1.15, count),
        crown_height=4.4 * size * rng.uniform(0.85, 1.2, count),
        seed=rng.integers(1 << 31, size=count),
    )
