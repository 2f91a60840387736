"""A straight road along x with one lane each way, for tests of experts; and cars, boxes and lights on it."""

import numpy as np

from simscale.experts.pdm_closed import RankedProposals, plan_pdm_closed
from simscale.experts.rules import SOUND, PdmClosedRules
from simscale.scene import PACIFICA, CarState, Lights, LightState, RoadKind, RoadMap, TrackKind, Tracks
from simscale.scoring import surroundings_of

Array = np.ndarray

CENTRE = np.column_stack([np.linspace(-40.0, 260.0, 151), np.zeros(151)])
JUNCTION = (30.0, 45.0)  # where the lane is a connector with a light
SAMPLES = 50


def rectangle(x0: float, x1: float, y0: float, y1: float) -> Array:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def road() -> RoadMap:
    """Lane (0), connector (1), their blocks (2, 3), the other way's lane and block (4, 5), a shoulder (6)."""
    rings = [
        rectangle(-40, 260, -1.75, 1.75),
        rectangle(*JUNCTION, -1.75, 1.75),
        rectangle(-40, 260, -1.75, 1.75),
        rectangle(*JUNCTION, -1.75, 1.75),
        rectangle(-40, 260, 1.75, 5.25),
        rectangle(-40, 260, 1.75, 5.25),
        rectangle(-40, 260, -4.0, -1.75),
    ]
    kinds = [
        RoadKind.LANE,
        RoadKind.CONNECTOR,
        RoadKind.ROAD_BLOCK,
        RoadKind.ROAD_BLOCK_CONNECTOR,
        RoadKind.LANE,
        RoadKind.ROAD_BLOCK,
        RoadKind.CAR_PARK,
    ]
    count = len(rings)
    return RoadMap(
        id=tuple(str(i) for i in range(count)),
        kind=np.array([int(kind) for kind in kinds]),
        xy=np.concatenate(rings),
        start=np.arange(count + 1) * 4,
        centre_xy=CENTRE,
        centre_start=np.array([0] + [len(CENTRE)] * count),
        speed_limit=np.zeros(count),
        has_speed_limit=np.zeros(count, dtype=bool),
        next_lane=np.zeros((0, 2), dtype=np.int64),
        group=np.array([0, 1, 0, 1, 2, 2, -1]),
    )


def car(*, y: float = 0.0, yaw: float = 0.0, speed: float = 10.0, accel: float = 0.0) -> CarState:
    return CarState.unpacked(np.array([0.0, y, yaw, speed, 0.0, accel, 0.0, 0.0, 0.0, 0.0, 0.0]))


def history_of(state: CarState) -> CarState:
    """1.5 s straight behind a state, at its speed and acceleration."""
    past = np.repeat(state.packed()[None], 15, axis=0)
    back = float(state.velocity[0]) * 0.1 * np.arange(15, 0, -1)
    past[:, 0] -= back * np.cos(state.yaw)
    past[:, 1] -= back * np.sin(state.yaw)
    return CarState.unpacked(past)


def boxes(*rows: tuple[float, float, float, float]) -> Tracks:
    """Cars of 4.5 x 1.9 m at (x, y, yaw) with a speed."""
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    count = len(table)
    along = np.column_stack([np.cos(table[:, 2]), np.sin(table[:, 2])]) * table[:, 3:]
    return Tracks(
        xy=table[:, None, :2],
        z=np.zeros((count, 1)),
        yaw=table[:, 2:3],
        velocity=along[:, None],
        size=np.tile([4.5, 1.9, 1.5], (count, 1)),
        kind=np.full(count, int(TrackKind.VEHICLE)),
        valid=np.ones((count, 1), dtype=bool),
        id=tuple(str(i) for i in range(count)),
    )


def plan(
    state: CarState,
    tracks: Tracks | None = None,
    *,
    limit: float = 13.0,
    red: bool = False,
    rules: PdmClosedRules = SOUND,
) -> RankedProposals:
    lights = Lights(
        element=np.array([1] if red else [], dtype=np.int64),
        state=np.full((int(red), SAMPLES), int(LightState.RED)),
    )
    around = surroundings_of(
        road(),
        lights,
        instants=np.arange(SAMPLES),
        route=np.array([0, 1]),
        centre_line=CENTRE,
        around_xy=state.xy,
    )
    return plan_pdm_closed(
        state,
        history_of(state),
        boxes() if tracks is None else tracks,
        around,
        vehicle=PACIFICA,
        centre_line=CENTRE,
        speed_limit=limit,
        rules=rules,
    )
