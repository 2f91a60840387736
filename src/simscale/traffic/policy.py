"""The kinds of traffic by name, and the nouns they share."""

from collections.abc import Callable

from simscale.traffic.constant_velocity import constant_velocity
from simscale.traffic.idm import idm
from simscale.traffic.replay import replay
from simscale.traffic.rollout import Traffic, TrafficRollout, TrafficState
from simscale.traffic.rules import TrafficRules

POLICIES: dict[str, Callable[..., Traffic]] = {
    "idm": idm,
    "replay": replay,
    "constant_velocity": constant_velocity,
}
"""Each is called as `(scene, t0, *, vehicle, rules)`."""

__all__ = ["POLICIES", "Traffic", "TrafficRollout", "TrafficRules", "TrafficState"]
