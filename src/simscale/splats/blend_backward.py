"""Gradients of a drawn image by the records: tiles once more, back to front.

Going backwards, a pixel's transmittance before a Gaussian is the one after it divided by 1 - alpha, and what lies
behind is known as one number: the loss's gradient times the light that arrives from there, per unit of transmittance.

A row of tiles is one thread's work and adds to the slots of that row, which no other row touches. So sums run in the
same order however many threads there are, and results are the same to the last bit.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from numba import prange

from simscale.splats import records as rec
from simscale.splats.blend import AHEAD, HALF, ONE, ZERO, alpha_of, excess
from simscale.splats.kernels import kernel, part
from simscale.splats.lane_moves import lane_sums
from simscale.splats.lanes import (
    any_of,
    counting,
    lanes_of,
    load,
    magnitude,
    multiply_add,
    prefetch,
    scratch,
    smaller,
    store,
    take_ticket,
    where,
)
from simscale.splats.records import CHUNK, EXTRAS, TILE

DEATH, LIGHT, BEHIND, PULL, RED, GREEN, BLUE, DEPTH, EXTRA = range(0, 9 * TILE, TILE)
"""Where a row of the board has its places of death, transmittance, what lies behind, and the loss's gradients."""
STRIDE = EXTRA + EXTRAS * TILE
"""Numbers a row of a board, where a thread turns a tile back within the first cache."""


class Pulls(NamedTuple):
    """The loss's gradients by the picture, flat and contiguous; empty where nothing depends on a part."""

    light: np.ndarray  # [h w], by the transmittance
    image: np.ndarray  # [h w 3]
    depth: np.ndarray  # [h w]
    extra: np.ndarray  # [h w e]


@part
@no_type_check
def _lay(board, patch, height, width, transmittance, death, pulls):
    """Copies a tile's pixels to a board, and puts nothing behind the last Gaussian."""
    for y in range(TILE):
        at, there = y * STRIDE, (patch.upper + y) * patch.stride + patch.left
        store(board, at + DEATH, load(death, there))
        store(board, at + LIGHT, load(transmittance, there))
        for field in range(BEHIND, STRIDE, TILE):
            store(board, at + field, lanes_of(ZERO))
    columns, pixels = min(width - patch.left, TILE), height * width
    for y in range(patch.lowest - patch.upper + 1):
        at, there = y * STRIDE, (patch.upper + y) * width + patch.left
        if pulls.light.size:
            for x in range(columns):
                board[at + PULL + x] = -pulls.light[there + x]  # by the light that Gaussians stop, not that they leave
        if pulls.image.size:
            for x in range(columns):
                for channel in range(3):
                    board[at + RED + channel * TILE + x] = pulls.image[3 * (there + x) + channel]
        if pulls.depth.size:
            for x in range(columns):
                board[at + DEPTH + x] = pulls.depth[there + x]
        channels = pulls.extra.size // pixels
        for channel in range(channels):
            for x in range(columns):
                board[at + EXTRA + channel * TILE + x] = pulls.extra[channels * (there + x) + channel]


@part
@no_type_check
def _turn_tile(pairs, seen, extra, absgrad, patch, max_alpha, board, sums):
    """Adds a tile's share to the gradients `sums` of its records."""
    none, records = lanes_of(ZERO), seen.records
    flat_records, flat_sums = records.reshape(-1), sums.reshape(-1)
    columns = counting() + (np.float32(patch.left) + HALF)
    for k in range(pairs.size - 1, -1, -1):
        prefetch(flat_records, pairs[max(k - AHEAD, 0)] * rec.WORDS)
        r = pairs[k]
        u, v, root, shift, flat, cut = rec.outline_of(records, r)
        red, green, blue, depth = rec.colour_of(records, r)
        one = q1 = qq = qy = y1 = yy = to_red = to_green = to_blue = to_depth = none
        abs_u = abs_v = to_0 = to_1 = to_2 = to_3 = none
        rows = rec.rows_of(records, r, patch)
        across = (columns - u) * root
        line = lanes_of(np.float32(rows.start) - HALF)
        for y in rows:
            line = line + ONE
            dy = line - v
            q, over = excess(across, dy, shift, flat, cut)
            at = (y - patch.upper) * STRIDE
            shows = (over >= ZERO) & (load(board, at + DEATH) > np.float32(k))
            if not any_of(shows):
                continue
            full = alpha_of(over)
            alpha = where(shows, smaller(full, max_alpha), none)
            before = load(board, at + LIGHT) / (ONE - alpha)
            store(board, at + LIGHT, before)
            weight = alpha * before
            pull_red, pull_green = load(board, at + RED), load(board, at + GREEN)
            pull_blue, pull_depth = load(board, at + BLUE), load(board, at + DEPTH)
            worth = multiply_add(pull_red, red, load(board, at + PULL))
            worth = multiply_add(pull_green, green, worth)
            worth = multiply_add(pull_blue, blue, worth)
            worth = multiply_add(pull_depth, depth, worth)
            to_red, to_green = multiply_add(weight, pull_red, to_red), multiply_add(weight, pull_green, to_green)
            to_blue, to_depth = multiply_add(weight, pull_blue, to_blue), multiply_add(weight, pull_depth, to_depth)
            if extra is not None:
                pull_0, pull_1 = load(board, at + EXTRA), load(board, at + EXTRA + TILE)
                pull_2, pull_3 = load(board, at + EXTRA + 2 * TILE), load(board, at + EXTRA + 3 * TILE)
                worth = multiply_add(pull_0, extra[r, 0], worth)
                worth = multiply_add(pull_1, extra[r, 1], worth)
                worth = multiply_add(pull_2, extra[r, 2], worth)
                worth = multiply_add(pull_3, extra[r, 3], worth)
                to_0, to_1 = multiply_add(weight, pull_0, to_0), multiply_add(weight, pull_1, to_1)
                to_2, to_3 = multiply_add(weight, pull_2, to_2), multiply_add(weight, pull_3, to_3)
            past = load(board, at + BEHIND)
            gain = worth - past
            store(board, at + BEHIND, multiply_add(alpha, gain, past))
            s = where(full <= max_alpha, none - weight * gain, none)  # the loss's gradient by sigma
            sq = s * q
            one, q1, qq = one + s, q1 + sq, multiply_add(sq, q, qq)
            qy, y1, yy = multiply_add(sq, dy, qy), multiply_add(s, dy, y1), multiply_add(s, dy * dy, yy)
            if absgrad is not None:
                abs_u = abs_u + magnitude(sq)
                abs_v = abs_v + magnitude(multiply_add(s, flat * dy, none - sq * shift))
        at = (seen.slot[r] + patch.upper // TILE) * rec.WORDS
        found = lane_sums(
            one, q1, qq, qy, y1, yy, to_red, to_green, to_blue, to_depth, abs_u, abs_v, to_0, to_1, to_2, to_3
        )
        store(flat_sums, at, load(flat_sums, at) + found)


@part
@no_type_check
def _clear_share(sums, slots, ticket):
    """One thread's share of the slots that are used."""
    flat = sums.reshape(-1)
    while True:
        first = take_ticket(ticket) * CHUNK
        if first >= slots:
            break
        for slot in range(first, min(first + CHUNK, sums.shape[0])):
            store(flat, slot * rec.WORDS, lanes_of(ZERO))


@part
@no_type_check
def _turn_share(seen, tiles, looked, extra, absgrad, size, max_alpha, transmittance, death, pulls, sums, rows):
    """One thread's share of the rows of tiles; `rows` holds a ticket, and then the rows' numbers in order."""
    width, height = size
    across, board = (width + TILE - 1) // TILE, scratch(TILE * STRIDE)
    while True:
        taken = take_ticket(rows)
        if taken >= rows.size - 1:
            break
        first = rows[1 + taken] * across
        for tile in range(first, first + across):
            pairs = tiles.pairs[tiles.starts[tile] : tiles.starts[tile] + looked[tile]]
            patch = rec.patch_of(tile, width, height)
            _lay(board, patch, height, width, transmittance, death, pulls)
            _turn_tile(pairs, seen, extra, absgrad, patch, max_alpha, board, sums)


@part
@no_type_check
def _heaviest_first(looked, across):
    """A ticket, and the rows of tiles with the heaviest first, so that none is left to one thread at the end."""
    down = looked.size // across
    weight, rows = np.zeros(down, np.int64), np.zeros(down + 1, np.int64)
    for r in range(down):
        for tile in range(r * across, (r + 1) * across):
            weight[r] += looked[tile]
        place = r  # among those before it
        while place > 0 and weight[rows[place]] < weight[r]:
            rows[place + 1] = rows[place]
            place -= 1
        rows[place + 1] = r
    return rows


@kernel
@no_type_check
def blend_backward(
    seen, tiles, looked, extra, absgrad, width, height, max_alpha, transmittance, death, pulls, sums, threads
):
    """Gradients by the records.

    Args:
        seen: As given to `blend`.
        tiles: As given to `blend`.
        looked: From `blend`.
        extra: As given to `blend`.
        absgrad: Whether to sum absolute gradients by the centre: None or True.
        width: Of the image, px.
        height: Of the image, px.
        max_alpha: As given to `blend`.
        transmittance: First plane from `blend`, flat.
        death: From `blend`, flat.
        pulls: The loss's gradients by what was drawn.
        sums: Where to write records of gradients, one for each slot; their fields are in `simscale.splats.records`.
        threads: That share the work.
    """
    first, rows = np.zeros(1, np.int64), _heaviest_first(looked, (width + TILE - 1) // TILE)
    for _ in prange(threads):
        _clear_share(sums, seen.slots, first)
    size = width, height
    for _ in prange(threads):
        _turn_share(seen, tiles, looked, extra, absgrad, size, max_alpha, transmittance, death, pulls, sums, rows)
