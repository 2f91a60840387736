"""One step of sound traffic for all agents, and whole drives, batched over rollouts.

Who is *on the log* repeats it. A pair of agents is looked at only when one of the two has departed from the log: the
log itself is a solution. All agents are updated from the same state before, so their order does not matter. A vehicle
whose track has ended drives on unseen, so the log says more: who keeps the log's timing does not mind it, and where a
logged agent drives into it, it was not there and vanishes.

Agents are rows of tables, and the ego is the last row. Few tables travel through the functions, because each costs
time at every call. Boxes are x, y, yaw, velocity x, velocity y, yaw rate of the box centre.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from numba import njit

from simscale.geometry.boxes import boxes_overlap
from simscale.traffic.corridor import FREE_SPEED, SPACING, first_meeting, place_at

Array = np.ndarray

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
FARTHEST = 80.0
"""A leader is looked for this far ahead, m (ours)."""
YELLOW = 2  # of LightState; red is above it

# Columns of a box, which are also the first of the log's.
X, Y, YAW, VX, VY, TURN = range(6)
# The log's others: in the log (1 or 0); station on the path, m; speed along it, m/s; mean acceleration soon, m/s^2.
THERE, STATION, SPEED, ACCEL = range(6, 10)
LOG_COLUMNS = 10
# Columns of the cast; driven is 1, replaying 0.
LENGTH, WIDTH, DRIVEN = range(3)


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
    """What does not change during a drive; `a` agents, and one row more where the ego has one."""

    log: Array  # [t a+1 10], from the scene's first instant on
    light: Array  # [l t] LightState
    cast: Array  # [a+1 3]
    path: Array  # [p 6] samples of all paths
    path_start: Array  # [a+1] first sample of each
    path_length: Array  # [a] m
    stop: Array  # [n 2] where a governed lane begins on a path: station (m), row of its light
    stop_start: Array  # [a+1]
    rules: Rules


class Now(NamedTuple):
    """What everybody sees at one instant."""

    instant: int
    box: Array  # [a+1 6]
    present: Array  # [a+1]
    departed: Array  # [a+1]


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
def _place(world, agent, station):
    return place_at(world.path, world.path_start[agent], world.path_start[agent + 1], station)


@njit(cache=True)
@no_type_check
def _meeting(world, agent, station, reach, other, x, y, yaw):
    """Where the agent's corridor, from its middle to `reach` before its front, meets another's box at a pose."""
    cast = world.cast
    half = 0.5 * cast[agent, WIDTH] + world.rules.side_margin
    end = station + 0.5 * cast[agent, LENGTH] + reach
    begin, behind = world.path_start[agent], world.path_start[agent + 1]
    return first_meeting(
        world.path, begin, behind, station, end, half, x, y, yaw, cast[other, LENGTH], cast[other, WIDTH]
    )


@njit(cache=True)
@no_type_check
def _logged_gap(world, agent, other, instant, reach):
    """Gap from an agent to another in the log at an instant; infinite where the other is not ahead of it then."""
    log = world.log
    if not (log[instant, agent, THERE] and log[instant, other, THERE]):
        return np.inf
    station = log[instant, agent, STATION]
    x, y, yaw = log[instant, other, X], log[instant, other, Y], log[instant, other, YAW]
    return _meeting(world, agent, station, reach, other, x, y, yaw) - station - 0.5 * world.cast[agent, LENGTH]


@njit(cache=True)
@no_type_check
def _same_in_log(world, agent, other, x, y, met):
    """Whether the other stood where it is now when the agent drove by in the log, and was thus no hindrance."""
    log = world.log
    low, high = 0, len(log) - 1
    if met > log[high, agent, STATION]:
        return False
    while low < high:  # the first instant at which the agent was that far
        middle = (low + high) // 2
        if log[middle, agent, STATION] < met:
            low = middle + 1
        else:
            high = middle
    if not (log[low, agent, THERE] and log[low, other, THERE]):
        return False
    return np.hypot(log[low, other, X] - x, log[low, other, Y] - y) < world.rules.departure


@njit(cache=True)
@no_type_check
def _foreseen(box, row, seconds):
    """Place and yaw of a box after some time at constant speed and turn rate."""
    turn = box[row, TURN] * seconds
    if abs(turn) < 1e-6:
        return box[row, X] + box[row, VX] * seconds, box[row, Y] + box[row, VY] * seconds, box[row, YAW]
    ahead, aside = np.sin(turn) / box[row, TURN], (1.0 - np.cos(turn)) / box[row, TURN]
    x = box[row, X] + ahead * box[row, VX] - aside * box[row, VY]
    y = box[row, Y] + aside * box[row, VX] + ahead * box[row, VY]
    return x, y, box[row, YAW] + turn


@njit(cache=True)
@no_type_check
def _crossing_gap(world, agent, station, speed, other, box, seconds):
    """Gap to where a car will come into the way, and its speed along it; infinite where the two do not meet then."""
    front = 0.5 * world.cast[agent, LENGTH]
    x, y, yaw = _foreseen(box, other, seconds)
    met = _meeting(world, agent, station, speed * seconds + 1.0, other, x, y, yaw)
    if met == np.inf or station + speed * seconds - front > met + world.cast[other, LENGTH]:
        return np.inf, 0.0  # no meeting, or the agent is through before the car comes
    _x, _y, tx, ty, _yaw = _place(world, agent, met)
    vx, vy = box[other, VX], box[other, VY]
    along = max(tx * vx + ty * vy, 0.0)
    px, py, tx, ty, _yaw = _place(world, agent, station)
    if along > 0.5 * np.hypot(vx, vy) and tx * (box[other, X] - px) + ty * (box[other, Y] - py) < 0.0:
        return np.inf, 0.0  # the car comes from behind
    return max(met - station - front - along * seconds, 0.1), along


@njit(cache=True)
@no_type_check
def _accel_before_crossing(world, now, agent, station, speed, other):
    """Acceleration that a car allows which will come into the way."""
    allowed = np.inf
    for seconds in HORIZONS:
        gap, along = _crossing_gap(world, agent, station, speed, other, now.box, seconds)
        if gap == np.inf:
            continue
        if not now.departed[agent] and world.log[now.instant, other, THERE]:
            was = world.log[now.instant]
            if _crossing_gap(world, agent, station, speed, other, was, seconds)[0] < np.inf:
                continue  # the human came as close, and it went well
        standing = min(world.rules.min_gap + world.rules.headway * speed, max(gap, LEAST_GAP))
        allowed = min(allowed, gap_accel(gap, speed, along, standing, world.rules))
    return allowed


@njit(cache=True)
@no_type_check
def _accel_beside(world, now, agent, station, speed, other, reach):
    """Acceleration that one other box allows."""
    x, y, yaw = now.box[other, X], now.box[other, Y], now.box[other, YAW]
    met = _meeting(world, agent, station, reach, other, x, y, yaw)
    if met == np.inf:
        if not now.departed[agent] and other < len(now.box) - 1:
            return np.inf  # a late agent gives way; who keeps the log's timing drives on, but for the ego
        return _accel_before_crossing(world, now, agent, station, speed, other)
    if not now.departed[other] and _same_in_log(world, agent, other, x, y, met):
        return np.inf
    gap = met - station - 0.5 * world.cast[agent, LENGTH]
    standing = world.rules.min_gap + world.rules.headway * speed
    if gap < standing:  # nobody has to keep more than the log itself had at this moment
        standing = min(standing, max(_logged_gap(world, agent, other, now.instant, reach), LEAST_GAP))
    _x, _y, tx, ty, _yaw = _place(world, agent, met)
    return gap_accel(gap, speed, tx * now.box[other, VX] + ty * now.box[other, VY], standing, world.rules)


@njit(cache=True)
@no_type_check
def _accel_among(world, now, agent, station, speed):
    """Acceleration that the ego and all other agents allow.

    The loop over pairs calls nothing before it must: a call costs more than the test that spares it.
    """
    rules, cast, logged = world.rules, world.cast, world.log[now.instant]
    box, present, departed = now.box, now.present, now.departed
    ego = len(box) - 1
    reach = min(5.0 + speed * rules.headway + speed * speed / (1.5 * rules.decel), FARTHEST)
    allowed = np.inf
    for other in range(len(box)):
        if other == agent or not present[other]:
            continue
        if not departed[agent] and not (departed[other] and (other == ego or logged[other, THERE])):
            continue  # neither has departed, or the other is past its track's end and the log knows better
        moves = HORIZONS[-1] * np.hypot(box[other, VX], box[other, VY])
        near = reach + cast[agent, LENGTH] + cast[other, LENGTH] + moves
        if (box[other, X] - box[agent, X]) ** 2 + (box[other, Y] - box[agent, Y]) ** 2 <= near * near:
            allowed = min(allowed, _accel_beside(world, now, agent, station, speed, other, reach))
    return allowed


@njit(cache=True)
@no_type_check
def _accel_at_lights(world, now, agent, station, speed):
    """Acceleration that the lights ahead allow: red always holds, yellow where stopping is comfortable."""
    rules = world.rules
    allowed = np.inf
    for i in range(world.stop_start[agent], world.stop_start[agent + 1]):
        gap = world.stop[i, 0] - station - 0.5 * world.cast[agent, LENGTH]
        state = world.light[int(world.stop[i, 1]), min(now.instant, world.light.shape[1] - 1)]
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
    rules = world.rules
    sample = min(world.path_start[agent] + int(station / SPACING), world.path_start[agent + 1] - 1)
    free, later = world.path[sample, FREE_SPEED], now.instant + 1
    if not world.log[later, agent, THERE]:
        return max(rules.accel * (1.0 - (speed / free) ** rules.exponent), -rules.firm_braking)
    due_speed = world.log[later, agent, SPEED]
    late = world.log[later, agent, STATION] - station - speed * rules.dt
    wanted = due_speed + np.sqrt(2.0 * rules.catch_up_accel * max(late, 0.0))
    wanted = min(wanted, max(free, due_speed))
    return min(max((wanted - speed) / rules.dt, -rules.firm_braking), rules.catch_up_accel)


@njit(cache=True)
@no_type_check
def _moved(world, now, agent, station, speed, accel, settled):
    """Station and speed a step later: never backwards, never ahead of the log, on it when within `settled` of it."""
    dt, later = world.rules.dt, now.instant + 1
    new_speed = max(speed + accel * dt, 0.0)
    if new_speed > 0.0 or speed == 0.0:
        moved = station + 0.5 * (speed + new_speed) * dt
    else:
        moved = station - 0.5 * speed * speed / accel
    if world.log[later, agent, THERE]:
        due = world.log[later, agent, STATION]
        if moved >= due - settled and station <= due:
            return due, world.log[later, agent, SPEED]
    return moved, new_speed


@njit(cache=True)
@no_type_check
def _driven_step(world, now, agent, station, speed, somebody_departed):
    """Station, speed and presence of a driven agent a step later."""
    log, instant = world.log, now.instant
    on_log = log[instant, agent, THERE] and station == log[instant, agent, STATION]
    goes_on, due = log[instant + 1, agent, THERE] > 0.0, log[instant + 1, agent, STATION]
    if on_log and goes_on and (not somebody_departed or (due == station and speed == 0.0)):
        return due, log[instant + 1, agent, SPEED], True
    if on_log and not goes_on and station < log[-1, agent, STATION]:
        return station, speed, False  # out of sight for long, and back later
    accel = _accel_among(world, now, agent, station, speed)
    if on_log and goes_on and accel >= min(log[instant, agent, ACCEL], 0.0) - CONSENT:
        return due, log[instant + 1, agent, SPEED], True
    accel = min(accel, _accel_at_lights(world, now, agent, station, speed))
    free = _free_accel(world, now, agent, station, speed)
    settled = SETTLED if accel >= free else 0.0
    station, speed = _moved(world, now, agent, station, speed, min(accel, free), settled)
    return station, speed, station < world.path_length[agent] - SETTLED or (goes_on and station <= due)


@njit(cache=True)
@no_type_check
def _may_appear(world, now, agent):
    """Whether an agent's logged place is free of everybody who departed from the log, now and shortly after."""
    cast, logged = world.cast, world.log[now.instant]
    moves = np.hypot(logged[agent, VX], logged[agent, VY]) > 1.0
    length, width = cast[agent, LENGTH] + SPAWN_MARGIN, cast[agent, WIDTH] + SPAWN_MARGIN
    for other in range(len(now.box)):
        unseen = other < len(now.box) - 1 and not world.log[now.instant, other, THERE]
        if unseen or not (now.present[other] and now.departed[other]):
            continue
        for seconds in SPAWN_HORIZONS:
            if seconds > 0.0 and not moves:
                break  # what stands has always stood there: only a car right on it keeps it away
            ax, ay, ayaw = _foreseen(logged, agent, seconds)
            bx, by, byaw = _foreseen(now.box, other, seconds)
            if boxes_overlap(ax, ay, ayaw, length, width, bx, by, byaw, cast[other, LENGTH], cast[other, WIDTH]):
                return False
    return True


@njit(cache=True)
@no_type_check
def _contradicted(world, now, agent):
    """Whether somebody who is on the log stands where an agent past its track's end is thought to be."""
    cast, box = world.cast, now.box
    for other in range(len(box) - 1):
        if other == agent or now.departed[other] or not now.present[other]:
            continue
        if boxes_overlap(
            box[agent, X],
            box[agent, Y],
            box[agent, YAW],
            cast[agent, LENGTH],
            cast[agent, WIDTH],
            box[other, X],
            box[other, Y],
            box[other, YAW],
            cast[other, LENGTH],
            cast[other, WIDTH],
        ):
            return True
    return False


@njit(cache=True)
@no_type_check
def _show_off_log(world, agent, instant, station, speed, box):
    """Writes the box of an agent that is off the log from its path. Says whether it has departed."""
    x, y, tx, ty, yaw = _place(world, agent, station)
    ahead = _place(world, agent, station + 2.0)[4]
    box[agent, X], box[agent, Y], box[agent, YAW] = x, y, yaw
    box[agent, VX], box[agent, VY], box[agent, TURN] = speed * tx, speed * ty, speed * (ahead - yaw) / 2.0
    away = abs(station - world.log[instant, agent, STATION])
    return not world.log[instant, agent, THERE] or away > world.rules.departure


@njit(cache=True)
@no_type_check
def _ego_departs(world, ego, instant):
    """Whether the ego is elsewhere than the human was."""
    was = world.log[instant, -1]
    turned = abs((ego[YAW] - was[YAW] + np.pi) % (2.0 * np.pi) - np.pi)
    away = np.hypot(ego[X] - was[X], ego[Y] - was[Y])
    return not was[THERE] or away > world.rules.departure or turned > world.rules.departure_yaw


@njit(cache=True)
@no_type_check
def _look(world, ego, instant, progress, speed, box, departed):
    """Writes everybody's box and whether it has departed; the ego's is the last."""
    agents, logged, driven = len(progress), world.log[instant], world.cast[:, DRIVEN]
    for i in range(agents):
        if driven[i] and not (logged[i, THERE] and progress[i] == logged[i, STATION]):
            departed[i] = _show_off_log(world, i, instant, progress[i], speed[i], box)
            continue
        departed[i] = False
        for column in range(6):
            box[i, column] = logged[i, column]
    box[agents] = ego
    departed[agents] = _ego_departs(world, ego, instant)


@njit(cache=True)
@no_type_check
def _roll_one(world, ego, first, progress, speed, present, box):
    """One drive; arrays as `roll_batch` has them, time first, without the rollouts' axis."""
    log = world.log
    agents = progress.shape[1]
    departed, seen = np.zeros(agents + 1, dtype=np.bool_), np.ones(agents + 1, dtype=np.bool_)
    _look(world, ego[0], first, progress[0], speed[0], box[0], departed)
    for t in range(1, len(ego)):
        instant = first + t
        seen[:agents] = present[t - 1]
        now = Now(instant - 1, box[t - 1], seen, departed)
        somebody = (departed & seen).any()
        for i in range(agents):
            p, v, here = progress[t - 1, i], speed[t - 1, i], seen[i]
            if not world.cast[i, DRIVEN]:
                v, here = log[instant, i, SPEED], here and log[instant, i, THERE] > 0.0
            elif here:
                p, v, here = _driven_step(world, now, i, p, v, somebody)
            progress[t, i], speed[t, i], present[t, i] = p, v, here
        _look(world, ego[t], instant, progress[t], speed[t], box[t], departed)
        seen[:agents] = present[t]
        now = Now(instant, box[t], seen, departed)
        for i in range(agents):
            newly = log[instant, i, THERE] and not log[instant - 1, i, THERE]
            if newly and not seen[i] and _may_appear(world, now, i):
                progress[t, i], speed[t, i], present[t, i] = log[instant, i, STATION], log[instant, i, SPEED], True
        if (present[t] != seen[:agents]).any():
            _look(world, ego[t], instant, progress[t], speed[t], box[t], departed)
            seen[:agents] = present[t]
        for i in range(agents):
            if seen[i] and not log[instant, i, THERE]:
                present[t, i] = not _contradicted(world, now, i)


@njit(cache=True)
@no_type_check
def roll_batch(world, ego, first, progress, speed, present, box):
    """Fills `progress`, `speed`, `present` `[k t a]` after their sample 0, and `box` `[k t a+1 6]`."""
    for k in range(len(ego)):
        _roll_one(world, ego[k], first, progress[k], speed[k], present[k], box[k])
