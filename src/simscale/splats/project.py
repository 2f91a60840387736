"""From Gaussians to what one camera sees of them: the records that blending reads.

Sixteen candidates at a time are projected, and those that show become records, in the order of the Gaussians. Once it
is known how many rows of tiles all of them touch, a last pass writes down the columns that each touches in each row.
"""

import math
from typing import no_type_check

import numpy as np
from numba import prange

from simscale.splats import records as rec
from simscale.splats.harmonics import CONSTANT, harmonics
from simscale.splats.kernels import kernel, part
from simscale.splats.lane_functions import log_of, sigmoid_of
from simscale.splats.lane_moves import transposed
from simscale.splats.lanes import (
    LANES,
    bits_of,
    floor_of,
    lanes_of,
    larger,
    load,
    root_of,
    scratch,
    smaller,
    store,
    take_ticket,
)
from simscale.splats.projection import (
    FIELDS,
    camera_point,
    compensation_of,
    footprint,
    gather,
    offset_of,
    perspective,
    shape_of,
    spread_of,
)
from simscale.splats.records import CHUNK, SPAN, TILE, WORDS, Seen
from simscale.splats.sh_rows import write_colour
from simscale.splats.vectors import dot, rotation_of

f32 = np.float32
NONE, HALF, ONE, TWO = f32(0), f32(0.5), f32(1), f32(2)
VISIBLE = f32(1 / 255)
"""Smallest opacity that shows, as in gsplat."""


@part
@no_type_check
def put(vectors, block):
    """Lays sixteen vectors one after another into `block`."""
    for lane in range(LANES):
        store(block, lane * LANES, vectors[lane])


@part
@no_type_check
def project_group(shapes, eye, records, bases):
    """Projects sixteen Gaussians.

    Args:
        shapes: From `gather`.
        eye: The camera.
        records: Room for their records [16 16], without colours.
        bases: Room for their harmonics [16 16], the constant one first.

    Returns:
        Bits of the lanes that show.
    """
    mean, scale, quat, _, logit = shape_of(shapes)
    offset = offset_of(eye, mean)
    p = camera_point(eye, offset)
    right, down = footprint(eye, perspective(eye, p), rotation_of(*quat), scale)
    xx, xy, yy, det, sharp = spread_of(eye, right, down)
    opacity = sigmoid_of(logit) * compensation_of(eye, det, sharp)
    cut = log_of(larger(opacity * f32(255), ONE))
    near, per_yy = ONE / p[2], ONE / yy
    u, v = p[0] * near * eye.fx + eye.cx, p[1] * near * eye.fy + eye.cy
    wide, high = root_of(cut * xx * TWO), root_of(cut * yy * TWO)
    # the first and last pixels whose centres lie in the box
    first, last = (
        larger(f32(0) - floor_of(wide - u + HALF), NONE),
        smaller(floor_of(u + wide - HALF), f32(eye.width - 1)),
    )
    top, bottom = (
        larger(f32(0) - floor_of(high - v + HALF), NONE),
        smaller(floor_of(v + high - HALF), f32(eye.height - 1)),
    )
    shows = (eye.near <= p[2]) & (p[2] <= eye.far) & (opacity >= VISIBLE) & (det > NONE)
    shows = shows & (top <= bottom) & (first <= last) & (eye.radius_clip < larger(wide, high))
    none = lanes_of(NONE)
    slope, root, flat = xy * per_yy, root_of(yy / det * HALF), per_yy * HALF
    lean = wide * xy / xx
    fields = u, v, slope, root, flat, cut, opacity, none, none, none, p[2], top, bottom, wide, lean, high
    put(transposed(*fields), records)
    per_length = ONE / root_of(dot(offset, offset))
    toward = offset[0] * per_length, offset[1] * per_length, offset[2] * per_length
    put(transposed(lanes_of(CONSTANT), *harmonics(eye.sh_degree, toward)), bases)
    return bits_of(shows)


@part
@no_type_check
def _project_chunk(candidates, at, raw, eye, seen):
    """Records of the candidates that show, from place `at` on; returns where they end and how many slots they need."""
    shapes, drafts, bases = scratch(FIELDS * LANES), scratch(LANES * WORDS), scratch(LANES * LANES)
    flat, sh_dc, sh_rest = seen.records.reshape(-1), raw.sh_dc.reshape(-1), raw.sh_rest.reshape(-1)
    each = 3 * raw.sh_rest.shape[1]
    slots, end = 0, at
    for first in range(0, candidates.size, LANES):
        ids = candidates[first : first + LANES]
        gather(raw, ids, shapes)
        bits = project_group(shapes, eye, drafts, bases)
        for lane in range(ids.size):
            if not (bits >> lane) & 1:
                continue
            store(flat, end * WORDS, load(drafts, lane * WORDS))
            write_colour(ids[lane], load(bases, lane * LANES), sh_dc, sh_rest, each, end * WORDS + rec.RED, flat)
            upper, lower = int(drafts[lane * WORDS + rec.TOP]) // TILE, int(drafts[lane * WORDS + rec.BOTTOM]) // TILE
            seen.gaussian[end], seen.slot[end], seen.rows[end] = ids[lane], slots - upper, upper | lower << SPAN
            seen.radius[end] = max(drafts[lane * WORDS + rec.WIDE], drafts[lane * WORDS + rec.HIGH])
            slots += lower - upper + 1
            end += 1
    for r in range(end, at + candidates.size):
        seen.gaussian[r] = -1
    return end, slots


@part
@no_type_check
def _span_chunk(start, end, base, width, seen, spans):
    """Settles the slots of a chunk and writes the columns of tiles that each record touches in each row of tiles."""
    for r in range(start, end):
        record = seen.records[r]
        seen.slot[r] += base
        upper, lower = seen.rows[r] & 0xFFFF, seen.rows[r] >> SPAN
        at = seen.slot[r]
        u, wide = record[rec.U], record[rec.WIDE]
        left, right = _columns(u - wide, u + wide, width)
        if upper == lower or left == right:  # the box tells
            for tile_row in range(upper, lower + 1):
                spans[at + tile_row] = left | right << SPAN
            continue
        v, cut, flat, lean = record[rec.V], record[rec.CUT], record[rec.FLAT], record[rec.LEAN]
        high, slope, per_root = record[rec.HIGH], record[rec.SLOPE], ONE / record[rec.ROOT]
        for tile_row in range(upper, lower + 1):
            above = max(f32(tile_row * TILE) + HALF - v, -high)
            below = min(f32(tile_row * TILE + TILE) - HALF - v, high)
            # the outline is widest at +-lean; where that lies outside the row of tiles, at the nearer edge
            y, z = min(max(-lean, above), below), min(max(lean, above), below)
            first = u + slope * y - math.sqrt(max(cut - flat * y * y, NONE)) * per_root
            last = u + slope * z + math.sqrt(max(cut - flat * z * z, NONE)) * per_root
            left, right = _columns(first, last, width)
            spans[at + tile_row] = left | right << SPAN if right >= left else 1


@part
@no_type_check
def _columns(first, last, width):
    """First and last column of tiles with pixels' centres between two places, px.

    A hundredth of a pixel of slack: rounding must not lose what blending would draw.
    """
    left, right = max(math.ceil(first - f32(0.51)), 0), min(math.floor(last - f32(0.49)), width - 1)
    return left // TILE, right // TILE if right >= left else left // TILE - 1


@part
@no_type_check
def _project_share(candidates, raw, eye, seen, slots, ticket):
    """One thread's share of the records."""
    while True:
        chunk = take_ticket(ticket)
        if chunk >= seen.ends.size:
            break
        at, count = seen.starts[chunk], seen.starts[chunk + 1] - seen.starts[chunk]
        mine = candidates[chunk * CHUNK : chunk * CHUNK + count]
        seen.ends[chunk], slots[chunk + 1] = _project_chunk(mine, at, raw, eye, seen)


@part
@no_type_check
def _span_share(seen, bases, width, spans, ticket):
    """One thread's share of the spans."""
    while True:
        chunk = take_ticket(ticket)
        if chunk >= seen.ends.size:
            break
        _span_chunk(seen.starts[chunk], seen.ends[chunk], bases[chunk], width, seen, spans)


@kernel
@no_type_check
def project(raw, eye, candidates, starts, records, threads):
    """All that one camera sees.

    Args:
        raw: Parameters.
        eye: The camera.
        candidates: From `cull`.
        starts: From `cull`; a chunk's records stand from there on.
        records: Room for as many records as there are candidates, and one more.
        threads: That share the work.

    Returns:
        What was seen (`Seen`), and first and last column of tiles of each slot; a span whose last is before its first
        is empty.
    """
    chunks, m = starts.size - 1, starts[-1]
    gaussian, slot, rows = np.empty(m, np.int32), np.empty(m, np.int32), np.empty(m, np.int32)
    ends, slots, radius = np.empty(chunks, np.int64), np.zeros(chunks + 1, np.int64), np.empty(m, f32)
    seen = Seen(records, gaussian, starts, ends, slot, rows, radius, 0)
    first, second = np.zeros(1, np.int64), np.zeros(1, np.int64)
    for _ in prange(threads):
        _project_share(candidates, raw, eye, seen, slots, first)
    for chunk in range(chunks):
        slots[chunk + 1] += slots[chunk]
    spans = np.empty(slots[chunks], np.int32)
    for _ in prange(threads):
        _span_share(seen, slots, eye.width, spans, second)
    return Seen(records, gaussian, starts, ends, slot, rows, radius, slots[chunks]), spans
