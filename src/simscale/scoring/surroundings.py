"""Surroundings: what a scorer must know of the map and the lights around one decision point.

The polygons near the ego with what each of them means, ready for point tests; the polygons that are forbidden while
a light is red; the centre line along which progress is measured. All of it is shifted so that the decision point is
the origin: map coordinates in the millions would cost the polygon tests their last digits.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from simscale.geometry.polylines import stations_of
from simscale.scene import Lights, LightState, RoadKind, RoadMap
from simscale.scoring.ring_index import RingIndex, ring_bounds, ring_index
from simscale.scoring.road_grid import RoadGrid, road_grid

Array = np.ndarray

DRIVABLE_KINDS = (RoadKind.ROAD_BLOCK, RoadKind.INTERSECTION, RoadKind.CAR_PARK, RoadKind.DRIVABLE)
"""QUIRK Q14: lanes, connectors and road block connectors do not count; the reference never loads DRIVABLE, which is
what sources other than nuPlan have."""
LANE_KINDS = (RoadKind.LANE, RoadKind.CONNECTOR)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """The neighbourhood of a decision point in a frame shifted by `origin_xy`."""

    origin_xy: Float[Array, "2"]  # in the world frame, m
    element: Int[Array, " m"]  # number in the road map of each polygon
    rings: RingIndex
    grid: RoadGrid  # the same polygons and what they are, for kernels
    drivable: Bool[Array, " m"]
    lane: Bool[Array, " m"]
    intersection: Bool[Array, " m"]
    on_route: Bool[Array, " m"]  # lanes for cars or bicycles that go the ego's way
    red_element: Int[Array, " l"]  # elements whose light is red at some sample
    red_rings: RingIndex
    red: Bool[Array, "l t"]  # when
    centre_line: Float[Array, "n 2"]  # m
    station: Float[Array, " n"]  # arc length of its vertices, m


def surroundings_of(
    road: RoadMap,
    lights: Lights,
    *,
    instants: Int[Array, " t"],
    route: Int[Array, " r"],
    centre_line: Float[Array, "n 2"],
    around_xy: Float[Array, "2"],
    radius: float = 100.0,
    light_route: Int[Array, " r2"] | None = None,
    elements: Int[Array, " m2"] | None = None,
) -> Surroundings:
    """What lies around a decision point (`PDMDrivableMap.from_simulation` of NAVSIM, and its red lights).

    Args:
        road: The whole map.
        lights: The scene's lights; those of lanes on the ego's way count, the others do not.
        instants: Instants of the scene that become samples 0, 1, ... of the score.
        route: Lanes and connectors that the ego is to take; lanes of the same road blocks are on the route as well.
        centre_line: Line along which progress and lane keeping are measured, world frame, m.
        around_xy: Ego at the decision point, world frame; it becomes the origin.
        radius: Half side of the square around it within which polygons count, m.
        light_route: Where lights count, if not along `route`: the reference takes the log's own uncorrected route.
        elements: Polygons that count, if not all whose bounds reach into the square (see `drivable_elements`).
    """
    near = _near(road, around_xy, radius) if elements is None else elements
    rings = _shifted_rings(road, near, around_xy)
    kind = road.kind[near]
    is_a = {
        "drivable": np.isin(kind, DRIVABLE_KINDS),
        "lane": np.isin(kind, LANE_KINDS),
        "intersection": kind == RoadKind.INTERSECTION,
        "on_route": _goes_along(road, route)[near],
    }
    red_rows = (lights.state[:, instants] == LightState.RED) & np.isin(
        lights.element, np.flatnonzero(_goes_along(road, route if light_route is None else light_route))
    ).reshape(-1, 1)
    shown = np.flatnonzero(red_rows.any(axis=1))
    line = np.ascontiguousarray(centre_line - around_xy)
    return Surroundings(
        origin_xy=np.array(around_xy, dtype=np.float64),
        element=near,
        rings=rings,
        grid=road_grid(rings, **is_a),
        **is_a,
        red_element=lights.element[shown],
        red_rings=_shifted_rings(road, lights.element[shown], around_xy),
        red=np.ascontiguousarray(red_rows[shown]),
        centre_line=line,
        station=stations_of(line),
    )


def _goes_along(road: RoadMap, route: Int[Array, " r"]) -> Bool[Array, " m"]:
    """Which elements are lanes that belong to the route or to a road block of it."""
    group = np.unique(road.group[route])
    along = np.isin(road.group, group[group >= 0])
    along[route] = True
    return along & np.isin(road.kind, (*LANE_KINDS, RoadKind.BICYCLE_LANE))


def _near(road: RoadMap, around_xy: Float[Array, "2"], radius: float) -> Int[Array, " n"]:
    """Elements that a score asks about, with a polygon that reaches into the square."""
    wanted = road.of_kind(*DRIVABLE_KINDS, *LANE_KINDS, RoadKind.BICYCLE_LANE)
    bounds = ring_bounds(road.xy, road.start)[wanted]
    low, high = around_xy - radius, around_xy + radius
    return wanted[(bounds[:, :2] <= high).all(axis=1) & (bounds[:, 2:] >= low).all(axis=1)]


def _shifted_rings(road: RoadMap, elements: Int[Array, " n"], origin_xy: Float[Array, "2"]) -> RingIndex:
    length = road.start[elements + 1] - road.start[elements]
    start = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    vertex = np.repeat(road.start[elements] - start[:-1], length) + np.arange(start[-1])
    return ring_index(road.xy[vertex] - origin_xy, start)
