import json
import shutil

import numpy as np
import pyarrow as pa
import pytest
from argoverse2_log import CAR_SPEED, CAR_START, EGO_SPEED, ORIGIN, START_NS, write_log, write_table
from pyarrow import feather

from simscale.ingest.argoverse2 import logs_in, scene_of
from simscale.ingest.argoverse2_sensors import AXLE_HEIGHT
from simscale.scene import BadInput, RoadKind, TrackKind
from simscale.scene.file import read_scene, write_scene


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return write_log(tmp_path_factory.mktemp("logs"))


@pytest.fixture(scope="module")
def scene(log):
    return scene_of(log)


@pytest.fixture
def copy(log, tmp_path):
    return shutil.copytree(log, tmp_path / log.name)


def place_of(scene, xyz):
    """A point of the city, given from the synthetic log's origin, in the scene's world."""
    return ORIGIN + np.asarray(xyz) - scene.origin


def agent(scene, name):
    return scene.tracks.id.index(name)


def test_ego_is_the_rear_axle_on_the_ground(scene):
    np.testing.assert_allclose(scene.ego.xy[:, 0], EGO_SPEED * np.arange(len(scene)) / 10, atol=1e-6)
    np.testing.assert_allclose(scene.ego.velocity[:, 0], EGO_SPEED, atol=1e-6)
    np.testing.assert_allclose(scene.ego_z, 0.0, atol=1e-6)
    # Down along the car's own axis, which is tilted by a pitch of 0.02 and a roll of 0.01.
    assert scene.origin[2] == pytest.approx(ORIGIN[2] - AXLE_HEIGHT * np.cos(0.02) * np.cos(0.01))


def test_the_grid_is_exact_though_sweeps_jitter(scene):
    np.testing.assert_array_equal(scene.timestamp_us, START_NS // 1000 + 100_000 * np.arange(31))


def test_boxes_are_carried_to_the_world_with_the_whole_attitude(scene):
    car = agent(scene, "car")
    expected = place_of(scene, CAR_START) + np.arange(31)[:, None] * [CAR_SPEED / 10, 0, 0]
    assert scene.tracks.valid[car].all()
    np.testing.assert_allclose(scene.tracks.xy[car], expected[:, :2], atol=1e-6)
    np.testing.assert_allclose(scene.tracks.z[car], expected[:, 2], atol=1e-6)
    np.testing.assert_allclose(scene.tracks.yaw[car], 0.0, atol=1e-6)
    np.testing.assert_allclose(scene.tracks.velocity[car], np.tile([CAR_SPEED, 0], (31, 1)), atol=1e-5)


def test_a_parked_car_whose_box_wanders_stands_exactly_still(scene):
    parked = agent(scene, "parked")
    assert (scene.tracks.velocity[parked] == 0).all()
    assert (scene.tracks.xy[parked] == scene.tracks.xy[parked, 0]).all()


def test_the_ego_is_no_track_and_unknown_categories_are_said_once(scene):
    assert scene.tracks.id == ("car", "parked", "sign")
    assert scene.tracks.kind.tolist() == [TrackKind.VEHICLE, TrackKind.VEHICLE, TrackKind.GENERIC_OBJECT]
    assert sum("SIGN" in phrase for phrase in scene.missing) == 1


def test_the_map_keeps_directions_neighbours_and_topology(scene):
    road = scene.road
    number = {name: i for i, name in enumerate(road.id)}
    kinds = [RoadKind(road.kind[number[name]]) for name in "12345"]
    assert kinds == [RoadKind.LANE, RoadKind.LANE, RoadKind.BICYCLE_LANE, RoadKind.CONNECTOR, RoadKind.LANE]
    east, west = road.centre_line(number["1"]), road.centre_line(number["2"])
    np.testing.assert_allclose(east[[0, -1]], place_of(scene, [[-50, 0, 0], [60, 0, 0]])[:, :2], atol=1e-6)
    assert (np.diff(east[:, 0]) > 0).all() and (np.diff(west[:, 0]) < 0).all()
    assert road.group[number["1"]] == road.group[number["3"]] != road.group[number["2"]]
    pairs = {(road.id[a], road.id[b]) for a, b in road.next_lane}
    assert pairs == {("1", "4"), ("4", "5")}
    assert not road.has_speed_limit.any()
    assert [len(road.of_kind(kind)) for kind in (RoadKind.INTERSECTION, RoadKind.CROSSING, RoadKind.DRIVABLE)] == [
        1,
        1,
        1,
    ]
    assert [road.id[i] for i in scene.route] == ["1", "4", "5"]


def test_the_crossing_is_no_bow_tie(scene):
    ring = scene.road.ring(int(scene.road.of_kind(RoadKind.CROSSING)[0]))
    x, y = ring.T
    assert abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2 == pytest.approx(30.0)


def test_a_point_ahead_of_the_camera_is_seen_in_its_middle(scene):
    assert scene.cameras.name == ("front",)
    np.testing.assert_allclose(scene.cameras.distortion, [[-0.1, 0.02, 0, 0, 0.3]])
    np.testing.assert_allclose(scene.cameras.ego_from_camera[0, :3, 3], [1.6, 0, 1.4 + AXLE_HEIGHT])
    ahead = scene.cameras.ego_from_camera[0] @ [0, 0, 10.0, 1]
    np.testing.assert_allclose(ahead[:3], [11.6, 0, 1.4 + AXLE_HEIGHT], atol=1e-9)


def test_recordings_have_their_own_time_and_pose(scene, log):
    assert scene.images.timestamp_us.tolist() == [START_NS // 1000 + us for us in (550_000, 1_030_000)]
    assert all((log / path).is_file() for path in scene.images.path + scene.sweeps.path)
    np.testing.assert_allclose(scene.images.world_from_sensor[1, 0, 3], EGO_SPEED * 1.03 + 1.6, atol=0.05)
    np.testing.assert_allclose(
        scene.sweeps.world_from_sensor[0, :3, 3], place_of(scene, [EGO_SPEED * 0.1, 0, 0]), atol=1e-6
    )


def test_ground_cells_lie_where_the_raster_says(scene):
    assert scene.ground is not None
    assert scene.ground.resolution == 0.5
    np.testing.assert_allclose(scene.ground.origin_xy, [4990.25 - scene.origin[0], 1995.25 - scene.origin[1]])
    assert not scene.ground.valid[:, 0].any() and scene.ground.valid[:, 1:].all()
    np.testing.assert_allclose(scene.ground.z[:, 1:], 59.5 - scene.origin[2])


def test_a_log_without_sensors_or_map_says_so(tmp_path):
    bare = write_log(tmp_path, sensors=False)
    shutil.rmtree(bare / "map")
    scene = scene_of(bare)
    assert len(scene.road) == 0 and len(scene.route) == 0 and scene.ground is None
    assert {"map", "ground height", "camera calibration", "images", "LiDAR sweeps"} <= set(scene.missing)
    assert scene.sensor_root == ""


def test_the_scene_survives_its_file(scene, tmp_path):
    again = read_scene(write_scene(scene, tmp_path))
    np.testing.assert_array_equal(again.tracks.xy, scene.tracks.xy)
    assert again.missing == scene.missing


def test_logs_are_found_at_any_depth(log, tmp_path):
    assert logs_in(log) == logs_in(log.parent) == [log]
    for src in (tmp_path, tmp_path / "nowhere", log / "annotations.feather"):
        with pytest.raises(BadInput, match="sensor logs"):
            logs_in(src)


def test_a_short_log_is_ingested(copy):
    change_rows(copy / "annotations.feather", lambda rows: rows["timestamp_ns"] < START_NS + 150_000_000)
    assert len(scene_of(copy)) == 2


def change_rows(path, keep):
    table = feather.read_table(path)
    rows = {name: np.array(table[name].to_pylist()) for name in table.column_names}
    kept = keep(rows)
    write_table(path, {name: column[kept] for name, column in rows.items()})


def change_cell(path, field, value, *, row=3):
    table = feather.read_table(path)
    columns = {name: table[name].to_pylist() for name in table.column_names}
    columns[field][row] = value
    feather.write_feather(pa.table(columns), str(path))


def change_map(log, change):
    path = next(log.glob("map/log_map_archive_*.json"))
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


BOXES, POSES = "annotations.feather", "city_SE3_egovehicle.feather"
ARCHIVE = "map/log_map_archive_0a1b2c____PIT_city_1.json"
GROUND, FRAME = "map/0a1b2c_ground_height_surface____PIT.npy", "map/0a1b2c___img_Sim2_city.json"
LENSES, MOUNTS = "calibration/intrinsics.feather", "calibration/egovehicle_SE3_sensor.feather"
FILES = (BOXES, POSES, ARCHIVE, GROUND, FRAME, LENSES, MOUNTS)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "empty", "half", "noise"])
def test_damaged_files_are_refused_by_name(copy, name, damage):
    path = copy / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "half": content[: len(content) // 2], "noise": b"\x00\xff" * 500}[damage])
    where = "map" if name.startswith("map") and damage == "missing" else name
    with pytest.raises(BadInput, match=where):
        scene_of(copy)


@pytest.mark.parametrize(
    ("name", "field", "value", "said"),
    [
        (POSES, "tx_m", float("nan"), "tx_m in row 3 is nan"),
        (POSES, "tx_m", 1e12, "tx_m in row 3 is 1000000000000.0, expected a place within 100 km"),
        (BOXES, "qz", 1e200, "qz in row 3"),
        (POSES, "qw", 0.0, "unit quaternion"),
        (POSES, "timestamp_ns", START_NS, "one a time"),
        (POSES, "timestamp_ns", -5, "timestamp_ns"),
        (BOXES, "length_m", 0.0, "length_m of track car is 0.0"),
        (BOXES, "height_m", -1.0, "height_m of track car"),
        (BOXES, "width_m", None, "width_m is empty in 1"),
        (BOXES, "tz_m", float("inf"), "tz_m in row 3 is inf"),
        (BOXES, "timestamp_ns", START_NS, "track twice"),
        (BOXES, "timestamp_ns", START_NS + 10**12, "within the ego poses"),
        (BOXES, "qz", 0.5, "unit quaternion"),
        (LENSES, "fx_px", 0.0, "fx_px"),
        (MOUNTS, "sensor_name", "rear", "without one pose of front"),
    ],
)
def test_impossible_values_are_refused(copy, name, field, value, said):
    change_cell(copy / name, field, value, row=0 if name.startswith("cal") else 3)
    with pytest.raises(BadInput, match=said) as caught:
        scene_of(copy)
    assert name in str(caught.value)


def test_a_column_of_another_type_or_missing_is_refused(copy):
    table = feather.read_table(copy / BOXES)
    feather.write_feather(table.drop_columns(["qz"]), str(copy / BOXES))
    with pytest.raises(BadInput, match="qz is missing"):
        scene_of(copy)
    texts = table.set_column(table.column_names.index("qz"), "qz", pa.array(["a"] * len(table)))
    feather.write_feather(texts, str(copy / BOXES))
    with pytest.raises(BadInput, match="qz is a column of string"):
        scene_of(copy)


def test_a_log_shorter_than_two_instants_is_refused(copy):
    change_rows(copy / BOXES, lambda rows: rows["timestamp_ns"] == START_NS)
    with pytest.raises(BadInput, match="1 sweeps, expected at least 2"):
        scene_of(copy)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m["lane_segments"]["3"].update(lane_type="TRAM"), "lane_type of lane 3 is 'TRAM'"),
        (lambda m: m["lane_segments"]["3"].update(is_intersection="no"), "is_intersection of lane 3"),
        (lambda m: m["lane_segments"]["3"].update(id=1), "id"),
        (lambda m: m["lane_segments"]["3"].update(id=None), "id of lane_segments 3"),
        (lambda m: m["lane_segments"]["3"].update(successors=["4"]), "successors of lane 3"),
        (lambda m: m["lane_segments"]["3"].update(left_lane_boundary=[{"x": 1.0}]), "left_lane_boundary of 3"),
        (lambda m: m["lane_segments"]["3"]["right_lane_boundary"].pop(), "right_lane_boundary of 3"),
        (lambda m: m["drivable_areas"]["7"]["area_boundary"][0].update(x=float("nan")), "area_boundary of 7"),
        (
            lambda m: m["lane_segments"]["3"]["right_lane_boundary"][1].update(x=1e30),
            "right_lane_boundary of 3 at point 1",
        ),
        (lambda m: m["pedestrian_crossings"]["8"].pop("edge2"), "edge2 of 8"),
        (lambda m: m.pop("lane_segments"), "lane_segments is missing"),
        (lambda m: m.update(lane_segments=[]), "lane_segments is damaged"),
    ],
)
def test_unknown_or_damaged_map_elements_are_refused(copy, change, said):
    change_map(copy, change)
    with pytest.raises(BadInput, match=said):
        scene_of(copy)


def test_an_image_not_named_by_its_time_is_refused(copy):
    (copy / "sensors/cameras/front/first.jpg").touch()
    with pytest.raises(BadInput, match="'first', expected a time in ns"):
        scene_of(copy)


def test_a_turned_ground_raster_is_refused(copy):
    (copy / FRAME).write_text(json.dumps({"R": [0.0, 1.0, 1.0, 0.0], "t": [0, 0], "s": 1.0}))
    with pytest.raises(BadInput, match="R is"):
        scene_of(copy)


@pytest.mark.parametrize("name", FILES)
def test_no_cut_ends_in_anything_but_one_sentence(copy, name):
    content = (copy / name).read_bytes()
    for cut in np.random.default_rng(3).integers(0, len(content), 8):
        (copy / name).write_bytes(content[:cut])
        with pytest.raises(BadInput):
            scene_of(copy)
