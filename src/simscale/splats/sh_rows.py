"""Colours by spherical harmonics, one Gaussian at a time with its coefficients spread over lanes.

The 3 k coefficients beyond the constant one stand in memory harmonic by harmonic, red, green and blue together. Three
vectors hold fifteen of them each: lane l of part j belongs to harmonic 5 j + l // 3 and to channel l % 3.
"""

from typing import no_type_check

import numpy as np

from simscale.splats.harmonics import CONSTANT
from simscale.splats.kernels import part
from simscale.splats.lane_moves import arrangement
from simscale.splats.lanes import LANES, counting, larger, load_where, store, store_where

PART = 15
"""Coefficients of a part."""
_LAST = LANES - 1
harmonic_0 = arrangement([1 + lane // 3 for lane in range(PART)] + [0])
harmonic_1 = arrangement([6 + lane // 3 for lane in range(PART)] + [0])
harmonic_2 = arrangement([11 + lane // 3 for lane in range(PART)] + [0])
"""From lanes that hold the harmonics (lane 0 the constant one) to the lanes of a part."""
collect_0 = arrangement([3 * (k - 1) if 1 <= k < 6 else _LAST for k in range(LANES)])
collect_1 = arrangement([3 * (k - 6) if 6 <= k < 11 else _LAST for k in range(LANES)])
collect_2 = arrangement([3 * (k - 11) if 11 <= k < 16 else _LAST for k in range(LANES)])
"""And back, from the first channel's lanes; other lanes get the last, which is always 0."""
channels = arrangement([lane % 3 for lane in range(PART)] + [_LAST])
"""From red, green and blue in the first lanes to the lanes of a part; the last lane must be 0."""
after_1 = arrangement([min(lane + 1, _LAST) for lane in range(LANES)])
after_2 = arrangement([min(lane + 2, _LAST) for lane in range(LANES)])
after_3 = arrangement([min(lane + 3, _LAST) for lane in range(LANES)])
after_6 = arrangement([min(lane + 6, _LAST) for lane in range(LANES)])
after_12 = arrangement([min(lane + 12, _LAST) for lane in range(LANES)])
HALF, NONE = np.float32(0.5), np.float32(0)


@part
@no_type_check
def _in_part(j, each):
    """Flags of the lanes of part `j` that exist among `each` coefficients."""
    return counting() < np.float32(min(max(each - PART * j, 0), PART))


@part
@no_type_check
def write_colour(i, basis, sh_dc, sh_rest, each, place, out):
    """Writes red, green and blue of a Gaussian to `out` from `place` on; no less than 0.

    Args:
        i: Which Gaussian.
        basis: Lanes that hold the harmonics.
        sh_dc: Constant coefficients, flat.
        sh_rest: The others, flat.
        each: How many others a Gaussian has.
        place: Where to write.
        out: Flat array.
    """
    at, three = i * each, counting() < np.float32(3)
    total = load_where(sh_rest, at, _in_part(0, each)) * harmonic_0(basis)
    total = total + load_where(sh_rest, at + PART, _in_part(1, each)) * harmonic_1(basis)
    total = total + load_where(sh_rest, at + 2 * PART, _in_part(2, each)) * harmonic_2(basis)
    pairs = total + after_6(total)
    colour = pairs + after_3(pairs) + after_12(total)
    store_where(out, place, larger(colour + load_where(sh_dc, 3 * i, three) * CONSTANT + HALF, NONE), three)


@part
@no_type_check
def _pull_part(at, place, flags, basis, pull, sh_rest, g_rest):
    """Writes a part's gradient; returns, at each harmonic's first lane, the gradient by that harmonic.

    What a whole vector writes beyond the part is written over by the next, where there is room for one.
    """
    if place + LANES <= g_rest.size:
        store(g_rest, place, basis * pull)
    else:
        store_where(g_rest, place, basis * pull, flags)
    share = load_where(sh_rest, at, flags) * pull
    return share + after_1(share) + after_2(share)


@part
@no_type_check
def pull_colour(i, basis, pull, sh_rest, each, place, g_rest):
    """Writes the gradient by a Gaussian's coefficients beyond the constant ones.

    Args:
        i: Which Gaussian.
        basis: Lanes that hold the harmonics.
        pull: Lanes that hold the gradient by red, green and blue, then zeros.
        sh_rest: Coefficients, flat.
        each: How many a Gaussian has.
        place: Row of the gradient to write; rows come in order.
        g_rest: The gradient's rows up to the last that this thread writes, flat.

    Returns:
        The gradient by the harmonics, in the lanes of `basis`.
    """
    at, to, pull = i * each, place * each, channels(pull)
    found = collect_0(_pull_part(at, to, _in_part(0, each), harmonic_0(basis), pull, sh_rest, g_rest))
    if each > PART:
        by_1 = _pull_part(at + PART, to + PART, _in_part(1, each), harmonic_1(basis), pull, sh_rest, g_rest)
        found = found + collect_1(by_1)
    if each > 2 * PART:
        by_2 = _pull_part(at + 2 * PART, to + 2 * PART, _in_part(2, each), harmonic_2(basis), pull, sh_rest, g_rest)
        found = found + collect_2(by_2)
    return found
