"""How Numba compiles kernels, in one place.

Compiling is most of a first image's time, so only what Python calls gets a door to Python, and a parallel loop holds
one call: all else in it would be compiled twice.
"""

from typing import Any

from numba import njit

LOOPS: Any = {
    "prange": True,
    "reduction": False,
    "setitem": False,
    "numpy": False,
    "comprehension": False,
    "fusion": False,
}
"""What Numba runs in parallel: loops that say so, and nothing else."""
NO_DOOR: Any = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

kernel: Any = njit(cache=True, error_model="numpy", parallel=LOOPS)
"""For what Python calls."""
part: Any = njit(cache=True, error_model="numpy", **NO_DOOR)
"""For what kernels and other parts call. A call from Python would crash."""
contracted_part: Any = njit(cache=True, error_model="numpy", fastmath={"contract"}, **NO_DOOR)
"""The same, whose products and sums may become one instruction each, which rounds once."""
