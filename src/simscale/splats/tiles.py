"""Which Gaussians each tile of the image must draw, front to back.

Gaussians are sorted by depth once, by radix. Two stable counting passes keep that order: one deals them out to the
rows of tiles, which then deal out their own to tiles, each by itself.
"""

from typing import no_type_check

import numpy as np
from numba import prange

from simscale.splats import records as rec
from simscale.splats.kernels import kernel, part
from simscale.splats.lanes import prefetch, take_ticket
from simscale.splats.records import SPAN, TILE, Tiles

RADIX, PASSES = 11, 3
"""Bits of a depth that one sorting pass looks at, and passes until all are seen."""
AHEAD = 16
"""Records by which fetching runs ahead."""


@part
@no_type_check
def depth_order(seen):
    """Places of the records from near to far, in the low halves of integers; equal depths in order of the Gaussians."""
    total = 0
    for chunk in range(seen.ends.size):
        total += seen.ends[chunk] - seen.starts[chunk]
    order, other = np.empty(total, np.uint64), np.empty(total, np.uint64)
    counts = np.zeros((PASSES, 1 << RADIX), np.int64)
    bits = seen.records.view(np.uint32)  # positive floats sort as integers do
    at = 0
    for chunk in range(seen.ends.size):
        for r in range(seen.starts[chunk], seen.ends[chunk]):
            entry = np.uint64(bits[r, rec.DEPTH]) << np.uint64(32) | np.uint64(r)
            order[at] = entry
            at += 1
            for digit in range(PASSES):
                counts[digit, _digit(entry, digit)] += 1
    for digit in range(PASSES):
        place = 0
        for value in range(1 << RADIX):
            count = counts[digit, value]
            counts[digit, value] = place
            place += count
        for k in range(total):
            value = _digit(order[k], digit)
            other[counts[digit, value]] = order[k]
            counts[digit, value] += 1
        order, other = other, order
    return order


@part
@no_type_check
def _digit(entry, digit):
    """The bits of an entry's depth that a pass looks at."""
    return (entry >> np.uint64(32 + RADIX * digit)) & np.uint64((1 << RADIX) - 1)


@part
@no_type_check
def _by_rows(order, seen, spans, tile_rows):
    """Records and spans of each row of tiles in the order of depth, and where each row's begin."""
    starts = np.zeros(tile_rows + 1, np.int64)
    for chunk in range(seen.ends.size):
        for r in range(seen.starts[chunk], seen.ends[chunk]):
            for tile_row in range(seen.rows[r] & 0xFFFF, (seen.rows[r] >> SPAN) + 1):
                starts[tile_row + 1] += 1
    for tile_row in range(tile_rows):
        starts[tile_row + 1] += starts[tile_row]
    free = starts.copy()
    entries = np.empty((starts[tile_rows], 2), np.int32)
    low = np.uint64(0xFFFFFFFF)
    for k in range(order.size):
        ahead = np.int64(order[min(k + AHEAD, order.size - 1)] & low)
        prefetch(seen.rows, ahead)
        prefetch(seen.slot, ahead)
        r = np.int64(order[k] & low)
        for tile_row in range(seen.rows[r] & 0xFFFF, (seen.rows[r] >> SPAN) + 1):
            place = free[tile_row]
            free[tile_row] = place + 1
            entries[place, 0], entries[place, 1] = r, spans[seen.slot[r] + tile_row]
    return entries, starts


@part
@no_type_check
def _count_row(entries, counts):
    """How many records touch each tile of one row."""
    for e in range(entries.shape[0]):
        for column in range(entries[e, 1] & 0xFFFF, (entries[e, 1] >> SPAN) + 1):
            counts[column] += 1


@part
@no_type_check
def _deal_row(entries, free, pairs):
    """Writes the records of each tile of one row, from the places `free` on."""
    for e in range(entries.shape[0]):
        for column in range(entries[e, 1] & 0xFFFF, (entries[e, 1] >> SPAN) + 1):
            pairs[free[column]] = entries[e, 0]
            free[column] += 1


@part
@no_type_check
def _count_share(entries, row_starts, across, counts, ticket):
    """One thread's share of the rows' counting."""
    while True:
        r = take_ticket(ticket)
        if r >= row_starts.size - 1:
            break
        _count_row(entries[row_starts[r] : row_starts[r + 1]], counts[1 + r * across : 1 + (r + 1) * across])


@part
@no_type_check
def _deal_share(entries, row_starts, across, free, pairs, ticket):
    """One thread's share of the rows' dealing."""
    while True:
        r = take_ticket(ticket)
        if r >= row_starts.size - 1:
            break
        _deal_row(entries[row_starts[r] : row_starts[r + 1]], free[r * across : (r + 1) * across], pairs)


@kernel
@no_type_check
def list_tiles(seen, spans, width, height, threads):
    """The tiles' records, front to back; see `project` for `spans`."""
    across, tile_rows = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    entries, row_starts = _by_rows(depth_order(seen), seen, spans, tile_rows)
    starts = np.zeros(across * tile_rows + 1, np.int64)
    first, second = np.zeros(1, np.int64), np.zeros(1, np.int64)
    for _ in prange(threads):
        _count_share(entries, row_starts, across, starts, first)
    for tile in range(across * tile_rows):
        starts[tile + 1] += starts[tile]
    free = starts.copy()
    pairs = np.empty(starts[across * tile_rows], np.int32)
    for _ in prange(threads):
        _deal_share(entries, row_starts, across, free, pairs, second)
    return Tiles(pairs, starts)
