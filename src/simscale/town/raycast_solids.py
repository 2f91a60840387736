"""What stands or drives about, as rows that the ray kernels read, and the grid of cells that finds them.

Each thing becomes one row of `item` and one of `tag`. Columns of `item`: centre x, y, cosine and sine of its yaw, half
length, half width, bottom, top, then up to 14 numbers of its shape. Columns of `tag`: kind of shape, seed, semantic
class, and a number that the shader knows (facade, kind of sign or prop, row of a light; for agents: the track).
"""

import zlib
from dataclasses import dataclass
from typing import no_type_check

import numpy as np
from jaxtyping import Float, Float64, Int32
from numba import njit

from simscale.render import SemanticClass
from simscale.scene import TrackKind, Tracks
from simscale.town.raycast_bodies import vehicle_rows
from simscale.town.raycast_shapes import BAR, BOX, BUILDING, CONE, CROWN, CYCLIST, HEAD, PERSON, SIGN, VEHICLE
from simscale.town.scenery import Scenery

Array = np.ndarray

COLUMNS = 22
CELL = 6.0
"""Side of a cell of the grid, m."""
PLATE = 0.03
"""Thickness of a sign, m."""
BOARD_WIDTH, BOARD_DEPTH = 0.45, 0.22
"""Of a light head, as shares of its height."""
STRIDE = 1.5
"""A person's legs are in the same place again after so many metres."""


@dataclass(frozen=True, kw_only=True)
class Solids:
    """Rows of things."""

    item: Float64[Array, "n 22"]
    tag: Int32[Array, "n 4"]


def static_solids(scenery: Scenery) -> Solids:
    """Everything of a scenery that has a body."""
    return _joined(
        [
            _buildings(scenery),
            _trunks(scenery),
            _crowns(scenery),
            _poles(scenery),
            _signs(scenery),
            _heads(scenery),
            _props(scenery),
        ]
    )


def agents_of(tracks: Tracks, offset: Float[Array, "3"]) -> Solids:
    """Everybody in tracks [a 1] that is there, moved by an offset."""
    here = np.flatnonzero(tracks.valid[:, 0])
    size = tracks.size[here]
    xyz = np.column_stack([tracks.xy[here, 0], tracks.z[here, 0]]) + offset
    kind = tracks.kind[here]
    yaw = tracks.yaw[here, 0]
    seed = np.array([zlib.crc32(tracks.id[int(a)].encode()) & 0x7FFFFFFF for a in here], dtype=np.int64)
    shape = np.full(len(here), BOX)
    classes = np.full(len(here), int(SemanticClass.OBJECT))
    for wanted, code, name in (
        (TrackKind.VEHICLE, VEHICLE, SemanticClass.VEHICLE),
        (TrackKind.PEDESTRIAN, PERSON, SemanticClass.PERSON),
        (TrackKind.BICYCLE, CYCLIST, SemanticClass.BICYCLE),
        (TrackKind.TRAFFIC_CONE, CONE, SemanticClass.OBJECT),
    ):
        shape[kind == wanted], classes[kind == wanted] = code, int(name)
    own = np.zeros((len(here), COLUMNS - 8))
    cars = kind == TrackKind.VEHICLE
    own[cars] = vehicle_rows(size[cars], seed[cars])
    walked = xyz[:, 0] * np.cos(yaw) + xyz[:, 1] * np.sin(yaw)
    moves = np.hypot(*tracks.velocity[here, 0].T) > 0.2
    swing = np.where(moves, 0.17 * np.sin(2 * np.pi * walked / STRIDE + seed % 7), 0.03)
    own[kind == TrackKind.PEDESTRIAN, 0] = swing[kind == TrackKind.PEDESTRIAN]
    # without a detail of their own, boxes are drawn as what they are
    style = np.where(shape == BOX, 100 + kind, 0)
    return _rows(
        xyz[:, :2], yaw, size[:, :2] / 2, xyz[:, 2] - size[:, 2] / 2, xyz[:, 2] + size[:, 2] / 2,
        kind=shape, seed=seed, semantic=classes, style=style, own=own, who=here,
    )  # fmt: skip


def _rows(xy, yaw, half, low, high, *, kind, seed, semantic, style, own=None, who=None) -> Solids:
    n = len(xy)
    item = np.zeros((n, COLUMNS))
    item[:, :2] = xy
    item[:, 2], item[:, 3] = np.cos(yaw), np.sin(yaw)
    item[:, 4:6] = half
    item[:, 6], item[:, 7] = low, high
    if own is not None:
        item[:, 8 : 8 + own.shape[1]] = own
    tag = np.zeros((n, 4), dtype=np.int32)
    tag[:, 0], tag[:, 1], tag[:, 2] = kind, np.asarray(seed) & 0x7FFFFFFF, semantic
    tag[:, 3] = style
    if who is not None:
        # the track in the upper bits, the style below
        tag[:, 3] = who * 256 + style
    return Solids(item=item, tag=tag)


def _joined(parts: list[Solids]) -> Solids:
    return Solids(item=np.concatenate([part.item for part in parts]), tag=np.concatenate([part.tag for part in parts]))


def _buildings(scenery: Scenery) -> Solids:
    b = scenery.buildings
    wall = b.size[:, 2]
    return _rows(
        b.xy, b.yaw, b.size[:, :2] / 2, np.zeros(len(b.yaw)), wall + b.roof,
        kind=BUILDING, seed=b.seed, semantic=int(SemanticClass.BUILDING), style=b.facade, own=wall[:, None],
    )  # fmt: skip


def _trunks(scenery: Scenery) -> Solids:
    t = scenery.trees
    top = t.trunk_height + 0.3 * t.crown_height
    foot = np.column_stack([t.xy, np.zeros(len(top))])
    return _bars(
        foot, np.column_stack([t.xy, top]), t.trunk_radius, seed=t.seed, semantic=SemanticClass.VEGETATION, style=1
    )


def _crowns(scenery: Scenery) -> Solids:
    t = scenery.trees
    # balls touch the unit ball at 0.96 above and about 0.95 beside
    return _rows(
        t.xy, 2.4 * t.seed, np.column_stack([t.crown_radius, t.crown_radius]) / 0.95, t.trunk_height,
        t.trunk_height + t.crown_height, kind=CROWN, seed=t.seed, semantic=int(SemanticClass.VEGETATION), style=0,
    )  # fmt: skip


def _poles(scenery: Scenery) -> Solids:
    p = scenery.poles
    return _bars(p.foot, p.top, p.radius, seed=np.arange(len(p.radius)), semantic=SemanticClass.POLE, style=0)


def _bars(foot: Array, top: Array, radius: Array, *, seed: Array, semantic: SemanticClass, style: int) -> Solids:
    middle, way = (foot + top) / 2, top - foot
    flat = np.hypot(way[:, 0], way[:, 1])
    upright = flat < 1e-6
    yaw = np.where(upright, 0.0, np.arctan2(way[:, 1], way[:, 0]))
    ends = np.column_stack([-flat / 2, foot[:, 2], np.where(upright, -flat / 2, flat / 2), top[:, 2], radius])
    slack = np.where(upright, 0.0, radius)
    return _rows(
        middle[:, :2], yaw, np.column_stack([flat / 2 + radius, radius]),
        np.minimum(foot[:, 2], top[:, 2]) - slack, np.maximum(foot[:, 2], top[:, 2]) + slack,
        kind=BAR, seed=seed, semantic=int(semantic), style=style, own=ends,
    )  # fmt: skip


def _signs(scenery: Scenery) -> Solids:
    s = scenery.signs
    half = np.column_stack([np.full(len(s.yaw), PLATE / 2), s.size[:, 0] / 2])
    low, high = s.xyz[:, 2] - s.size[:, 1] / 2, s.xyz[:, 2] + s.size[:, 1] / 2
    return _rows(
        s.xyz[:, :2], s.yaw, half, low, high, kind=SIGN, seed=s.seed, semantic=int(SemanticClass.SIGN), style=s.kind
    )


def _heads(scenery: Scenery) -> Solids:
    h = scenery.light_heads
    half = np.column_stack([BOARD_DEPTH * h.height, BOARD_WIDTH * h.height]) / 2
    low, high = h.xyz[:, 2] - h.height / 2, h.xyz[:, 2] + h.height / 2
    return _rows(
        h.xyz[:, :2], h.yaw, half, low, high,
        kind=HEAD, seed=h.row, semantic=int(SemanticClass.TRAFFIC_LIGHT), style=h.row,
    )  # fmt: skip


def _props(scenery: Scenery) -> Solids:
    p = scenery.props
    low, high = p.xyz[:, 2] - p.size[:, 2] / 2, p.xyz[:, 2] + p.size[:, 2] / 2
    return _rows(
        p.xyz[:, :2], p.yaw, p.size[:, :2] / 2, low, high,
        kind=BOX, seed=p.seed, semantic=int(SemanticClass.OBJECT), style=p.kind,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Cells of `CELL` with the things that reach into each, and how high the highest of them is."""

    origin: Float[Array, "2"]  # corner of cell (0, 0), m
    start: Int32[Array, " c1"]  # things of cell k, row by row, are thing[start[k]:start[k+1]]
    thing: Int32[Array, " p"]
    top: Float[Array, "h w"]  # m; -1 where there is nothing


def grid_of(solids: Solids, low: Float[Array, "2"], high: Float[Array, "2"]) -> Grid:
    """Sorts things into cells between two corners."""
    columns, rows = np.ceil((high - low) / CELL).astype(int) + 1
    top = np.full((rows, columns), -1.0)
    count = np.zeros(rows * columns + 1, dtype=np.int32)
    _sort(solids.item, low, CELL, top, count, np.zeros(0, dtype=np.int32))
    start = np.concatenate([[0], np.cumsum(count[:-1])]).astype(np.int32)
    thing = np.zeros(int(start[-1]), dtype=np.int32)
    _sort(solids.item, low, CELL, top, start[:-1].copy(), thing)
    return Grid(origin=low, start=start, thing=thing, top=top)


@njit(cache=True, error_model="numpy")
@no_type_check
def reach_of(item, i):
    """Half extents of a thing along the world's axes."""
    c, s = abs(item[i, 2]), abs(item[i, 3])
    return c * item[i, 4] + s * item[i, 5], s * item[i, 4] + c * item[i, 5]


@njit(cache=True, error_model="numpy")
@no_type_check
def _sort(item, low, cell, top, place, thing):
    """Counts the things of each cell, or, where `thing` has room, writes them down from each cell's place on."""
    rows, columns = top.shape
    for i in range(len(item)):
        rx, ry = reach_of(item, i)
        first = max(int((item[i, 0] - rx - low[0]) / cell), 0)
        last = min(int((item[i, 0] + rx - low[0]) / cell), columns - 1)
        for row in range(
            max(int((item[i, 1] - ry - low[1]) / cell), 0), min(int((item[i, 1] + ry - low[1]) / cell), rows - 1) + 1
        ):
            for column in range(first, last + 1):
                # corners of the cell seen along the thing's axes: cells beside a slanted house do not hold it
                x = low[0] + (column + 0.5) * cell - item[i, 0]
                y = low[1] + (row + 0.5) * cell - item[i, 1]
                u, v = item[i, 2] * x + item[i, 3] * y, item[i, 2] * y - item[i, 3] * x
                slack = 0.5 * cell * (abs(item[i, 2]) + abs(item[i, 3]))
                if abs(u) > item[i, 4] + slack or abs(v) > item[i, 5] + slack:
                    continue
                k = row * columns + column
                if len(thing):
                    thing[place[k]] = i
                top[row, column] = max(top[row, column], item[i, 7])
                place[k] += 1


def most_cells(solids: Solids) -> int:
    """How many entries `put_agents` needs at most."""
    cos, sin = np.abs(solids.item[:, 2]), np.abs(solids.item[:, 3])
    half, wide = solids.item[:, 4], solids.item[:, 5]
    across = np.ceil(2 * (cos * half + sin * wide) / CELL) + 1
    along = np.ceil(2 * (sin * half + cos * wide) / CELL) + 1
    return int((across * along).sum())


@njit(cache=True, error_model="numpy")
@no_type_check
def put_agents(item, first, low, cell, head, after, which, top):
    """Threads the things from `first` on into lists, one a cell: `head` of each cell, then `after`."""
    rows, columns = top.shape
    head[:] = -1
    top[:] = -1.0
    used = 0
    for i in range(first, len(item)):
        rx, ry = reach_of(item, i)
        for row in range(
            max(int((item[i, 1] - ry - low[1]) / cell), 0), min(int((item[i, 1] + ry - low[1]) / cell), rows - 1) + 1
        ):
            for column in range(
                max(int((item[i, 0] - rx - low[0]) / cell), 0),
                min(int((item[i, 0] + rx - low[0]) / cell), columns - 1) + 1,
            ):
                k = row * columns + column
                if used < len(after):
                    which[used], after[used] = i, head[k]
                    head[k] = used
                    used += 1
                    top[row, column] = max(top[row, column], item[i, 7])
    return used
