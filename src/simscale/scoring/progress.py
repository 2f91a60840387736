"""Ego progress (EP): metres along the centre line, relative to the best safe driver at hand."""

import numpy as np
from jaxtyping import Float

from simscale.scoring.rules import ScoringRules

Array = np.ndarray


def progress_score(
    raw: Float[Array, " k"],
    multiplier: Float[Array, " k"],
    best_progress: float | Float[Array, " k"] | None,
    rules: ScoringRules,
) -> Float[Array, " k"]:
    """Progress in [0, 1] (`_aggregate_scores` of NAVSIM).

    QUIRK Q10: the measure is the best of progress *times* multiplier, while the judged rollout keeps the credit for
    its own progress even if its multiplier is 0; and where the best is no farther than 5 m everybody gets 1.

    Args:
        raw: Progress of each rollout, m.
        multiplier: Product of its four multipliers.
        best_progress: Progress times multiplier of PDM-Closed, m: each rollout is measured against it alone (or
            against itself, where that is farther). None: rollouts are measured against the best of them.
        rules: For the threshold.
    """
    safe = raw * multiplier
    best = np.max(safe, initial=0.0) if best_progress is None else np.maximum(safe, best_progress)
    far = best > rules.progress_threshold
    return np.where(far, np.clip(raw / np.where(far, best, 1.0), 0.0, 1.0), 1.0)
