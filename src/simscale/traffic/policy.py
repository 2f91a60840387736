"""The kinds of traffic by name, and the nouns they share."""

from collections.abc import Callable
from functools import partial

from simscale.scene import Scene
from simscale.traffic.constant_velocity import constant_velocity
from simscale.traffic.idm import idm, prepare
from simscale.traffic.replay import replay
from simscale.traffic.rollout import Traffic, TrafficRollout, TrafficState
from simscale.traffic.rules import TrafficRules

POLICIES: dict[str, Callable[..., Traffic]] = {
    "idm": idm,
    "replay": replay,
    "constant_velocity": constant_velocity,
}
"""Each is called as `(scene, t0, *, vehicle, rules)`."""


def policy_of(name: str, scene: Scene, *, rules: TrafficRules) -> Callable[..., Traffic]:
    """A kind of traffic for many decision points of one scene, called as `(t0, *, vehicle)`.

    What depends on the log alone is prepared once, here.
    """
    if name == "idm":
        return partial(idm, scene, rules=rules, prepared=prepare(scene, rules=rules))
    return partial(POLICIES[name], scene, rules=rules)


__all__ = ["POLICIES", "Traffic", "TrafficRollout", "TrafficRules", "TrafficState", "policy_of"]
