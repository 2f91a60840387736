"""One step of sound traffic for all agents, and whole drives, batched over rollouts.

Who is *on the log* repeats it. A pair of agents is looked at only when one of the two has departed from the log: the
log itself is a solution. All agents are updated from the same state before, so their order does not matter.

Boxes of agents and the ego are rows of x, y, yaw, velocity x, velocity y, yaw rate; places are box centres.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from numba import njit

from simscale.geometry.boxes import boxes_overlap
from simscale.traffic.corridor import SPACING, Paths, first_meeting, place_at

Array = np.ndarray

EGO = -1
"""The ego's number among the agents."""
HORIZONS = (0.5, 1.0, 1.5)
"""Instants at which a crossing car is foreseen, s (ours)."""
SPAWN_HORIZONS = (0.0, 0.5, 1.0)
"""Who would touch somebody so soon does not appear, s (ours)."""
SPAWN_MARGIN = 0.4
"""Free space around a car that appears, in all of each dimension, m (ours)."""
LEAST_GAP = 0.3
"""Gap to be kept whatever the log did, m (ours)."""
INSIDE = 0.5
"""A front this far past a stop line belongs to a car that is inside, m (ours)."""
SETTLED = 0.02
"""A late agent this near to its logged station is on the log again, m (ours)."""
CONSENT = 0.1
"""Braking this much harder than the log is no reason to depart from it, m/s^2 (ours)."""
RESPONSE = 0.3
"""Time in which a late agent takes on the speed that it wants, s (ours)."""
FARTHEST = 80.0
"""A leader is looked for this far ahead, m (ours)."""
YELLOW, RED = 2, 3  # of LightState


class Log(NamedTuple):
    """What the log says of `a` agents at instants 0 to t-1 (the first is the scene's first)."""

    station: Array  # [a t] m
    speed: Array  # [a t] along the path, m/s
    accel: Array  # [a t] mean over the next 0.5 s, m/s^2
    there: Array  # [a t]
    box: Array  # [a t 6]
    ego: Array  # [t 6]
    ego_there: Array  # [t] false past the log's end
    light: Array  # [l t] LightState


class Cast(NamedTuple):
    """Who takes part; the last row is the ego."""

    length: Array  # [a+1] m
    width: Array  # [a+1] m
    driven: Array  # [a+1] false: replays


class Rules(NamedTuple):
    """`TrafficRules` as the kernel reads them."""

    min_gap: float
    headway: float
    accel: float
    decel: float
    exponent: float
    departure: float
    departure_yaw: float
    side_margin: float
    hard_braking: float
    firm_braking: float
    catch_up_accel: float
    dt: float  # s


class World(NamedTuple):
    """What does not change during a drive."""

    log: Log
    paths: Paths
    cast: Cast
    rules: Rules


class Now(NamedTuple):
    """What everybody sees at one instant."""

    instant: int
    ego: Array  # [6]
    ego_departed: bool
    box: Array  # [a 6]
    present: Array  # [a]
    departed: Array  # [a]


@njit(cache=True)
@no_type_check
def desired_gap(speed, lead_speed, standing, rules):
    """Desired gap of the intelligent driver, m: what it keeps at equal speeds (`standing`), more when closing in."""
    closing = speed * (speed - lead_speed) / (2.0 * np.sqrt(rules.accel * rules.decel))
    return max(min(standing, rules.min_gap), standing + closing)


@njit(cache=True)
@no_type_check
def gap_accel(gap, speed, lead_speed, standing, rules):
    """Acceleration that a leader allows, m/s^2; harder than `firm_braking` only to avoid contact."""
    free = max(gap, 0.05)
    accel = rules.accel * (1.0 - (desired_gap(speed, lead_speed, standing, rules) / free) ** 2)
    closing = max(speed - lead_speed, 0.0)
    needed = 1.2 * closing * closing / (2.0 * max(gap - LEAST_GAP, 0.05))
    return max(accel, -min(max(rules.firm_braking, needed), rules.hard_braking))


@njit(cache=True)
@no_type_check
def _logged_box(world, other, instant):
    """Whether the log has somebody at an instant, and its box then."""
    log = world.log
    if other == EGO:
        return log.ego_there[instant], log.ego[instant]
    return log.there[other, instant], log.box[other, instant]


@njit(cache=True)
@no_type_check
def _meeting(world, agent, station, reach, other, x, y, yaw):
    """Where the agent's corridor, from its middle to `reach` before its front, meets another's box at a pose."""
    cast = world.cast
    half = 0.5 * cast.width[agent] + world.rules.side_margin
    end = station + 0.5 * cast.length[agent] + reach
    return first_meeting(world.paths, agent, station, end, half, x, y, yaw, cast.length[other], cast.width[other])


@njit(cache=True)
@no_type_check
def _logged_gap(world, agent, other, instant, reach):
    """Gap from an agent to another in the log at an instant; infinite where the other is not ahead of it then."""
    there, box = _logged_box(world, other, instant)
    if not (there and world.log.there[agent, instant]):
        return np.inf
    station = world.log.station[agent, instant]
    met = _meeting(world, agent, station, reach, other, box[0], box[1], box[2])
    return met - station - 0.5 * world.cast.length[agent]


@njit(cache=True)
@no_type_check
def _same_in_log(world, agent, other, box, met):
    """Whether the other stood where it is now when the agent drove by in the log, and was thus no hindrance."""
    station = world.log.station[agent]
    if met > station[-1]:
        return False
    then = np.searchsorted(station, met)
    there, was = _logged_box(world, other, then)
    near = np.hypot(was[0] - box[0], was[1] - box[1]) < world.rules.departure
    return there and world.log.there[agent, then] and near


@njit(cache=True)
@no_type_check
def _foreseen(box, seconds):
    """Place and yaw of a box after some time at constant speed and turn rate."""
    turn = box[5] * seconds
    if abs(turn) < 1e-6:
        return box[0] + box[3] * seconds, box[1] + box[4] * seconds, box[2]
    ahead, aside = np.sin(turn) / box[5], (1.0 - np.cos(turn)) / box[5]
    return box[0] + ahead * box[3] - aside * box[4], box[1] + aside * box[3] + ahead * box[4], box[2] + turn


@njit(cache=True)
@no_type_check
def _crossing_gap(world, agent, station, speed, other, box, seconds):
    """Gap to where a car will come into the way, and its speed along it; infinite where the two do not meet then."""
    front = 0.5 * world.cast.length[agent]
    x, y, yaw = _foreseen(box, seconds)
    met = _meeting(world, agent, station, speed * seconds + 1.0, other, x, y, yaw)
    if met == np.inf:
        return np.inf, 0.0
    if station + speed * seconds - front > met + world.cast.length[other]:
        return np.inf, 0.0  # the agent is through before the car comes
    _x, _y, tx, ty, _yaw = place_at(world.paths, agent, met)
    along = max(tx * box[3] + ty * box[4], 0.0)
    gap = met - station - front - along * seconds
    if gap < -front and along > 0.5 * np.hypot(box[3], box[4]):
        return np.inf, 0.0  # the car comes from behind
    return max(gap, 0.1), along


@njit(cache=True)
@no_type_check
def _accel_before_crossing(world, now, agent, station, speed, other, box):
    """Acceleration that a car allows which will come into the way."""
    allowed = np.inf
    for seconds in HORIZONS:
        gap, along = _crossing_gap(world, agent, station, speed, other, box, seconds)
        if gap == np.inf:
            continue
        if not now.departed[agent] and world.log.ego_there[now.instant]:
            was = world.log.ego[now.instant]
            if _crossing_gap(world, agent, station, speed, other, was, seconds)[0] < np.inf:
                continue  # the human came as close, and it went well
        standing = min(world.rules.min_gap + world.rules.headway * speed, gap)
        allowed = min(allowed, gap_accel(gap, speed, along, standing, world.rules))
    return allowed


@njit(cache=True)
@no_type_check
def _accel_beside(world, now, agent, station, speed, other, box, other_departed, reach):
    """Acceleration that one other box allows."""
    met = _meeting(world, agent, station, reach, other, box[0], box[1], box[2])
    if met == np.inf:
        if not now.departed[agent] and other != EGO:
            return np.inf  # a late agent gives way; who keeps the log's timing drives on
        return _accel_before_crossing(world, now, agent, station, speed, other, box)
    if not other_departed and _same_in_log(world, agent, other, box, met):
        return np.inf
    gap = met - station - 0.5 * world.cast.length[agent]
    standing = world.rules.min_gap + world.rules.headway * speed
    if gap < standing:  # nobody has to keep more than the log itself had at this moment
        standing = min(standing, max(_logged_gap(world, agent, other, now.instant, reach), LEAST_GAP))
    _x, _y, tx, ty, _yaw = place_at(world.paths, agent, met)
    return gap_accel(gap, speed, tx * box[3] + ty * box[4], standing, world.rules)


@njit(cache=True)
@no_type_check
def _accel_among(world, now, agent, station, speed):
    """Acceleration that the ego and all other agents allow."""
    cast, rules = world.cast, world.rules
    x, y, _tx, _ty, _yaw = place_at(world.paths, agent, station)
    reach = min(5.0 + speed * rules.headway + speed * speed / (1.5 * rules.decel), FARTHEST)
    allowed = np.inf
    for other in range(EGO, len(now.box)):
        if other == agent or (other != EGO and not now.present[other]):
            continue
        other_departed = now.ego_departed if other == EGO else now.departed[other]
        if not (now.departed[agent] or other_departed):
            continue
        box = now.ego if other == EGO else now.box[other]
        near = reach + cast.length[agent] + cast.length[other] + HORIZONS[-1] * np.hypot(box[3], box[4])
        if (box[0] - x) ** 2 + (box[1] - y) ** 2 > near * near:
            continue
        accel = _accel_beside(world, now, agent, station, speed, other, box, other_departed, reach)
        allowed = min(allowed, accel)
    return allowed


@njit(cache=True)
@no_type_check
def _accel_at_lights(world, now, agent, station, speed):
    """Acceleration that the lights ahead allow: red always holds, yellow where stopping is comfortable."""
    paths, rules, light = world.paths, world.rules, world.log.light
    allowed = np.inf
    for i in range(paths.light_start[agent], paths.light_start[agent + 1]):
        gap = paths.light_station[i] - station - 0.5 * world.cast.length[agent]
        state = light[paths.light_row[i], min(now.instant, light.shape[1] - 1)]
        if gap < -INSIDE or state < YELLOW:
            continue
        needed = speed * speed / (2.0 * max(gap, 0.1))
        if needed < (rules.decel if state == YELLOW else rules.hard_braking):
            allowed = min(allowed, gap_accel(gap, speed, 0.0, rules.min_gap + rules.headway * speed, rules))
    return allowed


@njit(cache=True)
@no_type_check
def _free_accel(world, now, agent, station, speed):
    """Acceleration of an agent off the log that nothing holds up: towards its logged timing, or to the free speed."""
    paths, rules = world.paths, world.rules
    sample = min(paths.start[agent] + int(station / SPACING), paths.start[agent + 1] - 1)
    free, later = paths.free_speed[sample], now.instant + 1
    if not world.log.there[agent, later]:
        return max(rules.accel * (1.0 - (speed / free) ** rules.exponent), -rules.firm_braking)
    late, due_speed = world.log.station[agent, later] - station, world.log.speed[agent, later]
    wanted = due_speed + np.sqrt(2.0 * rules.catch_up_accel * max(late, 0.0))
    wanted = min(wanted, max(free, due_speed))
    return min(max((wanted - speed) / RESPONSE, -rules.firm_braking), rules.catch_up_accel)


@njit(cache=True)
@no_type_check
def _moved(world, now, agent, station, speed, accel):
    """Station and speed a step later: never backwards, never ahead of the log."""
    dt, log = world.rules.dt, world.log
    later = max(speed + accel * dt, 0.0)
    if later > 0.0 or speed == 0.0:
        moved = station + 0.5 * (speed + later) * dt
    else:
        moved = station - 0.5 * speed * speed / accel
    if log.there[agent, now.instant + 1]:
        due = log.station[agent, now.instant + 1]
        if moved >= due - SETTLED and station <= due:
            return due, log.speed[agent, now.instant + 1]
    return moved, later


@njit(cache=True)
@no_type_check
def _driven_step(world, now, agent, station, speed):
    """Station, speed and presence of a driven agent a step later."""
    log, instant = world.log, now.instant
    on_log = log.there[agent, instant] and station == log.station[agent, instant]
    goes_on, due = log.there[agent, instant + 1], log.station[agent, instant + 1]
    if on_log and goes_on and due == station and speed == 0.0:
        return due, log.speed[agent, instant + 1], True
    accel = _accel_among(world, now, agent, station, speed)
    if on_log and goes_on and accel >= min(log.accel[agent, instant], 0.0) - CONSENT:
        return due, log.speed[agent, instant + 1], True
    accel = min(accel, _accel_at_lights(world, now, agent, station, speed))
    accel = min(accel, _free_accel(world, now, agent, station, speed))
    station, speed = _moved(world, now, agent, station, speed, accel)
    return station, speed, station < world.paths.length[agent] - SETTLED or (goes_on and station <= due)


@njit(cache=True)
@no_type_check
def _may_appear(world, now, agent, box):
    """Whether the logged place is free of everybody who departed from the log, now and shortly after."""
    cast = world.cast
    moves = box[3] * box[3] + box[4] * box[4] > 1.0
    for other in range(EGO, len(now.box)):
        if not (now.ego_departed if other == EGO else now.present[other] and now.departed[other]):
            continue
        theirs = now.ego if other == EGO else now.box[other]
        for seconds in SPAWN_HORIZONS:
            if seconds > 0.0 and not moves:
                break  # what stands has always stood there: only a car right on it keeps it away
            ax, ay, ayaw = _foreseen(box, seconds)
            bx, by, byaw = _foreseen(theirs, seconds)
            length, width = cast.length[agent] + SPAWN_MARGIN, cast.width[agent] + SPAWN_MARGIN
            if boxes_overlap(ax, ay, ayaw, length, width, bx, by, byaw, cast.length[other], cast.width[other]):
                return False
    return True


@njit(cache=True)
@no_type_check
def _show(world, agent, instant, station, speed, box):
    """Writes an agent's box: as logged while it is on the log, else from its path. Says whether it has departed."""
    log, paths = world.log, world.paths
    there, due = log.there[agent, instant], log.station[agent, instant]
    if not world.cast.driven[agent] or (there and station == due):
        box[:] = log.box[agent, instant]
        return False
    x, y, tx, ty, yaw = place_at(paths, agent, station)
    ahead = place_at(paths, agent, station + 2.0)[4]
    box[0], box[1], box[2], box[3], box[4], box[5] = x, y, yaw, speed * tx, speed * ty, speed * (ahead - yaw) / 2.0
    return not there or abs(station - due) > world.rules.departure


@njit(cache=True)
@no_type_check
def ego_departs(world, ego, instant):
    """Whether an ego is elsewhere than the human was."""
    if not world.log.ego_there[instant]:
        return True
    was = world.log.ego[instant]
    turned = abs((ego[2] - was[2] + np.pi) % (2.0 * np.pi) - np.pi)
    return np.hypot(ego[0] - was[0], ego[1] - was[1]) > world.rules.departure or turned > world.rules.departure_yaw


@njit(cache=True)
@no_type_check
def roll_batch(world, ego, first, progress, speed, present, box):
    """Fills `progress`, `speed`, `present` `[k a t]` and `box` `[k a t 6]` after their sample 0."""
    log, driven = world.log, world.cast.driven
    agents = progress.shape[1]
    departed = np.zeros(agents, dtype=np.bool_)
    for k in range(ego.shape[0]):
        for i in range(agents):
            departed[i] = _show(world, i, first, progress[k, i, 0], speed[k, i, 0], box[k, i, 0])
        for t in range(1, ego.shape[1]):
            instant = first + t
            moved = ego_departs(world, ego[k, t - 1], instant - 1)
            before = box[k, :, t - 1].copy(), present[k, :, t - 1].copy()
            now = Now(instant - 1, ego[k, t - 1], moved, before[0], before[1], departed)
            for i in range(agents):
                p, v, here = progress[k, i, t - 1], speed[k, i, t - 1], now.present[i]
                if not driven[i]:
                    v, here = log.speed[i, instant], here and log.there[i, instant]
                elif here:
                    p, v, here = _driven_step(world, now, i, p, v)
                progress[k, i, t], speed[k, i, t], present[k, i, t] = p, v, here
            for i in range(agents):
                departed[i] = _show(world, i, instant, progress[k, i, t], speed[k, i, t], box[k, i, t])
            moved = ego_departs(world, ego[k, t], instant)
            after = box[k, :, t].copy(), present[k, :, t].copy()
            now = Now(instant, ego[k, t], moved, after[0], after[1], departed)
            for i in range(agents):
                newly = log.there[i, instant] and not log.there[i, instant - 1]
                if newly and not now.present[i] and _may_appear(world, now, i, log.box[i, instant]):
                    progress[k, i, t], speed[k, i, t] = log.station[i, instant], log.speed[i, instant]
                    present[k, i, t], box[k, i, t] = True, log.box[i, instant]
            for i in range(agents):
                if present[k, i, t] and not now.present[i]:
                    departed[i] = False
