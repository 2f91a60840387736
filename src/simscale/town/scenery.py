"""Scenery: everything in a town that stands still, as the ray caster draws it.

Plain tables, one a kind of thing; whoever fills them thinks about towns, not about rays. All coordinates are in the
location's own frame (z up, the road at z = 0), in which `Scene.origin` is the place of a scene's world frame. Raised
ground (pavement, grass) lies `KERB` above the road everywhere, with a kerb wherever it meets lower ground; things
that stand on it may be given from z = 0 up, the part below the ground is not seen.

Ground starts as grass. `Areas` are laid over it in order, a later one hides an earlier one; paint (areas of a paint
kind, and lines) lies on top of all of them and leaves what is below as it is.
"""

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

import numpy as np
from jaxtyping import Float, Int

Array = np.ndarray

KERB = 0.12
"""Height of raised ground above the road, m."""


class AreaKind(IntEnum):
    """What covers an area of the ground."""

    ASPHALT = 0
    PAVING = 1  # small stones, level with the road: bays, car parks, aprons
    PAVEMENT = 2  # slabs, raised, with a kerb
    GRASS = 3  # raised as well
    WHITE_PAINT = 4  # stop lines, stripes of crosswalks, arrows: on top of everything
    YELLOW_PAINT = 5


class PaintColour(IntEnum):
    """Colour of a painted line."""

    WHITE = 0
    YELLOW = 1


class Facade(IntEnum):
    """How the walls of a building look; colours and details follow its seed."""

    BRICK = 0
    PLASTER = 1
    CONCRETE = 2
    GLASS = 3  # offices: bands of glass
    SHOPS = 4  # large windows and awnings below, plaster above
    HOUSE = 5  # a home: few windows, a door


class SignKind(IntEnum):
    """What a sign says, by its shape and colours."""

    STOP = 0  # red octagon
    GIVE_WAY = 1  # white triangle with a red rim, point down
    SPEED_LIMIT = 2  # white disc with a red rim
    CROSSING = 3  # blue square with a white triangle
    PARKING = 4  # blue square
    ROUNDABOUT = 5  # blue disc
    STREET_NAME = 6  # green plate
    ADVERT = 7  # a poster in any colours


class PropKind(IntEnum):
    """Other things, each an oriented box."""

    HEDGE = 0
    WALL = 1
    FENCE = 2
    BENCH = 3
    BIN = 4
    CABINET = 5  # grey street cabinet
    SHELTER = 6  # glass walls: bus stops
    BOLLARD = 7


@dataclass(frozen=True, kw_only=True)
class Areas:
    """Polygons on the ground, in the order in which they are laid; rings are open and need not be convex."""

    kind: Int[Array, " n"]  # AreaKind
    xy: Float[Array, "p 2"]  # rings one after the other, m
    start: Int[Array, " n1"]  # ring i is xy[start[i]:start[i+1]]; n1 = n + 1


@dataclass(frozen=True, kw_only=True)
class PaintLines:
    """Painted lines along polylines."""

    xy: Float[Array, "p 2"]  # polylines one after the other, m
    start: Int[Array, " n1"]  # line i is xy[start[i]:start[i+1]]
    width: Float[Array, " n"]  # m; 0.12 to 0.15 is usual, 0.3 to 0.5 for stop lines
    dash: Float[Array, " n"]  # length of a dash, m; 0 for a line without gaps
    gap: Float[Array, " n"]  # between dashes, m
    colour: Int[Array, " n"]  # PaintColour


@dataclass(frozen=True, kw_only=True)
class Buildings:
    """Oriented boxes with a facade on all four sides and a flat roof or a gable."""

    xy: Float[Array, "n 2"]  # centre, m
    yaw: Float[Array, " n"]  # of the length axis, rad
    size: Float[Array, "n 3"]  # length, width, height of the walls, m
    roof: Float[Array, " n"]  # height of a gable above the walls, its ridge along the length; 0 for a flat roof, m
    facade: Int[Array, " n"]  # Facade
    seed: Int[Array, " n"]  # colours, windows


@dataclass(frozen=True, kw_only=True)
class Trees:
    """A trunk and a crown; the crown's shape and colour follow the seed."""

    xy: Float[Array, "n 2"]  # m
    trunk_radius: Float[Array, " n"]  # m
    trunk_height: Float[Array, " n"]  # from the ground to the bottom of the crown, m
    crown_radius: Float[Array, " n"]  # m
    crown_height: Float[Array, " n"]  # from the bottom to the top of the crown, m
    seed: Int[Array, " n"]


@dataclass(frozen=True, kw_only=True)
class Poles:
    """Round bars from one point to another: lamp posts, sign posts, masts and their arms."""

    foot: Float[Array, "n 3"]  # m
    top: Float[Array, "n 3"]  # m
    radius: Float[Array, " n"]  # m


@dataclass(frozen=True, kw_only=True)
class Signs:
    """Thin plates that face one way; the back is grey."""

    xyz: Float[Array, "n 3"]  # centre of the plate, m
    yaw: Float[Array, " n"]  # direction in which the front looks (against the traffic that reads it), rad
    size: Float[Array, "n 2"]  # width, height, m
    kind: Int[Array, " n"]  # SignKind
    seed: Int[Array, " n"]


@dataclass(frozen=True, kw_only=True)
class LightHeads:
    """Traffic-light heads: red above, yellow, green below, on a dark board; width is 0.45 of the height."""

    xyz: Float[Array, "n 3"]  # centre of the housing, m
    yaw: Float[Array, " n"]  # direction in which it shines (against the traffic that reads it), rad
    height: Float[Array, " n"]  # of the board, m; 1.2 and more can be read from far away
    row: Int[Array, " n"]  # row of `Scene.lights` whose state it shows


@dataclass(frozen=True, kw_only=True)
class Props:
    """Everything else that stands about, as oriented boxes."""

    xyz: Float[Array, "n 3"]  # centre, m
    yaw: Float[Array, " n"]  # of the length axis, rad
    size: Float[Array, "n 3"]  # length, width, height, m
    kind: Int[Array, " n"]  # PropKind
    seed: Int[Array, " n"]


@dataclass(frozen=True, kw_only=True)
class Sky:
    """Sun and air."""

    sun: Float[Array, "3"]  # unit vector towards the sun; z of 0.35 to 0.9 gives useful shadows
    clouds: float  # share of the sky that is covered, 0 to 1
    haze: float  # distance at which things have lost 63 % of their contrast, m
    seed: int


@dataclass(frozen=True, kw_only=True)
class Scenery:
    """All that stands still at one location."""

    location: str  # as `Scene.location` names it
    areas: Areas
    lines: PaintLines
    buildings: Buildings
    trees: Trees
    poles: Poles
    signs: Signs
    light_heads: LightHeads
    props: Props
    sky: Sky


RAGGED = (Areas, PaintLines)
TABLES: dict[str, type] = {
    "areas": Areas,
    "lines": PaintLines,
    "buildings": Buildings,
    "trees": Trees,
    "poles": Poles,
    "signs": Signs,
    "light_heads": LightHeads,
    "props": Props,
}
"""The tables of a scenery by the name of their field."""

_SHAPES = {"xyz": (0, 3), "foot": (0, 3), "top": (0, 3), "xy": (0, 2)}
_INTEGERS = ("kind", "facade", "seed", "row", "colour", "start")

FAIR_SKY = Sky(sun=np.array([0.48, -0.36, 0.8]), clouds=0.35, haze=900.0, seed=0)
"""An afternoon; the sun stands in the south-east of the location's frame, 53 degrees high."""


def no_rows(table: type) -> Any:
    """An empty table of one of the kinds in `TABLES`."""
    arrays = {}
    for field in fields(table):
        shape = _SHAPES.get(field.name, (0,))
        if field.name == "size":
            shape = (0, 2) if table is Signs else (0, 3)
        if field.name == "start":
            shape = (1,)
        arrays[field.name] = np.zeros(shape, dtype=np.int64 if field.name in _INTEGERS else np.float64)
    return table(**arrays)


def bare_scenery(location: str, *, sky: Sky = FAIR_SKY) -> Scenery:
    """Grass as far as the eye can see; `dataclasses.replace` puts things on it."""
    return Scenery(location=location, sky=sky, **{name: no_rows(table) for name, table in TABLES.items()})


def joined(*tables: Any) -> Any:
    """Rows of several tables of one kind, in order."""
    first = tables[0]
    arrays = {f.name: np.concatenate([getattr(t, f.name) for t in tables]) for f in fields(first) if f.name != "start"}
    if isinstance(first, RAGGED):
        lengths = np.concatenate([np.diff(table.start) for table in tables])
        arrays["start"] = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return type(first)(**arrays)
