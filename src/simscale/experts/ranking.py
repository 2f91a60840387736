"""In which order proposals are tried: the best by score, then the best that are different.

The reference takes the first best. The generator tries a few in the true traffic; five that differ by a finger's
breadth would fail alike, so a proposal gives way to one that goes elsewhere (ours).
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Bool, Float, Int
from numba import njit

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
    return _one_after_the_other(value, alike)


@njit(cache=True)
@no_type_check
def _one_after_the_other(value, alike):
    """Takes the best that is left again and again; what is like one taken has lost as much as it is alike."""
    count = len(value)
    order, loss, left = np.empty(count, np.int64), np.zeros(count), np.ones(count, np.bool_)
    for place in range(count):
        taken = -1
        for i in range(count):
            if left[i] and (taken < 0 or value[i] - loss[i] > value[taken] - loss[taken]):
                taken = i
        order[place], left[taken] = taken, False
        loss = np.maximum(loss, alike[taken])
    return order


def _distances(xy: Float[Array, "p t 2"]) -> Float[Array, "p p"]:
    """Mean distance of every two rollouts over a few samples."""
    some = xy[:, 10::10]
    return np.hypot(*np.moveaxis(some[:, None] - some[None], -1, 0)).mean(axis=-1)
