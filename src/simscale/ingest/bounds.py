"""Numbers that are finite but belong to no road: one flipped bit makes a lane longer than the way to the sun.

Whoever walks along such a lane in steps of a metre runs out of memory, so these numbers are refused where they enter.
"""

import numpy as np
from jaxtyping import Float

from simscale.scene import BadInput

Array = np.ndarray

MAX_DISTANCE = 100_000.0
"""Farthest that anything of a log may be from its ego's first pose, m (ours)."""
MAX_SIDE = 200.0
"""Longest side of a box, m (ours); a tram has 75."""
MAX_TURN = 1e5
"""Largest heading, rad: some sources count whole turns (ours)."""


def bounded(values: Float[Array, "*b"], limit: float, *, file: object, field: str) -> Float[Array, "*b"]:
    """The values, all of them finite and no larger than the limit either way.

    Raises:
        BadInput: One is.
    """
    wrong = ~(np.abs(values) <= limit)
    if wrong.any():
        worst = values[wrong].flat[0]
        found = f"{worst:.4g}" if np.isfinite(worst) else "not finite"
        raise BadInput(file, field, found, f"finite numbers up to {limit:g} either way")
    return values
