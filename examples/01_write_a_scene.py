"""Writes a driving log of your own as a scene: a straight road with two lanes, the ego, and a car ahead of it."""

import sys
from pathlib import Path

import numpy as np

from simscale.ingest.lanes import MapElement, lane_between, road_map_of
from simscale.scene import NO_CAMERAS, NO_RECORDINGS, PACIFICA, Lights, RoadKind, Scene, TrackKind, Tracks
from simscale.scene.file import read_scene, write_scene
from simscale.scene.motion import car_state_of_poses
from simscale.scene.routing import route_of

STEPS = 150  # 15 s at 10 Hz: enough for a decision point, which needs 2 s before it and 8.9 s after it
time = 0.1 * np.arange(STEPS)


def line(y: float) -> np.ndarray:
    return np.array([[-50.0, y], [350.0, y]])


def lane(name: str, y: float, beside: str) -> MapElement:
    ring, centre = lane_between(line(y + 1.75), line(y - 1.75))  # left boundary, right boundary
    return MapElement(id=name, kind=RoadKind.LANE, ring=ring, centre_line=centre, speed_limit=14.0, beside=(beside,))


asphalt = MapElement(id="asphalt", kind=RoadKind.DRIVABLE, ring=np.concatenate([line(-2.5), line(6.0)[::-1]]))
road = road_map_of([lane("right", 0.0, "left"), lane("left", 3.5, "right"), asphalt])

ego_xy, ego_yaw = np.stack([10.0 * time, 0.0 * time], axis=-1), np.zeros(STEPS)  # middle of the rear axle
car = Tracks(  # one car, 25 m ahead in the left lane, slower than the ego; xy and z are the middle of its box
    xy=np.stack([25.0 + 8.0 * time, 3.5 + 0.0 * time], axis=-1)[None],
    z=np.full((1, STEPS), 0.8),
    yaw=np.zeros((1, STEPS)),
    velocity=np.tile([8.0, 0.0], (1, STEPS, 1)),
    size=np.array([[4.5, 1.9, 1.6]]),
    kind=np.array([int(TrackKind.VEHICLE)]),
    valid=np.ones((1, STEPS), dtype=bool),
    id=("car ahead",),
)
scene = Scene(
    id="my-first-log", source="own", location="nowhere", origin=np.zeros(3),
    timestamp_us=100_000 * np.arange(STEPS), vehicle=PACIFICA, ego=car_state_of_poses(ego_xy, ego_yaw, dt=0.1),
    ego_z=np.zeros(STEPS), tracks=car, road=road,
    lights=Lights(element=np.zeros(0, dtype=np.int64), state=np.zeros((0, STEPS), dtype=np.int64)),
    route=route_of(road, ego_xy, ego_yaw), cameras=NO_CAMERAS, images=NO_RECORDINGS, sweeps=NO_RECORDINGS,
    sensor_root="", ground=None, missing=("traffic lights", "images"),
)  # fmt: skip

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "my_scenes")
folder.mkdir(parents=True, exist_ok=True)
again = read_scene(write_scene(scene, folder))
assert np.array_equal(again.tracks.xy, scene.tracks.xy)
print(f"{folder}/{again.id}.scene.npz: {len(again)} instants, {len(again.road)} map elements, route {again.route}")
