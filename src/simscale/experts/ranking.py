"""In which order proposals are tried: the best by score, then the best that are different.

The reference takes the first best. The generator tries a few in the true traffic; five that differ by a finger's
breadth would fail alike, so a proposal gives way to one that goes elsewhere (ours).
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from simscale.experts.rules import PdmClosedRules
from simscale.scene import CarState
from simscale.scoring import Scores

Array = np.ndarray


def acceptable(scores: Scores) -> Bool[Array, " p"]:
    """Which proposals pass all that the generator asks of an expert (pipeline.md, section 4)."""
    asked = (
        scores.no_at_fault_collision,
        scores.drivable_area,
        scores.driving_direction,
        scores.traffic_light,
        scores.time_to_collision,
        scores.history_comfort,
    )
    return np.all([one == 1.0 for one in asked], axis=0)


def ranked(scores: Scores, rollouts: CarState, *, rules: PdmClosedRules) -> Int[Array, " p"]:
    """Proposals [p] from the one to take first on.

    Args:
        scores: Of each proposal.
        rollouts: States [p t], by which proposals are alike or different.
        rules: `acceptable_first`, `diversity` and its distance.
    """
    value = scores.total + (2.0 * acceptable(scores) if rules.acceptable_first else 0.0)
    if rules.diversity == 0.0:
        return np.argsort(-value, kind="stable")
    alike = rules.diversity * np.exp(-_distances(rollouts.xy) / rules.diversity_distance)
    order: list[int] = []
    loss = np.zeros(len(value))
    left = np.ones(len(value), dtype=bool)
    while left.any():
        taken = int(np.argmax(np.where(left, value - loss, -np.inf)))
        order.append(taken)
        left[taken] = False
        loss = np.maximum(loss, alike[taken])
    return np.array(order)


def _distances(xy: Float[Array, "p t 2"]) -> Float[Array, "p p"]:
    """Mean distance of every two rollouts over a few samples."""
    some = xy[:, 10::10]
    return np.hypot(*np.moveaxis(some[:, None] - some[None], -1, 0)).mean(axis=-1)
