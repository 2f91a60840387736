"""Whoever could be met is asked: the broad phase leaves out only those whom no test box by box would find."""

import numpy as np

from simscale.scene import DT, PACIFICA, CarState, TrackKind
from simscale.scoring.boxes import ego_boxes, ego_meets, track_boxes
from simscale.scoring.broad_phase import BEYOND, WINDOW, gather_near
from worlds import tracks_of

SAMPLES = 41


def drives(rng: np.random.Generator, count: int) -> CarState:
    packed = np.zeros((count, SAMPLES, 11))
    yaw = rng.uniform(-4, 4, (count, 1)) + np.cumsum(rng.normal(0, 0.05, (count, SAMPLES)), axis=1)
    speed = rng.uniform(0, 20, (count, 1)) + np.zeros((count, SAMPLES))
    step = (speed * DT)[..., None] * np.stack([np.cos(yaw), np.sin(yaw)], axis=-1)
    packed[..., :2] = rng.uniform(-20, 20, (count, 1, 2)) + np.cumsum(step, axis=1)
    packed[..., 2], packed[..., 3] = yaw, speed
    return CarState.unpacked(packed)


def test_everybody_who_is_met_is_near():
    rng = np.random.default_rng(3)
    ego = ego_boxes(drives(rng, 30), vehicle=PACIFICA, origin_xy=np.zeros(2))
    tracks = tracks_of([tuple(box) for box in rng.uniform([-60, -60, -4, 0], [60, 60, 4, 15], (40, 4))], SAMPLES)
    tracks.valid[:] = rng.uniform(size=tracks.valid.shape) < 0.8
    others = track_boxes(tracks, origin_xy=np.zeros(2))
    near, asked, met, listed = np.empty(40, np.int64), 0, 0, 0
    for k in range(30):
        for first in range(0, SAMPLES, WINDOW):
            last = min(first + WINDOW, SAMPLES)
            found = set(near[: gather_near(ego, k, first, last, BEYOND * DT, others.sweep, 0, near)].tolist())
            listed, asked = listed + len(found), asked + 40
            for t in range(first, last):
                for later in (0, 3, 9):
                    for a in range(40) if t + later < SAMPLES else ():
                        step = ego.speed[k, t] * later * DT
                        if tracks.valid[a, t + later] and ego_meets(ego, k, t, step, others, 0, a, t + later):
                            assert a in found
                            met += 1
    assert met > 200 and listed < 0.5 * asked


def test_what_is_never_there_is_never_near():
    tracks = tracks_of([(0.0, 0.0, 0.0, 0.0)], SAMPLES, TrackKind.BARRIER)
    tracks.valid[:] = False
    others = track_boxes(tracks, origin_xy=np.zeros(2))
    ego = ego_boxes(drives(np.random.default_rng(0), 1), vehicle=PACIFICA, origin_xy=np.zeros(2))
    assert gather_near(ego, 0, 0, WINDOW, 0.9, others.sweep, 0, np.empty(1, np.int64)) == 0
