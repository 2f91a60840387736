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
    any_of,
    counting,
    lanes_of,
    load,
    magnitude,
    multiply_add,
    prefetch,
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

EXP = tuple(
    np.float32(c)
    for c in (9.99999242e-01, -2.49985600e-01, 3.12090029e-02, -2.56357059e-03, 1.44985641e-04, -4.46529526e-06)
)
"""Polynomial whose fourth power is exp(-x) on [0, 5.56]: off by at most 3e-6, and by 1.5e-4 of itself."""
HALF, ZERO, ONE = np.float32(0.5), np.float32(0), np.float32(1)


@njit(cache=True, inline="always")
@no_type_check
def exp_minus(x):
    """exp(-x) of lanes, for 0 <= x <= 5.56; elsewhere anything."""
    p = multiply_add(x, EXP[5], EXP[4])
    p = multiply_add(p, x, EXP[3])
    p = multiply_add(p, x, EXP[2])
    p = multiply_add(p, x, EXP[1])
    p = multiply_add(p, x, EXP[0])
    p = p * p
    return p * p


@part
@no_type_check
def _any_alive(planes, patch):
    """Whether any pixel of a tile still takes light."""
    for y in range(patch.upper, patch.lowest + 1):  # noqa: SIM110 (Numba has no generators in any)
        if any_of(load(planes, y * patch.stride + patch.left) > ZERO):
            return True
    return False


@part
@no_type_check
def _clear(planes, death, patch):
    """Readies a tile."""
    for y in range(patch.upper, patch.upper + TILE):
        at = y * patch.stride + patch.left
        store(planes, at, lanes_of(ONE))
        store(death, at, lanes_of(ALIVE))
        for plane in range(death.size, planes.size, death.size):
            store(planes, at + plane, lanes_of(ZERO))


@part
@no_type_check
def _blend_tile(pairs, records, extra, patch, max_alpha, planes, death):
    """Draws a tile; returns how many of its Gaussians it looked at."""
    none, size, flat_records = lanes_of(ZERO), death.size, records.reshape(-1)
    columns = counting() + (np.float32(patch.left) + HALF)
    for k in range(pairs.size):
        if k % LOOK_EVERY == LOOK_EVERY - 1 and not _any_alive(planes, patch):
            return k
        prefetch(flat_records, pairs[min(k + AHEAD, pairs.size - 1)] * rec.WORDS)
        r = pairs[k]
        u, v, root, shift, flat, cut, opacity = rec.outline_of(records, r)
        red, green, blue, depth = rec.colour_of(records, r)
        across = (columns - u) * root
        for y in rec.rows_of(records, r, patch):
            dy = np.float32(y) + HALF - v
            q = across - shift * dy
            sigma = multiply_add(q, q, flat * dy * dy)
            at = y * patch.stride + patch.left
            light = load(planes, at)
            shows = (sigma <= cut) & (light > ZERO)
            if not any_of(shows):
                continue
            alpha = where(shows, smaller(exp_minus(sigma) * opacity, max_alpha), none)
            weight = alpha * light
            rest = light - weight
            dies = shows & (rest <= SPENT)
            if any_of(dies):
                weight = where(dies, none, weight)
                rest = where(dies, none - light, rest)
                store(death, at, where(dies, lanes_of(np.float32(k)), load(death, at)))
            store(planes, at, rest)
            store(planes, at + size, multiply_add(weight, red, load(planes, at + size)))
            store(planes, at + 2 * size, multiply_add(weight, green, load(planes, at + 2 * size)))
            store(planes, at + 3 * size, multiply_add(weight, blue, load(planes, at + 3 * size)))
            store(planes, at + 4 * size, multiply_add(weight, depth, load(planes, at + 4 * size)))
            if extra is not None:
                for channel in range(EXTRAS):
                    there = at + (PLANES + channel) * size
                    store(planes, there, multiply_add(weight, extra[r, channel], load(planes, there)))
    return pairs.size


@part
@no_type_check
def _settle(planes, patch):
    """Makes the transmittance of finished pixels positive again."""
    for y in range(patch.upper, patch.upper + TILE):
        at = y * patch.stride + patch.left
        store(planes, at, magnitude(load(planes, at)))


@part
@no_type_check
def _blend_share(seen, tiles, extra, width, height, max_alpha, planes, death, looked, ticket):
    """One thread's share of the tiles."""
    while True:
        tile = take_ticket(ticket)
        if tile >= looked.size:
            break
        patch = rec.patch_of(tile, width, height)
        _clear(planes, death, patch)
        pairs = tiles.pairs[tiles.starts[tile] : tiles.starts[tile + 1]]
        looked[tile] = _blend_tile(pairs, seen.records, extra, patch, max_alpha, planes, death)
        _settle(planes, patch)


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
