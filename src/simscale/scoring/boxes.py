"""Ego and tracks as boxes, prepared once for all kernels: centres, axes, half sizes; and how boxes meet.

Touching counts as overlap. The ego's boxes stand on the frame of the surroundings (see there), so do the tracks'.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Bool, Float
from numba import njit

from simscale.geometry.angles import direction
from simscale.scene import AGENT_KINDS, CarState, EgoVehicle, Tracks
from simscale.scoring.broad_phase import sweeps_of
from simscale.scoring.ring_index import UNCOUNTED

Array = np.ndarray


class EgoBoxes(NamedTuple):
    """Boxes of the ego along `k` rollouts, as arrays that kernels take as one argument."""

    rear: Array  # [k t 2] rear axle, m
    centre: Array  # [k t 2]
    axis: Array  # [k t 2] unit vector forward
    speed: Array  # [k t] m/s
    half_length: float
    half_width: float


class TrackBoxes(NamedTuple):
    """Boxes of the others; `r` is 1 where all rollouts share them, else `k`."""

    centre: Array  # [r a t 2]
    axis: Array  # [r a t 2]
    half: Array  # [r a 2] half length, half width, m
    valid: Array  # [r a t]
    stopped: Array  # [r a t] static, or slow (see ScoringRules)
    agent: Array  # [r a] moves by itself
    sweep: Array  # [r w a 4] where it comes within each window of time, see `sweeps_of`


def ego_boxes(ego: CarState, *, vehicle: EgoVehicle, origin_xy: Float[Array, "2"]) -> EgoBoxes:
    """Boxes of a car [k t], seen from `origin_xy`."""
    axis = direction(ego.yaw)
    rear = ego.xy - origin_xy
    return EgoBoxes(
        rear=np.ascontiguousarray(rear),
        centre=np.ascontiguousarray(rear + vehicle.rear_axle_to_centre * axis),
        axis=np.ascontiguousarray(axis),
        speed=np.ascontiguousarray(ego.speed),
        half_length=vehicle.length / 2,
        half_width=vehicle.width / 2,
    )


def track_boxes(
    tracks: Tracks, *, origin_xy: Float[Array, "2"], stopped_speed: float = 0.0, by_first_appearance: bool = False
) -> TrackBoxes:
    """Boxes of tracks [a t] or [k a t], seen from `origin_xy`."""
    lift = (None, ...) if tracks.valid.ndim == 2 else (...,)
    valid = tracks.valid[lift]
    agent = np.isin(tracks.kind, AGENT_KINDS)[lift]
    slow = tracks.speed[lift] <= stopped_speed
    if by_first_appearance:  # QUIRK Q4
        first = np.argmax(valid, axis=-1)[..., None]
        slow = np.broadcast_to(np.take_along_axis(slow, first, axis=-1), slow.shape)
    centre = np.ascontiguousarray(tracks.xy[lift] - origin_xy)
    axis = np.ascontiguousarray(direction(tracks.yaw[lift]))
    half = np.ascontiguousarray(tracks.size[lift][..., :2] / 2)
    valid = np.ascontiguousarray(valid)
    return TrackBoxes(
        centre=centre,
        axis=axis,
        half=half,
        valid=valid,
        stopped=np.ascontiguousarray(slow | ~agent[..., None]),
        agent=np.ascontiguousarray(agent),
        sweep=sweeps_of(centre, axis, half, valid),
    )


@njit(**UNCOUNTED)
@no_type_check
def meets(dx, dy, ax, ay, half_length, half_width, bx, by, other_length, other_width):
    """Whether two boxes share a point: separating axes.

    The second box's centre lies at (dx, dy) from the first's; (ax, ay) and (bx, by) are their unit vectors forward,
    all lengths are halves.
    """
    reach = half_length + half_width + other_length + other_width
    if abs(dx) > reach or abs(dy) > reach:
        return False
    c, s = abs(ax * bx + ay * by), abs(ax * by - ay * bx)
    if abs(dx * ax + dy * ay) > half_length + other_length * c + other_width * s:
        return False
    if abs(dy * ax - dx * ay) > half_width + other_length * s + other_width * c:
        return False
    if abs(dx * bx + dy * by) > other_length + half_length * c + half_width * s:
        return False
    return not abs(dy * bx - dx * by) > other_width + half_length * s + half_width * c


@njit(**UNCOUNTED)
@no_type_check
def ego_meets(ego, k, t, step, others, r, a, then):
    """Whether the ego's box at sample `t`, moved `step` m along its heading, meets a track's box at sample `then`."""
    ax, ay = ego.axis[k, t, 0], ego.axis[k, t, 1]
    return meets(
        others.centre[r, a, then, 0] - (ego.centre[k, t, 0] + step * ax),
        others.centre[r, a, then, 1] - (ego.centre[k, t, 1] + step * ay),
        ax,
        ay,
        ego.half_length,
        ego.half_width,
        others.axis[r, a, then, 0],
        others.axis[r, a, then, 1],
        others.half[r, a, 0],
        others.half[r, a, 1],
    )


@njit(**UNCOUNTED)
@no_type_check
def segment_meets_box(x0, y0, x1, y1, half_length, half_width):
    """Whether a segment, given in a box's own frame, shares a point with the box."""
    low, high = 0.0, 1.0
    for start, step, half in ((x0, x1 - x0, half_length), (y0, y1 - y0, half_width)):
        if step == 0.0:
            if abs(start) > half:
                return False
            continue
        near, far = (-half - start) / step, (half - start) / step
        if near > far:
            near, far = far, near
        low, high = max(low, near), min(high, far)
    return low <= high


@njit(cache=True)
@no_type_check
def _contacts(ego, others):
    rollouts, samples = ego.speed.shape
    touched = np.zeros((rollouts, samples), dtype=np.bool_)
    for k in range(rollouts):
        r = k if others.valid.shape[0] > 1 else 0
        for t in range(samples):
            for a in range(others.valid.shape[1]):
                if others.valid[r, a, t] and ego_meets(ego, k, t, 0.0, others, r, a, t):
                    touched[k, t] = True
                    break
    return touched


def contacts(ego: CarState, tracks: Tracks, *, vehicle: EgoVehicle) -> Bool[Array, "k t"]:
    """Whether the car [k t] overlaps any box of tracks [a t] or [k a t], whoever is at fault, at each sample."""
    origin = ego.xy.reshape(-1, 2)[0]
    others = track_boxes(tracks, origin_xy=origin)
    assert others.valid.shape[0] in (1, ego.yaw.shape[0]), "tracks of as many rollouts as drives, or of one for all"
    assert others.valid.shape[2] >= ego.yaw.shape[1], "tracks end before the drive"
    return _contacts(ego_boxes(ego, vehicle=vehicle, origin_xy=origin), others)
