"""Constant velocity: straight lines from the decision point."""

import dataclasses

import numpy as np

from simscale.scene import PACIFICA, CarState
from simscale.traffic.constant_velocity import constant_velocity
from simscale.traffic.policy import TrafficRules
from worlds import changed, straight_scene


def test_a_turning_car_leaves_on_its_tangent():
    scene = straight_scene(boxes=[(20.0, 10.0, 0.0, 0.0)])
    angle = np.arange(len(scene)) * 0.02
    circle = np.stack([20 + 50 * np.sin(angle), 10 + 50 * (1 - np.cos(angle))], -1)
    velocity = 10.0 * np.stack([np.cos(angle), np.sin(angle)], -1)
    tracks = dataclasses.replace(scene.tracks, xy=circle[None], yaw=angle[None], velocity=velocity[None])
    scene = changed(scene, tracks=tracks)
    traffic = constant_velocity(scene, 10, vehicle=PACIFICA, rules=TrafficRules())
    rolled = traffic.roll(traffic.start(), CarState.unpacked(np.zeros((1, 21, 11))))
    np.testing.assert_allclose(rolled.tracks.xy[0, 0, 20], circle[10] + 2.0 * velocity[10], atol=1e-9)
    np.testing.assert_allclose(rolled.tracks.yaw[0, 0], angle[10])


def test_who_appears_later_in_the_log_does_not_appear():
    scene = straight_scene(boxes=[(20.0, 0.0, 0.0, 8.0), (30.0, 3.5, 0.0, 7.0)])
    valid = scene.tracks.valid.copy()
    valid[1, :20] = False
    scene = changed(scene, tracks=dataclasses.replace(scene.tracks, valid=valid))
    assert constant_velocity(scene, 10, vehicle=PACIFICA, rules=TrafficRules()).tracks.id == ("agent-0",)
