"""The town's ray caster: the first `Renderer`, exact from any pose.

Built once for a location: rasters of the ground, a grid of all things, shadows of what stands still. An image then
costs its rays alone; agents are sorted into a second grid at every instant. One core, no randomness: the same
arguments give the same bytes.
"""

from collections import OrderedDict
from copy import copy
from dataclasses import fields
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Int32, UInt8
from scipy.spatial import ConvexHull

from simscale.render import Image
from simscale.render.lenses import directions_of
from simscale.render.renderer import Channel
from simscale.scene import Cameras, Tracks
from simscale.town.raycast_frame import draw, measure, range_all
from simscale.town.raycast_ground import extent_of, ground_raster, shadow_raster
from simscale.town.raycast_paint import paint_of
from simscale.town.raycast_shapes import CROWN
from simscale.town.raycast_solids import CELL as GRID_CELL
from simscale.town.raycast_solids import Solids, agents_of, grid_of, most_cells, put_agents, static_solids
from simscale.town.raycast_texture import noise_levels
from simscale.town.scenery import Facade, PropKind, Scenery, SignKind

Array = np.ndarray

MARGIN = 20.0
"""Ground beyond the outermost thing that is kept as rasters, m."""
KEPT_BYTES = 96 << 20
"""Of remembered ray directions; those used longest ago are forgotten first."""


class RayCaster:
    """Draws a scenery with agents; see `Renderer`."""

    def __init__(self, scenery: Scenery, *, rays: int = 1, origin: Float[Array, "3"] | None = None):
        """Prepares a scenery, which takes a second or two for a town of 400 m.

        Args:
            scenery: What stands still.
            rays: Rays along the side of a pixel: 1 is fast, 2 smooths outlines, at four times the cost.
            origin: Where the world frame of the poses lies in the scenery's frame (`Scene.origin`).
        """
        assert rays in (1, 2, 3, 4), rays
        assert np.isin(scenery.buildings.facade, list(Facade)).all(), "an unknown facade"
        assert np.isin(scenery.signs.kind, list(SignKind)).all(), "an unknown sign"
        assert np.isin(scenery.props.kind, list(PropKind)).all(), "an unknown prop"
        self.rays = rays
        self.origin = np.zeros(3) if origin is None else np.asarray(origin, dtype=np.float64)
        self._still = static_solids(scenery)
        low, high = _extent(scenery, self._still)
        self._low = low
        grid = grid_of(self._still, low, high)
        ground = ground_raster(scenery.areas, scenery.lines, low, high)
        paint = paint_of(scenery.areas, scenery.lines, low, high)
        sun = np.ascontiguousarray(scenery.sky.sun / np.linalg.norm(scenery.sky.sun))
        cover = _shadows(self._still, sun, low, ground.border.shape[:2])
        self._top = grid.top
        self._highest = float(max(grid.top.max(), 0.0))
        self._world = (
            ground.border,
            np.array([*ground.origin, *paint.origin]),
            np.array([*low, GRID_CELL, self._highest]),
            grid.start,
            grid.thing,
            grid.top,
            paint.index,
            paint.first,
            paint.texel,
            paint.near,
            cover,
            noise_levels(),
            sun,
            np.array([scenery.sky.clouds, 1.0 / scenery.sky.haze, float(scenery.sky.seed % 997)]),
        )
        self._table = _srgb_table()
        self._lenses: OrderedDict[tuple, Array] = OrderedDict()

    def at(self, origin: Float[Array, "3"], *, rays: int | None = None) -> "RayCaster":
        """The same caster for scenes with another origin, or another number of rays; nothing is prepared again."""
        other = copy(self)
        other.origin = np.asarray(origin, dtype=np.float64)
        other.rays = self.rays if rays is None else rays
        return other

    @property
    def memory(self) -> int:
        """Bytes of all that was prepared."""
        flat = [*self._world[:10], *self._world[10], *self._world[11:], self._still.item, self._still.tag]
        return sum(array.nbytes for array in flat)

    def render(
        self,
        cameras: Cameras,
        world_from_ego: Float[Array, "4 4"],
        tracks: Tracks,
        lights: Int[Array, " l"],
        *,
        channels: tuple[Channel, ...] = ("rgb",),
    ) -> tuple[Image, ...]:
        """One image a camera; see `Renderer.render`. `rays` smooth the colour; the rest is exact at pixel centres."""
        world, agents = self._instant(tracks, lights)
        images = []
        for c in range(len(cameras.name)):
            pose = world_from_ego @ cameras.ego_from_camera[c]
            assert np.isfinite(pose).all(), "a camera without a place"
            turn, at = np.ascontiguousarray(pose[:3, :3]), pose[:3, 3] + self.origin
            width, height = (int(size) for size in cameras.size_px[c])
            focal = float(cameras.intrinsics[c, 0, 0] + cameras.intrinsics[c, 1, 1]) / 2
            parts: dict[str, Any] = {field.name: None for field in fields(Image)}
            if "rgb" in channels:
                rgb = np.empty((height, width, 3), dtype=np.uint8)
                ray = self._rays(cameras, c, self.rays)
                met = np.empty((self.rays**2, 6))
                draw(world, agents, ray, turn, at, 1.0 / focal, self.rays, self._table, met, rgb)
                parts["rgb"] = rgb
            if set(channels) - {"rgb"}:
                depth = np.empty((height, width), dtype=np.float32)
                instance = np.empty((height, width), dtype=np.int32)
                semantic = np.empty((height, width), dtype=np.uint8)
                ray = self._rays(cameras, c, 1)
                measure(world, agents, len(self._still.tag), ray, turn, at, 1.0 / focal, depth, instance, semantic)
                measured = {"depth": depth, "instance": instance, "semantic": semantic}
                parts |= {name: array for name, array in measured.items() if name in channels}
            images.append(Image(**parts))
        return tuple(images)

    def ranges(
        self,
        origin: Float[Array, "3"],
        direction: Float[Array, "n 3"],
        tracks: Tracks,
        *,
        limit: float,
    ) -> tuple[Float[Array, " n"], Int32[Array, " n"], UInt8[Array, " n"]]:
        """What rays from one point of the world meet, in unit directions.

        Returns:
            Distance (infinite where nothing is met within `limit`, m), index of the track or -1, semantic class.
        """
        world, agents = self._instant(tracks, np.zeros(0, dtype=np.int64))
        distance = np.empty(len(direction))
        instance = np.empty(len(direction), dtype=np.int32)
        semantic = np.empty(len(direction), dtype=np.uint8)
        assert np.isfinite(origin).all() and np.isfinite(direction).all(), "rays without a place or a direction"
        at = np.asarray(origin, dtype=np.float64) + self.origin
        ray = np.ascontiguousarray(direction, dtype=np.float64)
        range_all(world, agents, len(self._still.tag), at, ray, float(limit), distance, instance, semantic)
        return distance, instance, semantic

    def _instant(self, tracks: Tracks, lights: Array) -> tuple[tuple, tuple]:
        """World and agents as the kernels take them."""
        moving = agents_of(tracks, self.origin)
        assert np.isfinite(moving.item).all(), "an agent without a place"
        item = np.concatenate([self._still.item, moving.item])
        tag = np.concatenate([self._still.tag, moving.tag])
        head = np.empty(self._top.size, dtype=np.int32)
        after = np.empty(most_cells(moving), dtype=np.int32)
        which, top = np.empty_like(after), np.empty_like(self._top)
        put_agents(item, len(self._still.tag), self._low, GRID_CELL, head, after, which, top)
        highest = max([self._highest, *moving.item[:, 7].tolist()])
        world = (*self._world[:2], np.array([*self._low, GRID_CELL, highest]), *self._world[3:])
        return world, (head, after, which, top, item, tag, np.ascontiguousarray(lights, dtype=np.int64))

    def _rays(self, cameras: Cameras, c: int, side: int) -> Array:
        key = (
            cameras.intrinsics[c].tobytes(),
            cameras.distortion[c].tobytes(),
            tuple(cameras.size_px[c].tolist()),
            side,
        )
        if key not in self._lenses:
            width, height = (int(size) for size in cameras.size_px[c])
            lens = (cameras.intrinsics[c], cameras.distortion[c])
            self._lenses[key] = directions_of(*lens, width=width, height=height, side=side).astype(np.float32)
            while len(self._lenses) > 1 and sum(kept.nbytes for kept in self._lenses.values()) > KEPT_BYTES:
                self._lenses.popitem(last=False)
        self._lenses.move_to_end(key)
        return self._lenses[key]


def _extent(scenery: Scenery, still: Solids) -> tuple[Array, Array]:
    points = [scenery.areas.xy, scenery.lines.xy]
    reach = still.item[:, 4:6].max(axis=1, initial=0.0)[:, None]
    points += [still.item[:, :2] - reach, still.item[:, :2] + reach]
    return extent_of(points, margin=MARGIN)


def _shadows(still: Solids, sun: Array, low: Array, size: tuple[int, int]) -> tuple[Array, Array]:
    """Shadows on the road's plane at several resolutions, in one flat array, and rows, columns, begin of each."""
    slide = -sun[:2] / sun[2]  # of a shadow for each metre of height
    crowns = still.tag[:, 0] == CROWN
    rings = [_shadow_of(row, slide) for row, tag in zip(still.item, still.tag, strict=True) if tag[0] != CROWN]
    levels = shadow_raster(rings, _shadows_of_crowns(still.item[crowns], slide), low, size)
    begin = np.cumsum([0] + [level.size for level in levels])
    table = np.array([[*level.shape, first] for level, first in zip(levels, begin, strict=False)], dtype=np.int64)
    return np.concatenate([level.ravel() for level in levels]), table


def _shadow_of(row: Float[Array, "22"], slide: Array) -> Float[Array, "_ 2"]:
    """Outline of the shadow of a thing's box, or of the part of it that counts."""
    half, wide = row[4], row[5]
    corners = np.array([[half, wide], [-half, wide], [-half, -wide], [half, -wide]])
    turned = corners @ np.array([[row[2], row[3]], [-row[3], row[2]]]) + row[:2]
    points = np.concatenate([turned + slide * max(row[6], 0.0), turned + slide * row[7]])
    return points[ConvexHull(points).vertices]


def _shadows_of_crowns(item: Float[Array, "n 22"], slide: Array) -> Float[Array, "n 6"]:
    """Shadows of ellipsoids: ellipses, drawn out in the direction of the light."""
    radius, half = item[:, 4], (item[:, 7] - item[:, 6]) / 2
    centre = item[:, :2] + slide * ((item[:, 6] + item[:, 7]) / 2)[:, None]
    along = slide / max(np.hypot(*slide), 1e-9)
    stretch = np.hypot(radius, half * np.hypot(*slide))
    across = np.array([-along[1], along[0]])
    return np.column_stack([centre, along * stretch[:, None], across * radius[:, None]])


def _srgb_table() -> UInt8[Array, " n"]:
    """SRGB bytes of linear light in steps of 1/2048; above 0.8 the curve bends, so that white keeps its detail."""
    light = np.arange(4096) / 2048.0
    bent = np.where(light > 0.8, 0.8 + 0.2 * np.tanh((light - 0.8) / 0.45), light)
    encoded = np.where(bent <= 0.0031308, 12.92 * bent, 1.055 * np.maximum(bent, 1e-9) ** (1 / 2.4) - 0.055)
    return np.round(255.0 * np.clip(encoded, 0.0, 1.0)).astype(np.uint8)
