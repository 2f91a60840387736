"""How the ray caster's kernels are compiled: they own no arrays, so nothing is counted on the way in and out.

Numba counts references to every array that a function unpacks or passes on, with atomic operations; in functions that
run a hundred thousand times an image this took three times as long as the work. These kernels allocate nothing and
keep nothing, so they are compiled without that. Divisions by zero give infinities, as slab tests want them.
"""

from typing import Any

from numba import njit

_OWNS_NOTHING: dict[str, Any] = {"error_model": "numpy", "_nrt": False}
_NOT_FROM_PYTHON: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

inner = njit(**_OWNS_NOTHING, **_NOT_FROM_PYTHON)
"""Of a function that only other kernels call; it is compiled, and kept, as a part of them."""
kernel = njit(cache=True, **_OWNS_NOTHING)
"""Of a function that Python calls with arrays of its own."""
