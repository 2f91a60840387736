"""Strips, corridors and gaps of reactive vehicles against Shapely's, on paths that bend more than any lane."""

import numpy as np
import pytest
import shapely

from simscale.traffic.footprints import LanePath, box_polygon, corridor_of, footprint_of, lane_path_of, strip_of
from simscale.traffic.idm_parity_build import Drivers
from simscale.traffic.idm_parity_fast import lanes_of, room_for
from simscale.traffic.idm_parity_gap import BOX, STRIP, Lanes, Seen, bound, corridor_meets, gap_between
from simscale.traffic.idm_parity_ring import box_ring, path_piece, strip_ring

Array = np.ndarray
WIDTH, LENGTH = 2.0, 4.6


def winding_path(rng: np.random.Generator, *, bend: float, spacing: float = 1.0) -> LanePath:
    """Forty steps of uneven length, the middle near the origin; the heading changes by up to `bend` (rad) at each."""
    yaw = rng.uniform(-np.pi, np.pi) + np.cumsum(rng.uniform(-bend, bend, 40))
    step = spacing * rng.uniform(0.3, 1.7, 40)[:, None] * np.stack([np.cos(yaw), np.sin(yaw)], -1)
    xy = np.cumsum(step, axis=0)
    path = lane_path_of(xy - xy[20] + rng.uniform(-8, 8, 2))
    assert path is not None
    return path


def lanes_along(paths: list[LanePath]) -> Lanes:
    count = len(paths)
    return lanes_of(
        Drivers(
            row=np.arange(count),
            path=tuple(paths),
            length=np.full(count, LENGTH),
            width=np.full(count, WIDTH),
            station=np.zeros(count),
            speed=np.zeros(count),
            target_speed=np.full(count, 10.0),
            snapped=np.zeros((count, 3)),
        )
    )


def show(lanes: Lanes, seen: Seen, i: int, path: LanePath, station: float, ahead: float) -> None:
    """Draws row `i` as the kernel does: the strip from the rear bumper on, and the box."""
    ends = np.clip([station - LENGTH / 2, station + LENGTH / 2 + ahead], path.station[0], path.station[-1])
    piece = np.zeros((100, 2))
    count = path_piece(lanes.path, lanes.start[i, 0], lanes.start[i + 1, 0], ends[0], ends[1], piece)
    seen.edges[i, STRIP] = strip_ring(piece, count, WIDTH / 2, seen.ring[i, STRIP])
    x, y = path.xy_at(station)
    seen.edges[i, BOX] = box_ring(x, y, float(path.yaw_at(station)), LENGTH, WIDTH, seen.ring[i, BOX])
    bound(seen, i)


def shown(path: LanePath, station: float, ahead: float) -> shapely.Geometry:
    box = box_polygon(path.xy_at(station), float(path.yaw_at(station)), length=LENGTH, width=WIDTH)
    return footprint_of(path, station, length=LENGTH, width=WIDTH, ahead=ahead, box=box)


@pytest.mark.parametrize("bend", [0.0, 1e-9, 1e-4, 0.01, 0.1, 0.3])
def test_a_strip_has_the_vertices_of_shapely_s_buffer(bend):
    rng = np.random.default_rng(7)
    for _ in range(30):
        path = winding_path(rng, bend=bend)
        lanes = lanes_along([path])
        first = rng.uniform(-1.0, path.end - 5.0)
        last = first + rng.uniform(4.0, 30.0)
        ends = np.clip([first, last], path.station[0], path.station[-1])
        piece, ring = np.zeros((100, 2)), np.zeros((2000, 2))
        count = path_piece(lanes.path, 0, len(lanes.path), ends[0], ends[1], piece)
        edges = strip_ring(piece, count, WIDTH / 2, ring)
        mine, expected = shapely.Polygon(ring[:edges]), strip_of(path, first, last, width=WIDTH)
        if mine.is_valid:  # else the ring crosses itself in a bend, and Shapely has cut the crossing off
            np.testing.assert_array_less(shapely.hausdorff_distance(mine, expected), 1e-9)
            np.testing.assert_array_less(mine.symmetric_difference(expected).area, 1e-9)


def test_vertices_of_straight_edges_are_left_where_they_are():
    path = lane_path_of(np.stack([np.arange(20.0), np.zeros(20)], -1))
    assert path is not None
    lanes = lanes_along([path])
    piece, ring = np.zeros((40, 2)), np.zeros((200, 2))
    count = path_piece(lanes.path, 0, len(lanes.path), 2.5, 6.0, piece)
    np.testing.assert_array_equal(piece[:count, 0], [2.5, 3.0, 4.0, 5.0, 6.0])
    assert strip_ring(piece, count, 1.0, ring) == 4
    assert strip_ring(piece, 1, 1.0, ring) == 0


@pytest.mark.parametrize("bend", [0.0, 0.05, 0.3, 0.8])
def test_gaps_are_shapely_s_distances_between_footprints(bend):
    rng = np.random.default_rng(11)
    touching = 0
    for _ in range(60):
        paths = [winding_path(rng, bend=bend) for _ in range(2)]
        lanes = lanes_along(paths)
        seen = room_for(lanes)
        stations, ahead = [rng.uniform(0, path.end) for path in paths], rng.uniform(0, 15, 2)
        for i in range(2):
            show(lanes, seen, i, paths[i], stations[i], ahead[i])
        expected = shapely.distance(*(shown(paths[i], stations[i], ahead[i]) for i in range(2)))
        assert np.sqrt(gap_between(seen, 0, 1, np.inf)) == pytest.approx(expected, abs=2e-5)
        assert (gap_between(seen, 0, 1, np.inf) == 0) == (expected == 0)
        assert gap_between(seen, 0, 1, 1e-6) <= 1e-6  # never more than what is asked for
        touching += expected == 0
    assert 3 < touching < 57


@pytest.mark.parametrize("bend", [0.0, 0.05, 0.2, 0.5])
def test_a_way_is_free_where_shapely_says_so(bend):
    rng = np.random.default_rng(13)
    met = []
    for _ in range(200):
        paths = [winding_path(rng, bend=bend) for _ in range(2)]
        lanes = lanes_along(paths)
        seen = room_for(lanes)
        station, other, ahead = rng.uniform(0, paths[0].end + 3.0), rng.uniform(0, paths[1].end), rng.uniform(0, 10)
        show(lanes, seen, 1, paths[1], other, ahead)
        corridor = corridor_of(paths[0], station, width=WIDTH)
        met.append(bool(shapely.intersects(corridor, shown(paths[1], other, ahead))))
        assert corridor_meets(lanes, 0, station, seen, 1) == met[-1]
    assert 0.05 < np.mean(met) < 0.95


def test_what_lies_inside_the_other_touches_it():
    path = lane_path_of(np.stack([np.arange(40.0), np.zeros(40)], -1))
    assert path is not None
    lanes = lanes_along([path, path])
    seen = room_for(lanes)
    show(lanes, seen, 0, path, 10.0, 20.0)
    seen.edges[1, BOX] = box_ring(20.0, 0.1, 0.3, 0.5, 0.4, seen.ring[1, BOX])
    bound(seen, 1)
    assert gap_between(seen, 0, 1, np.inf) == 0
    assert gap_between(seen, 1, 0, np.inf) == 0
    assert corridor_meets(lanes, 0, 2.0, seen, 1)
    assert not corridor_meets(lanes, 0, 22.0, seen, 1)
