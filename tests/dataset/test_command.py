"""Driving command: the way ahead in one of four words, whatever the car's own pose."""

import dataclasses

import numpy as np
import pytest

from simscale.dataset.command import Command, command_of, status_of
from simscale.scene import CarState
from worlds import straight_scene


def turning_route(side: float, *, radius: float = 10.0, before: float = 30.0) -> np.ndarray:
    """Straight along x to x = 0, a quarter of a circle to one side (+1 left), then straight."""
    angle = np.linspace(0.0, np.pi / 2, 30)
    arc = np.stack([radius * np.sin(angle), side * radius * (1 - np.cos(angle))], -1)
    line = np.stack([np.arange(-before, 0.0, 1.0), np.zeros(round(before))], -1)
    out = arc[-1] + np.stack([np.zeros(50), side * np.arange(1.0, 51.0)], -1)
    return np.concatenate([line, arc, out])


@pytest.mark.parametrize(("side", "told"), [(1.0, Command.LEFT), (-1.0, Command.RIGHT)])
def test_a_turn_within_the_way_ahead_is_told_and_one_beyond_it_is_not(side, told):
    route = turning_route(side)
    assert command_of(route, np.array([-5.0, 0.0]), speed=0.0) == told
    assert command_of(route, np.array([-25.0, 0.0]), speed=0.0) == Command.STRAIGHT
    assert command_of(route, np.array([-25.0, 0.0]), speed=10.0) == told  # it is there in 4 s
    assert command_of(route, np.array([10.0, side * 20.0]), speed=0.0) == Command.STRAIGHT  # the turn is done


def test_a_car_beside_its_route_is_told_the_same():
    route = turning_route(1.0)
    for aside in (-3.0, 0.0, 3.0):
        assert command_of(route, np.array([-25.0, aside]), speed=1.0) == Command.STRAIGHT
        assert command_of(route, np.array([-5.0, aside]), speed=1.0) == Command.LEFT


def test_no_route_its_end_and_one_far_away_say_nothing():
    line = np.stack([np.arange(0.0, 50.0), np.zeros(50)], -1)
    assert command_of(np.zeros((0, 2)), np.zeros(2), speed=1.0) == Command.UNKNOWN
    assert command_of(line, np.array([47.0, 0.0]), speed=1.0) == Command.UNKNOWN
    assert command_of(line, np.array([20.0, 16.0]), speed=1.0) == Command.UNKNOWN
    assert command_of(line, np.array([20.0, 14.0]), speed=1.0) == Command.STRAIGHT


def test_status_is_command_velocity_acceleration():
    scene = straight_scene(speed=8.0)
    state = CarState.unpacked(np.array([5.0, 1.0, 0.3, 4.0, -0.5, 1.5, 0.0, 0.0, 0.0, 0.2, 0.0]))
    np.testing.assert_allclose(status_of(scene, state), [0, 1, 0, 0, 4.0, -0.5, 1.5, 0.8], atol=1e-6)
    without = dataclasses.replace(scene, route=np.zeros(0, dtype=np.int64))
    assert status_of(without, state)[:4].tolist() == [0, 0, 0, 1]
