"""A token of one of our scenes as the reference would see it, ready to be scored in parity mode.

What a NAVSIM log gives at 2 Hz, a scene gives at 10 Hz already: its grid is taken as it is. Where the map has road
blocks along the route, as nuPlan's have and the town's, the route is corrected and searched as the reference does it;
elsewhere the scene's own route is the way (ours).
"""

import numpy as np
from jaxtyping import Int

from simscale.evaluate.navsim_start import NavsimStart
from simscale.evaluate.starts import HISTORY_FIRST, POSE_STEPS, POSES, logged_history, logged_state
from simscale.experts.route_search import blocks_of, corrected_route, joined_centre_line, lane_sequence, route_lanes
from simscale.generate.place import centre_line_of
from simscale.geometry.se2 import to_child
from simscale.scene import DT, BadInput, Lights, Plan, RoadKind, RoadMap, Scene
from simscale.scoring.drivable import RADIUS, drivable_elements
from simscale.scoring.ring_index import ring_bounds
from simscale.scoring.surroundings import surroundings_of
from simscale.traffic.rollout import logged

Array = np.ndarray

STEPS = POSES * POSE_STEPS
"""A drive of 4 s."""


def scene_start(scene: Scene, instant: int, *, with_human: bool = True, samples: int = STEPS + 1) -> NavsimStart:
    """Everything at an instant.

    Args:
        scene: A log with a map.
        instant: Of its grid.
        with_human: Whether the log's own future counts as a human's drive; where it does not (second stages), the
            human's plan is NaN.
        samples: Of the others from now on; whoever is there when the log ends goes straight on.

    Raises:
        BadInput: No map, or an instant without 1.5 s before it, or without the human's 4 s after it.
    """
    _check(scene, instant, with_human=with_human)
    vehicle, road = scene.vehicle, scene.road
    ego = logged_state(scene.ego[instant])
    blocks = route_blocks(road, scene.route)
    if blocks is None:
        route = lanes = scene.route
        line = centre_line_of(scene)
    else:
        corrected = corrected_route(road, blocks, ego)
        route = route_lanes(road, corrected)
        lanes = lane_sequence(road, corrected, ego, vehicle=vehicle)
        line = joined_centre_line(road, lanes)
    every = road.of_kind(RoadKind.LANE, RoadKind.CONNECTOR)
    logged_lanes = scene.route if blocks is None else every[np.isin(road.group[every], blocks)]
    later = np.minimum(instant + np.arange(STEPS + 1), len(scene) - 1)
    lights = Lights(element=scene.lights.element, state=scene.lights.state[:, later])
    centre = ego.centre_xy(vehicle)
    drivable = elements_around(road, centre)
    around = surroundings_of(
        road,
        lights,
        instants=np.arange(STEPS + 1),
        route=route,
        centre_line=line,
        around_xy=centre,
        light_route=logged_lanes,
        elements=drivable,
    )
    return NavsimStart(
        vehicle=vehicle,
        time_us=int(scene.timestamp_us[instant]),
        ego=ego,
        history=logged_history(scene, instant),
        human=_human(scene, instant) if with_human else _nobody(),
        current=scene.tracks.at(instant, instant + 1).of_agents(np.flatnonzero(scene.tracks.valid[:, instant])),
        log=logged(scene.tracks, instant, instant + samples),
        road=road,
        lights=lights,
        drivable=drivable,
        logged_lanes=logged_lanes,
        route=route,
        lanes=lanes,
        centre_line=line,
        around=around,
    )


def route_blocks(road: RoadMap, route: Int[Array, " r"]) -> Int[Array, " b"] | None:
    """Road blocks (by group number) of a route of lanes, in driving order; None where some have no polygon."""
    known = blocks_of(road).element
    groups = [int(group) for group in road.group[route]]
    if not groups or not all(group in known for group in groups):
        return None
    return np.array([group for n, group in enumerate(groups) if n == 0 or group != groups[n - 1]], dtype=np.int64)


def elements_around(road: RoadMap, centre_xy: Array) -> Int[Array, " m"]:
    """The reference's polygons around the ego; a lane without a road block and drivable areas likewise (ours)."""
    own = drivable_elements(road, centre_xy)
    bounds = ring_bounds(road.xy, road.start)
    near = ((bounds[:, :2] <= centre_xy + RADIUS) & (bounds[:, 2:] >= centre_xy - RADIUS)).all(axis=1)
    blocked = np.isin(road.group, list(blocks_of(road).element))
    lane = np.isin(road.kind, (RoadKind.LANE, RoadKind.CONNECTOR)) & ~blocked
    more = near & (lane | np.isin(road.kind, (RoadKind.DRIVABLE, RoadKind.BICYCLE_LANE)))
    return np.concatenate([own, np.flatnonzero(more)])


def _check(scene: Scene, instant: int, *, with_human: bool) -> None:
    if len(scene.road) == 0:
        raise BadInput(scene.id, "road", "empty (the log has no map)", "lanes and drivable area, which a score needs")
    last = len(scene) - 1 - (STEPS if with_human else 0)
    if not HISTORY_FIRST <= instant <= last:
        words = f"{HISTORY_FIRST} to {last}: 1.5 s of log before it" + (", 4 s after it" if with_human else "")
        raise BadInput(scene.id, "instant", instant, words)


def _human(scene: Scene, instant: int) -> Plan:
    """Where the human is every 0.5 s, seen from now, [1 8]."""
    due, now = instant + POSE_STEPS * np.arange(1, POSES + 1), scene.ego[instant]
    xy, yaw = to_child(scene.ego.xy[due], scene.ego.yaw[due], frame_xy=now.xy, frame_yaw=float(now.yaw))
    return Plan(xy=xy[None], yaw=yaw[None], dt=POSE_STEPS * DT)


def _nobody() -> Plan:
    return Plan(xy=np.full((1, POSES, 2), np.nan), yaw=np.full((1, POSES), np.nan), dt=POSE_STEPS * DT)
