"""Going along a path in comfort: the intelligent driver model, limited in jerk, behind whatever is in the way.

The nearest obstacle ahead of the front bumper leads; one that moves counts as soon as it soon will be in the way.
Curves and a lower target are approached with gentle braking. Everything here is ours, not the reference's.
"""

from dataclasses import dataclass
from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Float, Int
from numba import njit

from simscale.experts.obstacles import Margins, in_the_way, obstacles_of, stop_stations
from simscale.experts.paths import SPACING, Paths, Road
from simscale.experts.rules import PdmClosedRules
from simscale.scene import DT, CarState, EgoVehicle, Tracks

Array = np.ndarray

ALONGSIDE = 0.5
"""Obstacles up to this far behind the front bumper still lead, m: what is farther back is beside the car."""
LEAST_GAP = 0.2
"""A gap is not taken smaller than this, m."""
LEAST_BRAKE = 0.3
"""What is left of the braking when the car comes to rest, m/s^2."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """What each of `p` proposals is asked to do."""

    path: Int[Array, " p"]
    target: Float[Array, " p"]  # speed that it goes for, m/s
    brake: Float[Array, " p"]  # m/s^2; above 0: brakes like this to a standstill, whatever lies ahead


class Driver(NamedTuple):
    """Constants of the driver model as kernels take them; see `PdmClosedRules`."""

    min_gap: float
    headway: float
    accel_max: float
    decel_max: float
    exponent: float
    slowing: float
    jerk: float
    swing: float
    swing_rate: float
    soft_stop: float
    coolness: float
    front: float  # from the rear axle to the front bumper, m


def course_of(rules: PdmClosedRules, *, paths: int, limit: float) -> Course:
    """Every path at every target speed, then the stops: along the first path, and those that do not go beside it."""
    targets = np.array(rules.speed_fractions) * limit
    stops = np.array(rules.stop_decels)
    braking = np.append(0, np.arange(len(rules.lateral_offsets), paths)) if len(stops) else np.zeros(0, dtype=np.int64)
    return Course(
        path=np.concatenate([np.repeat(np.arange(paths), len(targets)), np.repeat(braking, len(stops))]),
        target=np.concatenate([np.tile(targets, paths), np.full(len(braking) * len(stops), limit)]),
        brake=np.concatenate([np.zeros(paths * len(targets)), np.tile(stops, len(braking))]),
    )


@njit(cache=True)
@no_type_check
def _lead(blocked, along, moving, stops, step, looks, beyond):
    """Nearest station in the way past `beyond`, and the speed of what is there."""
    least, speed = np.inf, 0.0
    for m in range(len(stops)):
        if beyond < stops[m] < least:
            least = stops[m]
    for a in range(blocked.shape[0]):
        for look in range(len(looks) if moving[a] else 1):
            t = min(step + looks[look], blocked.shape[1] - 1)
            for o in range(blocked.shape[2]):
                if beyond < blocked[a, t, o] < least:
                    least, speed = blocked[a, t, o], along[a, t]
    return least, speed


@njit(cache=True)
@no_type_check
def _wanted(v, target, gap, lead_speed, driver):
    """Acceleration that a driver wants: towards the target speed, less what the gap asks for (improved IDM)."""
    if v <= target:
        wanted = driver.accel_max * (1.0 - (v / target) ** driver.exponent)
    else:
        wanted = -driver.slowing * (1.0 - (target / v) ** (driver.exponent * driver.accel_max / driver.slowing))
    if gap < np.inf:
        closing = v * (v - lead_speed) / (2.0 * np.sqrt(driver.accel_max * driver.decel_max))
        kept = max(driver.min_gap + driver.headway * v + closing, driver.min_gap)
        wanted -= driver.accel_max * (kept / gap) ** 2
        cool = -(max(v - max(lead_speed, 0.0), 0.0) ** 2) / (2.0 * gap)
        if wanted < cool:
            softer = cool + driver.slowing * np.tanh((wanted - cool) / driver.slowing)
            wanted = (1.0 - driver.coolness) * wanted + driver.coolness * softer
    return min(max(wanted, -driver.decel_max), driver.accel_max)


@njit(cache=True)
@no_type_check
def _drive(start, target, brake, path, allowed, blocked, obstacles, stops, looks, driver, constants, out):
    """One proposal: `start` is (speed, acceleration), `out [t 2]` receives station and speed."""
    dt, alongside, least_gap, least_brake = constants
    s, v, a = 0.0, start[0], start[1]
    out[0, 0], out[0, 1] = s, v
    i = 0
    for step in range(len(out) - 1):
        while i < len(path) - 2 and path[i + 1] < s:
            i += 1
        if brake > 0.0:
            wanted = -brake
        else:
            front = s + driver.front
            at, lead = _lead(blocked, obstacles.along, obstacles.moving, stops, step, looks, front - alongside)
            wanted = _wanted(v, min(target, allowed[i]), max(at - front, least_gap), lead, driver)
        wanted = max(wanted, -(least_brake + v / driver.soft_stop))
        most = max(driver.swing, driver.swing_rate * (step + 1) * dt)
        wanted = min(max(wanted, start[1] - most), start[1] + most)
        a += min(max(wanted - a, -driver.jerk * dt), driver.jerk * dt)
        new = v + a * dt
        if new <= 0.0:
            new, a = 0.0, 0.0
        s += 0.5 * (v + new) * dt
        v = new
        out[step + 1, 0], out[step + 1, 1] = s, v


@njit(cache=True)
@no_type_check
def _drive_all(start, paths, offsets, allowed, course, obstacles, stops, looks, driver, margins, constants, steps):
    """Station and speed `[p t 2]` of all proposals."""
    which, targets, brakes = course
    spacing = constants[4]
    out = np.zeros((len(which), steps + 1, 2))
    for q in range(len(paths)):
        blocked = in_the_way(obstacles, paths[q], offsets[q], margins, spacing)
        for p in range(len(which)):
            if which[p] == q:
                _drive(
                    start,
                    targets[p],
                    brakes[p],
                    paths[q],
                    allowed[q],
                    blocked,
                    obstacles,
                    stops[q],
                    looks,
                    driver,
                    constants[:4],
                    out[p],
                )
    return out


def follow(
    road: Road,
    paths: Paths,
    offsets: Float[Array, "q n"],
    course: Course,
    forecast: Tracks,
    red_lights: list[Float[Array, "_ 2"]],
    *,
    state: CarState,
    vehicle: EgoVehicle,
    rules: PdmClosedRules,
) -> tuple[Float[Array, "p t"], Float[Array, "p t"]]:
    """Station and speed of every proposal, steps + 1 samples each.

    Args:
        road: The smoothed centre line.
        paths: Lines onto which the proposals merge.
        offsets: Offset of each path at each vertex of the road, m.
        course: What each proposal is asked to do.
        forecast: Objects [a t] every 0.1 s.
        red_lights: Rings of the lanes before which a light is red.
        state: The car now, whose speed and acceleration are gone on from.
        vehicle: The ego's dimensions.
        rules: Constants of the driver model.
    """
    out = _drive_all(
        (max(float(state.velocity[0]), 0.0), float(state.acceleration[0])),
        paths.station,
        offsets,
        _allowed_speed(paths, rules),
        (course.path, course.target, course.brake),
        obstacles_of(road, forecast),
        stop_stations(paths, red_lights, width=vehicle.width),
        np.unique(np.array([0.0, 0.5, 1.0]) * rules.look_ahead / DT).astype(np.int64),
        _driver(rules, vehicle),
        Margins(vehicle.width / 2, rules.margin_static, rules.margin_moving, rules.margin_growth * DT),
        (DT, ALONGSIDE, LEAST_GAP, LEAST_BRAKE, SPACING),
        rules.steps,
    )
    return out[..., 0], out[..., 1]


def _driver(rules: PdmClosedRules, vehicle: EgoVehicle) -> Driver:
    return Driver(
        min_gap=rules.min_gap,
        headway=rules.headway,
        accel_max=rules.accel_max,
        decel_max=rules.decel_max,
        exponent=rules.exponent,
        slowing=rules.slowing,
        jerk=rules.jerk_max,
        swing=rules.swing,
        swing_rate=rules.swing_rate,
        soft_stop=rules.soft_stop,
        coolness=rules.coolness,
        front=vehicle.length / 2 + vehicle.rear_axle_to_centre,
    )


def _allowed_speed(paths: Paths, rules: PdmClosedRules) -> Float[Array, "q n"]:
    """Largest comfortable speed at each vertex for what bends ahead, with room to slow down before it."""
    step = np.maximum(np.diff(paths.station, axis=-1), 1e-3)
    turn = np.abs(np.diff(paths.yaw, axis=-1)) / step
    bend = np.maximum(np.concatenate([turn, turn[:, -1:]], axis=-1), 1e-4)
    squared = np.minimum(rules.curve_accel / bend, (rules.curve_yaw_rate / bend) ** 2)
    for i in range(squared.shape[1] - 2, -1, -1):
        squared[:, i] = np.minimum(squared[:, i], squared[:, i + 1] + 2 * rules.curve_slowing * step[:, i])
    return np.sqrt(squared)
