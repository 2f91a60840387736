"""CommonRoad files become scenes: a small file of our own with known truth, the real ones, and damaged ones."""

from pathlib import Path

import numpy as np
import pytest

from simscale.geometry.polygons import contains
from simscale.ingest.commonroad import logs_in, scene_of
from simscale.scene import BadInput, RoadKind, TrackKind
from simscale.scene.file import write_scene


def points(*xy):
    return "".join(f"<point><x>{x}</x><y>{y}</y></point>" for x, y in xy)


def lanelet(name, left, right, extra=""):
    bounds = f"<leftBound>{points(*left)}</leftBound><rightBound>{points(*right)}</rightBound>"
    return f'<lanelet id="{name}">{bounds}{extra}</lanelet>'


def state(tag, time, x, y, yaw):
    place = f"<position>{points((x, y))}</position><orientation><exact>{yaw}</exact></orientation>"
    return f"<{tag}>{place}<time><exact>{time}</exact></time><velocity><exact>1</exact></velocity></{tag}>"


def obstacle(name, kind, states, *, tag="dynamicObstacle", shape=None):
    box = shape or "<rectangle><length>4.0</length><width>2.0</width></rectangle>"
    first, *rest = states
    trajectory = f"<trajectory>{''.join(state('state', *s) for s in rest)}</trajectory>" if rest else ""
    kind_and_shape = f"<type>{kind}</type><shape>{box}</shape>"
    return f'<{tag} id="{name}">{kind_and_shape}{state("initialState", *first)}{trajectory}</{tag}>'


def drive(first, count, x, y, step, yaw=0.0):
    return [(first + i, x + step * i, y, yaw) for i in range(count)]


NEXT = '<successor ref="3"/>'
RIGHT = '<adjacentLeft ref="2" drivingDir="same"/>'
LEFT = '<adjacentRight ref="1" drivingDir="same"/><adjacentLeft ref="4" drivingDir="opposite"/>'
LANES = [
    lanelet(1, [(0, 2), (50, 2)], [(0, -2), (50, -2)], NEXT + RIGHT),
    lanelet(2, [(0, 6), (50, 6)], [(0, 2), (50, 2)], LEFT),
    lanelet(3, [(50, 2), (70, 2)], [(50, -2), (70, -2)], '<predecessor ref="1"/><successor ref="99"/>'),
    lanelet(4, [(50, 6), (0, 6)], [(50, 10), (0, 10)], '<adjacentLeft ref="2" drivingDir="opposite"/>'),
    lanelet(5, [(58, -10), (58, 10)], [(62, -10), (62, 10)], "<speedLimit>13.9</speedLimit>"),
]
OBSTACLES = [
    obstacle(10, "car", drive(3, 20, 20.0, 0.0, 0.5)),
    obstacle(11, "truck", drive(0, 30, 2.0, 0.0, 1.0)),
    obstacle(12, "car", drive(0, 30, 2.0, 4.0, 0.5)),
    obstacle(13, "parkedVehicle", [(0, 10.0, 12.0, 1.0)], tag="staticObstacle"),
    obstacle(14, "pedestrian", drive(0, 30, 40.0, 9.0, 0.1), shape="<circle><radius>0.4</radius></circle>"),
]


def xml(*, lanes=None, obstacles=None, head="", attributes='commonRoadVersion="2018b" timeStepSize="0.1"', extra=""):
    body = "".join([*(LANES if lanes is None else lanes), *(OBSTACLES if obstacles is None else obstacles)])
    return f'<?xml version="1.0"?>{head}<commonRoad benchmarkID="TST_Small-1" {attributes}>{body}{extra}</commonRoad>'


def written(folder: Path, text: str) -> Path:
    path = folder / "small.xml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return scene_of(written(tmp_path_factory.mktemp("small"), xml()))


def test_the_ego_is_the_vehicle_that_is_there_longest_and_drives_farthest(scene):
    assert "11" not in scene.tracks.id and len(scene) == 30
    assert (scene.vehicle.length, scene.vehicle.width) == (4.0, 2.0)
    centre = scene.ego.centre_xy(scene.vehicle) + scene.origin[:2]
    np.testing.assert_allclose(centre, [(2.0 + i, 0.0) for i in range(30)], atol=1e-9)
    np.testing.assert_allclose(scene.ego.velocity, np.tile([10.0, 0.0], (30, 1)), atol=1e-9)
    np.testing.assert_allclose(scene.ego.centre_xy(scene.vehicle)[0] - scene.ego.xy[0], [1.2, 0.0], atol=1e-9)


def test_others_are_tracks_while_they_are_there(scene):
    tracks = scene.tracks
    assert tracks.id == ("10", "12", "13", "14")
    assert tracks.kind.tolist() == [TrackKind.VEHICLE] * 3 + [TrackKind.PEDESTRIAN]
    assert np.flatnonzero(tracks.valid[0]).tolist() == list(range(3, 23))
    np.testing.assert_allclose(tracks.velocity[0, 3:23], np.tile([5.0, 0.0], (20, 1)), atol=1e-9)
    assert tracks.valid[2].all() and (tracks.velocity[2] == 0).all()
    np.testing.assert_allclose(tracks.size[3, :2], 0.8)


def test_lanelets_are_directed_lanes_in_blocks(scene):
    road = scene.road
    assert road.id[:5] == ("1", "2", "3", "4", "5")
    assert road.next_lane.tolist() == [[0, 2]]  # a successor outside the file is dropped
    assert road.group[0] == road.group[1] != road.group[3]
    back = road.centre_line(3)
    np.testing.assert_allclose(back[[0, -1]] + scene.origin[:2], [(50, 8), (0, 8)], atol=1e-9)
    assert road.has_speed_limit.tolist()[:5] == [False, False, False, False, True]
    assert road.speed_limit[4] == 13.9
    assert scene.route.tolist() == [0, 2]


def test_lanelets_that_cross_are_connectors_in_an_intersection(scene):
    road = scene.road
    assert road.kind[:5].tolist() == [0, 0, 1, 0, 1]
    crossing = road.of_kind(RoadKind.INTERSECTION)
    at = np.array([[60.0, 0.0], [20.0, 0.0]]) - scene.origin[:2]
    assert contains(road.xy, road.start, at)[:, crossing].any(axis=1).tolist() == [True, False]


def test_intersections_of_the_file_decide_where_it_has_them(tmp_path):
    way = '<intersection id="50"><incoming id="51"><successorsStraight ref="3"/></incoming></intersection>'
    signs = (
        '<trafficSign id="60"><trafficSignElement><trafficSignID>274</trafficSignID>'
        "<additionalValue>8.3</additionalValue></trafficSignElement></trafficSign>"
    )
    lanes = [LANES[0].replace("<successor", '<trafficSignRef ref="60"/><successor'), *LANES[1:]]
    new = 'commonRoadVersion="2020a" timeStepSize="0.1"'
    road = scene_of(written(tmp_path, xml(lanes=lanes, attributes=new, extra=way + signs))).road
    assert road.kind[:5].tolist() == [0, 0, 1, 0, 0]
    assert road.speed_limit[0] == 8.3


def test_a_log_without_a_map_is_a_scene_without_one(tmp_path):
    scene = scene_of(written(tmp_path, xml(lanes=[])))
    assert len(scene.road) == 0 and len(scene.route) == 0 and "a map" in scene.missing


def test_ingesting_twice_gives_the_same_bytes(tmp_path):
    log = written(tmp_path, xml())
    first, again = (write_scene(scene_of(log), tmp_path).read_bytes() for _ in range(2))
    assert first == again


def entity_bomb() -> str:
    entities = '<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    return xml(head=f"<!DOCTYPE bomb [{entities}]>").replace("<type>car</type>", "<type>&i;</type>")


FILE_ENTITY = xml(head='<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/hostname">]>').replace("car", "&f;")


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "empty"),
        (xml()[:3000], "damaged"),
        (xml()[:-5], "damaged"),
        (entity_bomb(), "document type"),
        (FILE_ENTITY, "document type"),
        ("<a>" * 40 + "</a>" * 40, "nested too deep"),
        ("<osm/>", "expected <commonRoad>"),
        (xml(attributes='commonRoadVersion="2035z" timeStepSize="0.1"'), "2035z"),
        (xml(attributes='commonRoadVersion="2018b" timeStepSize="0.5"'), "timeStepSize is 0.5"),
        (xml(attributes='commonRoadVersion="2018b"'), "timeStepSize is missing"),
        (xml(lanes=[LANES[0], LANES[0]]), "two with one id"),
        (xml(lanes=[lanelet(1, [(0, 2)], [(0, -2), (50, -2)])]), "at least 2"),
        (xml(lanes=['<lanelet id="1"/>']), "leftBound is missing"),
        (xml().replace("<x>50</x>", "<x>nan</x>", 1), "a finite number"),
        (xml().replace("<x>2.0</x>", "<x>inf</x>"), "a finite number"),
        (xml().replace("<x>50</x>", "<x>1e300</x>", 1), "up to 100000"),
        (xml().replace("<length>4.0</length>", "<length>0</length>"), "length and width > 0"),
        (xml().replace("<time><exact>4</exact></time>", "<time><exact>3</exact></time>"), "ascending whole steps"),
        (xml().replace("<speedLimit>13.9", "<speedLimit>-1"), "more than 0"),
        (xml(obstacles=OBSTACLES[3:]), "a recorded car"),
        (xml(obstacles=[OBSTACLES[0], OBSTACLES[0]]), "two with one id"),
        (xml().replace("<rectangle>", "<hexagon>").replace("</rectangle>", "</hexagon>"), "a rectangle or a circle"),
    ],
)
def test_bad_files_are_refused_in_one_sentence(tmp_path, text, words):
    with pytest.raises(BadInput) as caught:
        scene_of(written(tmp_path, text))
    sentence = str(caught.value)
    assert words in sentence and "small.xml" in sentence and "\n" not in sentence


def test_logs_are_found_at_any_depth(tmp_path):
    (tmp_path / "deep").mkdir()
    log = written(tmp_path / "deep", xml())
    assert logs_in(tmp_path) == logs_in(log) == [log]
    with pytest.raises(BadInput, match="missing"):
        logs_in(tmp_path / "nowhere")


@pytest.mark.shared
@pytest.mark.parametrize("name, steps, lanes", [("US101-4_1", 101, 12), ("US101-3_3", 32, 12), ("Lanker-1_1", 41, 91)])
def test_real_logs_are_sensible_driving(shared, name, steps, lanes):
    scene = scene_of(shared / f"data/commonroad_ngsim/USA_{name}_T-1.xml")
    road = scene.road
    assert (len(scene), len(road.of_kind(RoadKind.LANE, RoadKind.CONNECTOR))) == (steps, lanes)
    centre = scene.ego.centre_xy(scene.vehicle)
    own_way = np.flatnonzero(np.isin(road.group, road.group[scene.route]))
    assert contains(road.xy, road.start, centre)[:, own_way].any(axis=1).all()
    assert scene.ego.velocity[:, 0].min() > -0.1
    there = scene.tracks.xy[scene.tracks.valid]
    assert contains(road.xy, road.start, there).any(axis=1).mean() > 0.95
