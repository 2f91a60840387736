"""A rough test of all Gaussians, sixteen at a time: which may show at all."""

import math
from typing import no_type_check

import numpy as np
from numba import prange

from simscale.splats.kernels import kernel, part
from simscale.splats.lane_functions import exp_of
from simscale.splats.lane_moves import triples
from simscale.splats.lanes import LANES, bits_of, larger, load, magnitude, take_ticket
from simscale.splats.projection import camera_point, offset_of
from simscale.splats.records import CHUNK

f32 = np.float32
HALF = f32(0.5)
FAINTEST = f32(math.log(1 / 254) - 1e-5)
"""Logit of the smallest opacity that shows."""
REACH = f32(3.33)
"""Standard deviations within which an opaque Gaussian shows: sqrt(2 ln 255)."""


@part
@no_type_check
def _may_show(eye, mean, log_scale, logit_opacity):
    """Flags of the Gaussians whose spheres reach into the image; never misses one that shows."""
    p = camera_point(eye, offset_of(eye, mean))
    wide, high = f32(eye.width) * HALF, f32(eye.height) * HALF
    # no Jacobian widens a sphere by more than this, over its depth
    t = eye.tangents
    x, y = max(-t[0], t[1]), max(-t[2], t[3])
    widest = REACH * max(eye.fx, eye.fy) * f32(math.sqrt(f32(1) + x * x + y * y))
    blur = REACH * f32(math.sqrt(eye.eps2d)) + f32(1)
    reach = p[2] * blur + exp_of(larger(larger(log_scale[0], log_scale[1]), log_scale[2])) * widest
    inside = magnitude(p[0] * eye.fx + p[2] * (eye.cx - wide)) <= p[2] * wide + reach
    inside = inside & (magnitude(p[1] * eye.fy + p[2] * (eye.cy - high)) <= p[2] * high + reach)
    return inside & (eye.near <= p[2]) & (p[2] <= eye.far) & (logit_opacity >= FAINTEST)


@part
@no_type_check
def _cull_group(first, count, means, log_scales, logit_opacity, eye, start, candidates, found):
    """Tests up to sixteen Gaussians from number `start` on, which stand in flat arrays from place `first` on."""
    at = 3 * first
    mean = triples(load(means, at), load(means, at + LANES), load(means, at + 2 * LANES))
    scale = triples(load(log_scales, at), load(log_scales, at + LANES), load(log_scales, at + 2 * LANES))
    bits = bits_of(_may_show(eye, mean, scale, load(logit_opacity, first)))
    if bits:
        for lane in range(count):
            candidates[found] = start + lane
            found += (bits >> lane) & 1
    return found


@part
@no_type_check
def _cull_chunk(first, last, means, log_scales, logit_opacity, eye, candidates):
    """Writes the candidates from `first` to `last`; returns how many."""
    found = 0
    whole = first + (last - first) // LANES * LANES
    for i in range(first, whole, LANES):
        found = _cull_group(i, LANES, means, log_scales, logit_opacity, eye, i, candidates, found)
    if whole < last:  # the last few, copied so that nothing beyond the arrays' end is read
        ends = np.zeros(3 * LANES, np.float32), np.zeros(3 * LANES, np.float32), np.zeros(LANES, np.float32)
        for i in range(3 * (last - whole)):
            ends[0][i], ends[1][i] = means[3 * whole + i], log_scales[3 * whole + i]
        for i in range(last - whole):
            ends[2][i] = logit_opacity[whole + i]
        found = _cull_group(0, last - whole, *ends, eye, whole, candidates, found)
    return found


@part
@no_type_check
def _cull_share(means, log_scales, logit_opacity, eye, candidates, counts, ticket):
    """One thread's share: chunks as long as there are any."""
    n = logit_opacity.size
    while True:
        chunk = take_ticket(ticket)
        if chunk >= counts.size - 1:
            break
        first, last = chunk * CHUNK, min((chunk + 1) * CHUNK, n)
        counts[chunk + 1] = _cull_chunk(first, last, means, log_scales, logit_opacity, eye, candidates[first:last])


@kernel
@no_type_check
def cull(raw, eye, threads):
    """Candidates of each chunk of Gaussians.

    Returns:
        Room for all Gaussians, in which a chunk's candidates stand from its first Gaussian's place on; and the running
        count of candidates before each chunk, with the total at the end.
    """
    n = raw.logit_opacity.size
    chunks = (n + CHUNK - 1) // CHUNK
    means, log_scales = raw.means.reshape(-1), raw.log_scales.reshape(-1)
    candidates, counts = np.empty(n, np.int32), np.zeros(chunks + 1, np.int64)
    ticket = np.zeros(1, np.int64)
    for _ in prange(threads):
        _cull_share(means, log_scales, raw.logit_opacity, eye, candidates, counts, ticket)
    for chunk in range(chunks):
        counts[chunk + 1] += counts[chunk]
    return candidates, counts
