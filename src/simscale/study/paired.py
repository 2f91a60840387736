"""Paired seeds: what co-training gains over real data alone, with an interval over seeds.

Both arms of a pair share the seed, the real data and the number of steps; only the share of simulated data differs. So
the difference of a pair carries the gain and little else, and Student's t says how sure a few pairs make us.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class PairedGain:
    """Mean difference of paired scores, and the interval that holds it."""

    gain: float
    low: float  # -inf with a single pair
    high: float
    differences: tuple[float, ...]  # one a seed


def paired_gain(before: Float[Array, " s"], after: Float[Array, " s"], *, confidence: float = 0.95) -> PairedGain:
    """Mean of `after - before` with its two-sided Student interval.

    Args:
        before: Score of one arm, by seed.
        after: Score of the other arm, by the same seeds.
        confidence: Of the interval.
    """
    assert before.shape == after.shape and len(before) > 0, (before.shape, after.shape)
    difference = after - before
    mean, pairs = float(difference.mean()), len(difference)
    if pairs == 1:
        return PairedGain(gain=mean, low=-np.inf, high=np.inf, differences=(mean,))
    half = float(student.ppf(0.5 + confidence / 2, pairs - 1) * difference.std(ddof=1) / np.sqrt(pairs))
    return PairedGain(gain=mean, low=mean - half, high=mean + half, differences=tuple(map(float, difference)))
