"""Small worlds that tests share: a straight two-lane road with an ego and whatever tracks a test puts on it."""

import dataclasses

import numpy as np

from simscale.geometry.polygons import ragged
from simscale.scene import (
    DT,
    NO_CAMERAS,
    NO_RECORDINGS,
    PACIFICA,
    Lights,
    RoadKind,
    RoadMap,
    Scene,
    TrackKind,
    Tracks,
)
from simscale.scene.motion import car_state_of_poses

LANE_WIDTH = 3.5


def straight_road(length: float = 400.0) -> RoadMap:
    """Two lanes along x (centre lines y = 0 and y = 3.5), an oncoming one at y = 7, drivable from -3.25 to 10.25."""
    low = -100.0

    def strip(y0: float, y1: float) -> np.ndarray:
        return np.array([[low, y0], [length, y0], [length, y1], [low, y1]])

    stations = np.arange(low, length + 1, 5.0)
    forward = [np.stack([stations, np.full(len(stations), y)], -1) for y in (0.0, LANE_WIDTH)]
    back = np.stack([stations[::-1], np.full(len(stations), 2 * LANE_WIDTH)], -1)
    half = LANE_WIDTH / 2
    xy, start = ragged([strip(-half, half), strip(half, 3 * half), strip(3 * half, 5 * half), strip(-3.25, 10.25)])
    centre_xy, centre_start = ragged([*forward, back, np.zeros((0, 2))])
    return RoadMap(
        id=("right", "left", "oncoming", "asphalt"),
        kind=np.array([RoadKind.LANE, RoadKind.LANE, RoadKind.LANE, RoadKind.DRIVABLE], dtype=np.int64),
        xy=xy,
        start=start,
        centre_xy=centre_xy,
        centre_start=centre_start,
        speed_limit=np.full(4, 15.0),
        has_speed_limit=np.array([True, True, True, False]),
        next_lane=np.zeros((0, 2), dtype=np.int64),
        group=np.array([0, 0, 1, -1]),
    )


def tracks_of(
    boxes: list[tuple[float, float, float, float]], steps: int, kind: TrackKind = TrackKind.VEHICLE
) -> Tracks:
    """Tracks at constant velocity: each (x, y, yaw, speed) at instant 0; 4.5 x 1.8 x 1.5 m."""
    start = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    agents, time = len(start), np.arange(steps) * DT
    heading = np.stack([np.cos(start[:, 2]), np.sin(start[:, 2])], -1)
    velocity = np.broadcast_to((heading * start[:, 3:])[:, None], (agents, steps, 2)).copy()
    return Tracks(
        xy=start[:, None, :2] + velocity * time[None, :, None],
        z=np.zeros((agents, steps)),
        yaw=np.repeat(start[:, 2:3], steps, axis=1),
        velocity=velocity,
        size=np.tile([4.5, 1.8, 1.5], (agents, 1)),
        kind=np.full(agents, int(kind), dtype=np.int64),
        valid=np.ones((agents, steps), dtype=bool),
        id=tuple(f"agent-{i}" for i in range(agents)),
    )


def straight_scene(
    *, seconds: float = 12.0, speed: float = 8.0, boxes: list[tuple[float, float, float, float]] | None = None
) -> Scene:
    """An ego that drives along the right lane of `straight_road` at constant speed, with traffic at constant speed."""
    steps = round(seconds / DT) + 1
    xy = np.stack([np.arange(steps) * DT * speed, np.zeros(steps)], -1)
    return Scene(
        id="straight",
        source="own",
        location="nowhere",
        origin=np.zeros(3),
        timestamp_us=np.arange(steps) * 100_000,
        vehicle=PACIFICA,
        ego=car_state_of_poses(xy, np.zeros(steps), dt=DT),
        ego_z=np.zeros(steps),
        tracks=tracks_of(boxes or [], steps),
        road=straight_road(),
        lights=Lights(element=np.zeros(0, dtype=np.int64), state=np.zeros((0, steps), dtype=np.int64)),
        route=np.array([0]),
        cameras=NO_CAMERAS,
        images=NO_RECORDINGS,
        sweeps=NO_RECORDINGS,
        sensor_root="",
        ground=None,
        missing=("traffic lights", "images"),
    )


def changed(scene: Scene, **fields: object) -> Scene:
    """The scene with some fields replaced."""
    return dataclasses.replace(scene, **fields)
