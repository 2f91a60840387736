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
from simscale.scoring import history_comfort

Array = np.ndarray


def corrected(
    pose: Float[Array, "p t 3"],
    paths: Paths,
    which: Int[Array, " p"],
    state: CarState,
    history: CarState,
    *,
    vehicle: EgoVehicle,
    rules: PdmClosedRules,
) -> Float[Array, "p t 3"]:
    """Poses for the tracker, so that the simulated car keeps to its path as well as comfort lets it.

    Args:
        pose: What the car is meant to do: x and y relative to its rear axle, and world yaw; the first is the car.
        paths: The paths that it is meant to keep to.
        which: The path of each proposal.
        state: The car now.
        history: The car before [h].
        vehicle: The ego's dimensions.
        rules: How often to correct, by which shares, and the bounds.
    """
    turn, shift = np.zeros(pose.shape[:2]), np.zeros(pose.shape[:2])
    bent, kept = pose, pose.copy()
    for again in range(rules.corrections + 1):
        rollouts = track(bent, state, vehicle=vehicle, steps=rules.steps)
        if again > 0:
            calm = history_comfort(rollouts, history, vehicle=vehicle, rules=rules.scoring) == 1.0
            kept[calm] = bent[calm]
        if again == rules.corrections:
            break
        yaw_error, offset_error = _errors(rollouts, paths, which)
        turn = np.clip(turn + rules.correct_yaw * yaw_error, -rules.correct_yaw_max, rules.correct_yaw_max)
        shift = shift + rules.correct_offset * offset_error
        shift = np.clip(shift, -rules.correct_offset_max, rules.correct_offset_max)
        bent = _bent(pose, turn, shift)
    return kept


def _bent(pose: Float[Array, "p t 3"], turn: Float[Array, "p t"], shift: Float[Array, "p t"]) -> Float[Array, "p t 3"]:
    """Poses turned, and moved to the left, all but the first."""
    xy = pose[..., :2] + shift[..., None] * direction(pose[..., 2] + np.pi / 2)
    bent = np.concatenate([xy, (pose[..., 2] + turn)[..., None]], axis=-1)
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
