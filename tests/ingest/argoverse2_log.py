"""A small Argoverse 2 sensor log with known truth: the ego and a car drive east, another car is parked."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import feather
from scipy.spatial.transform import Rotation

ORIGIN = np.array([5000.0, 2000.0, 60.0])
START_NS = 315_966_253_660_357_000
EGO_SPEED, CAR_SPEED = 10.0, 8.0
CAR_START, PARKED = np.array([20.0, 0.0, 0.7]), np.array([30.0, 4.0, 0.8])
SWEEPS = 31


def ego_pose(seconds, *, tilt=(0.02, -0.01)):
    """Attitude and place in the city: pitch and roll are not 0, the heading is."""
    place = ORIGIN + np.stack([EGO_SPEED * seconds, 0 * seconds, 0 * seconds], axis=-1)
    angles = np.stack([0 * seconds, tilt[0] + 0 * seconds, tilt[1] + 0 * seconds], axis=-1)
    return Rotation.from_euler("ZYX", angles), place


def pose_columns(rotation, place):
    x, y, z, w = rotation.as_quat().T
    return {"qw": w, "qx": x, "qy": y, "qz": z, "tx_m": place[:, 0], "ty_m": place[:, 1], "tz_m": place[:, 2]}


def boxes_of(name, category, place, seconds, *, size=(4.5, 1.9, 1.6), points=100):
    """Rows of one track whose boxes lie level in the city, as seen from the ego."""
    rotation, ego_place = ego_pose(seconds)
    count = len(seconds)
    rows = {
        "timestamp_ns": START_NS + np.round(seconds * 1e9).astype(np.int64),
        "track_uuid": [name] * count,
        "category": [category] * count,
        "length_m": np.full(count, size[0]),
        "width_m": np.full(count, size[1]),
        "height_m": np.full(count, size[2]),
        **pose_columns(rotation.inv(), rotation.inv().apply(ORIGIN + place - ego_place)),
        "num_interior_pts": np.full(count, points),
    }
    return rows


def stack(parts):
    return {key: np.concatenate([np.asarray(part[key]) for part in parts]) for key in parts[0]}


def sweep_times(count=SWEEPS):
    """0.1 s apart but for up to 3 ms."""
    jitter = np.random.default_rng(5).uniform(-0.003, 0.003, count)
    jitter[0] = 0.0
    return np.round(np.arange(count) * 0.1 + jitter, 6)


def annotations(count=SWEEPS):
    seconds = sweep_times(count)
    wander = 0.2 * np.sin(np.arange(count))[:, None] * [1.0, 0.5, 0.0]
    ego = boxes_of("ego", "EGO_VEHICLE", np.zeros((count, 3)), seconds, size=(4.877, 2.0, 1.473), points=1)
    return stack(
        [
            boxes_of("car", "REGULAR_VEHICLE", CAR_START + seconds[:, None] * [CAR_SPEED, 0, 0], seconds),
            boxes_of("parked", "BUS", PARKED + wander, seconds),
            boxes_of("sign", "SIGN", np.tile([12.0, -6.0, 2.0], (count, 1)), seconds, size=(0.1, 0.6, 0.6)),
            ego,
        ]
    )


def write_table(path, columns):
    feather.write_feather(pa.table({key: pa.array(list(value)) for key, value in columns.items()}), str(path))


def lane(name, y, *, x=(-50.0, 60.0), kind="VEHICLE", west=False, crosses=False, **more):
    left, right = ([x[0], y + 1.75], [x[1], y + 1.75]), ([x[0], y - 1.75], [x[1], y - 1.75])
    if west:
        left, right = right[::-1], left[::-1]
    points = [[{"x": ORIGIN[0] + a, "y": ORIGIN[1] + b, "z": 60.0} for a, b in side] for side in (left, right)]
    entry = {
        "id": name,
        "is_intersection": crosses,
        "lane_type": kind,
        "left_lane_boundary": points[0],
        "right_lane_boundary": points[1],
        "successors": [],
        "predecessors": [],
        "left_neighbor_id": None,
        "right_neighbor_id": None,
    }
    return entry | more


def vector_map():
    lanes = [
        lane(1, 0.0, left_neighbor_id=2, right_neighbor_id=3, successors=[4, 99]),
        lane(2, 3.5, west=True, left_neighbor_id=1),
        lane(3, -3.5, kind="BIKE", left_neighbor_id=1),
        lane(4, 0.0, x=(60.0, 80.0), crosses=True, predecessors=[1], successors=[5]),
        lane(5, 0.0, x=(80.0, 200.0), kind="BUS", predecessors=[4]),
    ]
    corner = [(-60, -10), (210, -10), (210, 10), (-60, 10)]
    edge = [[{"x": 5010.0, "y": 2000.0 + y, "z": 0.0}, {"x": 5013.0, "y": 2000.0 + y, "z": 0.0}] for y in (-5, 5)]
    area = {"id": 7, "area_boundary": [{"x": 5000.0 + x, "y": 2000.0 + y, "z": 60.0} for x, y in corner]}
    return {
        "lane_segments": {str(entry["id"]): entry for entry in lanes},
        "drivable_areas": {"7": area},
        "pedestrian_crossings": {"8": {"id": 8, "edge1": edge[0], "edge2": edge[1]}},
    }


def write_log(folder: Path, *, sensors: bool = True) -> Path:
    """Writes the whole log, with camera and LiDAR (empty files) or without."""
    log = folder / "0a1b2c"
    (log / "map").mkdir(parents=True)
    write_table(log / "annotations.feather", annotations())
    seconds = np.arange(-5, 200) * 0.02
    times = {"timestamp_ns": START_NS + np.round(seconds * 1e9).astype(np.int64)}
    write_table(log / "city_SE3_egovehicle.feather", times | pose_columns(*ego_pose(seconds)))
    (log / "map" / "log_map_archive_0a1b2c____PIT_city_1.json").write_text(json.dumps(vector_map()))
    raster = np.full((40, 60), 59.5, dtype=np.float16)
    raster[:, 0] = np.nan
    np.save(log / "map" / "0a1b2c_ground_height_surface____PIT.npy", raster)
    frame = {"R": [1.0, 0.0, 0.0, 1.0], "t": [-4990.0, -1995.0], "s": 2.0}
    (log / "map" / "0a1b2c___img_Sim2_city.json").write_text(json.dumps(frame))
    if sensors:
        _write_sensors(log)
    return log


def _write_sensors(log: Path) -> None:
    (log / "calibration").mkdir()
    for folder in ("cameras/front", "lidar"):
        (log / "sensors" / folder).mkdir(parents=True)
    lens = {"sensor_name": ["front"], "fx_px": [1000.0], "fy_px": [1000.0], "cx_px": [500.0], "cy_px": [300.0]}
    lens |= {"k1": [-0.1], "k2": [0.02], "k3": [0.3], "height_px": [600], "width_px": [1000]}
    write_table(log / "calibration" / "intrinsics.feather", lens)
    forward = Rotation.from_matrix([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    poses = pose_columns(Rotation.concatenate([forward, Rotation.identity()]), np.array([[1.6, 0, 1.4], [1.3, 0, 1.6]]))
    write_table(log / "calibration" / "egovehicle_SE3_sensor.feather", {"sensor_name": ["front", "up_lidar"]} | poses)
    for folder, ending, seconds in (
        ("cameras/front", "jpg", (1.03, 0.55, 900.0)),
        ("lidar", "feather", (0.1,)),
    ):
        for second in seconds:
            (log / "sensors" / folder / f"{START_NS + round(second * 1e9)}.{ending}").touch()
