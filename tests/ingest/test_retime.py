"""A stream with lost messages, a late start and an exact tail gets its true times back."""

import numpy as np

from simscale.geometry.polylines import project
from simscale.ingest.retime import retimed

DT = 0.1


def drive(time):
    """A car that brakes from 12 m/s to 6 m/s and speeds up again on a wide curve: place and heading at any time."""
    station = 9.0 * time + 3.0 * 20.0 / (2 * np.pi) * np.sin(2 * np.pi * time / 20.0)
    angle = station / 80.0
    return 80.0 * np.stack([np.sin(angle), 1 - np.cos(angle)], axis=-1), angle


def sampled(*, start=0.0, lost=(), tail=0, steps=200):
    """Nominal poses: a stream that begins at `start` and lost a message in some steps, and exact poses at the end."""
    step = np.full(steps - 1 - tail, DT)
    step[list(lost)] += 0.02
    stream = start + np.concatenate([[0.0], np.cumsum(step)])
    return drive(np.concatenate([stream, DT * np.arange(steps - tail, steps)]))


def errors(found, steps=200):
    time = DT * np.arange(found.first, found.first + len(found.yaw))
    assert time[-1] < DT * steps
    return np.hypot(*(found.xy - drive(time)[0]).T)


def test_true_times_stay():
    found = retimed(*sampled(), dt=DT)
    assert (found.first, len(found.yaw)) == (0, 200)
    assert errors(found).max() < 0.02


def test_lost_messages_a_late_start_and_a_jump_are_undone():
    xy, yaw = sampled(start=0.17, lost=(20, 60, 61, 100, 150), tail=3)
    speed = np.hypot(*np.diff(xy, axis=0).T) / DT
    assert speed.max() > 1.15 * 12.0  # the damage is there: metres a second
    found = retimed(xy, yaw, dt=DT)
    assert found.first == 2  # 0.1 s was not measured
    assert found.first + len(found.yaw) == 200
    assert errors(found).max() < 0.05


def test_the_path_is_kept():
    xy, yaw = sampled(start=0.1, lost=(20, 60, 100), tail=3)
    found = retimed(xy, yaw, dt=DT)
    driven, _ = drive(np.linspace(0.0, 20.5, 4000))
    _, offset = project(driven, found.xy)
    assert np.abs(offset).max() < 0.02
    np.testing.assert_allclose(found.yaw, drive(DT * np.arange(found.first, 200))[1], atol=0.01)


def test_a_standing_car_stands():
    xy = np.tile([1000.0, 2000.0], (50, 1))
    found = retimed(xy, np.full(50, 3.1), dt=DT)
    np.testing.assert_allclose(found.xy, xy, atol=1e-9)
    np.testing.assert_allclose(found.yaw, 3.1, atol=1e-9)


def test_the_world_may_turn_and_move():
    xy, yaw = sampled(start=0.05, lost=(50,), tail=2)
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    plain, moved = retimed(xy, yaw, dt=DT), retimed(xy @ turn.T + 1e4, yaw + np.pi / 2, dt=DT)
    np.testing.assert_allclose(moved.xy, plain.xy @ turn.T + 1e4, atol=1e-6)


def test_a_few_poses_are_enough():
    for steps in (2, 3, 4, 7):
        found = retimed(*(part[:steps] for part in sampled()), dt=DT)
        assert len(found.yaw) == steps
