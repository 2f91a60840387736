"""Plan of a town: a shaken grid of crossings, and the streets between them.

The corners of the grid are bends of a street; its rim has T crossings, its inside four-way crossings, some of which
lose an arm. One row and one column are avenues with two lanes a direction; one crossing is a roundabout.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from simscale.geometry.angles import wrap

Array = np.ndarray

BLOCK = 130.0
"""Usual distance between two crossings, m."""
SHAKE = 0.1
"""A crossing lies at most this share of a block off the grid, in either axis."""
LEAN = 0.35
"""How much of the angle between the grid's axis and its street an arm follows."""
LOST_ARMS = 0.3
"""Chance that a street between two four-way crossings is left out; at most half of these lose an arm."""
WANDERING = 0.6
"""Chance that a street wanders sideways."""
FOUR_WAY_LIGHTS, T_LIGHTS = 0.75, 0.35
"""Chance that a crossing without an avenue has lights; with an avenue a four-way crossing always has."""
SIDE_LIMITS = (30 / 3.6, 40 / 3.6)
"""Speed limits of side streets, m/s."""
AVENUE_LIMIT = 50 / 3.6
"""Speed limit of avenues, m/s."""
PARKING = 0.6
"""Chance that cars may park along one side of a side street."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Crossings, and streets between their arms; arm `k` of a crossing leaves towards east, north, west, south."""

    xy: Float[Array, "j 2"]  # middle of each crossing, m
    arm_yaw: Float[Array, "j 4"]  # heading in which an arm leaves, rad
    arm_street: Int[Array, "j 4"]  # street at an arm, -1 where there is none
    lights: Int[Array, " j"]  # 1 where the crossing has traffic lights
    roundabout: Int[Array, " j"]  # 1 where it is a roundabout
    ends: Int[Array, "s 2 2"]  # for both ends of a street: crossing, arm
    lanes: Int[Array, " s"]  # lanes a direction
    speed_limit: Float[Array, " s"]  # m/s
    bulge: Float[Array, " s"]  # how far the street wanders, as a share of its length
    longest_leg: Float[Array, " s"]  # size of the street's bend, m
    parking: Int[Array, "s 2"]  # 1 where cars park beside the lanes of a direction


def layout_of(rng: np.random.Generator, *, size: float) -> Layout:
    """Draws the plan of a town of `size` x `size` metres."""
    n = max(round(size / BLOCK) + 1, 3)
    block = size / (n - 1)
    grid = np.stack(np.meshgrid(np.arange(n), np.arange(n), indexing="ij"), axis=-1).reshape(-1, 2)
    nodes = (grid - (n - 1) / 2 + rng.uniform(-SHAKE, SHAKE, grid.shape)) * block
    avenue_column, avenue_row = rng.integers(1, n - 1, 2)

    edges = _edges(rng, n)
    arms = np.full((n * n, 4), -1, dtype=np.int64)
    ends = np.array([((a, arm), (b, back)) for a, arm, b, back, _ in edges], dtype=np.int64)
    for street, (a, arm, b, back, _) in enumerate(edges):
        arms[a, arm], arms[b, back] = street, street
    is_avenue = np.array([along == ("row", avenue_row) or along == ("column", avenue_column) for *_, along in edges])

    crossing = np.flatnonzero((arms >= 0).sum(1) > 0)
    number = np.full(n * n, -1)
    number[crossing] = np.arange(len(crossing))
    ends[..., 0] = number[ends[..., 0]]
    towards = _arm_targets(edges, nodes, n)
    streets = len(edges)
    layout = Layout(
        xy=nodes[crossing],
        arm_yaw=_arm_yaw(nodes, towards)[crossing],
        arm_street=arms[crossing],
        lights=_lights(rng, arms[crossing], is_avenue),
        roundabout=np.zeros(len(crossing), dtype=np.int64),
        ends=ends,
        lanes=np.where(is_avenue, 2, 1),
        speed_limit=np.where(is_avenue, AVENUE_LIMIT, rng.choice(SIDE_LIMITS, streets)),
        bulge=(rng.random(streets) < WANDERING) * rng.choice([-1.0, 1.0], streets) * rng.uniform(0.03, 0.07, streets),
        longest_leg=rng.uniform(22.0, 45.0, streets),
        parking=_parking(rng, is_avenue),
    )
    return _with_roundabout(rng, layout, is_avenue)


def _edges(rng: np.random.Generator, n: int) -> list[tuple]:
    """Streets as (node, arm, node, arm, ("row" or "column", which)); a street around a corner is a row's."""

    def node(i: int, j: int) -> int:
        return i * n + j

    corner = {(0, 0), (0, n - 1), (n - 1, 0), (n - 1, n - 1)}
    edges = []
    may_lose = (n - 2) ** 2 // 4
    degree = {(i, j): 4 - (i in (0, n - 1)) - (j in (0, n - 1)) for i in range(n) for j in range(n)}
    for i in range(n):
        for j in range(n):
            for di, dj, arm in ((1, 0, 0), (0, 1, 1)):
                k, m = i + di, j + dj
                if k >= n or m >= n or {(i, j), (k, m)} & corner:
                    continue
                both_four = degree[i, j] == 4 and degree[k, m] == 4
                if both_four and may_lose and rng.random() < LOST_ARMS:
                    may_lose -= 1
                    degree[i, j], degree[k, m] = 3, 3
                    continue
                along = ("row", j) if arm == 0 else ("column", i)
                edges.append((node(i, j), arm, node(k, m), arm + 2, along))
    for i, j in sorted(corner):
        beside, above = (1 if i == 0 else n - 2), (1 if j == 0 else n - 2)
        edges.append((node(beside, j), 2 if i == 0 else 0, node(i, above), 3 if j == 0 else 1, ("corner", 0)))
    return edges


def _arm_targets(edges: list[tuple], nodes: Array, n: int) -> Array:
    """What each arm of each node looks at; NaN where there is no arm."""
    step = np.array([n, 1, -n, -1])
    target = np.full((n * n, 4, 2), np.nan)
    for a, arm, b, back, _ in edges:
        target[a, arm] = nodes[a + step[arm]]
        target[b, back] = nodes[b + step[back]]
    return target


def _arm_yaw(nodes: Array, target: Array) -> Array:
    axis = np.arange(4) * np.pi / 2
    chord = target - nodes[:, None]
    lean = wrap(np.arctan2(chord[..., 1], chord[..., 0]) - axis)
    return wrap(axis + LEAN * np.nan_to_num(lean))


def _lights(rng: np.random.Generator, arms: Array, is_avenue: Array) -> Array:
    chance = np.where((arms >= 0).sum(1) == 4, FOUR_WAY_LIGHTS, T_LIGHTS)
    on_avenue = ((arms >= 0) & is_avenue[arms]).any(1)
    chance = np.where(on_avenue & ((arms >= 0).sum(1) == 4), 1.0, chance)
    return (rng.random(len(arms)) < chance).astype(np.int64)


def _with_roundabout(rng: np.random.Generator, layout: Layout, is_avenue: Array) -> Layout:
    """Makes one crossing without an avenue a roundabout, a four-way crossing where there is one."""
    arms = (layout.arm_street >= 0).sum(1)
    fit = ~((layout.arm_street >= 0) & is_avenue[layout.arm_street]).any(1)
    best = np.flatnonzero(fit & (arms == arms[fit].max(initial=0)))
    if not len(best):
        return layout
    chosen = np.arange(len(arms)) == rng.choice(best)
    return replace(layout, lights=np.where(chosen, 0, layout.lights), roundabout=chosen.astype(np.int64))


def _parking(rng: np.random.Generator, is_avenue: Array) -> Array:
    allowed = (rng.random((len(is_avenue), 2)) < PARKING) & ~is_avenue[:, None]
    return allowed.astype(np.int64)
