"""Verdicts: the first reason against a rollout, in a fixed order; an empty one where there is none.

A perturbation may not touch anything at all and must end in a state that is not lost; time-to-collision on the way is
not tested, since a near miss is welcome (pipeline.md 2). An expert's answer must be driving that one would copy
(pipeline.md 4).
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from simscale.generate.place import Place
from simscale.generate.sample import HORIZON
from simscale.scene import CarState, EgoVehicle, Tracks
from simscale.scoring.boxes import contacts
from simscale.scoring.epdms import score, ttc_hits
from simscale.scoring.rules import SOUND
from simscale.scoring.scores import Scores

Array = np.ndarray

PERTURB_REASONS = ("collision", "off_road", "oncoming", "red_light", "comfort", "ttc_at_end")
EXPERT_REASONS = ("collision", "off_road", "oncoming", "red_light", "time_to_collision", "comfort")
"""The sub-scores that must be 1, in the order in which they are asked."""


def perturbation_verdicts(
    ego: CarState, tracks: Tracks, place: Place, *, vehicle: EgoVehicle, history: CarState
) -> list[str]:
    """Reasons against perturbation rollouts `[k 50]`.

    Args:
        ego: Rollouts, coasting after the horizon.
        tracks: Traffic beside each, `[k a 50]`.
        place: Where they start.
        vehicle: The ego's box.
        history: The log before, for comfort.
    """
    scores = score(ego, tracks, place.around, vehicle=vehicle, history=history, rules=SOUND)
    touched = np.any(contacts(ego[:, : HORIZON + 1], tracks.at(0, HORIZON + 1), vehicle=vehicle), axis=1)
    lost = ttc_hits(ego, tracks, place.around, vehicle=vehicle, rules=SOUND, first=HORIZON, last=HORIZON + 1)
    fails = (
        touched,
        scores.drivable_area < 1,
        scores.driving_direction < 1,
        scores.traffic_light < 1,
        scores.history_comfort < 1,
        lost,
    )
    return first_reasons(fails, PERTURB_REASONS)


def expert_verdicts(scores: Scores) -> list[str]:
    """Reasons against scored answers `[k]`."""
    fails = (
        scores.no_at_fault_collision < 1,
        scores.drivable_area < 1,
        scores.driving_direction < 1,
        scores.traffic_light < 1,
        scores.time_to_collision < 1,
        scores.history_comfort < 1,
    )
    return first_reasons(fails, EXPERT_REASONS)


def first_reasons(fails: Sequence[Bool[Array, " k"]], names: Sequence[str]) -> list[str]:
    """For each rollout the name of the first test that it fails; empty where it passes all."""
    table = np.stack(fails, axis=-1)
    return [names[int(row.argmax())] if row.any() else "" for row in table]


def failed_sub_scores(scores: Scores, index: int) -> tuple[str, ...]:
    """Names of the sub-scores below 1 among those that decide."""
    names = (
        "no_at_fault_collision",
        "drivable_area",
        "driving_direction",
        "traffic_light",
        "time_to_collision",
        "history_comfort",
    )
    return tuple(name for name in names if float(getattr(scores, name)[index]) < 1)
