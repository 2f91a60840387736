import numpy as np
import pytest
from pyarrow import feather

from simscale.geometry.boxes import boxes_overlap, corners_of
from simscale.geometry.polygons import contains
from simscale.geometry.polylines import project
from simscale.ingest import argoverse2, argoverse2_motion
from simscale.scene import RoadKind
from simscale.scene.check import check
from simscale.scene.routing import lane_of_each

pytestmark = pytest.mark.shared

LOGS = ("3b3570b4", "7fab2350", "adcf7d18", "0a1e6f0a")


@pytest.fixture(scope="module")
def scenes(shared):
    folder = shared / "data" / "argoverse2"
    found = [argoverse2.scene_of(log) for log in argoverse2.logs_in(folder)]
    found += [argoverse2_motion.scene_of(log) for log in argoverse2_motion.logs_in(folder)]
    return {scene.id[:8]: scene for scene in found}


def test_all_logs_are_read(scenes):
    assert set(scenes) == set(LOGS)
    assert [len(scenes[name]) for name in LOGS] == [157, 156, 156, 110]
    assert [len(scenes[name].tracks.id) for name in LOGS] == [119, 114, 146, 57]
    for scene in scenes.values():
        check(scene, scene.id)


@pytest.mark.parametrize("name", LOGS)
def test_the_human_stays_on_the_road_in_a_lane_and_touches_nobody(scenes, name):
    scene = scenes[name]
    vehicle, road, tracks, count = scene.vehicle, scene.road, scene.tracks, len(scene)
    centre = scene.ego.centre_xy(vehicle)
    corners = corners_of(centre, scene.ego.yaw, np.full(count, vehicle.length), np.full(count, vehicle.width))
    held = contains(road.xy, road.start, corners)[..., road.of_kind(RoadKind.DRIVABLE)]
    assert held.any(axis=-1).all()

    lanes = lane_of_each(road, scene.ego.xy, scene.ego.yaw)
    assert (lanes >= 0).all()
    pairs = zip(lanes, scene.ego.xy, strict=True)
    offset = [abs(project(road.centre_line(int(lane)), xy[None])[1][0]) for lane, xy in pairs]
    assert np.median(offset) < 0.6

    for a, t in np.argwhere(tracks.valid):
        box = (*tracks.xy[a, t], tracks.yaw[a, t], *tracks.size[a, :2])
        assert not boxes_overlap(*centre[t], scene.ego.yaw[t], vehicle.length, vehicle.width, *box)


@pytest.mark.parametrize("name", LOGS)
def test_moving_cars_follow_lanes_in_their_direction(scenes, name):
    scene = scenes[name]
    tracks = scene.tracks
    moving = np.argwhere(tracks.valid & (tracks.kind == 0)[:, None] & (tracks.speed > 3.0))[::7]
    xy, yaw = tracks.xy[moving[:, 0], moving[:, 1]], tracks.yaw[moving[:, 0], moving[:, 1]]
    lanes = scene.road.of_kind(RoadKind.LANE, RoadKind.CONNECTOR)
    on_lane = contains(scene.road.xy, scene.road.start, xy)[:, lanes].any(axis=1)
    matched = [lane_of_each(scene.road, p[None], y[None])[0] >= 0 for p, y in zip(xy, yaw, strict=True)]
    assert np.mean(np.array(matched)[on_lane]) > 0.95


def test_headings_agree_with_motion(scenes):
    for scene in scenes.values():
        tracks = scene.tracks
        fast = tracks.valid & (tracks.kind == 0)[:, None] & (tracks.speed > 3.0)
        course = np.arctan2(tracks.velocity[..., 1], tracks.velocity[..., 0])
        assert (np.cos(course - tracks.yaw)[fast] > 0.9).mean() > 0.98


def test_parked_cars_are_exactly_still(scenes):
    standing = {name: int((scenes[name].tracks.speed.max(axis=1) == 0).sum()) for name in LOGS}
    assert standing["3b3570b4"] > 40 and standing["7fab2350"] > 60 and standing["adcf7d18"] > 90


def test_sweeps_meet_the_ground(scenes, shared):
    """LiDAR points below the car's height, put in the world by the sweep's pose, lie on the height raster."""
    scene = scenes["adcf7d18"]
    assert scene.ground is not None
    table = feather.read_table(f"{scene.sensor_root}/{scene.sweeps.path[0]}")
    points = np.stack([table[axis].to_numpy().astype(float) for axis in "xyz"], axis=-1)
    points = points[(np.hypot(points[:, 0], points[:, 1]) < 15) & (points[:, 2] < 0.0)]
    world = points @ scene.sweeps.world_from_sensor[0, :3, :3].T + scene.sweeps.world_from_sensor[0, :3, 3]
    cell = np.rint((world[:, :2] - scene.ground.origin_xy) / scene.ground.resolution).astype(int)
    height = scene.ground.z[cell[:, 1], cell[:, 0]][scene.ground.valid[cell[:, 1], cell[:, 0]]]
    assert abs(np.median(world[:, 2][scene.ground.valid[cell[:, 1], cell[:, 0]]] - height)) < 0.05
    assert abs(height.mean()) < 0.3


def test_the_world_begins_at_the_first_ego_pose(scenes):
    for name in LOGS:
        assert np.hypot(*scenes[name].ego.xy[0]) < 1e-6
        assert np.abs(scenes[name].road.xy).max() < 2000
