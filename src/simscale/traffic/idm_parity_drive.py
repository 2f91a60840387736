"""What a batch of drives of NAVSIM's reactive vehicles starts from and gives, whoever computes it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Begin:
    """Where `n` drivers are at sample 0 of `k` drives."""

    station: Float[Array, "k n"]  # m
    speed: Float[Array, "k n"]  # m/s
    present: Bool[Array, "k n"]
    swept: bool  # whether others see the drivers' footprints from the start on
    snapped: Float[Array, "n 3"]  # else they see boxes at these poses: x, y, yaw


@dataclass(frozen=True, kw_only=True)
class Driven:
    """Where the drivers are at each sample, and which of the `p` parked cars touch nobody."""

    progress: Float[Array, "k n t"]  # m
    speed: Float[Array, "k n t"]  # m/s
    present: Bool[Array, "k n t"]
    free: Bool[Array, "k p t"]
