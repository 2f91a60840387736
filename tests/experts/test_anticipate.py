"""Anticipation and correction: the tracked car does what is meant, not what the plan literally says."""

import numpy as np
import pytest
from one_road import car, history_of

from simscale.dynamics import track
from simscale.experts.anticipate import anticipated
from simscale.experts.correct import corrected
from simscale.experts.paths import Paths
from simscale.experts.rules import SOUND
from simscale.scene import PACIFICA

Array = np.ndarray
LOOKED_AHEAD = 30  # samples after which the tracker's preview leaves the plan


def speeds(start: float, *pieces: tuple[float, float]) -> Array:
    """A speed profile of 41 samples from (acceleration, seconds) pieces."""
    accel = np.concatenate([np.full(round(seconds * 10), value) for value, seconds in pieces])
    return np.maximum(start + np.concatenate([[0.0], np.cumsum(accel[:40]) * 0.1]), 0.0)


def driven(station: Array, speed: float, accel: float) -> Array:
    pose = np.zeros((1, 41, 3))
    pose[0, :, 0] = station
    return track(pose, car(speed=speed, accel=accel), vehicle=PACIFICA, steps=40).velocity[0, :, 0]


@pytest.mark.parametrize(
    "meant",
    [
        speeds(10.0, (-2.0, 2.0), (0.0, 2.0)),
        speeds(0.0, (1.0, 4.0)),
        speeds(6.0, (0.0, 1.0), (-2.5, 1.0), (1.0, 2.0)),
        speeds(12.0, (0.0, 4.0)),
    ],
)
def test_the_car_keeps_the_meant_speeds(meant: Array):
    plain = np.concatenate([[0.0], np.cumsum((meant[1:] + meant[:-1]) / 2 * 0.1)])
    asked = anticipated(meant[None], acceleration=0.0)[0]
    error = np.abs(driven(asked, meant[0], 0.0) - meant)
    assert error[:LOOKED_AHEAD].max() < 0.3
    assert error.max() < 0.4
    assert error[:LOOKED_AHEAD].max() <= np.abs(driven(plain, meant[0], 0.0) - meant)[:LOOKED_AHEAD].max() + 0.05


def test_a_batch_is_its_rows():
    rows = np.stack([speeds(8.0, (-1.0, 4.0)), speeds(8.0, (0.5, 4.0))])
    together = anticipated(rows, acceleration=0.3)
    for row, one in zip(rows, together, strict=True):
        np.testing.assert_allclose(anticipated(row[None], acceleration=0.3)[0], one, atol=1e-12)


def test_a_plan_that_the_car_follows_anyway_is_not_bent():
    state = car(speed=8.0)
    x = np.arange(0.0, 80.0)
    line = Paths(xy=np.stack([x, 0 * x], axis=-1)[None], yaw=np.zeros((1, len(x))), station=x[None])
    pose = np.zeros((1, 41, 3))
    pose[0, :, 0] = 0.8 * np.arange(41)
    kept = corrected(pose, line, np.zeros(1, dtype=np.int64), state, history_of(state), vehicle=PACIFICA, rules=SOUND)
    np.testing.assert_allclose(kept, pose, atol=1e-9)
