"""Memory that drawing uses again.

A fresh array costs more when it is first touched than what is then computed in it: the system hands out its pages one
by one and clears them. A training or a renderer of many images keeps one `Memory`, and from the second step on nothing
is fresh. An array is free again when nobody refers to it any more, gradients that torch holds included.
"""

import math
import sys
from typing import no_type_check

import numpy as np
from jaxtyping import Bool, Float32
from numba import get_num_threads, njit, prange

from simscale.splats.lanes import take_ticket
from simscale.splats.records import CHUNK, LOOPS, Raw

Array = np.ndarray

SLACK = 1.25
"""Share by which a block is larger than what first asks for it, so that a slightly larger image still fits."""
UNUSED = 3
"""References to a block that stands in a list, is looked at in a loop, and is an argument."""


class Memory:
    """Blocks of float32, and gradients of one cloud of Gaussians."""

    def __init__(self) -> None:
        self._blocks: list[Array] = []
        self._gradients: list[tuple[Raw, Array]] = []

    def array(self, *shape: int) -> Float32[Array, "..."]:
        """An array with anything in it."""
        size = math.prod(shape)
        for block in self._blocks:
            if block.size >= size and sys.getrefcount(block) <= UNUSED:
                return block[:size].reshape(shape)
        self._blocks = [block for block in self._blocks if block.size >= size or sys.getrefcount(block) > UNUSED]
        self._blocks.append(np.empty(int(SLACK * size) + 1, np.float32))
        return self._blocks[-1][:size].reshape(shape)

    def gradients(self, raw: Raw, touched: Bool[Array, " n"]) -> Raw:
        """Zeros like `raw`, of which only rows that are `touched` will be written."""
        shapes = [array.shape for array in raw]
        for arrays, dirty in self._gradients:
            free = all(sys.getrefcount(array) <= UNUSED for array in arrays)
            if free and [array.shape for array in arrays] == shapes:
                clear_rows(arrays, dirty, get_num_threads())
                dirty[:] = touched
                return Raw(*(array.view() for array in arrays))
        self._gradients = [kept for kept in self._gradients if [array.shape for array in kept[0]] == shapes]
        self._gradients.append((Raw(*(np.zeros(shape, np.float32) for shape in shapes)), touched.copy()))
        return Raw(*(array.view() for array in self._gradients[-1][0]))


@njit(cache=True)
@no_type_check
def _clear(first, last, arrays, dirty):
    for i in range(first, last):
        if dirty[i]:
            arrays.means[i], arrays.log_scales[i], arrays.quats[i] = np.float32(0), np.float32(0), np.float32(0)
            arrays.logit_opacity[i], arrays.sh_dc[i], arrays.sh_rest[i] = np.float32(0), np.float32(0), np.float32(0)


@njit(cache=True, parallel=LOOPS)
@no_type_check
def clear_rows(arrays, dirty, threads):
    """Writes zeros to the rows that are dirty."""
    ticket = np.zeros(1, np.int64)
    for _ in prange(threads):
        while True:
            first = take_ticket(ticket) * CHUNK
            if first >= dirty.size:
                break
            _clear(first, min(first + CHUNK, dirty.size), arrays, dirty)
