"""Random streams that depend on what is drawn, never on who draws it or when.

A stream is keyed by a run's seed and by names, usually (token, round, purpose). The same key is the same stream on
one worker or a thousand, in any order, on any machine.
"""

import hashlib

import numpy as np


def generator_of(seed: int | np.integer, *key: str | int | np.integer) -> np.random.Generator:
    """A Philox generator of its own for this seed and key.

    Args:
        seed: The run's seed.
        key: Names of what is drawn; `1` and `"1"` are different names, and so are `("ab",)` and `("a", "b")`.
    """
    names = [word if isinstance(word, str) else int(word) for word in (seed, *key)]
    words = [f"{type(name).__name__}:{len(str(name))}:{name}" for name in names]
    digest = hashlib.sha256("|".join(words).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
