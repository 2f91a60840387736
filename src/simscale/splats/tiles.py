"""Which Gaussians each tile of the image must draw, front to back.

Gaussians are sorted by depth once, by radix. Two stable counting passes keep that order: one deals them out to the
rows of tiles, which then deal out their own to tiles, each by itself.
"""

from typing import no_type_check

import numpy as np
from numba import njit, prange

from simscale.splats import records as rec
from simscale.splats.lanes import take_ticket
from simscale.splats.records import LOOPS, SPAN, TILE, Tiles

RADIX = 11
"""Bits of a depth that one sorting pass looks at; three passes see them all."""


@njit(cache=True)
@no_type_check
def depth_order(seen):
    """Places of the records from near to far; equal depths in the order of the Gaussians."""
    total = 0
    for chunk in range(seen.ends.size):
        total += seen.ends[chunk] - seen.starts[chunk]
    keys, other_keys = np.empty(total, np.uint32), np.empty(total, np.uint32)
    order, other_order = np.empty(total, np.int32), np.empty(total, np.int32)
    counts = np.zeros((3, 1 << RADIX), np.int64)
    mask = (1 << RADIX) - 1
    bits = seen.records.view(np.uint32)  # positive floats sort as integers do
    at = 0
    for chunk in range(seen.ends.size):
        for r in range(seen.starts[chunk], seen.ends[chunk]):
            key = bits[r, rec.DEPTH]
            keys[at], order[at] = key, r
            for digit in range(3):
                counts[digit, (key >> np.uint32(RADIX * digit)) & np.uint32(mask)] += 1
            at += 1
    for digit in range(3):
        place = 0
        for value in range(1 << RADIX):
            count = counts[digit, value]
            counts[digit, value] = place
            place += count
        shift = np.uint32(RADIX * digit)
        for k in range(total):
            value = (keys[k] >> shift) & np.uint32(mask)
            place = counts[digit, value]
            counts[digit, value] = place + 1
            other_keys[place], other_order[place] = keys[k], order[k]
        keys, other_keys = other_keys, keys
        order, other_order = other_order, order
    return order


@njit(cache=True)
@no_type_check
def _by_rows(order, seen, spans, tile_rows):
    """Records and spans of each row of tiles in the order of depth, and where each row's begin."""
    starts = np.zeros(tile_rows + 1, np.int64)
    for r in order:
        for tile_row in range(seen.rows[r] & 0xFFFF, (seen.rows[r] >> SPAN) + 1):
            starts[tile_row + 1] += 1
    starts = np.cumsum(starts)
    free = starts.copy()
    entries = np.empty((starts[tile_rows], 2), np.int32)
    for r in order:
        for tile_row in range(seen.rows[r] & 0xFFFF, (seen.rows[r] >> SPAN) + 1):
            place = free[tile_row]
            free[tile_row] = place + 1
            entries[place, 0], entries[place, 1] = r, spans[seen.slot[r] + tile_row]
    return entries, starts


@njit(cache=True)
@no_type_check
def _count_row(entries, counts):
    """How many records touch each tile of one row."""
    for e in range(entries.shape[0]):
        for column in range(entries[e, 1] & 0xFFFF, (entries[e, 1] >> SPAN) + 1):
            counts[column] += 1


@njit(cache=True)
@no_type_check
def _deal_row(entries, free, pairs):
    """Writes the records of each tile of one row, from the places `free` on."""
    for e in range(entries.shape[0]):
        for column in range(entries[e, 1] & 0xFFFF, (entries[e, 1] >> SPAN) + 1):
            pairs[free[column]] = entries[e, 0]
            free[column] += 1


@njit(cache=True, parallel=LOOPS)
@no_type_check
def list_tiles(seen, spans, width, height, threads):
    """The tiles' records, front to back; see `project` for `spans`."""
    across, tile_rows = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    entries, row_starts = _by_rows(depth_order(seen), seen, spans, tile_rows)
    counts = np.zeros(across * tile_rows + 1, np.int64)
    tickets = np.zeros(2, np.int64)
    for _ in prange(threads):
        while True:
            r = take_ticket(tickets[0:])
            if r >= tile_rows:
                break
            _count_row(entries[row_starts[r] : row_starts[r + 1]], counts[1 + r * across : 1 + (r + 1) * across])
    starts = np.cumsum(counts)
    free = starts.copy()
    pairs = np.empty(starts[-1], np.int32)
    for _ in prange(threads):
        while True:
            r = take_ticket(tickets[1:])
            if r >= tile_rows:
                break
            _deal_row(entries[row_starts[r] : row_starts[r + 1]], free[r * across : (r + 1) * across], pairs)
    return Tiles(pairs, starts)
