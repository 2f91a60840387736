"""ScenarioNet files become scenes: a small one of our own with known truth, the real ones, and damaged ones."""

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simscale.geometry.boxes import corners_of
from simscale.geometry.polygons import contains
from simscale.ingest.scenarionet import logs_in, scene_of
from simscale.scene import RENAULT_ZOE, BadInput, RoadKind, TrackKind
from simscale.scene.file import read_scene, write_scene

STEPS = 41
PLACE = np.array([1000.0, 2000.0])  # of the small world in its map


def track(xy, *, kind="VEHICLE", size=(4.5, 1.9, 1.6), yaw=0.0, valid=None):
    """A track in the file's layout; size as length, width, height."""
    there = np.ones(STEPS) if valid is None else valid.astype(float)
    names = ("length", "width", "height")
    sides = {name: side * there[:, None] for name, side in zip(names, size, strict=True)}
    state = {
        "position": np.column_stack([np.asarray(xy) + PLACE, np.ones(STEPS)]) * there[:, None],
        "heading": np.full(STEPS, yaw),
        "velocity": np.zeros((STEPS, 2)),
        "valid": there,
        **sides,
    }
    return {"type": kind, "state": state, "metadata": {"type": kind}}


def line(begin, end, count=30):
    return [[*point, 0.0] for point in np.linspace(begin, end, count) + PLACE]


def lane(y, x0, x1, *, polygon=True):
    feature = {"type": "LANE_SURFACE_STREET", "polyline": line((x0, y), (x1, y))}
    ring = np.array([(x0, y - 1.75), (x1, y - 1.75), (x1, y + 1.75), (x0, y + 1.75)])
    if x1 < x0:
        ring = ring[::-1]
    return feature | ({"polygon": (ring + PLACE).tolist()} if polygon else {})


def small():
    """Two lanes and an oncoming one, a connector that a side road crosses; the ego drives 8 m/s along y = 0."""
    time = np.arange(STEPS) * 0.1
    drive = np.stack([8.0 * time, np.zeros(STEPS)], axis=-1)
    random = np.random.Generator(np.random.Philox(1))
    parked = np.array([20.0, -6.0]) + random.uniform(-0.1, 0.1, (STEPS, 2))
    walk = np.stack([np.full(STEPS, 30.0), 8.0 - 1.5 * time], axis=-1)
    return {
        "id": "scene-0001",
        "version": "nuscenes",
        "length": STEPS,
        "metadata": {"dataset": "nuscenes", "map": "small", "sdc_id": "ego", "ts": time},
        "dynamic_map_states": {},
        "tracks": {
            "ego": track(drive, size=(1.73, 4.08, 1.56)),  # swapped, as in the files
            "lead": track(drive + np.array([15.0, 0.0])),
            "parked": track(parked),
            "cone": track(parked + np.array([3.0, 0.0]), kind="TRAFFIC_CONE", size=(0.4, 0.4, 1.0)),
            "walker": track(walk, kind="PEDESTRIAN", size=(0.6, 0.6, 1.8), yaw=-1.57, valid=time >= 1.0),
            "ghost": track(drive, valid=np.zeros(STEPS, dtype=bool)),
        },
        "map_features": {
            "near": lane(0.0, -30.0, 40.0),
            "far": lane(3.5, -30.0, 40.0),
            "back": lane(7.0, 40.0, -30.0),
            "on": lane(0.0, 40.0, 60.0, polygon=False) | {"speed_limit_kmh": 100},
            "after": lane(0.0, 60.0, 130.0),
            "across": {"type": "LANE_SURFACE_STREET", "polyline": line((50.0, -10.0), (50.0, 10.0))},
            "edge": {"type": "ROAD_LINE_SOLID_SINGLE_WHITE", "polyline": np.array(line((0, -2), (40, -2)))[:, :2]},
        },
    }


def written(folder: Path, data) -> Path:
    path = folder / "scenes" / "small.pkl"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(data))
    return path


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return scene_of(written(tmp_path_factory.mktemp("small"), small()))


def element(scene, name):
    return scene.road.id.index(name)


def test_the_ego_is_the_zoe_at_its_rear_axle(scene):
    assert scene.vehicle == RENAULT_ZOE
    assert len(scene) == STEPS
    np.testing.assert_allclose(scene.ego.xy + scene.origin[:2] - PLACE, small_drive(), atol=0.01)
    np.testing.assert_allclose(scene.ego.velocity, np.tile([8.0, 0.0], (STEPS, 1)), atol=0.05)


def small_drive():
    return np.stack([0.8 * np.arange(STEPS), np.zeros(STEPS)], axis=-1)


def test_tracks_keep_their_boxes_and_get_velocities(scene):
    tracks = scene.tracks
    assert tracks.id == ("lead", "parked", "cone", "walker")  # never the ego, nor one that is never there
    assert tracks.kind.tolist() == [TrackKind.VEHICLE, TrackKind.VEHICLE, TrackKind.TRAFFIC_CONE, TrackKind.PEDESTRIAN]
    np.testing.assert_allclose(tracks.size[0], [4.5, 1.9, 1.6])
    np.testing.assert_allclose(tracks.velocity[0], np.tile([8.0, 0.0], (STEPS, 1)), atol=1e-6)
    assert (tracks.velocity[1] == 0).all() and (tracks.velocity[2] == 0).all()
    assert tracks.valid[3].sum() == 31
    np.testing.assert_allclose(tracks.velocity[3, tracks.valid[3]], np.tile([0.0, -1.5], (31, 1)), atol=1e-6)


def test_lanes_are_linked_by_their_ends_and_grouped_by_their_sides(scene):
    road = scene.road
    near, far, back, on = (element(scene, name) for name in ("near", "far", "back", "on"))
    assert road.successors(near).tolist() == [on]
    assert road.successors(on).tolist() == [element(scene, "after")]
    assert road.group[near] == road.group[far] != road.group[back]
    assert road.kind[near] == RoadKind.LANE and road.kind[on] == RoadKind.CONNECTOR
    assert not road.has_speed_limit.any()
    assert scene.route.tolist() == [near, on, element(scene, "after")]


def test_a_connector_has_a_strip_and_crossing_ones_an_intersection(scene):
    road = scene.road
    on = element(scene, "on")
    points = np.array([[50.0, 0.0], [50.0, 1.6], [50.0, 1.9]]) + PLACE - scene.origin[:2]
    assert contains(road.xy, road.start, points)[:, on].tolist() == [True, True, False]
    inside = contains(road.xy, road.start, points)[:, road.of_kind(RoadKind.INTERSECTION)].any(axis=1)
    assert inside[0]


def test_connectors_that_only_follow_a_lane_make_no_intersection(tmp_path):
    data = small()
    del data["map_features"]["across"]
    assert len(scene_of(written(tmp_path, data)).road.of_kind(RoadKind.INTERSECTION)) == 0


def test_what_is_missing_is_said(scene):
    assert {"traffic lights", "speed limits", "crossings", "images"} < set(scene.missing)
    assert any(phrase.startswith("drivable area") for phrase in scene.missing)


def test_a_mask_beside_the_folder_is_the_drivable_area(tmp_path):
    folder = tmp_path / "drivable_crops"
    folder.mkdir()
    drawn = np.zeros((400, 1000), dtype=bool)  # 100 m x 40 m, white for -5 <= y <= 5
    drawn[150:250] = True
    Image.fromarray(drawn).save(folder / "scene-0001.png")
    entry = {"x_min": 980.0, "y_max": 2020.0, "resolution_m": 0.1, "width": 1000, "height": 400}
    (folder / "index.json").write_text(json.dumps({"scene-0001": entry}))
    scene = scene_of(written(tmp_path, small()))
    drivable = scene.road.of_kind(RoadKind.DRIVABLE)
    points = np.array([[10.0, 4.8], [10.0, 5.2], [10.0, -4.8], [-19.0, 0.0], [-21.0, 0.0]]) + PLACE - scene.origin[:2]
    held = contains(scene.road.xy, scene.road.start, points)[:, drivable].any(axis=1)
    assert held.tolist() == [True, False, True, True, False]
    assert not any(phrase.startswith("drivable area") for phrase in scene.missing)


def test_a_scene_survives_its_file(scene, tmp_path):
    again = read_scene(write_scene(scene, tmp_path))
    np.testing.assert_array_equal(again.tracks.xy, scene.tracks.xy)
    assert again.road.id == scene.road.id and again.missing == scene.missing


def test_a_log_without_a_map_is_a_scene_without_one(tmp_path):
    scene = scene_of(written(tmp_path, changed("map_features", {})))
    assert len(scene.road) == 0 and len(scene.route) == 0 and "a map" in scene.missing


@pytest.mark.parametrize("steps", [2, 3, 6])
def test_a_log_of_a_few_instants_is_a_scene(tmp_path, steps):
    data = small()
    data["length"], data["metadata"]["ts"] = steps, data["metadata"]["ts"][:steps]
    for each in data["tracks"].values():
        each["state"] = {name: value[:steps] for name, value in each["state"].items()}
    assert len(scene_of(written(tmp_path, data))) == steps


def test_ingesting_twice_gives_the_same_bytes(tmp_path):
    log = written(tmp_path, small())
    first, again = (write_scene(scene_of(log), tmp_path).read_bytes() for _ in range(2))
    assert first == again


def test_logs_are_found_at_any_depth(tmp_path):
    log = written(tmp_path, small())
    (tmp_path / "dataset_summary.pkl").write_bytes(b"index")
    assert logs_in(tmp_path) == logs_in(log) == [log]
    for src in (tmp_path / "nowhere", tmp_path / "scenes" / "empty"):
        with pytest.raises(BadInput, match="expected a ScenarioNet pickle"):
            logs_in(src)


def changed(path: str, value) -> dict:
    """The small file with one value replaced; path elements joined by '/'."""
    data = copy.deepcopy(small())
    *way, last = path.split("/")
    at = data
    for key in way:
        at = at[key]
    at[last] = value
    return data


def with_nan(array):
    return np.where(np.arange(len(array)).reshape(-1, *[1] * (array.ndim - 1)) == 7, np.nan, array)


LEAD, EGO = small()["tracks"]["lead"]["state"], small()["tracks"]["ego"]["state"]


@pytest.mark.parametrize(
    "path, value, words",
    [
        ("tracks/lead/state/position", with_nan(LEAD["position"]), "tracks.lead.position is not finite"),
        ("tracks/ego/state/heading", with_nan(EGO["heading"]), "tracks.ego.heading is not finite"),
        ("tracks/lead/state/length", np.zeros((STEPS, 1)), "length, width, height > 0"),
        ("tracks/lead/state/width", -np.ones((STEPS, 1)), "length, width, height > 0"),
        ("tracks/lead/state/position", np.zeros((STEPS - 1, 3)), "shape"),
        ("tracks/lead/state/position", LEAD["position"] * 1e9, "up to 100000"),
        ("tracks/lead/state/heading", LEAD["heading"] + 1e9, "up to 100000"),
        ("map_features/near/polyline", [[0.0, 0.0], [1e200, 0.0]], "up to 100000"),
        ("tracks/lead/state", [], "a dictionary of arrays"),
        ("tracks/ego/state/valid", np.arange(STEPS) < 5, "there at all times"),
        ("metadata/sdc_id", "nobody", "the name of a track"),
        ("metadata/ts", np.arange(STEPS) * 0.5, "0.1 s apart"),
        ("metadata/ts", None, "41 times"),
        ("metadata", 5, "expected dict"),
        ("map_features/near/type", "RUNWAY", "RUNWAY"),
        ("map_features/near/polyline", [[1.0, 2.0, 0.0]] * 3, "at least 2"),
        ("map_features/near/polyline", "here", "finite points"),
        ("map_features/near/polyline", [[1.0, 2.0], [np.inf, 2.0]], "finite points"),
        ("map_features/near/polygon", [[1.0, 2.0]], "at least 3"),
    ],
)
def test_bad_content_is_refused_in_one_sentence(tmp_path, path, value, words):
    with pytest.raises(BadInput) as caught:
        scene_of(written(tmp_path, changed(path, value)))
    sentence = str(caught.value)
    assert words in sentence and "small.pkl" in sentence and "\n" not in sentence


def test_damaged_files_are_refused(tmp_path):
    log = written(tmp_path, small())
    raw = log.read_bytes()
    for length in (0, 1, 100, len(raw) // 2, len(raw) - 1):
        log.write_bytes(raw[:length])
        with pytest.raises(BadInput):
            scene_of(log)
    log.unlink()
    with pytest.raises(BadInput, match="missing"):
        scene_of(log)


def test_another_dataset_has_its_ego_in_the_middle_of_its_box(tmp_path):
    data = changed("metadata/dataset", "waymo")
    data["tracks"]["ego"] = track(small_drive(), size=(5.0, 2.0, 1.6))
    scene = scene_of(written(tmp_path, data))
    assert (scene.vehicle.length, scene.vehicle.width) == (5.0, 2.0)
    centre = scene.ego.centre_xy(scene.vehicle) + scene.origin[:2] - PLACE
    np.testing.assert_allclose(centre, small_drive(), atol=1e-9)


DEFAULT, REST = ("0655", "0757", "0916"), ("0061", "0103", "0553", "1094")


@pytest.mark.shared
@pytest.mark.parametrize("name", [*DEFAULT, *(pytest.param(name, marks=pytest.mark.slow) for name in REST)])
def test_real_logs_are_sensible_driving(shared, name):
    log = shared / f"data/nuscenes_mini_scenarionet/scenes/sd_nuscenes_v1.0-mini_scene-{name}.pkl"
    scene = scene_of(log)
    assert scene.id == f"scene-{name}" and len(scene) >= 191
    assert np.abs(scene.ego.acceleration[:, 0]).max() < 3.0  # 21 m/s^2 as labelled
    assert np.abs(scene.ego.acceleration[:, 1]).max() < 2.5
    assert np.abs(scene.ego.velocity[:, 1]).max() < 0.15  # a rear axle does not slide
    vehicle, road = scene.vehicle, scene.road
    sides = np.full(len(scene), vehicle.length), np.full(len(scene), vehicle.width)
    corners = corners_of(scene.ego.centre_xy(vehicle), scene.ego.yaw, *sides)
    assert contains(road.xy, road.start, corners)[..., road.of_kind(RoadKind.DRIVABLE)].any(axis=-1).all()
    own_way = np.flatnonzero(np.isin(road.group, road.group[scene.route]))
    assert contains(road.xy, road.start, scene.ego.centre_xy(vehicle))[:, own_way].any(axis=1).all()
    lanes = road.of_kind(RoadKind.LANE, RoadKind.CONNECTOR)
    assert np.isin(lanes, road.next_lane[:, 0]).mean() > 0.8
    assert np.diff(road.start).sum() < 15_000


@pytest.mark.shared
def test_the_real_folder_holds_seven_logs(shared):
    assert len(logs_in(shared / "data/nuscenes_mini_scenarionet")) == 7


def test_lists_that_share_their_lists_are_not_expanded(tmp_path):
    sharing: list = [1.0, 2.0]
    for _ in range(25):  # 2^25 numbers when written out
        sharing = [sharing, sharing]
    for path in ("map_features/near/polyline", "tracks/lead/state/position", "tracks/lead/type", "metadata/sdc_id"):
        try:
            scene_of(written(tmp_path, changed(path, sharing)))
        except BadInput as refused:
            assert len(str(refused)) < 300
