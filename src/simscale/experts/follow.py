"""Going along a path in comfort: the intelligent driver model with a limit of jerk, behind whatever is in the way.

Objects are seen as points on the outline of their forecast boxes, projected on the road once for all paths. A point
is in the way of a path when it lies in the corridor that the car sweeps there, widened a little with time; the
nearest such point ahead of the front bumper leads. Everything here is ours, not the reference's.
"""

from dataclasses import dataclass
from typing import no_type_check

import numpy as np
from jaxtyping import Float, Int
from numba import njit

from simscale.experts.paths import SPACING, Paths, Road
from simscale.experts.rules import PdmClosedRules
from simscale.geometry.polygons import contains, ragged
from simscale.scene import DT, EgoVehicle, Tracks

Array = np.ndarray

OUTLINE = np.array([(x, y) for x in np.linspace(-1, 1, 7) for y in (-1, 1)] + [(-1, 0), (1, 0)], dtype=np.float64)
"""Points on the outline of a box of half sides 1: on a bus 2 m apart, closer than a car is wide."""
STANDS = 0.1
"""Objects slower than this stand, m/s."""
FAR_ASIDE = 8.0
"""Objects that never come closer to the road than this (plus half their diagonal) are left out, m."""
ALONGSIDE = 0.5
"""Points up to this far behind the front bumper still lead, m: what is farther back is beside the car."""
LEAST_GAP = 0.2
"""A gap is not taken smaller than this, m."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """What each of `p` proposals is asked to do."""

    path: Int[Array, " p"]
    target: Float[Array, " p"]  # speed that it goes for, m/s
    brake: Float[Array, " p"]  # m/s^2; above 0: brakes like this to a standstill, whatever lies ahead


def course_of(rules: PdmClosedRules, *, paths: int, limit: float) -> Course:
    """Every path at every target speed, then the stops: along the first path, the sharpest and the held one."""
    targets = np.array(rules.speed_fractions) * limit
    stops = np.array(rules.stop_decels)
    braking = np.unique([0, paths - 2, paths - 1]) if len(stops) else np.zeros(0, dtype=np.int64)
    return Course(
        path=np.concatenate([np.repeat(np.arange(paths), len(targets)), np.repeat(braking, len(stops))]),
        target=np.concatenate([np.tile(targets, paths), np.full(len(braking) * len(stops), limit)]),
        brake=np.concatenate([np.zeros(paths * len(targets)), np.tile(stops, len(braking))]),
    )


@njit(cache=True)
@no_type_check
def _nearest_vertex(xy, x, y, first, last):
    best, at = np.inf, first
    for i in range(first, last):
        d = (xy[i, 0] - x) ** 2 + (xy[i, 1] - y) ** 2
        if d < best:
            best, at = d, i
    return at, best


@njit(cache=True)
@no_type_check
def _on_road(xy, yaw, centre, heading, size, velocity, outline, far, spacing):
    """Station, offset `[a t o]` of outline points, and speed along the road `[a t]`; and who comes near `[a]`."""
    agents, samples = heading.shape
    station = np.full((agents, samples, len(outline)), np.inf)
    offset = np.zeros((agents, samples, len(outline)))
    along = np.zeros((agents, samples))
    near = np.zeros(agents, dtype=np.bool_)
    for a in range(agents):
        half = 0.5 * np.hypot(size[a, 0], size[a, 1])
        window = int(half / spacing) + 2
        for t in range(samples):
            middle, squared = _nearest_vertex(xy, centre[a, t, 0], centre[a, t, 1], 0, len(xy))
            if squared > (far + half) ** 2:
                continue
            near[a] = True
            along[a, t] = velocity[a, t, 0] * np.cos(yaw[middle]) + velocity[a, t, 1] * np.sin(yaw[middle])
            c, s = np.cos(heading[a, t]), np.sin(heading[a, t])
            first, last = max(middle - window, 0), min(middle + window + 1, len(xy))
            for o in range(len(outline)):
                u, v = outline[o, 0] * size[a, 0] / 2, outline[o, 1] * size[a, 1] / 2
                x, y = centre[a, t, 0] + c * u - s * v, centre[a, t, 1] + s * u + c * v
                i, _ = _nearest_vertex(xy, x, y, first, last)
                dx, dy = x - xy[i, 0], y - xy[i, 1]
                ahead = dx * np.cos(yaw[i]) + dy * np.sin(yaw[i])
                if (i == 0 and ahead < -spacing) or (i == len(xy) - 1 and ahead > spacing):
                    continue
                station[a, t, o] = i * spacing + ahead
                offset[a, t, o] = dy * np.cos(yaw[i]) - dx * np.sin(yaw[i])
    return station, offset, along, near


@njit(cache=True)
@no_type_check
def _in_the_way(station, offset, moving, path_station, path_offset, half, margins, spacing):
    """Station along one path `[a t o]` of the outline points in its corridor; infinite for all others."""
    agents, samples, points = station.shape
    blocked = np.full((agents, samples, points), np.inf)
    last = len(path_station) - 1
    for a in range(agents):
        for t in range(samples):
            width = half + (margins[1] + margins[2] * t if moving[a] else margins[0])
            for o in range(points):
                at = station[a, t, o] / spacing
                if at == np.inf or at > last:
                    continue
                i = min(max(int(at), 0), last - 1)
                share = at - i
                rise = path_offset[i + 1] - path_offset[i]
                aside = abs(offset[a, t, o] - path_offset[i] - max(share, 0.0) * rise)
                if aside * spacing <= width * np.hypot(spacing, rise):
                    blocked[a, t, o] = path_station[i] + share * (path_station[i + 1] - path_station[i])
    return blocked


@njit(cache=True)
@no_type_check
def _lead(blocked, along, moving, stops, step, looks, front, alongside):
    """Nearest station in the way beyond the front bumper, and the speed of what is there."""
    least, speed = np.inf, 0.0
    samples = blocked.shape[1]
    for m in range(len(stops)):
        if front - alongside < stops[m] < least:
            least, speed = stops[m], 0.0
    for a in range(blocked.shape[0]):
        for look in range(len(looks) if moving[a] else 1):
            t = min(step + looks[look], samples - 1)
            for o in range(blocked.shape[2]):
                if front - alongside < blocked[a, t, o] < least:
                    least, speed = blocked[a, t, o], along[a, t]
    return least, speed


@njit(cache=True)
@no_type_check
def _wanted(v, target, brake, gap, lead_speed, driver):
    """Acceleration that a driver wants."""
    min_gap, headway, accel_max, decel_max, exponent, slowing = driver
    if brake > 0.0:
        return -brake
    if v <= target:
        wanted = accel_max * (1.0 - (v / target) ** exponent)
    else:
        wanted = -slowing * (1.0 - (target / v) ** (exponent * accel_max / slowing))
    if gap < np.inf:
        closing = v * (v - lead_speed) / (2.0 * np.sqrt(accel_max * decel_max))
        wanted -= accel_max * (max(min_gap + headway * v + closing, min_gap) / gap) ** 2
    return min(max(wanted, -decel_max), accel_max)


@njit(cache=True)
@no_type_check
def _drive(start, course, path, allowed, blocked, along, moving, stops, looks, driver, jerk, reach, constants, out):
    """One proposal: `start` is (speed, acceleration), `out [t 2]` receives station and speed."""
    target, brake = course
    dt, alongside, least_gap = constants
    s, v, a = 0.0, start[0], start[1]
    out[0, 0], out[0, 1] = s, v
    i = 0
    for step in range(len(out) - 1):
        while i < len(path) - 2 and path[i + 1] < s:
            i += 1
        front = s + reach
        at, lead_speed = _lead(blocked, along, moving, stops, step, looks, front, alongside)
        speed = min(target, allowed[i])
        wanted = _wanted(v, speed, brake, max(at - front, least_gap), lead_speed, driver)
        a += min(max(wanted - a, -jerk * dt), jerk * dt)
        new = v + a * dt
        if new <= 0.0:
            new, a = 0.0, 0.0
        s += 0.5 * (v + new) * dt
        v = new
        out[step + 1, 0], out[step + 1, 1] = s, v


@njit(cache=True)
@no_type_check
def _drive_all(
    start,
    paths,
    offsets,
    allowed,
    which,
    targets,
    brakes,
    seen,
    moving,
    stops,
    looks,
    driver,
    margins,
    sizes,
    constants,
):
    """Station and speed `[p t 2]` of all proposals; `sizes` is (half width, front overhang, jerk, steps)."""
    station, offset, along = seen
    half, reach, jerk, steps = sizes
    out = np.zeros((len(which), int(steps) + 1, 2))
    for q in range(len(paths)):
        blocked = _in_the_way(station, offset, moving, paths[q], offsets[q], half, margins, constants[3])
        for p in range(len(which)):
            if which[p] == q:
                _drive(
                    start,
                    (targets[p], brakes[p]),
                    paths[q],
                    allowed[q],
                    blocked,
                    along,
                    moving,
                    stops[q],
                    looks,
                    driver,
                    jerk,
                    reach,
                    constants[:3],
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
    speed: float,
    acceleration: float,
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
        speed: Forward speed now, m/s.
        acceleration: Forward, now, m/s^2.
        vehicle: The ego's dimensions.
        rules: Constants of the driver model.
    """
    seen, moving = _seen(road, forecast)
    looks = np.unique(np.array([0.0, 0.5, 1.0]) * rules.look_ahead / DT).astype(np.int64)
    driver = (
        rules.min_gap,
        rules.headway,
        rules.accel_max,
        rules.decel_max,
        rules.exponent,
        rules.slowing,
    )
    reach = vehicle.length / 2 + vehicle.rear_axle_to_centre
    out = _drive_all(
        (max(speed, 0.0), acceleration),
        paths.station,
        offsets,
        _allowed_speed(paths, rules),
        course.path,
        course.target,
        course.brake,
        seen,
        moving,
        _stop_stations(paths, red_lights, vehicle.width / 2),
        looks,
        driver,
        (rules.margin_static, rules.margin_moving, rules.margin_growth * DT),
        (vehicle.width / 2, reach, rules.jerk_max, float(rules.steps)),
        (DT, ALONGSIDE, LEAST_GAP, SPACING),
    )
    return out[..., 0], out[..., 1]


def _seen(road: Road, forecast: Tracks) -> tuple[tuple[Array, Array, Array], Array]:
    """Outlines on the road of the objects that come near it, and which of these move."""
    station, offset, along, near = _on_road(
        road.xy,
        road.yaw,
        np.ascontiguousarray(forecast.xy),
        np.ascontiguousarray(forecast.yaw),
        np.ascontiguousarray(forecast.size),
        np.ascontiguousarray(forecast.velocity),
        OUTLINE,
        FAR_ASIDE,
        SPACING,
    )
    moving = forecast.speed[near, 0] > STANDS
    return (station[near], offset[near], along[near]), moving


def _allowed_speed(paths: Paths, rules: PdmClosedRules) -> Float[Array, "q n"]:
    """Largest comfortable speed at each vertex for what bends ahead, with room to slow down before it."""
    step = np.maximum(np.diff(paths.station, axis=-1), 1e-3)
    turn = np.abs(np.diff(paths.yaw, axis=-1)) / step
    bend = np.maximum(np.concatenate([turn, turn[:, -1:]], axis=-1), 1e-4)
    squared = np.minimum(rules.curve_accel / bend, (rules.curve_yaw_rate / bend) ** 2)
    for i in range(squared.shape[1] - 2, -1, -1):
        squared[:, i] = np.minimum(squared[:, i], squared[:, i + 1] + 2 * rules.slowing * 0.75 * step[:, i])
    return np.sqrt(squared)


def _stop_stations(paths: Paths, red_lights: list[Float[Array, "_ 2"]], half: float) -> Float[Array, "q s"]:
    """Where the car, driving along each path, would enter each red lane; infinite where it would not."""
    left = np.stack([-np.sin(paths.yaw), np.cos(paths.yaw)], axis=-1)
    points = np.stack([paths.xy + side * half * left for side in (-1.0, 0.0, 1.0)], axis=-2)
    inside = contains(*ragged(red_lights), points).any(axis=2)
    first = np.argmax(inside, axis=1)
    entry = np.take_along_axis(paths.station, np.maximum(first - 1, 0), axis=1)
    return np.where(inside.any(axis=1), entry, np.inf)
