"""Frames of a NAVSIM log as our nouns: what its metric caching makes of raw frames at 2 Hz, quirks included.

A log frame holds the ego's pose and motion, and boxes in the ego's own frame. From fourteen of them (the fourth is
"now") come the ego, its history at 10 Hz, what the human does next, everybody's boxes now, and everybody's boxes over
the next four seconds at 10 Hz (`MetricCacheProcessor` of the reference; scoring.md 3).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from simscale.geometry.angles import wrap
from simscale.geometry.se2 import rotate, to_child
from simscale.scene import AGENT_KINDS, CarState, Lights, LightState, Plan, RoadMap, Tracks

Array = np.ndarray

NOW = 3
"""Number of the frame that is now: four frames of history count it in (`num_history_frames`)."""
FRAME_STEP_US, SAMPLE_STEP_US = 500_000, 100_000
"""Frames come at 2 Hz, samples at 10 Hz, us."""
SAMPLES_PER_FRAME = FRAME_STEP_US // SAMPLE_STEP_US
OBSERVED = 9
"""Frames from now on that the observation is made of: 4 s."""
SAMPLES = (OBSERVED - 1) * SAMPLES_PER_FRAME + 1
HUMAN_POSES = 8
"""Frames after now that the human's plan is made of."""
FRAMES = NOW + OBSERVED
"""A log must have so many."""


@dataclass(frozen=True, kw_only=True)
class LogFrames:
    """Frames of a NAVSIM log; rows of boxes `n` are grouped by frame `f`."""

    timestamp_us: Int[Array, " f"]
    ego_xy: Float[Array, "f 2"]  # rear axle in the world frame, m
    ego_yaw: Float[Array, " f"]
    ego_velocity: Float[Array, "f 2"]  # in the ego frame, m/s
    ego_acceleration: Float[Array, "f 2"]  # m/s^2
    start: Int[Array, " f1"]  # first row of each frame; f1 = f + 1
    track: Int[Array, " n"]  # number of the track
    kind: Int[Array, " n"]  # TrackKind
    box: Float[Array, "n 7"]  # x, y, z, length, width, height, yaw in the ego frame (rear axle)
    velocity: Float[Array, "n 3"]  # in the ego frame, m/s
    track_id: tuple[str, ...]
    lights: tuple[tuple[tuple[str, bool], ...], ...]  # of each frame: a lane's name, and whether its light is red


@dataclass(frozen=True, kw_only=True)
class FrameBoxes:
    """Boxes of one frame in the world frame, in the order in which the reference keeps them."""

    track: Int[Array, " n"]
    kind: Int[Array, " n"]
    xy: Float[Array, "n 2"]
    z: Float[Array, " n"]
    yaw: Float[Array, " n"]
    velocity: Float[Array, "n 2"]  # in the world frame; 0 for what does not move by itself
    size: Float[Array, "n 3"]


def yaw_of_quaternion(wxyz: Float[Array, "*b 4"]) -> Float[Array, "*b"]:
    """Heading of an orientation (pyquaternion's `yaw_pitch_roll`, whose signs differ from the usual ones in a tilt)."""
    w, x, y, z = np.moveaxis(wxyz / np.linalg.norm(wxyz, axis=-1, keepdims=True), -1, 0)
    return np.arctan2(2 * (w * z - x * y), 1 - 2 * (y * y + z * z))


def ego_states(frames: LogFrames) -> CarState:
    """The ego at every frame `[f]`; a log holds no steering and no turning, and the reference leaves both at 0."""
    packed = np.zeros((len(frames.timestamp_us), 11))
    packed[:, :2], packed[:, 2] = frames.ego_xy, frames.ego_yaw
    packed[:, 3:5] = frames.ego_velocity.astype(np.float32)  # the reference keeps both in float32
    packed[:, 5:7] = frames.ego_acceleration.astype(np.float32)
    return CarState.unpacked(packed)


def history_10hz(frames: LogFrames) -> CarState:
    """What comfort puts before a drive `[h]`: samples every 0.1 s of the frames up to now.

    QUIRK (scoring.md 4.10): the last sample before now is left out, so that a gap of up to 0.2 s counts as 0.1 s.
    """
    due = frames.timestamp_us[: NOW + 1] - frames.timestamp_us[0]
    wanted = np.arange(0, due[-1], SAMPLE_STEP_US)[:-1]
    known = ego_states(frames).packed()[: NOW + 1]
    known[:, 2] = np.unwrap(known[:, 2])
    packed = np.stack([np.interp(wanted, due, column) for column in known.T], axis=-1)
    packed[:, 2] = wrap(packed[:, 2])
    return CarState.unpacked(packed)


def human_plan(frames: LogFrames) -> Plan:
    """What the human does next, as a batch of one plan `[1 8]` in the ego frame."""
    ahead = slice(NOW + 1, NOW + 1 + HUMAN_POSES)
    xy, yaw = to_child(
        frames.ego_xy[ahead],
        frames.ego_yaw[ahead],
        frame_xy=frames.ego_xy[NOW],
        frame_yaw=float(frames.ego_yaw[NOW]),
    )
    return Plan(xy=xy[None], yaw=yaw[None], dt=FRAME_STEP_US * 1e-6)


def boxes_of_frame(frames: LogFrames, frame: int) -> FrameBoxes:
    """Boxes of one frame, sorted by kind and else in the order of annotation (`TrackedObjects` of nuPlan)."""
    rows = np.arange(frames.start[frame], frames.start[frame + 1])
    rows = rows[np.argsort(frames.kind[rows], kind="stable")]
    box, yaw = frames.box[rows].astype(np.float64), frames.ego_yaw[frame]
    turn = np.full(len(rows), yaw)
    velocity = rotate(frames.velocity[rows, :2].astype(np.float64), turn)
    moves = np.isin(frames.kind[rows], AGENT_KINDS)
    return FrameBoxes(
        track=frames.track[rows].astype(np.int64),
        kind=frames.kind[rows].astype(np.int64),
        xy=frames.ego_xy[frame] + rotate(box[:, :2], turn),
        z=box[:, 2],
        yaw=wrap(box[:, 6] + yaw),
        velocity=np.where(moves[:, None], velocity, 0.0),
        size=box[:, 3:6],
    )


def current_tracks(frames: LogFrames) -> Tracks:
    """Everybody now `[a 1]`, in the reference's order."""
    now = boxes_of_frame(frames, NOW)
    return Tracks(
        xy=now.xy[:, None],
        z=now.z[:, None],
        yaw=now.yaw[:, None],
        velocity=now.velocity[:, None],
        size=now.size,
        kind=now.kind,
        valid=np.ones((len(now.kind), 1), dtype=bool),
        id=tuple(frames.track_id[number] for number in now.track.tolist()),
    )


def observed_tracks(frames: LogFrames) -> Tracks:
    """Everybody over the next 4 s `[a 41]`, in the order of first appearance (`InterpolatedTrajectory` of boxes).

    Between its first and last frame a track moves linearly, gaps included; frames count as 0.5 s apart whatever their
    time stamps say. QUIRK Q5: a track that one frame alone shows is there in all 41 samples, before that frame as well.
    """
    seen = _appearances(frames)
    count = len(seen)
    xy, yaw, z = np.zeros((count, SAMPLES, 2)), np.zeros((count, SAMPLES)), np.zeros((count, SAMPLES))
    velocity, valid = np.zeros((count, SAMPLES, 2)), np.zeros((count, SAMPLES), dtype=bool)
    sample = np.arange(SAMPLES)
    for a, rows in enumerate(seen.values()):
        due = np.array([SAMPLES_PER_FRAME * frame for frame, _, _ in rows])
        known = np.array([[*b.xy[i], b.z[i], *b.velocity[i]] for _, b, i in rows])
        turned = np.unwrap([b.yaw[i] for _, b, i in rows])
        x, y, z[a], vx, vy = (np.interp(sample, due, column) for column in known.T)
        xy[a], velocity[a] = np.stack([x, y], axis=-1), np.stack([vx, vy], axis=-1)
        yaw[a] = wrap(np.interp(sample, due, turned))
        valid[a] = (sample >= due[0]) & (sample <= due[-1]) if len(rows) > 1 else True
    first = [(b, i) for (_, b, i), *_ in seen.values()]
    return Tracks(
        xy=xy,
        z=z,
        yaw=yaw,
        velocity=velocity,
        size=np.array([b.size[i] for b, i in first]).reshape(count, 3),
        kind=np.array([b.kind[i] for b, i in first], dtype=np.int64),
        valid=valid,
        id=tuple(frames.track_id[number] for number in seen),
    )


def _appearances(frames: LogFrames) -> dict[int, list[tuple[int, FrameBoxes, int]]]:
    """Where each track is seen from now on: number of the frame after now, that frame's boxes, and the row."""
    seen: dict[int, list[tuple[int, FrameBoxes, int]]] = {}
    for frame in range(OBSERVED):
        boxes = boxes_of_frame(frames, NOW + frame)
        for row, track in enumerate(boxes.track.tolist()):
            seen.setdefault(track, []).append((frame, boxes, row))
    return seen


def lights_of(frames: LogFrames, road: RoadMap) -> Lights:
    """Lights of the map's lanes at the 41 samples; the log's state of a frame is held for five, the last one's once."""
    shown = frames.lights[NOW : NOW + OBSERVED]
    number = {name: element for element, name in enumerate(road.id)}
    names = sorted({name for frame in shown for name, _ in frame if name in number})
    row = {name: i for i, name in enumerate(names)}
    state = np.full((len(names), SAMPLES), int(LightState.UNKNOWN), dtype=np.int64)
    for f, frame in enumerate(shown):
        for name, is_red in frame:
            if name in row:
                held = slice(f * SAMPLES_PER_FRAME, (f + 1) * SAMPLES_PER_FRAME)
                state[row[name], held] = int(LightState.RED if is_red else LightState.GREEN)
    return Lights(element=np.array([number[name] for name in names], dtype=np.int64), state=state)
