"""Recovery expert: of all that the car can do from `s`, what brings it back to where the human is.

Conservative by design (Algorithm 1 of the paper, second half): it answers with the vocabulary entry whose end, after
the rollout, is nearest to the human's own pose, heading and speed at that time. An answer must recover; without that
test two thirds of the accepted answers did not come nearer to the human's path (pipeline.md 4).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from simscale.geometry.angles import wrap
from simscale.geometry.polylines import project, without_repeats, yaw_at_station
from simscale.scene import CarState

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class RecoveryRules:
    """How an end is weighed, and what counts as recovered. All ours."""

    lon_scale: float = 3.0  # an end this far ahead or behind costs 1, m
    lat_scale: float = 1.0  # ... to the side, m
    yaw_scale: float = float(np.radians(10))  # ... turned, rad
    speed_scale: float = 1.0  # ... faster or slower, m/s
    max_candidates: int = 20  # the nearest ends that are tried in traffic
    near_enough: float = 1.0  # an end this near to the human's path has recovered, m
    share_left: float = 0.7  # ... or one that has less than this share of the offset of `s` left
    max_yaw: float = float(np.radians(10))  # and is turned less than this from the path, rad


RULES = RecoveryRules()


def nearest_ends(
    ends: CarState, human: CarState, *, rules: RecoveryRules = RULES
) -> tuple[Int[Array, " k"], Float[Array, " k"]]:
    """Candidates by the weighted squared distance of their ends to the human, nearest first.

    Args:
        ends: State at the end of each rollout, `[k]`.
        human: The human's state at that time, `[]`.
        rules: The weights.
    """
    c, s = np.cos(human.yaw), np.sin(human.yaw)
    off = ends.xy - human.xy
    lon, lat = c * off[:, 0] + s * off[:, 1], -s * off[:, 0] + c * off[:, 1]
    cost = (
        (lon / rules.lon_scale) ** 2
        + (lat / rules.lat_scale) ** 2
        + (wrap(ends.yaw - human.yaw) / rules.yaw_scale) ** 2
        + ((ends.velocity[:, 0] - human.velocity[0]) / rules.speed_scale) ** 2
    )
    order = np.argsort(cost, kind="stable")
    return order, cost[order]


def human_path(ego: CarState, *, beyond: float = 60.0) -> Float[Array, "n 2"]:
    """The path that the human drove in the log, continued straight at both ends, m."""
    xy = without_repeats(ego.xy, closer_than=0.2)
    if len(xy) < 2:
        ahead = np.array([np.cos(ego.yaw[0]), np.sin(ego.yaw[0])])
        return np.stack([xy[0] - beyond * ahead, xy[0] + beyond * ahead])
    before = np.array([np.cos(ego.yaw[0]), np.sin(ego.yaw[0])])
    after = np.array([np.cos(ego.yaw[-1]), np.sin(ego.yaw[-1])])
    return np.concatenate([[xy[0] - beyond * before], xy, [xy[-1] + beyond * after]])


def has_recovered(
    ends: CarState, start: CarState, path: Float[Array, "n 2"], *, rules: RecoveryRules = RULES
) -> Bool[Array, " k"]:
    """Which ends `[k]` are near enough to the human's path, given where the car was at `s`, `[]`."""
    station, offset = project(path, ends.xy)
    _, at_start = project(path, start.xy[None])
    limit = max(rules.near_enough, rules.share_left * float(np.abs(at_start[0])))
    turned = np.abs(wrap(ends.yaw - yaw_at_station(path, station)))
    return (np.abs(offset) < limit) & (turned < rules.max_yaw)
