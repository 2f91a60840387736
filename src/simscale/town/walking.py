"""How people walk: nobody walks into anybody, and nobody steps onto a road before the cars are stopped.

At a crosswalk with lights people wait for their own phase, in which all cars have red; at a zebra they wait until
nobody comes who cannot stop.
"""

import numpy as np
from jaxtyping import Bool, Float

from simscale.geometry.angles import direction, wrap
from simscale.town.pavements import STEP, Pavements
from simscale.town.scenery import KERB
from simscale.town.walkers import People, Walkers
from simscale.town.zebras import Yielding

Array = np.ndarray

APART, POLITE = 0.98, 1.4
"""Nobody steps nearer to anybody than this, m; within the second, who has the higher number lets the other go."""
ANNOUNCE = 1.2
"""People are seen to want to cross this long before they reach the kerb, s."""
PATIENCE = 1.0
"""Who has been blocked for so long, s, steps aside."""
SIDE_STEP, FARTHEST_LEFT, FARTHEST_RIGHT = 0.06, -0.7, 0.4
"""In an instant, and at most to the left and to the right, m."""
SPEED_UP, SLOW_DOWN = 0.15, 0.3
"""Change of speed in an instant, m/s."""


class Walking:
    """Where all people are, as they go through time."""

    def __init__(self, people: People, pavements: Pavements, yielding: Yielding, crossings: int, dt: float):
        self.people, self.pavements, self.yielding, self.dt = people, pavements, yielding, dt
        self.station, self.speed = people.start.copy(), np.zeros(len(people.start))
        self.aside, self.blocked = np.zeros(len(people.start)), np.zeros(len(people.start), dtype=np.int64)
        self.next = [
            sum(end < first for _, end, _ in walk.crossings)
            for walk, first in zip(people.walks, people.start, strict=True)
        ]
        self.on_road = np.zeros(len(people.start), dtype=bool)
        self.waiting, self.crossing = np.zeros(crossings, dtype=bool), np.zeros(crossings, dtype=bool)

    def announce(self) -> None:
        """Closes zebras for those who cross or want to, and notes who waits and who crosses at lights."""
        self.waiting[:], self.crossing[:] = False, False
        closed = [False] * len(self.yielding.closed)
        for w in range(len(self.station)):
            where = self._ahead(w)
            if where is None:
                continue
            begin, _, number = where
            lit_by, zebra = self.pavements.lit_by[number], self.pavements.zebra[number]
            near = begin - self.station[w] < ANNOUNCE * self.people.speed[w]
            if zebra >= 0 and (near or self.on_road[w]):
                closed[zebra] = True
            if lit_by >= 0:
                self.crossing[lit_by] |= self.on_road[w]
                self.waiting[lit_by] |= near and not self.on_road[w]
        self.yielding.closed = closed

    def move(self, walk: Bool[Array, " j"]) -> None:
        """One step for everybody.

        Args:
            walk: Crossings of streets whose lights let people start to cross.
        """
        limit = self._limits(walk)
        target = np.minimum(self.people.speed, np.maximum(limit - self.station, 0.0) * 2.0)
        speed = np.clip(target, self.speed - SLOW_DOWN, self.speed + SPEED_UP)
        step = np.minimum(speed * self.dt, np.maximum(limit - self.station, 0.0))
        here, yaw = self.places(self.station, self.aside)
        aside = self.aside - np.clip(self.aside, -SIDE_STEP / 3, SIDE_STEP / 3)
        halted = self._blocked(here, yaw, self.places(self.station + step, aside)[0])
        step[halted], aside[halted] = 0.0, self.aside[halted]
        self.blocked = np.where(halted, self.blocked + 1, 0)
        for w in np.flatnonzero(self.blocked * self.dt > PATIENCE):
            aside[w] = self._stepped_aside(int(w), here, yaw)
        self.speed, self.aside = step / self.dt, aside
        self.station = self.station + step
        for w in range(len(self.station)):
            where = self._ahead(w)
            if where is not None and self.station[w] >= where[1]:
                self.next[w] += 1
                self.on_road[w] = False

    def _stepped_aside(self, w: int, here: Array, yaw: Array) -> float:
        """Where somebody who is blocked goes: to the right if there is room, else to the left, else nowhere."""
        for shift in (SIDE_STEP, -SIDE_STEP):
            wanted = float(np.clip(self.aside[w] + shift, FARTHEST_LEFT, FARTHEST_RIGHT))
            there = here.copy()
            there[w] += (wanted - self.aside[w]) * direction(yaw[w : w + 1] - np.pi / 2)[0]
            now, then = (np.hypot(*(here - xy).T) for xy in (here[w], there[w]))
            ahead = ((here - here[w]) * direction(yaw[w : w + 1])[0]).sum(1) > 0
            nearest = np.argmin(np.where(ahead & (np.arange(len(here)) != w), now, np.inf))
            if (
                then[nearest] > now[nearest]
                and not ((then < APART) & (then < now - 1e-9))[np.arange(len(here)) != w].any()
            ):
                return wanted
        return float(self.aside[w])

    def places(
        self, station: Float[Array, " w"], aside: Float[Array, " w"]
    ) -> tuple[Float[Array, "w 2"], Float[Array, " w"]]:
        """Where people are at stations of their walks and so far to the right of them, and which way they look."""
        xy, yaw = np.empty((len(station), 2)), np.empty(len(station))
        for w, walk in enumerate(self.people.walks):
            k = min(station[w] / STEP, len(walk.xy) - 1.001)
            low = int(k)
            xy[w] = walk.xy[low] + (k - low) * (walk.xy[low + 1] - walk.xy[low])
            yaw[w] = walk.yaw[low] + (k - low) * (walk.yaw[low + 1] - walk.yaw[low])
        return xy + aside[:, None] * direction(yaw - np.pi / 2), yaw

    def _ahead(self, w: int) -> tuple[float, float, int] | None:
        crossings = self.people.walks[w].crossings
        return crossings[self.next[w]] if self.next[w] < len(crossings) else None

    def _limits(self, walk: Array) -> Array:
        """How far everybody may go: to the kerb, or on."""
        limit = np.full(len(self.station), np.inf)
        for w in range(len(self.station)):
            where = self._ahead(w)
            if where is None or self.on_road[w]:
                continue
            begin, _, number = where
            lit_by, zebra = self.pavements.lit_by[number], self.pavements.zebra[number]
            free = walk[lit_by] if lit_by >= 0 else self._is_free(zebra)
            if free and begin - self.station[w] < 0.3:
                self.on_road[w] = True
            else:
                limit[w] = begin
        return limit

    def _is_free(self, zebra: int) -> bool:
        return self.yielding.closed[zebra] and not self.yielding.passing[zebra]

    def _blocked(self, here: Array, yaw: Array, there: Array) -> Array:
        now = np.hypot(*(here[:, None] - here[None]).transpose(2, 0, 1))
        then = np.hypot(*(there[:, None] - here[None]).transpose(2, 0, 1))
        nearer = then < now - 1e-9
        np.fill_diagonal(nearer, False)
        order = np.arange(len(here))
        lets_go = (order[:, None] > order[None]) & (np.cos(yaw[:, None] - yaw[None]) > -0.5)
        return (nearer & ((then < APART) | (lets_go & (then < POLITE)))).any(1)


def walkers_of(
    people: People,
    station: Float[Array, "w t"],
    aside: Float[Array, "w t"],
    on_road: Bool[Array, "w t"],
    *,
    dt: float,
) -> Walkers:
    """Poses of people from their places on their walks; on pavements they stand a kerb higher than on the road."""
    count, instants = station.shape
    xy, yaw = np.empty((count, instants, 2)), np.empty((count, instants))
    for w, walk in enumerate(people.walks):
        own = np.arange(len(walk.xy)) * STEP
        xy[w] = np.stack([np.interp(station[w], own, walk.xy[:, axis]) for axis in (0, 1)], axis=-1)
        yaw[w] = np.interp(station[w], own, walk.yaw)
    xy += aside[..., None] * direction(yaw - np.pi / 2)
    velocity = np.asarray(np.gradient(xy, dt, axis=1)) if count else np.zeros((0, instants, 2))
    z = people.size[:, 2:] / 2 + np.where(on_road, 0.0, KERB)
    return Walkers(size=people.size, xy=xy, z=z, yaw=wrap(yaw), velocity=velocity, on_road=on_road)
