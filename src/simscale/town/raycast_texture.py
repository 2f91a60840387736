"""Small patterns that know how wide a pixel is: noise with coarser levels, stripes as exact shares, and the sky.

A pattern finer than a pixel must become its mean, or it flickers. Stripes are integrated over the pixel's width in
closed form; noise is stored at halved resolutions and read at the one that fits.
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Float32

from simscale.scene.seeds import generator_of
from simscale.town.raycast_jit import inner

Array = np.ndarray

SIDE, LEVELS = 256, 8
"""Texels along the finest noise, and how many levels there are."""
_FIRST = np.cumsum([0] + [(SIDE >> level) ** 2 for level in range(LEVELS)])[:-1].astype(np.int64)


def noise_levels() -> Float32[Array, " n"]:
    """Periodic noise of many scales with mean 0 and values of about -1 to 1; coarser levels follow, 4 texels to one."""
    rng = generator_of(0, "raycast", "noise")
    total = np.zeros((SIDE, SIDE))
    for octave in range(2, 9):
        points = 2**octave
        grid = rng.uniform(-1.0, 1.0, (points, points))
        at = np.arange(SIDE) * points / SIDE
        low, share = at.astype(int), at % 1.0
        share = share * share * (3 - 2 * share)
        rows = grid[low] * (1 - share)[:, None] + grid[(low + 1) % points] * share[:, None]
        total += (rows[:, low] * (1 - share) + rows[:, (low + 1) % points] * share) * 0.8 ** (octave - 2)
    levels = [(total - total.mean()) / (2.2 * total.std())]
    for _ in range(LEVELS - 1):
        fine = levels[-1]
        levels.append((fine[::2, ::2] + fine[1::2, ::2] + fine[::2, 1::2] + fine[1::2, 1::2]) / 4)
    return np.concatenate([level.ravel() for level in levels]).astype(np.float32)


@inner
@no_type_check
def noise_at(noise, u, v, width):
    """Noise at a point, for a pixel of this width; one texel is one unit."""
    level = 0
    while width > 1.4 and level < 7:
        width *= 0.5
        u *= 0.5
        v *= 0.5
        level += 1
    side = 256 >> level
    mask = side - 1
    fu, fv = np.floor(u), np.floor(v)
    i, j = int(fu), int(fv)
    fu, fv = u - fu, v - fv
    row, above = _FIRST[level] + (j & mask) * side, _FIRST[level] + ((j + 1) & mask) * side
    i, right = i & mask, (i + 1) & mask
    a = noise[row + i] + fu * (noise[row + right] - noise[row + i])
    b = noise[above + i] + fu * (noise[above + right] - noise[above + i])
    return a + fv * (b - a)


@inner
@no_type_check
def stripes(x, width, low, wide, period):
    """Share of a pixel of this width at x that lies on stripes [low, low + wide] of a period."""
    mean = wide / period
    if width >= 2.0 * period:
        return mean
    a, b = (x - low - 0.5 * width) / period, (x - low + 0.5 * width) / period
    fa, fb = np.floor(a), np.floor(b)
    share = (fb * wide + min((b - fb) * period, wide) - fa * wide - min((a - fa) * period, wide)) / width
    if width > period:
        # a box leaves a ripple, which would beat with the pixels
        share = mean + (share - mean) * (2.0 - width / period)
    return share


@inner
@no_type_check
def between(x, width, low, high):
    """Share of a pixel of this width at x that lies between two bounds."""
    return max(min(high, x + 0.5 * width) - max(low, x - 0.5 * width), 0.0) / width


@inner
@no_type_check
def below(x, width, bound):
    """Share of a pixel at x that lies below a bound."""
    return min(max((bound - x) / width + 0.5, 0.0), 1.0)


@inner
@no_type_check
def chance(a, b):
    """A number in [0, 1) that depends on two whole numbers alone."""
    h = (np.uint32(a) * np.uint32(2654435761)) ^ (np.uint32(b) * np.uint32(2246822519))
    h = np.uint32(h ^ (h >> np.uint32(15)))
    h = np.uint32(h * np.uint32(2654435761))
    h = np.uint32(h ^ (h >> np.uint32(13)))
    h = np.uint32(h * np.uint32(3266489917))
    return np.uint32(h ^ (h >> np.uint32(16))) * (1.0 / 4294967296.0)


@inner
@no_type_check
def sky_colour(sun, dx, dy, dz):
    """Clear sky, linear: pale at the horizon, blue above, bright around the sun; below the horizon, far ground."""
    up = max(dz, 0.0)
    pale = 1.0 - min(up * 1.9, 1.0)
    pale = pale * pale
    r = 0.20 + 0.50 * pale
    g = 0.38 + 0.40 * pale
    b = 0.72 + 0.18 * pale
    near = dx * sun[0] + dy * sun[1] + dz * sun[2]
    if near > 0.0:
        near2 = near * near
        near8 = near2 * near2 * near2 * near2
        glow = 0.16 * near8 + 0.5 * near8 * near8 * near8 * near8
        r, g, b = r + glow, g + 0.95 * glow, b + 0.8 * glow
    if dz < 0.0:
        mix = min(-dz * 8.0, 1.0)
        r, g, b = r + mix * (0.13 - r), g + mix * (0.14 - g), b + mix * (0.12 - b)
    return r, g, b


@inner
@no_type_check
def sky_seen(sun, clouds, noise, seed, dx, dy, dz, width):
    """The sky behind everything: with clouds, and hills with woods at the horizon."""
    r, g, b = sky_colour(sun, dx, dy, max(dz, 0.001))
    flat = np.sqrt(dx * dx + dy * dy)
    slope = dz / max(flat, 1e-6)
    if slope < 0.09:
        angle = np.arctan2(dy, dx) * 40.74366543  # 256 texels around
        ridge = (
            0.022 + 0.016 * noise_at(noise, angle + seed, 3.0, 1.0) + 0.005 * noise_at(noise, 6.0 * angle, 40.0, 1.0)
        )
        near = 0.010 + 0.004 * noise_at(noise, 8.0 * angle, 90.0, 1.0) + 0.003 * noise_at(noise, 2.0 * angle, 50.0, 1.0)
        share = below(slope, width, ridge)
        r, g, b = r + share * (0.40 - r), g + share * (0.48 - g), b + share * (0.58 - b)
        share = below(slope, width, near)
        r, g, b = r + share * (0.26 - r), g + share * (0.33 - g), b + share * (0.33 - b)
    if clouds > 0.0 and dz > 0.02:
        u, v = dx / (dz + 0.12) * 26.0 + seed, dy / (dz + 0.12) * 26.0
        wide = width * 26.0 / (dz + 0.12)
        thick = noise_at(noise, u, v, wide) + 0.6 * noise_at(noise, 3.1 * u + 77.0, 3.1 * v, 3.1 * wide)
        share = min(max((thick - 0.9 + 1.9 * clouds) * 1.1, 0.0), 1.0) * min(max((dz - 0.02) * 9.0, 0.0), 1.0)
        share *= 0.85
        white = 0.86 - 0.10 * max(thick, 0.0)
        r, g, b = r + share * (white - r), g + share * (white - g), b + share * (1.02 * white - b)
    return r, g, b
