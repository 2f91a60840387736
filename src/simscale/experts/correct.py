"""Bends plans until the car that tracks them, with its lags, drives where it was meant to.

The tracker looks a second ahead and answers late and softly: from a start 20 degrees off, a car at 10 m/s swings a
metre farther out than its plan and then a metre past it on the other side. So the proposals are simulated, and what
the car does wrong is added to the plan with the opposite sign, a few times (iterative learning control; ours).
"""

import numpy as np
from jaxtyping import Float, Int

from simscale.dynamics import track
from simscale.experts.paths import Paths
from simscale.experts.rules import PdmClosedRules
from simscale.geometry.angles import direction, wrap
from simscale.scene import DT, CarState, EgoVehicle

Array = np.ndarray


def corrected(
    pose: Float[Array, "p t 3"],
    paths: Paths,
    which: Int[Array, " p"],
    state: CarState,
    *,
    vehicle: EgoVehicle,
    rules: PdmClosedRules,
) -> Float[Array, "p t 3"]:
    """Poses for the tracker, so that the simulated car keeps to its path.

    Args:
        pose: What the car is meant to do: x and y relative to its rear axle, and world yaw; the first is the car.
        paths: The paths that it is meant to keep to.
        which: The path of each proposal.
        state: The car now.
        vehicle: The ego's dimensions.
        rules: How often to correct, by which shares, and the bounds.
    """
    turn, shift = np.zeros(pose.shape[:2]), np.zeros(pose.shape[:2])
    bent = pose
    for _ in range(rules.corrections):
        rollouts = track(bent, state, vehicle=vehicle, steps=rules.steps)
        yaw_error, offset_error = _errors(rollouts, paths, which)
        turn = np.clip(turn + rules.correct_yaw * yaw_error, -rules.correct_yaw_max, rules.correct_yaw_max)
        shift += rules.correct_offset * offset_error
        shift = np.clip(shift, -rules.correct_offset_max, rules.correct_offset_max)
        bent = np.concatenate(
            [pose[..., :2] + shift[..., None] * direction(pose[..., 2] + np.pi / 2), (pose[..., 2] + turn)[..., None]],
            axis=-1,
        )
        bent[:, 0] = pose[:, 0]
    return bent


def _errors(
    rollouts: CarState, paths: Paths, which: Int[Array, " p"]
) -> tuple[Float[Array, "p t"], Float[Array, "p t"]]:
    """How far the car should turn, and go to the left, to be on its path where it is along that path."""
    speed = rollouts.velocity[..., 0]
    station = np.cumsum(np.maximum(speed, 0.0) * DT, axis=-1) - np.maximum(speed, 0.0) * DT
    xy, yaw = paths.poses_of(which, station)
    station = station + ((rollouts.xy - xy) * direction(yaw)).sum(axis=-1)
    xy, yaw = paths.poses_of(which, station)
    offset = ((xy - rollouts.xy) * direction(yaw + np.pi / 2)).sum(axis=-1)
    return wrap(yaw - rollouts.yaw), offset
