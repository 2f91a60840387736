"""From sub-scores of single tokens to the score of a benchmark, in one stage or two (scoring.md 7).

Two stages: a planner is judged where the log starts (first stage), and at starts around where it would then be
(second stage), each of which counts by how near it lies to the planned end. Every number of a token is one column,
and each column goes through the same product on its own; so the combined score is not the product of the stages'.
Lengths in m, scores in [0, 1]; n tokens, g groups, m pairs of second-stage starts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from simscale.scene import CarState, EgoVehicle
from simscale.scoring.comfort import extended_comfort
from simscale.scoring.human_filter import SUB_SCORES
from simscale.scoring.rules import ScoringRules

Array = np.ndarray

MULTIPLIERS = 4
"""The first so many sub-scores multiply, the others are weighted."""
COLUMNS = (*SUB_SCORES, "extended_comfort", "score")
"""What is known of a token, in the order of all tables here."""
SCORE = COLUMNS.index("score")
EXTENDED_COMFORT = COLUMNS.index("extended_comfort")
KERNEL_VARIANCE = 0.1
"""Of the Gaussian by which second-stage starts count, m^2 (`scene_aggregator.py` of NAVSIM)."""
FARTHEST_FRAME_US = 550_000
"""Two plans of one log are compared by extended comfort if they were made less than this apart, us."""
LEAST_WEIGHT = 1e-8
"""QUIRK Q11: where the weights sum up to no more, all starts count alike; so they do beyond about 1.9 m."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """A first-stage token, the one half a second before it, and the second-stage tokens that follow each."""

    now: int  # numbers of tokens
    prev: int
    pairs: Int[Array, "m 2"]  # (now, prev) of the second stage


@dataclass(frozen=True, kw_only=True)
class TwoStage:
    """Means over a group's two chains (now, and prev), one row a group."""

    stage_one: Float[Array, "g c"]
    stage_two: Float[Array, "g c"]
    combined: Float[Array, "g c"]
    scored: Bool[Array, " g"]  # the other rows are NaN: a first-stage token or all second-stage tokens failed
    weight: Float[Array, " n"]  # of each second-stage token within its group; NaN for all others


def token_columns(
    sub_scores: Float[Array, "n 8"],
    extended: Float[Array, " n"],
    rules: ScoringRules,
    *,
    shown: Float[Array, "n 8"] | None = None,
) -> Float[Array, "n 10"]:
    """Adds extended comfort and the score.

    Args:
        sub_scores: In the order of `SUB_SCORES`.
        extended: 1 or 0; NaN where there was no earlier plan, then its weight is dropped (Q15).
        rules: For the weights.
        shown: Sub-scores that stand in the columns, if not those that make the score (the legacy human filter, Q9).
    """
    weights = [rules.progress_weight, rules.ttc_weight, rules.lane_keeping_weight, rules.history_comfort_weight]
    known = ~np.isnan(extended)
    weighted = sub_scores[:, MULTIPLIERS:] @ np.array(weights)
    weighted = weighted + rules.extended_comfort_weight * np.where(known, extended, 0.0)
    weight = sum(weights) + rules.extended_comfort_weight * known
    score = sub_scores[:, :MULTIPLIERS].prod(axis=1) * weighted / weight
    return np.column_stack([sub_scores if shown is None else shown, extended, score])


def two_frame_comfort(
    ego: CarState, pairs: Int[Array, "p 2"], *, vehicle: EgoVehicle, rules: ScoringRules
) -> Float[Array, " p"]:
    """Whether each first drive of a pair agrees with the second, planned half a second before; 1 or 0."""
    if len(pairs) == 0:
        return np.zeros(0)
    agrees, _ = extended_comfort(ego[pairs[:, 0]], ego[pairs[:, 1]], vehicle=vehicle, rules=rules)
    return agrees.astype(np.float64)


def extended_comforts(
    ego: CarState, pairs: Int[Array, "p 2"], time_us: Int[Array, " n"], *, vehicle: EgoVehicle, rules: ScoringRules
) -> Float[Array, " p"]:
    """As `two_frame_comfort`, for drives that were planned at any times within 0.55 s of each other; else NaN."""
    apart = time_us[pairs[:, 0]] - time_us[pairs[:, 1]]
    shift = np.rint(apart / 100_000).astype(np.int64)
    known = (apart > 0) & (apart < FARTHEST_FRAME_US)
    found = np.full(len(pairs), np.nan)
    for steps in np.unique(shift[known]):
        rows = np.flatnonzero(known & (shift == steps))
        agrees, _ = extended_comfort(
            ego[pairs[rows, 0]], ego[pairs[rows, 1]], vehicle=vehicle, rules=rules, shift=int(steps)
        )
        found[rows] = agrees
    return found


def following_pairs(time_us: Int[Array, " n"], log: Int[Array, " n"]) -> Int[Array, "p 2"]:
    """(now, prev) of every token that another one of its log precedes by less than 0.55 s (scoring.md 7.1)."""
    order = np.lexsort((time_us, log))
    now, prev = order[1:], order[:-1]
    apart = time_us[now] - time_us[prev]
    return np.stack([now, prev], axis=1)[(log[now] == log[prev]) & (apart > 0) & (apart < FARTHEST_FRAME_US)]


def kernel_weights(end_xy: Float[Array, "2"], start_xy: Float[Array, "m 2"]) -> Float[Array, " m"]:
    """How much each second-stage start counts, by its distance to the planned end (rear axles); they sum up to 1."""
    squared = ((start_xy - end_xy) ** 2).sum(axis=-1)
    weight = np.exp(-squared / (2.0 * KERNEL_VARIANCE))
    if weight.sum() <= LEAST_WEIGHT:
        weight = np.ones(len(weight))
    return weight / weight.sum()


def two_stage(
    columns: Float[Array, "n c"],
    groups: Sequence[Group],
    *,
    end_xy: Float[Array, "n 2"],
    start_xy: Float[Array, "n 2"],
    scored: Bool[Array, " n"] | None = None,
) -> TwoStage:
    """Scores of groups, column by column (`calculate_pseudo_closed_loop_...` of NAVSIM).

    Args:
        columns: One row a token.
        groups: Numbers of rows.
        end_xy: Planned (not driven) end of each first-stage token, in a frame shared with the group's starts.
        start_xy: Where each token starts.
        scored: Tokens that count. The reference knows no failure; here a pair that failed is left out of its group,
            and a group without a first-stage token or without pairs is not scored (ours).
    """
    kept = np.ones(len(columns), dtype=bool) if scored is None else scored
    means = np.full((3, len(groups), columns.shape[1]), np.nan)
    weight = np.full(len(columns), np.nan)
    complete = np.zeros(len(groups), dtype=bool)
    for number, group in enumerate(groups):
        pairs = group.pairs[kept[group.pairs].all(axis=1)]
        complete[number] = kept[group.now] and kept[group.prev] and len(pairs) > 0
        if not complete[number]:
            continue
        chains = []
        for first, second in ((group.now, pairs[:, 0]), (group.prev, pairs[:, 1])):
            weight[second] = kernel_weights(end_xy[first], start_xy[second])
            after = weight[second] @ columns[second]
            chains.append((columns[first], after, columns[first] * after))
        means[:, number] = np.mean(chains, axis=0)
    return TwoStage(stage_one=means[0], stage_two=means[1], combined=means[2], scored=complete, weight=weight)
