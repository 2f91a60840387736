"""No at-fault collision (NC): contact with others, and whose fault it is.

A contact is the ego's fault when it hits something that stands, hits with its front edge, or is hit from the side
while it straddles lanes or is off the road. A contact that is not its fault makes that track count no more.
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Bool, Float, Int
from numba import njit

from simscale.scoring.boxes import EgoBoxes, TrackBoxes, ego_meets, segment_meets_box
from simscale.scoring.broad_phase import WINDOW, gather_near
from simscale.scoring.ring_index import UNCOUNTED
from simscale.scoring.rules import ScoringRules

Array = np.ndarray


def no_at_fault_collision(
    ego: EgoBoxes, others: TrackBoxes, exposed: Bool[Array, "k t"], rules: ScoringRules
) -> tuple[Float[Array, " k"], Int[Array, " k"]]:
    """Score, and the first sample of an at-fault collision (-1 for none).

    `exposed` says where the ego straddles lanes or is off the road (`_calculate_no_at_fault_collision` of NAVSIM).
    """
    return _collisions(
        ego, others, exposed, rules.stopped_speed, np.cos(rules.behind_angle), rules.static_collision_score
    )


@njit(**UNCOUNTED)
@no_type_check
def cos_bearing(ego, k, t, point):
    """Cosine of the angle between the ego's heading and the line from its rear axle to a point; nan on the axle."""
    dx, dy = point[0] - ego.rear[k, t, 0], point[1] - ego.rear[k, t, 1]
    distance = np.hypot(dx, dy)
    if distance == 0.0:
        return np.nan  # every comparison is false then, as in the reference
    return (dx * ego.axis[k, t, 0] + dy * ego.axis[k, t, 1]) / distance


@njit(**UNCOUNTED)
@no_type_check
def _front_edge_meets(ego, k, t, others, r, a):
    """Whether the segment from front left to front right shares a point with a track's box."""
    ax, ay = ego.axis[k, t, 0], ego.axis[k, t, 1]
    bx, by = others.axis[r, a, t, 0], others.axis[r, a, t, 1]
    dx = ego.centre[k, t, 0] + ego.half_length * ax - others.centre[r, a, t, 0]
    dy = ego.centre[k, t, 1] + ego.half_length * ay - others.centre[r, a, t, 1]
    wx, wy = -ego.half_width * ay, ego.half_width * ax
    return segment_meets_box(
        (dx + wx) * bx + (dy + wy) * by,
        (dy + wy) * bx - (dx + wx) * by,
        (dx - wx) * bx + (dy - wy) * by,
        (dy - wy) * bx - (dx - wx) * by,
        others.half[r, a, 0],
        others.half[r, a, 1],
    )


@njit(cache=True)
@no_type_check
def _collisions(ego, others, exposed, stopped_speed, cos_behind, static_score):
    rollouts, samples = ego.speed.shape
    agents = others.valid.shape[1]
    score, first = np.ones(rollouts), np.full(rollouts, -1, np.int64)
    ignored, near = np.empty(agents, dtype=np.bool_), np.empty(agents, np.int64)
    for k in range(rollouts):
        r = k if others.valid.shape[0] > 1 else 0
        for a in range(agents):
            ignored[a] = False
        for begin in range(0, samples, WINDOW):
            end = min(begin + WINDOW, samples)
            count = gather_near(ego, k, begin, end, 0.0, others.sweep, r, near)
            for t in range(begin, end):
                for n in range(count):
                    a = near[n]
                    if ignored[a] or not others.valid[r, a, t] or not ego_meets(ego, k, t, 0.0, others, r, a, t):
                        continue
                    if not _is_at_fault(ego, k, t, exposed[k, t], others, r, a, stopped_speed, cos_behind):
                        ignored[a] = True
                        continue
                    score[k] = min(score[k], 0.0 if others.agent[r, a] else static_score)
                    if first[k] < 0:
                        first[k] = t
    return score, first


@njit(**UNCOUNTED)
@no_type_check
def _is_at_fault(ego, k, t, exposed, others, r, a, stopped_speed, cos_behind):
    if ego.speed[k, t] <= stopped_speed:
        return False
    if others.stopped[r, a, t]:
        return True
    if cos_bearing(ego, k, t, others.centre[r, a, t]) < cos_behind:
        return False
    return exposed or _front_edge_meets(ego, k, t, others, r, a)
