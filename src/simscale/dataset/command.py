"""Driving command: where the route leads from here, as a planner is told.

The route's centre line is looked at in its own frame at the point nearest to the car, so that a car that was put to
the side or turned away from it is told the same as one on it. Where the line, some way ahead, lies far enough to one
side of its own tangent, the command is to turn; else to go straight.

NAVSIM looks 20 m ahead and asks for 2 m (`get_driving_command`). Ours: 20 m, or what the car drives in 4 s where that
is more, and a tenth of it, since a plan of 4 s must not reach a turn that nobody told it of.
"""

from enum import IntEnum

import numpy as np
from jaxtyping import Float, Float32

from simscale.geometry.polylines import at_station, project, stations_of, yaw_at_station
from simscale.geometry.se2 import to_child
from simscale.scene import CarState, Scene
from simscale.scene.routing import path_of

Array = np.ndarray

LEAST_AHEAD = 20.0
"""How far ahead the route is looked at, m (NAVSIM) ..."""
TIME_AHEAD = 4.0
"""... or as far as the car gets in this time, s (ours)."""
TURN_SHARE = 0.1
"""A turn leads to the side by this share of the way ahead (NAVSIM: 2 m of 20 m)."""
LEAST_ROUTE = 5.0
"""A route that ends nearer than this says nothing, m (ours)."""
OFF_ROUTE = 15.0
"""Nor does one that is farther away than this, m (ours)."""


class Command(IntEnum):
    """Places of the one-hot command in a planner's status."""

    LEFT = 0
    STRAIGHT = 1
    RIGHT = 2
    UNKNOWN = 3


def command_of(route_xy: Float[Array, "n 2"], xy: Float[Array, "2"], *, speed: float) -> Command:
    """What a car at a place is told.

    Args:
        route_xy: Centre line of the route in driving direction, m; fewer than two points say nothing.
        xy: The car's rear axle, m.
        speed: Its speed, m/s.
    """
    if len(route_xy) < 2:
        return Command.UNKNOWN
    station, offset = project(route_xy, xy)
    end = stations_of(route_xy)[-1]
    ahead = min(max(LEAST_AHEAD, TIME_AHEAD * speed), end - float(station))
    if abs(float(offset)) > OFF_ROUTE or ahead < LEAST_ROUTE:
        return Command.UNKNOWN
    here, there = at_station(route_xy, np.array([float(station), float(station) + ahead]))
    tangent = float(yaw_at_station(route_xy, station))
    relative, _ = to_child(there, np.asarray(0.0), frame_xy=here, frame_yaw=tangent)
    side = float(relative[1])
    if abs(side) < TURN_SHARE * ahead:
        return Command.STRAIGHT
    return Command.LEFT if side > 0 else Command.RIGHT


def status_of(scene: Scene, state: CarState) -> Float32[Array, "8"]:
    """What a planner is told of the car: command (one-hot), velocity, acceleration (planners.md 1.2).

    Acceleration to the side is speed times yaw rate (ours). A log's state holds it, and the two agree to 0.04 m/s^2;
    a simulated one does not, and a planner would learn to tell the one from the other by it.

    Args:
        scene: Its map and route.
        state: The car, []; it may be anywhere.
    """
    status = np.zeros(8, dtype=np.float32)
    status[command_of(path_of(scene.road, scene.route), state.xy, speed=float(state.speed))] = 1.0
    status[4:6] = state.velocity
    status[6:8] = state.acceleration[0], state.velocity[0] * state.yaw_rate
    return status
