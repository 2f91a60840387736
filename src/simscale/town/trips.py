"""Trips: the way that a driver takes through the town, and how fast each piece of it wants to be driven."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from simscale.geometry.polylines import stations_of, without_repeats
from simscale.town.curves import SPACING, curvature_of
from simscale.town.roads import Roads

Array = np.ndarray

TURN_WEIGHT = {1: 0.9, 0: 1.0, -1: 0.9}
"""How often drivers choose left, straight on and right, relative to each other."""
EASE = 1.2
"""Deceleration with which a driver slows down before a turn, m/s^2."""


@dataclass(frozen=True, kw_only=True)
class Trip:
    """One driver's way. Stations count from the start of its first lane, m."""

    elements: tuple[int, ...]  # lanes and connectors in turn
    begin: tuple[float, ...]  # station where each of them begins
    xy: Float[Array, "n 2"]  # middle of the way, a point every `SPACING`
    station: Float[Array, " n"]
    fast: Float[Array, " n"]  # speed that a law-abiding driver wants there, m/s


def open_elements(roads: Roads, fit: Bool[Array, " m"]) -> Bool[Array, " m"]:
    """Lanes and connectors from which one can go on for ever over those that are fit."""
    free = fit.copy()
    connector = np.arange(roads.lanes, len(roads.line))
    while True:
        before = free.sum()
        free[connector] &= free[roads.after[connector]]
        leads_on = np.zeros(len(fit), dtype=bool)
        leads_on[roads.before[connector[free[connector]]]] = True
        free[: roads.lanes] &= leads_on[: roads.lanes]
        free[connector] &= free[roads.before[connector]]
        if free.sum() == before:
            return free


def random_trip(
    rng: np.random.Generator,
    roads: Roads,
    *,
    first: int,
    length: float,
    free: Bool[Array, " m"],
    side_acceleration: float,
    speed_share: float,
    top_speed: float,
) -> Trip:
    """A random way from lane `first` on over `free` elements, at least `length` long, with the speeds of one driver."""
    elements, total = [first], float(roads.length[first])
    while total < length:
        choice = roads.connectors_from(elements[-1])
        choice = choice[free[choice]]
        weight = np.array([TURN_WEIGHT[int(turn)] for turn in roads.turn[choice]])
        connector = int(rng.choice(choice, p=weight / weight.sum()))
        elements += [connector, int(roads.after[connector])]
        total += float(roads.length[elements[-1]] + roads.length[elements[-2]])
    begin = np.concatenate([[0.0], np.cumsum(roads.length[elements])])
    joined = without_repeats(np.concatenate([roads.line[element] for element in elements]))
    own = stations_of(joined)
    station = np.arange(0.0, own[-1], SPACING)
    xy = np.stack([np.interp(station, own, joined[:, 0]), np.interp(station, own, joined[:, 1])], axis=-1)
    limit = roads.speed_limit[np.array(elements)[np.searchsorted(begin, station, side="right") - 1]]
    in_turn = np.sqrt(side_acceleration / np.maximum(np.abs(curvature_of(xy)), 1e-4))
    fast = _eased(np.minimum(np.minimum(speed_share * limit, top_speed), in_turn))
    return Trip(elements=tuple(elements), begin=tuple(float(b) for b in begin[:-1]), xy=xy, station=station, fast=fast)


def _eased(fast: Array) -> Array:
    """Lowers speeds ahead of slow places so that slowing down takes no more than `EASE`."""
    squared = fast**2
    for i in range(len(fast) - 2, -1, -1):
        squared[i] = min(squared[i], squared[i + 1] + 2 * EASE * SPACING)
    return np.sqrt(squared)
