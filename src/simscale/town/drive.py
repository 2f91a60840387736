"""Drives: one car of a town becomes the ego, and some seconds around it become a scene.

Egos and windows are chosen so that a few drives show many things: turns both ways, stops, following, free road.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int

from simscale.geometry.angles import direction
from simscale.scene import DT, NO_CAMERAS, NO_RECORDINGS, PACIFICA, Lights, RoadMap, Scene, TrackKind, Tracks
from simscale.scene.motion import car_state_of_poses
from simscale.scene.seeds import generator_of
from simscale.town.town import ROUTE_BEYOND, Town, TownSettings, instants, town_of

Array = np.ndarray

IN_SIGHT = 100.0
"""A car that comes this near to the ego at some instant of a drive is part of it, m."""
STANDS = 0.1
"""Below this speed a car stands, m/s."""
LEAST_WAY = 25.0
"""A drive is at least this long where there is a choice, m."""
BEHIND_SOMEBODY = 25.0
"""A car this near ahead is followed, m."""


def town_scenes(seed: int, *, settings: TownSettings) -> Iterator[Scene]:
    """The drives of a town, one after the other; the same for the same seed and settings, to the byte.

    Args:
        seed: Names the town; towns of different seeds share no street.
        settings: Its size, and how much of its life is recorded.

    Raises:
        BadInput: Settings that make no town.
    """
    return scenes_of(town_of(seed, settings=settings), settings=settings)


def scenes_of(town: Town, *, settings: TownSettings) -> Iterator[Scene]:
    """The drives of a town that is there already, made with the same settings."""
    for number, (ego, first) in enumerate(chosen_drives(town, settings)):
        yield scene_of(town, ego, first, instants(settings), number)


def chosen_drives(town: Town, settings: TownSettings) -> list[tuple[int, int]]:
    """Which car drives as the ego from which instant on: one drive of each sort in turn, at random within a sort."""
    length = instants(settings)
    starts = range(0, town.flow.station.shape[1] - length + 1, length)
    candidates = [(int(ego), first) for ego in np.flatnonzero(town.drivers.can_be_ego) for first in starts]
    order = generator_of(town.seed, "town", "drives").permutation(len(candidates))
    shown = np.array([_shows(town, candidates[i][0], candidates[i][1], length) for i in order])
    left, chosen = list(range(len(order))), []
    while left and len(chosen) < settings.drives:
        sort = len(chosen) % shown.shape[1]
        best = max(left, key=lambda k: (shown[k, 0], shown[k, sort]))
        left.remove(best)
        chosen.append(candidates[order[best]])
    assert len(chosen) == settings.drives, "fewer candidates than drives"
    return chosen


def _shows(town: Town, ego: int, first: int, length: int) -> Bool[Array, " sorts"]:
    """Whether a drive gets anywhere, turns left, right, stops and goes on, follows, is free, passes parked cars."""
    station, speed = town.flow.station[ego, first : first + length], town.flow.speed[ego, first : first + length]
    trip = town.trips[ego]
    begin = np.array(trip.begin)
    passed = [e for e, b in zip(trip.elements, begin, strict=True) if station[0] < b < station[-1]]
    turns = town.roads.turn[passed] if passed else np.zeros(0)
    stops = bool((speed[10:-20] < STANDS).any() and speed[-1] > 2.0)
    centre = town.rear_axle_xy[:, first : first + length]
    apart = centre - centre[ego]
    ahead = (apart * direction(town.yaw[ego, first : first + length])).sum(-1)
    near = (np.hypot(apart[..., 0], apart[..., 1]) < BEHIND_SOMEBODY) & (ahead > 4.0)
    near &= np.cos(town.yaw[:, first : first + length] - town.yaw[ego, first : first + length]) > 0.9
    follows = bool(near.any(0).mean() > 0.4)
    bays = {bay.lane for bay in town.bays}
    free = not follows and not (speed < 3.0).any()
    moves = station[-1] - station[0] > LEAST_WAY
    return np.array([moves, (turns == 1).any(), (turns == -1).any(), stops, follows, free, bool(bays & set(passed))])


def scene_of(town: Town, ego: int, first: int, length: int, number: int) -> Scene:
    """Cuts one drive out of the life of a town."""
    span = slice(first, first + length)
    xy = town.rear_axle_xy[ego]
    origin = xy[first]
    states = car_state_of_poses(xy - origin, town.yaw[ego], dt=DT)[span]
    return Scene(
        id=f"town-{town.seed}-{number}",
        source="town",
        location=town.location,
        origin=np.array([*origin, 0.0]),
        timestamp_us=(first + np.arange(length, dtype=np.int64)) * round(DT * 1e6),
        vehicle=PACIFICA,
        ego=states,
        ego_z=np.zeros(length),
        tracks=_tracks(town, ego, span, origin),
        road=_moved(town.road, -origin),
        lights=_lights(town, span),
        route=_route(town, ego, span),
        cameras=NO_CAMERAS,
        images=NO_RECORDINGS,
        sweeps=NO_RECORDINGS,
        sensor_root="",
        ground=None,
        missing=("camera images", "LiDAR sweeps"),
    )


def _tracks(town: Town, ego: int, span: slice, origin: Array) -> Tracks:
    """Who comes near the ego, moving, parked or on foot, seen for the whole drive."""
    drivers, parked, walkers = town.drivers, town.parked, town.walkers
    length = span.stop - span.start
    yaw = town.yaw[:, span]
    moving = town.rear_axle_xy[:, span] + drivers.rear_axle_to_centre[:, None, None] * direction(yaw)
    standing = np.broadcast_to(parked.xy[:, None], (len(parked.xy), length, 2))
    xy = np.concatenate([moving, standing, walkers.xy[:, span]])
    all_yaw = np.concatenate(
        [yaw, np.broadcast_to(parked.yaw[:, None], (len(parked.yaw), length)), walkers.yaw[:, span]]
    )
    velocity = np.concatenate([town.velocity[:, span], np.zeros(standing.shape), walkers.velocity[:, span]])
    size = np.concatenate([drivers.size, parked.size, walkers.size])
    z = np.repeat(size[:, 2:] / 2, length, axis=1)
    z[len(z) - len(walkers.z) :] = walkers.z[:, span]
    rides = drivers.kind == TrackKind.BICYCLE
    names = [f"{'bicycle' if rides[i] else 'car'}{i}" for i in range(len(drivers.size))]
    names += [f"parked{i}" for i in range(len(parked.xy))]
    names += [f"person{i}" for i in range(len(walkers.xy))]
    kind = np.repeat([int(TrackKind.VEHICLE), int(TrackKind.PEDESTRIAN)], [len(parked.xy), len(walkers.xy)])
    kind = np.concatenate([drivers.kind, kind])
    apart = np.hypot(*np.moveaxis(xy - town.rear_axle_xy[ego, span], -1, 0)).min(-1)
    apart[ego] = np.inf
    near = np.flatnonzero(apart < IN_SIGHT)
    return Tracks(
        xy=xy[near] - origin,
        z=z[near],
        yaw=all_yaw[near],
        velocity=velocity[near],
        size=size[near],
        kind=kind[near],
        valid=np.ones((len(near), length), dtype=bool),
        id=tuple(names[i] for i in near),
    )


def _lights(town: Town, span: slice) -> Lights:
    roads = town.roads
    lit = (roads.before >= 0) & (roads.layout.lights[roads.crossing] > 0)
    element = np.flatnonzero(lit)
    approach = 4 * roads.crossing[element] + roads.approach[element]
    return Lights(element=element, state=town.flow.lights[approach, span])


def _route(town: Town, ego: int, span: slice) -> Int[Array, " r"]:
    """What the driver drove over and, from there on, was going to."""
    trip, station = town.trips[ego], town.flow.station[ego, span]
    begin = np.array(trip.begin)
    first = np.searchsorted(begin, station[0], side="right") - 1
    here = np.searchsorted(begin, station[-1], side="right")
    last = np.searchsorted(begin, station[-1] + ROUTE_BEYOND, side="right")
    route = list(trip.elements[first:here])
    for element in trip.elements[here:last]:
        if element in route:  # once around the block: a centre line that meets itself has no stations
            break
        route.append(element)
    return np.array(route, dtype=np.int64)


def _moved(road: RoadMap, by: Float[Array, "2"]) -> RoadMap:
    return RoadMap(
        id=road.id,
        kind=road.kind,
        xy=road.xy + by,
        start=road.start,
        centre_xy=road.centre_xy + by,
        centre_start=road.centre_start,
        speed_limit=road.speed_limit,
        has_speed_limit=road.has_speed_limit,
        next_lane=road.next_lane,
        group=road.group,
    )
