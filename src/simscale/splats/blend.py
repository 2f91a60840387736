"""Draws the tiles: Gaussians front to back, sixteen pixels of a row at a time.

The picture's planes are padded to whole tiles and hold, while a tile is drawn, its running sums: transmittance, red,
green, blue, depth, and up to four extra channels. A pixel is finished by the Gaussian that would bring its
transmittance to 1e-4 or less, which is itself left out (as in gsplat). Its transmittance then turns negative, so that
one comparison finds the living, and `death` remembers where in the tile's list that was.
"""

from typing import no_type_check

import numpy as np
from numba import njit, prange

from simscale.splats import records as rec
from simscale.splats.kernels import kernel, part
from simscale.splats.lanes import (
    all_of,
    any_of,
    counting,
    lanes_of,
    load,
    magnitude,
    multiply_add,
    negative,
    prefetch,
    scratch,
    smaller,
    store,
    take_ticket,
    where,
)
from simscale.splats.records import EXTRAS, TILE

SPENT = np.float32(1e-4)
"""Transmittance at which a pixel is finished, as in gsplat."""
ALIVE = np.float32(1e9)
"""Place of death of a pixel that no Gaussian finished."""
LOOK_EVERY = 32
"""Gaussians between two looks whether any pixel of a tile is left."""
AHEAD = 8
"""Gaussians by which the fetching of records runs ahead."""
PLANES = 5
"""Planes before the extra channels: transmittance, red, green, blue, depth."""
DEATH = (PLANES + EXTRAS) * TILE
STRIDE = DEATH + TILE
"""Numbers a row of a board, where a thread draws a tile within the first cache: a row's planes, then its death."""

EXP = tuple(
    np.float32(c)
    for c in (
        2.50244796e-01,
        6.25599474e-02,
        7.82412663e-03,
        6.47030480e-04,
        4.32376110e-05,
        1.36744541e-06,
        1.67474070e-07,
    )
)
"""Polynomial whose fourth power is exp(x) / 255 on [0, 5.56], off by at most 1.4e-6 of it."""
HALF, ZERO, ONE, NEGATIVE = np.float32(0.5), np.float32(0), np.float32(1), np.float32(-1)


@njit(cache=True, inline="always")
@no_type_check
def excess(across, dy, shift, flat, cut):
    """Of a row of pixels: q, and by how much the exponent stays below the cut.

    That is negative where the Gaussian does not count, and elsewhere the logarithm of 255 times its opacity there.
    """
    q = multiply_add(dy * NEGATIVE, shift, across)
    return q, multiply_add(q * NEGATIVE, q, multiply_add(dy * NEGATIVE, dy * flat, cut))


@njit(cache=True, inline="always")
@no_type_check
def alpha_of(x):
    """Opacity at pixels by `excess`: exp(x) / 255 for 0 <= x <= 5.56; elsewhere anything."""
    p = multiply_add(x, EXP[6], EXP[5])
    p = multiply_add(p, x, EXP[4])
    p = multiply_add(p, x, EXP[3])
    p = multiply_add(p, x, EXP[2])
    p = multiply_add(p, x, EXP[1])
    p = multiply_add(p, x, EXP[0])
    p = p * p
    return p * p


@part
@no_type_check
def _any_alive(board, patch):
    """Whether any pixel of a tile still takes light."""
    for y in range(patch.lowest - patch.upper + 1):  # noqa: SIM110 (Numba has no generators in any)
        if any_of(load(board, y * STRIDE) > ZERO):
            return True
    return False


@part
@no_type_check
def _clear(board):
    """Readies a board for a tile."""
    for at in range(0, TILE * STRIDE, STRIDE):
        store(board, at, lanes_of(ONE))
        for field in range(TILE, DEATH, TILE):
            store(board, at + field, lanes_of(ZERO))
        store(board, at + DEATH, lanes_of(ALIVE))


@part
@no_type_check
def _blend_tile(pairs, records, extra, patch, max_alpha, board):
    """Draws a tile on a board; returns how many of its Gaussians it looked at.

    The transmittance of pixels that take no more light is negative.
    """
    none, flat_records = lanes_of(ZERO), records.reshape(-1)
    columns = counting() + (np.float32(patch.left) + HALF)
    for k in range(pairs.size):
        if k % LOOK_EVERY == LOOK_EVERY - 1 and not _any_alive(board, patch):
            return k
        prefetch(flat_records, pairs[min(k + AHEAD, pairs.size - 1)] * rec.WORDS)
        r = pairs[k]
        u, v, root, shift, flat, cut = rec.outline_of(records, r)
        red, green, blue, depth = rec.colour_of(records, r)
        rows = rec.rows_of(records, r, patch)
        across = (columns - u) * root
        line = lanes_of(np.float32(rows.start) - HALF)
        for y in rows:
            line = line + ONE
            _, over = excess(across, line - v, shift, flat, cut)
            at = (y - patch.upper) * STRIDE
            light = load(board, at)
            hidden = negative(smaller(over, light))
            if all_of(hidden):
                continue
            alpha = where(hidden, none, smaller(alpha_of(over), max_alpha))
            weight = alpha * light
            rest = light - weight
            dies = (rest <= SPENT) & ~hidden
            if any_of(dies):
                weight = where(dies, none, weight)
                rest = where(dies, none - light, rest)
                store(board, at + DEATH, where(dies, lanes_of(np.float32(k)), load(board, at + DEATH)))
            store(board, at, rest)
            store(board, at + TILE, multiply_add(weight, red, load(board, at + TILE)))
            store(board, at + 2 * TILE, multiply_add(weight, green, load(board, at + 2 * TILE)))
            store(board, at + 3 * TILE, multiply_add(weight, blue, load(board, at + 3 * TILE)))
            store(board, at + 4 * TILE, multiply_add(weight, depth, load(board, at + 4 * TILE)))
            if extra is not None:
                for channel in range(EXTRAS):
                    there = at + (PLANES + channel) * TILE
                    store(board, there, multiply_add(weight, extra[r, channel], load(board, there)))
    return pairs.size


@part
@no_type_check
def _settle(board, patch, planes, death):
    """Copies a board to its tile of the picture; the transmittance of finished pixels is positive again."""
    for y in range(TILE):
        at, there = y * STRIDE, (patch.upper + y) * patch.stride + patch.left
        store(planes, there, magnitude(load(board, at)))
        for plane in range(1, planes.size // death.size):
            store(planes, there + plane * death.size, load(board, at + plane * TILE))
        store(death, there, load(board, at + DEATH))


@part
@no_type_check
def _blend_share(seen, tiles, extra, width, height, max_alpha, planes, death, looked, ticket):
    """One thread's share of the tiles."""
    board = scratch(TILE * STRIDE)
    while True:
        tile = take_ticket(ticket)
        if tile >= looked.size:
            break
        patch = rec.patch_of(tile, width, height)
        _clear(board)
        pairs = tiles.pairs[tiles.starts[tile] : tiles.starts[tile + 1]]
        looked[tile] = _blend_tile(pairs, seen.records, extra, patch, max_alpha, board)
        _settle(board, patch, planes, death)


@kernel
@no_type_check
def blend(seen, tiles, extra, width, height, max_alpha, planes, death, threads):
    """Draws an image.

    Args:
        seen: What the camera sees.
        tiles: Who touches which tile.
        extra: Extra channels of each record [m 4], or None.
        width: Of the image, px.
        height: Of the image, px.
        max_alpha: Largest opacity of a Gaussian at a pixel, float32.
        planes: Flat room for the planes [5 or 9, padded height, padded width].
        death: Flat room for the place of each pixel's death in its tile's list [padded height, padded width].
        threads: That share the work.

    Returns:
        How many Gaussians of its list each tile looked at.
    """
    looked = np.empty(tiles.starts.size - 1, np.int64)
    ticket = np.zeros(1, np.int64)
    for _ in prange(threads):
        _blend_share(seen, tiles, extra, width, height, max_alpha, planes, death, looked, ticket)
    return looked
