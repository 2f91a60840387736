"""Time to collision (TTC): does the ego, going on straight at its speed, hit someone within 0.9 s?

The ego's box is moved along its heading and compared with where the others really are at that time. A hit counts
when the other is ahead, or beside it while the ego straddles lanes, is off the road or in a junction.
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Bool, Int
from numba import njit

from simscale.scene import DT
from simscale.scoring.boxes import EgoBoxes, TrackBoxes, ego_meets
from simscale.scoring.broad_phase import BEYOND, WINDOW, gather_near
from simscale.scoring.collision import cos_bearing
from simscale.scoring.ring_index import UNCOUNTED
from simscale.scoring.rules import ScoringRules

Array = np.ndarray


def first_ttc_hit(
    ego: EgoBoxes, others: TrackBoxes, exposed: Bool[Array, "k t"], rules: ScoringRules, *, first: int, last: int
) -> Int[Array, " k"]:
    """First sample of `first` to `last - 1` that fails (-1 for none) (`_calculate_ttc` of NAVSIM).

    `exposed` says where hits from the side count. A sample is tested where the tracks reach its farthest offset:
    with 41 samples of tracks up to 31, as in the reference; with 50 up to 40.
    """
    offsets = np.array(rules.ttc_offsets)
    assert offsets.max() == offsets[-1] <= BEYOND, "the broad phase looks no farther ahead"
    last = min(last, ego.speed.shape[1], others.valid.shape[2] - int(offsets.max()))
    angles = np.cos(rules.ahead_angle), np.cos(rules.behind_angle)
    return _ttc(ego, others, exposed, offsets, offsets * DT, rules.ttc_stopped_speed, *angles, first, last)


@njit(cache=True)
@no_type_check
def _ttc(ego, others, exposed, offsets, ahead_s, stopped_speed, cos_ahead, cos_behind, first, last):
    rollouts, agents = ego.speed.shape[0], others.valid.shape[1]
    hit = np.full(rollouts, -1, np.int64)
    ignored, near = np.empty(agents, dtype=np.bool_), np.empty(agents, np.int64)
    for k in range(rollouts):
        r = k if others.valid.shape[0] > 1 else 0
        for a in range(agents):
            ignored[a] = False
        begin = first
        while begin < last and hit[k] < 0:
            end = min((begin // WINDOW + 1) * WINDOW, last)
            count = gather_near(ego, k, begin, end, ahead_s[-1], others.sweep, r, near)
            for t in range(begin, end if count > 0 else begin):
                if ego.speed[k, t] >= stopped_speed and _hits(
                    ego, k, t, exposed[k, t], others, r, near[:count], offsets, ahead_s, cos_ahead, cos_behind, ignored
                ):
                    hit[k] = t
                    break
            begin = end
    return hit


@njit(**UNCOUNTED)
@no_type_check
def _hits(ego, k, t, exposed, others, r, near, offsets, ahead_s, cos_ahead, cos_behind, ignored):
    """Whether one sample fails; who is met otherwise joins `ignored`."""
    for f in range(len(offsets)):
        then = t + offsets[f]
        for a in near:
            if ignored[a] or not others.valid[r, a, then]:
                continue
            if not ego_meets(ego, k, t, ego.speed[k, t] * ahead_s[f], others, r, a, then):
                continue
            bearing = cos_bearing(ego, k, t, others.centre[r, a, then])
            if bearing > cos_ahead or (exposed and not bearing < cos_behind):
                return True
            ignored[a] = True
    return False
