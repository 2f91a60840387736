"""How the ground looks: asphalt, stones, slabs and grass with their borders, kerb stones, paint, lasting shadows.

A pixel covers an ellipse of the ground, long in the direction of sight. Borders and paint are shares of that ellipse;
fine texture is read at its mean width.
"""

from typing import no_type_check

import numpy as np

from simscale.town.raycast_jit import inner
from simscale.town.raycast_texture import below, chance, noise_at, stripes
from simscale.town.raycast_trace import ON_KERB

_CELL, _BAND = 0.25, 2.0
_TEXEL = 0.05
_NEAR_CELL = 1.6
KERB_STONE = 0.16
"""Width of the stones along a kerb, m."""


@inner
@no_type_check
def _texel(index, first, texel, level, row, column):
    columns = first[level, 1]
    tile_row, tile_column = row >> 6, column >> 6
    end = first[level + 1, 0] if level < 5 else len(index)
    if row < 0 or column < 0 or tile_column >= columns:
        return 0.0
    k = first[level, 0] + tile_row * columns + tile_column
    if k >= end:
        return 0.0
    s = index[k]
    return float(texel[s, row & 63, column & 63]) if s >= 0 else 0.0


@inner
@no_type_check
def paint_at(index, first, texel, low_x, low_y, x, y, level):
    """Share of paint at a point, interpolated between the texels of a level."""
    size = _TEXEL * (1 << level)
    u, v = (x - low_x) / size - 0.5, (y - low_y) / size - 0.5
    fu, fv = np.floor(u), np.floor(v)
    i, j = int(fu), int(fv)
    fu, fv = u - fu, v - fv
    if (i & 63) < 63 and (j & 63) < 63 and i >= 0 and j >= 0:
        columns = first[level, 1]
        if (i >> 6) >= columns:
            return 0.0
        k = first[level, 0] + (j >> 6) * columns + (i >> 6)
        end = first[level + 1, 0] if level < 5 else len(index)
        if k >= end:
            return 0.0
        s = index[k]
        if s < 0:
            return 0.0
        i &= 63
        j &= 63
        a = texel[s, j, i] + fu * (float(texel[s, j, i + 1]) - texel[s, j, i])
        b = texel[s, j + 1, i] + fu * (float(texel[s, j + 1, i + 1]) - texel[s, j + 1, i])
        return (a + fv * (b - a)) * (1.0 / 255.0)
    p, q = _texel(index, first, texel, level, j, i), _texel(index, first, texel, level, j, i + 1)
    a = p + fu * (q - p)
    p, q = _texel(index, first, texel, level, j + 1, i), _texel(index, first, texel, level, j + 1, i + 1)
    b = p + fu * (q - p)
    return (a + fv * (b - a)) * (1.0 / 255.0)


@inner
@no_type_check
def paint_share(index, first, texel, near, low_x, low_y, x, y, ux, uy, narrow, long):
    """Share of a pixel's ellipse that is painted.

    The ellipse lies at (x, y), `long` in the direction (ux, uy) and `narrow` across it.
    """
    i, j = int((x - low_x) / _NEAR_CELL), int((y - low_y) / _NEAR_CELL)
    if long < 2.0 and (i < 0 or j < 0 or j >= near.shape[0] or i >= near.shape[1] or not near[j, i]):
        return 0.0
    level = 0
    size = _TEXEL
    while level < 5 and (narrow > 1.2 * size or long > 20.0 * size):
        level += 1
        size *= 2.0
    count = min(int(long / (1.5 * size)) + 1, 14)
    step = long / count
    total = 0.0
    for k in range(count):
        s = (k + 0.5) * step - 0.5 * long
        total += paint_at(index, first, texel, low_x, low_y, x + s * ux, y + s * uy, level)
    total /= count
    if long < size:
        # finer than the finest texel: the contour of half coverage is the edge
        total = min(max((total - 0.5) * size / max(0.5 * (narrow + long), 0.004) + 0.5, 0.0), 1.0)
    return total


@inner
@no_type_check
def shade_at(cover, x0, y0, x, y, width):
    """Share of sunlight that still things take from a point of the road's plane; all levels in one flat array."""
    level = 0
    size = _CELL
    while level < 3 and width > 1.5 * size:
        level += 1
        size *= 2.0
    rows, columns, first = cover[1][level, 0], cover[1][level, 1], cover[1][level, 2]
    # coarse texels have their middles between those of the finest level
    u = (x - x0 + 0.5 * _CELL) / size - 0.5
    v = (y - y0 + 0.5 * _CELL) / size - 0.5
    if not (0.0 <= u < columns - 1 and 0.0 <= v < rows - 1):
        return 0.0
    i, j = int(u), int(v)
    fu, fv = u - i, v - j
    k = first + j * columns + i
    texel = cover[0]
    a = texel[k] + fu * (float(texel[k + 1]) - texel[k])
    k += columns
    b = texel[k] + fu * (float(texel[k + 1]) - texel[k])
    return (a + fv * (b - a)) * (1.0 / 255.0)


@inner
@no_type_check
def street_colour(border, place, index, first, texel, near, noise, x, y, level, ux, uy, narrow, long):
    """Linear colour of the ground, share of paint, share of road, share of grass."""
    mean = np.sqrt(narrow * long)
    u, v = (x - place[0]) / _CELL, (y - place[1]) / _CELL
    road, bare, paving, edge = _BAND, _BAND, _BAND, mean
    yellow = 0
    if 0.0 <= u < border.shape[1] - 1 and 0.0 <= v < border.shape[0] - 1:
        i, j = int(u), int(v)
        fu, fv = u - i, v - j
        p, q, r, s = border[j, i, 0], border[j, i + 1, 0], border[j + 1, i, 0], border[j + 1, i + 1, 0]
        a, b = p + fu * (q - p), r + fu * (s - r)
        road = (a + fv * (b - a)) * 0.001
        gx = ((q - p) + fv * ((s - r) - (q - p))) * (0.001 / _CELL)
        gy = (b - a) * (0.001 / _CELL)
        along, across = (gx * ux + gy * uy) * long, (gy * ux - gx * uy) * narrow
        edge = min(np.sqrt(along * along + across * across) + 1e-3, 4.0)
        a = border[j, i, 1] + fu * (border[j, i + 1, 1] - border[j, i, 1])
        b = border[j + 1, i, 1] + fu * (border[j + 1, i + 1, 1] - border[j + 1, i, 1])
        bare = (a + fv * (b - a)) * 0.001
        a = border[j, i, 2] + fu * (border[j, i + 1, 2] - border[j, i, 2])
        b = border[j + 1, i, 2] + fu * (border[j + 1, i + 1, 2] - border[j + 1, i, 2])
        paving = (a + fv * (b - a)) * 0.001
        yellow = border[int(v + 0.5), int(u + 0.5), 3]
    fine = noise_at(noise, x * 41.0, y * 41.0, mean * 41.0)
    if mean < 0.02:
        fine = 0.55 * fine + 0.75 * noise_at(noise, x * 173.0, y * 173.0, mean * 173.0)
    coarse = noise_at(noise, x * 4.1 + 31.0, y * 4.1, mean * 4.1)
    patch = noise_at(noise, x * 0.9 + 7.0, y * 0.9 + 91.0, mean * 0.9)
    on_road = below(road, edge, 0.0)
    if level == ON_KERB:
        on_road = 0.0
        road = 0.5 * KERB_STONE
    elif level == 0 and edge < 0.3:
        on_road = 1.0
    elif level == 1 and edge < 0.3:
        on_road = 0.0
    r, g, b, paint, grass = 0.0, 0.0, 0.0, 0.0, 0.0
    if on_road > 0.0:
        tone = 0.118 * (1.0 + 0.27 * fine + 0.06 * coarse + 0.06 * patch)
        # mended places are darker, with a hard rim
        if patch > 0.70:
            tone *= 0.84
        r0, g0, b0 = tone, 1.0 * tone, 1.03 * tone
        stones = below(paving, mean, 0.0)
        if stones > 0.0:
            joint = max(stripes(x, mean, 0.0, 0.012, 0.2), stripes(y, mean, 0.0, 0.012, 0.1))
            tone = 0.19 * (1.0 + 0.25 * fine + 0.2 * coarse) * (1.0 - 0.55 * joint)
            if mean < 0.15:
                tone *= 0.85 + 0.3 * chance(int(np.floor(x / 0.2)), int(np.floor(y / 0.1)))
            r0, g0, b0 = r0 + stones * (1.08 * tone - r0), g0 + stones * (tone - g0), b0 + stones * (0.93 * tone - b0)
        # dust and damp along the kerb
        gutter = min(max(1.0 + road / 0.45, 0.0), 1.0)
        dark = 1.0 - 0.30 * gutter * gutter
        r0, g0, b0 = r0 * dark, g0 * dark, b0 * dark
        paint = paint_share(index, first, texel, near, place[2], place[3], x, y, ux, uy, narrow, long)
        if paint > 0.0:
            worn = paint * min(max(0.90 + 0.35 * coarse + 0.15 * fine, 0.45), 1.0)
            if yellow:
                r0, g0, b0 = r0 + worn * (0.62 - r0), g0 + worn * (0.40 - g0), b0 + worn * (0.055 - b0)
            else:
                r0, g0, b0 = r0 + worn * (0.66 - r0), g0 + worn * (0.66 - g0), b0 + worn * (0.63 - b0)
        r, g, b = on_road * r0, on_road * g0, on_road * b0
    if on_road < 1.0:
        stone = below(road, edge, KERB_STONE)
        wide = min(mean, 4.0)
        grass = 1.0 - below(bare, wide, 0.0)
        r1, g1, b1 = 0.0, 0.0, 0.0
        if grass < 1.0:
            joint = max(stripes(x, mean, 0.0, 0.012, 0.6), stripes(y, mean, 0.0, 0.012, 0.6))
            tone = 0.27 * (1.0 + 0.14 * fine + 0.14 * coarse) * (1.0 - 0.5 * joint)
            if mean < 0.4:
                tone *= 0.90 + 0.2 * chance(int(np.floor(x / 0.6)), int(np.floor(y / 0.6)) + 7)
            r1, g1, b1 = 1.03 * tone, tone, 0.94 * tone
        if grass > 0.0:
            lush = 1.0 + 0.38 * fine + 0.25 * coarse
            r2 = 0.085 * lush * (1.0 + 0.35 * patch)
            g2, b2 = 0.135 * lush, 0.038 * lush
            r1, g1, b1 = r1 + grass * (r2 - r1), g1 + grass * (g2 - g1), b1 + grass * (b2 - b1)
        if stone > 0.0:
            along = stripes(x + y, mean, 0.0, 0.02, 1.0)
            tone = 0.36 * (1.0 + 0.10 * fine + 0.08 * coarse) * (1.0 - 0.4 * along)
            if level == ON_KERB:
                tone *= 0.8
            r1, g1, b1 = r1 + stone * (tone - r1), g1 + stone * (tone - g1), b1 + stone * (0.96 * tone - b1)
            grass *= 1.0 - stone
        rest = 1.0 - on_road
        r, g, b = r + rest * r1, g + rest * g1, b + rest * b1
    return r, g, b, paint * on_road, on_road, grass
