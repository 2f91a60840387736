"""People on foot: who they are, and the way that each takes over pavements and pedestrian crossings."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import convolve1d

from simscale.geometry.polylines import resample, stations_of, without_repeats
from simscale.town.curves import beside, headings_of
from simscale.town.pavements import MIDDLE, STEP, Pavements

Array = np.ndarray

KEEP_RIGHT = (0.52, 0.72)
"""How far to the right of the middle of the pavement people walk, m: those who meet pass each other."""
SMOOTH = 9
"""Points over which a path is rounded."""
CROSS_WEIGHT = 2.0
"""How much more often people choose to cross a street than to walk on."""
HEIGHT, BREADTH = (1.5, 1.95), (0.42, 0.55)
"""m."""
KERB_STOP, KERB_LEFT = 0.55, 0.45
"""People wait so far before a kerb, and have left the road so far behind the other, m."""


@dataclass(frozen=True, kw_only=True)
class Walk:
    """One person's path; stations are those of `xy`, a point every `STEP`."""

    xy: Float[Array, "n 2"]
    yaw: Float[Array, " n"]
    crossings: tuple[tuple[float, float, int], ...]  # where the road begins and ends, m, and the crossing's number


@dataclass(frozen=True, kw_only=True)
class People:
    """`w` people: how large they are and how fast they walk."""

    size: Float[Array, "w 3"]
    speed: Float[Array, " w"]  # m/s
    walks: tuple[Walk, ...]
    start: Float[Array, " w"]  # station at which each begins, m


@dataclass(frozen=True, kw_only=True)
class Walkers:
    """Where people were over `t` instants."""

    size: Float[Array, "w 3"]  # m
    xy: Float[Array, "w t 2"]  # m
    z: Float[Array, "w t"]  # of the middle of the box, m
    yaw: Float[Array, "w t"]
    velocity: Float[Array, "w t 2"]  # m/s
    on_road: Bool[Array, "w t"]


def people_of(rng: np.random.Generator, pavements: Pavements, *, count: int, duration: float) -> People:
    """Draws people, and for each a path for the whole duration, s; no two begin in one place."""
    size = np.stack([rng.uniform(*BREADTH, count), rng.uniform(*BREADTH, count), rng.uniform(*HEIGHT, count)], axis=-1)
    speed = rng.normal(1.35, 0.18, count).clip(0.9, 1.8)
    walks, start, taken = [], [], np.zeros((0, 2))
    for i in range(count):
        for _ in range(20):
            walk = _random_walk(rng, pavements, length=1.2 * speed[i] * duration + 50.0)
            first = float(rng.uniform(0.0, 20.0))
            xy = walk.xy[round(first / STEP)]
            inside = any(begin - 3.0 < first < end + 3.0 for begin, end, _ in walk.crossings)
            if not inside and np.hypot(*(taken - xy).T).min(initial=np.inf) > 2.5:
                break
        else:
            continue
        walks.append(walk)
        start.append(first)
        taken = np.concatenate([taken, xy[None]])
    kept = len(walks)
    return People(size=size[:kept], speed=speed[:kept], walks=tuple(walks), start=np.array(start, dtype=float))


def _random_walk(rng: np.random.Generator, pavements: Pavements, *, length: float) -> Walk:
    way = int(rng.choice([k for k, one in enumerate(pavements.ways) if one.crosses < 0]))
    backwards = bool(rng.integers(2))
    lines, crossings, total, aside = [], [], 0.0, rng.uniform(*KEEP_RIGHT)
    while total < length:
        one = pavements.ways[way]
        line = one.line[::-1] if backwards else one.line
        own = float(stations_of(line)[-1])
        if one.crosses >= 0:
            crossings.append((total + MIDDLE - KERB_STOP, total + own - MIDDLE + KERB_LEFT, one.crosses))
        lines.append(line)
        total += own
        place = one.places[0] if backwards else one.places[1]
        choice = [k for k in pavements.at_place[place] if k != way] or [way]
        weight = np.array([CROSS_WEIGHT if pavements.ways[k].crosses >= 0 else 1.0 for k in choice])
        way = int(rng.choice(choice, p=weight / weight.sum()))
        backwards = pavements.ways[way].places[1] == place
    return _walk_along(np.concatenate(lines), aside, crossings)


def _walk_along(line: Array, aside: float, crossings: list[tuple[float, float, int]]) -> Walk:
    """A line walked on its right side: rounded, shifted, and again with a point every `STEP`."""
    joined = resample(without_repeats(line), spacing=STEP)
    window = np.hanning(SMOOTH + 2)[1:-1]
    rounded = convolve1d(joined, window / window.sum(), axis=0, mode="nearest")
    shifted = without_repeats(beside(rounded, headings_of(rounded), -aside))
    xy = resample(shifted, spacing=STEP)
    before, after = stations_of(joined), np.linspace(0.0, (len(xy) - 1) * STEP, len(joined))
    if len(shifted) == len(joined):
        after = stations_of(shifted) * (len(xy) - 1) * STEP / stations_of(shifted)[-1]
    moved = [(float(np.interp(a, before, after)), float(np.interp(b, before, after)), c) for a, b, c in crossings]
    return Walk(xy=xy, yaw=np.unwrap(headings_of(xy)), crossings=tuple(moved))
