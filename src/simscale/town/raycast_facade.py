"""How buildings, trees, signs, light heads and other still things look where a ray meets them.

Every function answers with linear colour, the surface's own mirror share (glass), and its glow. Windows are stripes in
both directions, integrated over the pixel, so that a facade far away takes its mean colour instead of sparkling.
"""

from typing import no_type_check

import numpy as np

from simscale.town.raycast_jit import inner
from simscale.town.raycast_shapes import FRONT, LEFT, REAR, RIGHT, ROOF_LEFT, ROOF_RIGHT, TOP
from simscale.town.raycast_texture import below, between, chance, noise_at, stripes

WALLS = np.array(
    [
        [0.30, 0.11, 0.07], [0.36, 0.17, 0.10], [0.24, 0.10, 0.075], [0.42, 0.27, 0.18],  # brick
        [0.62, 0.55, 0.42], [0.58, 0.50, 0.47], [0.48, 0.52, 0.46], [0.66, 0.63, 0.58],  # plaster
        [0.36, 0.36, 0.35], [0.42, 0.41, 0.38], [0.30, 0.31, 0.33], [0.47, 0.45, 0.42],  # concrete
        [0.16, 0.19, 0.22], [0.20, 0.22, 0.23], [0.13, 0.17, 0.17], [0.24, 0.22, 0.20],  # glass
        [0.56, 0.46, 0.34], [0.50, 0.40, 0.36], [0.63, 0.60, 0.52], [0.42, 0.46, 0.50],  # shops
        [0.68, 0.66, 0.60], [0.60, 0.50, 0.34], [0.40, 0.20, 0.13], [0.50, 0.56, 0.58],  # houses
    ]
)  # fmt: skip
"""Four colours for each facade."""
#                   pitch, width, floor, sill, height of the window, m
WINDOWS = np.array(
    [
        [2.9, 1.25, 3.2, 0.95, 1.60],
        [3.2, 1.30, 3.1, 0.95, 1.55],
        [2.4, 1.60, 3.3, 0.90, 1.70],
        [1.5, 1.38, 3.5, 0.55, 2.65],
        [3.0, 1.40, 3.2, 0.90, 1.60],
        [3.6, 1.20, 2.9, 0.95, 1.35],
    ]
)
"""For each facade."""
AWNINGS = np.array([[0.40, 0.05, 0.05], [0.05, 0.22, 0.12], [0.06, 0.12, 0.35], [0.55, 0.36, 0.06], [0.30, 0.30, 0.30]])
POSTERS = np.array([[0.7, 0.2, 0.1], [0.1, 0.4, 0.6], [0.7, 0.6, 0.1], [0.2, 0.5, 0.2], [0.5, 0.2, 0.5]])
PROPS = np.array(
    [
        [0.05, 0.10, 0.03], [0.42, 0.38, 0.33], [0.20, 0.20, 0.21], [0.24, 0.14, 0.07],
        [0.05, 0.12, 0.07], [0.33, 0.35, 0.33], [0.25, 0.30, 0.32], [0.30, 0.30, 0.30],
    ]
)  # fmt: skip
"""Hedge, wall, fence, bench, bin, cabinet, shelter, bollard."""


@inner
@no_type_check
def facade_colour(item, i, facade, seed, noise, part, x, y, z, wide, tall):
    """A building where its own frame says (x, y, z); a pixel is `wide` along the wall and `tall`."""
    half, deep, wall = item[i, 4], item[i, 5], item[i, 8]
    if part == TOP:
        tone = 0.24 * (1.0 + 0.25 * noise_at(noise, x * 9.0, y * 9.0, wide * 9.0))
        return tone, tone, tone, 0.0, 0.0
    if part in (ROOF_LEFT, ROOF_RIGHT):
        rows = stripes(z, max(tall, 0.01), 0.0, 0.05, 0.22)
        k = seed % 3
        tone = (1.0 - 0.45 * rows) * (1.0 + 0.2 * noise_at(noise, x * 6.0, z * 12.0, wide * 6.0))
        if k == 0:
            return 0.30 * tone, 0.10 * tone, 0.055 * tone, 0.0, 0.0
        if k == 1:
            return 0.12 * tone, 0.125 * tone, 0.14 * tone, 0.0, 0.0
        return 0.21 * tone, 0.12 * tone, 0.085 * tone, 0.0, 0.0
    if part in (FRONT, REAR):
        length = 2.0 * deep
        u = y + deep if part == FRONT else deep - y
    else:
        length = 2.0 * half
        u = half - x if part == LEFT else x + half
    shade = 4 * facade + seed % 4
    r, g, b = WALLS[shade, 0], WALLS[shade, 1], WALLS[shade, 2]
    tint = 0.88 + 0.24 * chance(seed, 3)
    tone = tint * (
        1.0
        + 0.10 * noise_at(noise, u * 5.0, z * 5.0, wide * 5.0)
        + 0.07 * noise_at(noise, u * 0.6, z * 0.3 + seed, wide)
    )
    if facade == 0:
        if wide < 0.5:
            joint = stripes(z, tall, 0.0, 0.014, 0.08)
            shift = 0.12 if int(np.floor(z / 0.08)) & 1 else 0.0
            joint = max(joint, stripes(u + shift, wide, 0.0, 0.014, 0.24))
            tone *= 0.86 + 0.28 * chance(int((u + shift) / 0.24), int(z / 0.08)) if wide < 0.12 else 1.0
            r, g, b = r + joint * (0.42 - r), g + joint * (0.38 - g), b + joint * (0.34 - b)
    elif facade == 2:
        panel = max(stripes(u, wide, 0.0, 0.03, 2.4), stripes(z, tall, 0.0, 0.03, 3.3))
        tone *= 1.0 - 0.35 * panel
    r, g, b = r * tone, g * tone, b * tone
    # plinth and cornice
    plinth = below(z, tall, 0.45)
    r, g, b = r + plinth * (0.20 - r), g + plinth * (0.195 - g), b + plinth * (0.19 - b)
    cornice = 1.0 - below(z, tall, wall - 0.35)
    if z < wall and item[i, 7] <= wall:
        r, g, b = (
            r + cornice * (0.9 * r + 0.03 - r),
            g + cornice * (0.9 * g + 0.03 - g),
            b + cornice * (0.9 * b + 0.03 - b),
        )
        line = between(z, tall, wall - 0.42, wall - 0.33)
        r, g, b = r * (1 - 0.45 * line), g * (1 - 0.45 * line), b * (1 - 0.45 * line)
    if z > wall:
        return r, g, b, 0.0, 0.0
    # windows: as many as fit between the corners, floors as many as fit below the cornice
    pitch, pane, floor = WINDOWS[facade, 0], WINDOWS[facade, 1], WINDOWS[facade, 2]
    columns = np.floor((length - 0.8) / pitch)
    ground = 3.9 if facade == 4 or facade == 3 else floor
    floors = np.floor((wall - 0.5 - ground) / floor) + 1.0
    if columns < 1.0 or wall < 2.4:
        return r, g, b, 0.0, 0.0
    inset = 0.5 * (length - columns * pitch)
    at = u - inset
    side = 0.5 * (pitch - pane)
    inside = between(at, wide, 0.0, columns * pitch)
    if facade == 4 and z < ground:
        # shop windows under an awning
        glass = stripes(at, wide, 0.15, pitch - 0.3, pitch) * inside * between(z, tall, 0.5, 2.7)
        band = between(z, tall, 2.75, 3.45) * inside
        k = (seed + int(max(at, 0.0) / (2.0 * pitch))) % 5
        r, g, b = r + band * (AWNINGS[k, 0] - r), g + band * (AWNINGS[k, 1] - g), b + band * (AWNINGS[k, 2] - b)
        r, g, b = r + glass * (0.05 - r), g + glass * (0.05 - g), b + glass * (0.055 - b)
        return r, g, b, 0.55 * glass, 0.10 * glass
    if z < ground:
        up, story, count = z, 0, 1.0
    else:
        up, story, count = z - ground, 1 + int((z - ground) / floor), max(floors - 1.0, 0.0)
    sill, high = WINDOWS[facade, 3], WINDOWS[facade, 4]
    rows = stripes(up, tall, sill, high, floor) * (between(up, tall, 0.0, count * floor) if count > 0 else 0.0)
    across = stripes(at, wide, side, pane, pitch) * inside
    glass = across * rows
    doorway, leaf = 0.0, 0.0
    if (facade == 5 or facade == 1) and (part in (RIGHT, LEFT)) and z < 2.8:
        # a door instead of one of the ground floor's windows
        left = float(seed % max(int(columns), 1)) * pitch + 0.5 * pitch - 0.55
        doorway = between(at, wide, left - 0.45, left + 1.55) * below(z, tall, 2.7)
        leaf = between(at, wide, left, left + 1.1) * below(z, tall, 2.1)
        glass *= 1.0 - doorway
    if facade != 3 and count > 0.0:
        # frames around the panes and a bar between them
        bars = stripes(at, wide, side + 0.5 * pane - 0.035, 0.07, pitch) * rows
        glass *= 1.0 - 0.8 * bars
        frame = stripes(at, wide, side - 0.09, pane + 0.18, pitch) * inside
        frame *= stripes(up, tall, sill - 0.1, high + 0.19, floor) * between(up, tall, 0.0, count * floor)
        frame = max(frame - glass, 0.0) * (1.0 - doorway)
        light = 0.55 if facade != 2 else 0.25
        r, g, b = r + frame * (light - r), g + frame * (light - g), b + frame * (0.95 * light - b)
    if leaf > 0.0:
        k = (seed * 7) % 5
        r, g, b = r + leaf * (AWNINGS[k, 0] - r), g + leaf * (AWNINGS[k, 1] - g), b + leaf * (AWNINGS[k, 2] - b)
    if glass > 0.0:
        blind, lit = 0.3, 0.0
        if wide < pitch and tall < floor:
            which = int(at / pitch) + 64 * story
            pick = chance(which + 977 * part, seed)
            blind = 1.0 if pick < 0.22 else (0.55 if pick < 0.45 else 0.0)
            if pick > 0.93:
                lit = 0.25
        c = 0.022 + 0.22 * blind
        r, g, b = r + glass * (c - r), g + glass * (c - g), b + glass * (1.1 * c - b)
        return r, g, b, glass * (0.75 if facade == 3 else 0.5 - 0.3 * blind), lit * glass
    return r, g, b, 0.0, 0.0


@inner
@no_type_check
def crown_colour(seed, noise, part, x, y, z, width):
    """Leaves; the colour differs from tree to tree and from ball to ball."""
    # three planes, so that no side shows the streaks of one
    leaf = noise_at(noise, x * 30.0, y * 30.0, width * 30.0) + noise_at(noise, y * 30.0 + 80.0, z * 30.0, width * 30.0)
    leaf += noise_at(noise, z * 30.0, x * 30.0 + 160.0, width * 30.0)
    clump = noise_at(noise, x * 7.0 + 50.0, z * 7.0, width * 7.0) + noise_at(
        noise, z * 7.0, y * 7.0 + 20.0, width * 7.0
    )
    tone = max((0.85 + 0.35 * chance(seed, 11)) * (1.0 + 0.42 * leaf + 0.26 * clump + 0.08 * (part % 3 - 1)), 0.12)
    warm = chance(seed, 5)
    return 0.052 * tone * (0.75 + 0.85 * warm), 0.098 * tone * (0.9 + 0.2 * warm), 0.024 * tone, 0.0, 0.0


@inner
@no_type_check
def sign_colour(kind, seed, part, u, v, width):
    """A plate at (u, v) in -1..1; grey on the back and at the edge. `width` is the pixel's in the same measure."""
    if part != FRONT:
        return 0.28, 0.28, 0.29, 0.05, 0.0
    if kind == 0:
        rim = abs(u) + abs(v) > 1.27 or max(abs(u), abs(v)) > 0.9
        white = (
            1.0
            if rim
            else between(v, width, -0.25, 0.25) * stripes(u, width, -0.75, 0.22, 0.38) * below(abs(u), width, 0.72)
        )
        return 0.48 + 0.22 * white, 0.03 + 0.66 * white, 0.03 + 0.66 * white, 0.0, 0.12
    if kind == 1:
        white = below(abs(u), width, 0.5 * (v + 1.0) - 0.33) * below(v, width, 0.75)
        return 0.50 + 0.2 * white, 0.04 + 0.66 * white, 0.04 + 0.66 * white, 0.0, 0.12
    if kind == 2:
        d = np.sqrt(u * u + v * v)
        white = below(d, width, 0.74)
        ink = between(v, width, -0.36, 0.36) * (between(u, width, -0.48, -0.12) + between(u, width, 0.1, 0.46))
        hole = between(v, width, -0.2, 0.2) * between(u, width, 0.2, 0.36)
        ink = white * max(ink - hole, 0.0)
        r, g, b = 0.52 + 0.2 * white, 0.03 + 0.69 * white, 0.03 + 0.69 * white
        return r - 0.66 * ink, g - 0.66 * ink, b - 0.66 * ink, 0.0, 0.12
    if kind == 3:
        white = below(abs(u), width, 0.42 * (0.75 - v)) * between(v, width, -0.72, 0.75)
        ink = below(abs(u), width, 0.13) * between(v, width, -0.55, 0.1)
        white = max(white - ink, 0.0)
        return 0.03 + 0.65 * white, 0.10 + 0.6 * white, 0.45 + 0.25 * white, 0.0, 0.12
    if kind == 4:
        white = between(u, width, -0.4, -0.15) * between(v, width, -0.65, 0.65)
        d = np.sqrt((u + 0.05) ** 2 + (v - 0.28) ** 2)
        white = max(white, (below(d, width, 0.42) - below(d, width, 0.2)) * (u > -0.3))
        return 0.03 + 0.65 * white, 0.10 + 0.6 * white, 0.45 + 0.25 * white, 0.0, 0.12
    if kind == 5:
        d = np.sqrt(u * u + v * v)
        white = between(d, width, 0.42, 0.62)
        return 0.03 + 0.65 * white, 0.10 + 0.6 * white, 0.45 + 0.25 * white, 0.0, 0.12
    if kind == 6:
        white = between(v, width, -0.35, 0.35) * stripes(u, width, 0.02, 0.11, 0.17) * below(abs(u), width, 0.8)
        return 0.02 + 0.66 * white, 0.22 + 0.46 * white, 0.10 + 0.56 * white, 0.0, 0.08
    k, m = seed % 5, (seed // 5 + 1) % 5
    share = below(v, width, 0.5 * np.sin(3.0 * u + seed))
    r = POSTERS[k, 0] + share * (POSTERS[m, 0] - POSTERS[k, 0])
    g = POSTERS[k, 1] + share * (POSTERS[m, 1] - POSTERS[k, 1])
    b = POSTERS[k, 2] + share * (POSTERS[m, 2] - POSTERS[k, 2])
    return r, g, b, 0.05, 0.1


@inner
@no_type_check
def head_colour(state, part, u, v, width):
    """A light head's front at (u, v), in shares of its height from the centre.

    A lamp that is too small for a pixel still lights it.
    """
    if part != FRONT:
        return 0.016, 0.017, 0.016, 0.04, 0.0
    r, g, b, glow = 0.018, 0.019, 0.018, 0.0
    if max(abs(u) / 0.225, abs(v) / 0.5) > 0.93 and width < 0.05:
        r, g, b = 0.30, 0.26, 0.05
    for k in range(3):
        lamp = 0.31 - 0.31 * k
        d = np.sqrt(u * u + (v - lamp) ** 2)
        on = (state == 3 and k == 0) or (state == 2 and k == 1) or (state == 1 and k == 2)
        radius = 0.125 + (0.10 * min(width, 1.0) if on else 0.0)
        share = below(d, max(width, 0.01), radius)
        if share <= 0.0:
            continue
        if k == 0:
            lr, lg, lb = 1.0, 0.05, 0.02
        elif k == 1:
            lr, lg, lb = 1.0, 0.52, 0.02
        else:
            lr, lg, lb = 0.06, 1.0, 0.42
        if on:
            core = 0.25 * below(d, max(width, 0.01), 0.05)
            r, g, b = r + share * (lr + core - r), g + share * (lg + core - g), b + share * (lb + core - b)
            glow = max(glow, 1.2 * share)
        else:
            r, g, b = (
                r + share * (0.05 * lr + 0.01 - r),
                g + share * (0.05 * lg + 0.01 - g),
                b + share * (0.05 * lb + 0.01 - b),
            )
    return r, g, b, 0.0, glow


@inner
@no_type_check
def prop_colour(style, seed, noise, part, x, y, z, width):
    """Boxes: props, and what tracks call barriers, signs of building sites, and anything else."""
    rough = noise_at(noise, (x + y) * 20.0, z * 20.0, width * 20.0)
    if style >= 100:
        if style == 104 or style == 105:  # barrier, sign of a building site: red and white bands
            white = stripes(x + y + z, width, 0.0, 0.3, 0.6)
            return 0.5 + 0.1 * white, 0.05 + 0.55 * white, 0.04 + 0.55 * white, 0.0, 0.0
        return 0.30, 0.27, 0.20, 0.0, 0.0
    r, g, b = PROPS[style, 0], PROPS[style, 1], PROPS[style, 2]
    if style == 0:
        tone = max(1.0 + 0.7 * rough, 0.2)
        return r * tone, g * tone, b * tone, 0.0, 0.0
    if style == 2 or style == 3:
        slats = stripes(x + y if style == 2 else z, width, 0.0, 0.03, 0.12)
        return r * (1.0 - 0.6 * slats), g * (1.0 - 0.6 * slats), b * (1.0 - 0.6 * slats), 0.0, 0.0
    if style == 6 and part != TOP:
        post = stripes(x + y, width, 0.0, 0.06, 1.2)
        return 0.10 + 0.1 * post, 0.13 + 0.1 * post, 0.13 + 0.1 * post, 0.4 * (1.0 - post), 0.0
    tone = 1.0 + 0.2 * rough
    return r * tone, g * tone, b * tone, 0.03, 0.0
