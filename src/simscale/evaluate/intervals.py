"""How sure a mean is: a bootstrap over drives, since tokens of one drive are no independent witnesses.

Whole drives are drawn with replacement. Differences between two planners are drawn in pairs, on the same drives: most
of the spread is that of the drives, and falls out.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from simscale.scene.seeds import generator_of

Array = np.ndarray

DRAWS = 4000
"""Of a bootstrap; its own error is then a fiftieth of the interval."""
LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean with its bootstrap interval."""

    mean: float
    low: float
    high: float
    count: int  # values
    clusters: int  # drives


def mean_with_interval(
    values: Float[Array, " n"], cluster: Int[Array, " n"], *, draws: int = DRAWS, seed: int = 0
) -> Estimate:
    """Mean of the values that are no NaN, and the interval that holds it in 95 % of the draws.

    Args:
        values: One a token or group.
        cluster: Number of the drive that each belongs to.
        draws: Bootstrap draws.
        seed: Of the draws; the same drives are drawn for the same seed and clusters.
    """
    known = ~np.isnan(values)
    if not known.any():
        return Estimate(mean=np.nan, low=np.nan, high=np.nan, count=0, clusters=0)
    names, index = np.unique(cluster, return_inverse=True)
    total = np.bincount(index[known], weights=values[known], minlength=len(names))
    count = np.bincount(index[known], minlength=len(names))
    drawn = generator_of(seed, "bootstrap", draws, len(names)).integers(len(names), size=(draws, len(names)))
    counts = count[drawn].sum(axis=1)
    means = total[drawn].sum(axis=1)[counts > 0] / counts[counts > 0]
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(
        mean=float(total.sum() / count.sum()),
        low=float(low),
        high=float(high),
        count=int(known.sum()),
        clusters=int((count > 0).sum()),
    )


def paired_difference(
    values: Float[Array, " n"],
    baseline: Float[Array, " n"],
    cluster: Int[Array, " n"],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Estimate:
    """Mean of `values - baseline` over what both have, with its interval over drives."""
    assert len(values) == len(baseline), "two evaluations of different splits"
    return mean_with_interval(values - baseline, cluster, draws=draws, seed=seed)
