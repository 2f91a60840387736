"""The grid against its slow obvious twin, which looks at every thing."""

from typing import no_type_check

import numpy as np
import pytest
from numba import njit

from sceneries import sample_scenery
from simscale.scene import TrackKind, Tracks
from simscale.town.raycast import RayCaster
from simscale.town.raycast_shapes import MISS
from simscale.town.raycast_trace import hit_ground, hit_thing


@njit
@no_type_check
def everything(border, place, item, tag, origin, direction, distance, found):
    for k in range(len(direction)):
        dx, dy, dz = direction[k]
        best, _ = hit_ground(border, place[0], place[1], origin[0], origin[1], origin[2], dx, dy, dz)
        thing = -1
        for i in range(len(item)):
            t, _ = hit_thing(item, tag, i, origin[0], origin[1], origin[2], dx, dy, dz, best)
            if t < best:
                best, thing = t, i
        distance[k], found[k] = best, thing


def agents() -> Tracks:
    rows = [(0, -20, -2.0, 0.1, 4.6, 1.84, 1.45), (0, 0, 2.3, 3.1, 12.0, 2.55, 3.1), (0, 31, 11, 1.5, 8.0, 2.5, 3.4)]
    rows += [(1, -25, 6.8, 0.5, 0.6, 0.6, 1.75), (2, -30, -3.8, 0.0, 1.8, 0.6, 1.7), (3, -15, 0, 0, 0.4, 0.4, 0.7)]
    rows += [(4, 5, -4, 1.0, 0.4, 2.0, 1.0), (0, -35, 2.0, 3.0, 5.3, 2.02, 2.3)]
    table = np.array(rows, dtype=float)
    n = len(table)
    return Tracks(
        xy=table[:, None, 1:3].copy(),
        z=table[:, 6:] / 2,
        yaw=table[:, 3:4].copy(),
        velocity=np.ones((n, 1, 2)),
        size=table[:, 4:].copy(),
        kind=table[:, 0].astype(np.int64),
        valid=np.ones((n, 1), dtype=bool),
        id=tuple(f"agent{i}" for i in range(n)),
    )


@pytest.mark.parametrize("origin", [(-45.0, -2.0, 1.8), (30.0, 0.0, 1.2), (-20.0, 3.0, 9.0), (300.0, 40.0, 25.0)])
def test_the_grid_finds_what_looking_at_everything_finds(origin):
    caster, tracks = RayCaster(sample_scenery()), agents()
    rng = np.random.default_rng(1)
    direction = rng.normal(size=(4000, 3)) * [1.0, 1.0, 0.15]
    direction = np.concatenate([direction, np.eye(3)[:2], -np.eye(3)[:2]])
    if origin[0] > 200:
        direction[:, 0] = -np.abs(direction[:, 0]) - 1.0
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    world, now = caster._instant(tracks, np.zeros(0, dtype=np.int64))
    distance, found = np.empty(len(direction)), np.empty(len(direction), dtype=np.int64)
    everything(world[0], world[1], now[4], now[5], np.array(origin), direction, distance, found)
    fast, instance, _ = caster.ranges(np.array(origin), direction, tracks, limit=1e4)
    distance[(distance >= MISS) | (distance >= 1e4)] = np.inf
    np.testing.assert_array_equal(fast, distance)
    still = len(now[5]) - len(tracks.id)
    np.testing.assert_array_equal(instance, np.where(found >= still, found - still, -1))
    assert (found >= 0).mean() > 0.02 and (found < 0).mean() > 0.02


def test_every_kind_of_agent_can_be_hit_within_its_box():
    caster, tracks = RayCaster(sample_scenery()), agents()
    for k in range(len(tracks.id)):
        centre = np.array([*tracks.xy[k, 0], tracks.size[k, 2] * 0.45])
        reach = np.hypot(*tracks.size[k, :2]) / 2
        around = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        hits = 0
        for a in around:
            away = np.array([np.cos(a), np.sin(a), 0.0])
            distance, instance, _ = caster.ranges(centre + 4 * reach * away, -away[None], tracks, limit=8 * reach)
            hits += int(instance[0] == k and 3 * reach - 1e-6 <= distance[0] <= 4 * reach)
        assert hits >= (12 if tracks.kind[k] in (TrackKind.BICYCLE, TrackKind.PEDESTRIAN) else 20), (k, hits)
