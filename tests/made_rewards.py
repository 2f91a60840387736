"""Scores of a vocabulary drawn at random, for the tests of what stores them."""

import numpy as np

from simscale.dataset.rewards_code import HALVES, MULTIPLIERS, WHOLES
from simscale.scoring.rules import PARITY
from simscale.scoring.scores import FirstFailures, Scores, total_of
from simscale.scoring.vocabulary import VocabularyScores


def made_scores(rng: np.random.Generator, size: int, *, metres: float) -> Scores:
    """Sub-scores that are drawn, with progress measured over the batch."""
    drawn = {name: rng.choice([0.0, 0.5, 1.0], size, p=[0.1, 0.1, 0.8]) for name in HALVES}
    drawn |= {name: rng.choice([0.0, 1.0], size, p=[0.1, 0.9]) for name in WHOLES}
    multiplier = np.prod([drawn[name] for name in MULTIPLIERS], axis=0)
    progress = np.ones(size)
    on_time, in_lane, comfort = (drawn[name] for name in ("time_to_collision", "lane_keeping", "history_comfort"))
    never = np.full(size, -1)
    return Scores(
        **drawn,
        progress=progress,
        total=total_of(multiplier, progress, on_time, in_lane, comfort, PARITY),
        multiplier=multiplier,
        progress_m=rng.uniform(0, metres, size),
        first=FirstFailures(**dict.fromkeys(FirstFailures.__dataclass_fields__, never)),
    )


def made_vocabulary(seed: int, size: int = 500, *, metres: float = 40.0, expert_metres: float = 30.0):
    rng = np.random.default_rng(seed)
    expert = made_scores(rng, 1, metres=expert_metres)
    return VocabularyScores(plans=made_scores(rng, size, metres=metres), expert=expert).measured("eval")
