"""Memory that drawing uses again.

A fresh array costs more when it is first touched than what is then computed in it: the system hands out its pages one
by one and clears them. A training or a renderer of many images keeps one `Memory`, and from the second step on little
is fresh. An array is free again when nobody refers to it any more, pictures included.
"""

import math
import sys

import numpy as np
from jaxtyping import Float32

Array = np.ndarray

SLACK = 1.25
"""Share by which a block is larger than what first asks for it, so that a slightly larger need still fits."""
LINE = 16
"""float32 numbers of a cache line."""
UNUSED = 3
"""References to a block that stands in a list, is looked at in a loop, and is an argument."""


class Memory:
    """Blocks of float32 that come back by themselves; for one thread at a time."""

    def __init__(self) -> None:
        self._blocks: list[Array] = []

    def array(self, *shape: int) -> Float32[Array, "..."]:
        """An array with anything in it."""
        size = math.prod(shape)
        for block in self._blocks:  # from small to large
            if block.size >= size + LINE and sys.getrefcount(block) <= UNUSED:
                return _aligned(block, size).reshape(shape)
        block = np.empty(int(SLACK * size) + LINE, np.float32)
        self._blocks = sorted([*self._blocks, block], key=len)
        return _aligned(block, size).reshape(shape)


def _aligned(block: Float32[Array, " n"], size: int) -> Float32[Array, " m"]:
    """So many numbers from the first cache line on that begins in a block.

    Vectors then lie in one line each, and two threads in neighbouring tiles never write to the same one, which would
    cost ten times what the drawing does.
    """
    first = -(block.ctypes.data // 4) % LINE
    return block[first : first + size]
