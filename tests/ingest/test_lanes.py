import numpy as np
import pytest
import shapely

from simscale.ingest.lanes import (
    MapElement,
    drivable_elements,
    intersection_elements,
    lane_between,
    linked_by_ends,
    merged,
    road_map_of,
)
from simscale.scene import RoadKind


def straight(name, *, x=(0.0, 50.0), y=0.0, width=4.0, kind=RoadKind.LANE, **more):
    left, right = y + np.sign(x[1] - x[0]) * width / 2, y - np.sign(x[1] - x[0]) * width / 2
    ring, centre = lane_between(np.array([[x[0], left], [x[1], left]]), np.array([[x[0], right], [x[1], right]]))
    return MapElement(id=name, kind=kind, ring=ring, centre_line=centre, **more)


def square(x, y, side):
    return np.array([[x, y], [x + side, y], [x + side, y + side], [x, y + side]], dtype=float)


def test_centre_line_of_a_bend_is_the_middle_arc():
    angle = np.linspace(0, np.pi / 2, 91)
    arc = np.stack([np.sin(angle), 1 - np.cos(angle)], axis=-1)
    middle = np.array([0.0, 12.0])
    left, right = middle + 10 * (arc - [0, 1]), middle + 14 * (arc - [0, 1])

    ring, centre = lane_between(left, right)

    np.testing.assert_allclose(np.hypot(*(centre - middle).T), 12.0, atol=1e-2)
    assert shapely.Polygon(ring).area == pytest.approx(np.pi / 4 * (14**2 - 10**2), rel=1e-3)


def test_neighbours_of_one_direction_share_a_block_and_the_oncoming_lane_does_not():
    road = road_map_of(
        [
            straight("slow", y=0.0, beside=("fast",)),
            straight("fast", y=4.0, beside=("slow", "oncoming")),
            straight("oncoming", x=(50.0, 0.0), y=8.0, beside=("fast", "not in the map")),
        ]
    )
    assert road.group[0] == road.group[1] != road.group[2]
    assert (road.group >= 0).all()


def test_bicycle_lane_belongs_to_the_block_but_cars_are_not_led_onto_it():
    road = road_map_of(
        [
            straight("car", next=("next car", "next bike")),
            straight("bike", y=3.0, width=2.0, kind=RoadKind.BICYCLE_LANE, beside=("car",), next=("next bike",)),
            straight("next car", x=(50.0, 90.0)),
            straight("next bike", x=(50.0, 90.0), y=3.0, width=2.0, kind=RoadKind.BICYCLE_LANE),
        ]
    )
    assert road.group[0] == road.group[1]
    np.testing.assert_array_equal(road.next_lane, [[0, 2], [1, 3]])


def test_branches_of_a_fork_and_lanes_that_merge_share_a_block():
    road = road_map_of(
        [
            straight("before", next=("on", "off")),
            straight("on", x=(50.0, 90.0), next=("after",)),
            straight("off", x=(50.0, 90.0), y=3.0),
            straight("joins", x=(50.0, 90.0), y=-3.0, next=("after",)),
            straight("after", x=(90.0, 99.0)),
        ]
    )
    assert road.group[1] == road.group[2] == road.group[3]
    assert len(set(road.group.tolist())) == 3


def test_links_to_lanes_outside_the_map_are_dropped():
    road = road_map_of([straight("a", next=("b", "far away")), straight("b", x=(50.0, 60.0))])
    np.testing.assert_array_equal(road.next_lane, [[0, 1]])


def test_connectors_are_grouped_by_the_blocks_that_they_join():
    connector = {"kind": RoadKind.CONNECTOR, "x": (50.0, 60.0)}
    road = road_map_of(
        [
            straight("in left", y=4.0, beside=("in right",), next=("through left", "turn")),
            straight("in right", next=("through right",)),
            straight("through left", y=4.0, next=("out left",), **connector),
            straight("through right", next=("half way",), **connector),
            straight("half way", x=(60.0, 62.0), kind=RoadKind.CONNECTOR, next=("out right",)),
            straight("turn", y=6.0, next=("side road",), **connector),
            straight("loose", y=-9.0, **connector),
            straight("out left", x=(62.0, 90.0), y=4.0, beside=("out right",)),
            straight("out right", x=(62.0, 90.0)),
            straight("side road", x=(62.0, 90.0), y=20.0),
        ]
    )
    group = dict(zip(road.id, road.group.tolist(), strict=True))
    assert group["through left"] == group["through right"] == group["half way"]
    assert len({group[name] for name in ("through left", "turn", "loose", "in left", "out left", "side road")}) == 6


def test_speed_limits_are_kept_and_their_absence_too():
    road = road_map_of([straight("a", speed_limit=13.9), straight("b", y=4.0)])
    assert road.has_speed_limit.tolist() == [True, False]
    assert road.speed_limit[0] == 13.9


def test_lanes_that_meet_are_linked_and_a_u_turn_is_not():
    linked = linked_by_ends(
        [
            straight("a"),
            straight("b", x=(50.3, 80.0)),
            straight("back", x=(50.0, 0.0), y=0.2),
            straight("beyond", x=(51.0, 80.0)),
            MapElement(id="no line", kind=RoadKind.LANE),
        ]
    )
    assert [element.next for element in linked] == [("b",), (), (), (), ()]


def test_hairline_gaps_are_closed_and_holes_are_kept():
    area = merged([square(0, 0, 10), square(10.01, 0, 10), square(40, 0, 10)])
    assert len(shapely.get_parts(area)) == 2
    ring = shapely.Polygon(square(0, 0, 10), [square(4, 4, 2)])
    elements = drivable_elements(ring)
    assert sum(shapely.Polygon(e.ring).area for e in elements) == pytest.approx(96.0)
    assert len({e.id for e in elements}) == len(elements) > 1


def test_an_intersection_fills_gaps_between_connectors_and_stays_on_the_road():
    frame = [
        straight("south", x=(0, 30), y=1.0, width=2.0, kind=RoadKind.CONNECTOR),
        straight("north", x=(30, 0), y=29.0, width=2.0, kind=RoadKind.CONNECTOR),
        MapElement(id="west", kind=RoadKind.CONNECTOR, ring=np.array([[0, 0], [2, 0], [2, 30], [0, 30.0]])),
        MapElement(id="east", kind=RoadKind.CONNECTOR, ring=np.array([[28, 0], [33, 0], [33, 30], [28, 30.0]])),
    ]
    alone = intersection_elements(frame)
    on_road = intersection_elements(frame, drivable=shapely.box(0, 0, 30, 30))

    assert sum(shapely.Polygon(e.ring).area for e in alone) == pytest.approx(33 * 30 - 26 * 26)
    assert [shapely.Polygon(e.ring).area for e in on_road] == [pytest.approx(900.0)]
