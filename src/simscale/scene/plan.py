"""A plan: where a planner, an expert or a vocabulary entry wants the car to be."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Future poses of the rear axle in the ego frame of the decision point; pose `i` is due at `(i + 1) * dt`.

    Eight poses every 0.5 s and forty every 0.1 s are both legal: the tracker treats them differently, so neither is
    resampled in passing.
    """

    xy: Float[Array, "*b t 2"]  # m
    yaw: Float[Array, "*b t"]  # rad
    dt: float  # s
