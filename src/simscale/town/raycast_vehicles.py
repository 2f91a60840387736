"""How vehicles and people look where a ray meets them: paint, glass, lamps, wheels, doors; clothes and skin.

The details are drawn on the few faces that `raycast_shapes` cuts out of each box, in shares of the pixel.
"""

from typing import no_type_check

import numpy as np

from simscale.town.raycast_jit import inner
from simscale.town.raycast_shapes import CABIN, CHAMFER, FRONT, HOOD, LEFT, REAR, RIGHT, TOP, WHEEL_SIDE, WHEEL_TREAD
from simscale.town.raycast_texture import below, between, chance, stripes

PAINTS = np.array(
    [
        [0.62, 0.62, 0.61], [0.60, 0.60, 0.58], [0.34, 0.35, 0.36], [0.30, 0.31, 0.32], [0.12, 0.125, 0.13],
        [0.025, 0.026, 0.028], [0.03, 0.03, 0.032], [0.04, 0.07, 0.17], [0.05, 0.14, 0.32], [0.32, 0.025, 0.025],
        [0.20, 0.02, 0.03], [0.05, 0.13, 0.08], [0.36, 0.30, 0.21], [0.45, 0.20, 0.04], [0.09, 0.20, 0.22],
        [0.50, 0.40, 0.06],
    ]
)  # fmt: skip
"""White, silver, grey and black are the most, as on every street."""
BUSES = np.array([[0.42, 0.04, 0.03], [0.05, 0.17, 0.36], [0.55, 0.42, 0.05], [0.58, 0.58, 0.56]])
JACKETS = np.array(
    [
        [0.06, 0.08, 0.14], [0.30, 0.05, 0.05], [0.10, 0.20, 0.12], [0.45, 0.42, 0.36], [0.05, 0.05, 0.055],
        [0.50, 0.36, 0.06], [0.15, 0.22, 0.40], [0.36, 0.16, 0.26],
    ]
)  # fmt: skip
TROUSERS = np.array([[0.04, 0.05, 0.09], [0.06, 0.06, 0.06], [0.16, 0.13, 0.09], [0.22, 0.22, 0.23]])
SKINS = np.array([[0.52, 0.32, 0.22], [0.40, 0.23, 0.15], [0.20, 0.11, 0.07], [0.58, 0.38, 0.28]])
GLASS = 0.02


@inner
@no_type_check
def vehicle_normal(item, i, part, x, y, z):
    """Unit normal of a part in the vehicle's frame."""
    half, wide = item[i, 4], item[i, 5]
    if part == HOOD:
        steep = (item[i, 9] - item[i, 10]) / (half - item[i, 11])
        n = 1.0 / np.sqrt(1.0 + steep * steep)
        return steep * n, 0.0, n
    if CHAMFER <= part < CHAMFER + 4:
        n = 1.0 / np.sqrt(1.0 + 0.45 * 0.45)
        ahead = 1.0 if part < CHAMFER + 2 else -1.0
        left = 1.0 if part == CHAMFER or part == CHAMFER + 2 else -1.0
        return ahead * n, left * 0.45 * n, 0.0
    if part == WHEEL_TREAD:
        front = abs(x - item[i, 16]) < abs(x - item[i, 17])
        u, w = x - (item[i, 16] if front else item[i, 17]), z - item[i, 15]
        n = 1.0 / max(np.sqrt(u * u + w * w), 1e-6)
        return u * n, 0.0, w * n
    if part == WHEEL_SIDE:
        return 0.0, 1.0 if y > 0 else -1.0, 0.0
    nx, ny, nz = 0.0, 0.0, 0.0
    face = part
    if part >= CABIN:
        face = part - CABIN
        tall = max(item[i, 21] - item[i, 20], 0.1)
        if face == FRONT:
            nx, nz = 1.0, (item[i, 11] - item[i, 12]) / tall
        elif face == REAR:
            nx, nz = -1.0, (item[i, 14] - item[i, 13]) / tall
        elif face == LEFT:
            ny, nz = 1.0, item[i, 18] / tall
        elif face == RIGHT:
            ny, nz = -1.0, item[i, 18] / tall
        else:
            nz = 1.0 if face == TOP else -1.0
        # sheets are bent: they mirror more than one piece of the sky
        nx += 0.10 * x / half if face != FRONT and face != REAR else 0.0
        ny += 0.22 * y / wide if face != LEFT and face != RIGHT else 0.0
    else:
        if face == FRONT:
            nx, ny = 1.0, 0.25 * y / wide
        elif face == REAR:
            nx, ny = -1.0, 0.25 * y / wide
        elif face in (LEFT, RIGHT):
            ny = 1.0 if face == LEFT else -1.0
            belt, low = item[i, 9], item[i, 8]
            nz = 0.45 * ((z - low) / max(belt - low, 0.1) - 0.55)
        else:
            nz = 1.0 if face == TOP else -1.0
    n = 1.0 / np.sqrt(nx * nx + ny * ny + nz * nz)
    return nx * n, ny * n, nz * n


@inner
@no_type_check
def wheel_colour(distance, angle, radius, width):
    """A tyre and its rim at this distance from the axle."""
    rim = below(distance, width, 0.66 * radius)
    spoke = 0.5 + 0.5 * np.sin(5.0 * angle) if width < 0.1 else 0.5
    hub = below(distance, width, 0.14 * radius)
    tone = 0.10 + 0.30 * max(spoke, hub)
    tone = 0.018 + rim * (tone - 0.018)
    return tone


@inner
@no_type_check
def vehicle_colour(item, i, seed, part, x, y, z, width):
    """Colour, mirror share and glow of a vehicle at a point of its own frame (z from its bottom)."""
    half, wide, height = item[i, 4], item[i, 5], item[i, 7] - item[i, 6]
    low, belt, nose, radius = item[i, 8], item[i, 9], item[i, 10], item[i, 15]
    lorry = item[i, 19] < half
    bus = item[i, 20] > item[i, 21]
    k = int(chance(seed, 1) * 16)
    r, g, b, mirror, glow = PAINTS[k, 0], PAINTS[k, 1], PAINTS[k, 2], 0.16, 0.0
    if bus:
        k = seed % 4
        r, g, b = BUSES[k, 0], BUSES[k, 1], BUSES[k, 2]
    if part == WHEEL_TREAD:
        return 0.02, 0.02, 0.021, 0.0, 0.0
    front_near = abs(x - item[i, 16]) < abs(x - item[i, 17])
    axle = item[i, 16] if front_near else item[i, 17]
    off, up = x - axle, z - radius
    distance = np.sqrt(off * off + up * up)
    if part == WHEEL_SIDE:
        tone = wheel_colour(distance, np.arctan2(up, off), radius, width)
        return tone, tone, tone, 0.05, 0.0
    if part >= CABIN:
        face = part - CABIN
        floor, roof = item[i, 20], item[i, 21]
        share = (z - floor) / max(roof - floor, 0.1)
        glass = 0.0
        v = width / max(roof - floor, 0.1)
        if face in (FRONT, REAR):
            lean = item[i, 18] * share + 0.03
            glass = below(abs(y), width, wide - lean - 0.10) * between(share, v, 0.08, 0.92)
            if lorry:
                glass = below(abs(y), width, wide - 0.15) * between(share, v, 0.45, 0.92) if face == FRONT else 0.0
                if face == FRONT:
                    lamp = between(abs(y), width, wide - 0.5, wide - 0.15) * between(z, width, 0.6, 0.85)
                    r, g, b = r + lamp * (0.8 - r), g + lamp * (0.8 - g), b + lamp * (0.76 - b)
                    dark = below(abs(y), width, wide - 0.55) * between(z, width, 0.6, 1.1)
                    r, g, b = r * (1 - 0.9 * dark), g * (1 - 0.9 * dark), b * (1 - 0.9 * dark)
        elif face in (LEFT, RIGHT):
            # between windscreen and rear window, with pillars
            ahead = item[i, 11] + (item[i, 12] - item[i, 11]) * share - 0.10
            behind = item[i, 13] + (item[i, 14] - item[i, 13]) * share + 0.16
            glass = between(x, width, behind, ahead) * between(share, v, 0.06, 0.86)
            if lorry:
                glass = between(x, width, half - 1.3, half - 0.35) * between(share, v, 0.5, 0.88)
            else:
                pillar = between(x, width, -0.03 * half - 0.05, -0.03 * half + 0.05)
                pillar = max(pillar, between(x, width, -0.42 * half - 0.06, -0.42 * half + 0.06))
                if seed % 2 == 0 and item[i, 9] < 0.55 * height and behind < -0.5 * half:
                    # every other van: sheet metal behind the driver's door
                    glass *= 1.0 - below(x, width, 0.18 * half)
                glass *= 1.0 - pillar
        if glass > 0.0:
            r, g, b = r + glass * (GLASS - r), g + glass * (GLASS - g), b + glass * (1.2 * GLASS - b)
            mirror += glass * (0.45 - mirror)
        return r, g, b, mirror, glow
    if part in (LEFT, RIGHT):
        # wheel arches, sills, doors, handles, windows of a bus
        if bus:
            glass = between(z, width, 0.42 * height, 0.80 * height) * below(abs(x), width, half - 0.3)
            glass *= 1.0 - stripes(x, width, 0.0, 0.12, 1.5)
            r, g, b = r + glass * (GLASS - r), g + glass * (GLASS - g), b + glass * (1.2 * GLASS - b)
            mirror += glass * (0.4 - mirror)
            line = between(z, width, 0.30 * height, 0.34 * height)
            r, g, b = r + line * (0.6 - r), g + line * (0.6 - g), b + line * (0.6 - b)
            door = between(x, width, half - 2.2, half - 1.0) * below(z, width, 0.8 * height) if part == RIGHT else 0.0
            r, g, b = r * (1 - 0.6 * door), g * (1 - 0.6 * door), b * (1 - 0.6 * door)
        elif lorry:
            band = between(z, width, 0.45 * height, 0.62 * height) if seed % 3 == 0 else 0.0
            base = 0.55
            r, g, b = base + band * (r - base), base + band * (g - base), base + band * (b - base)
            mirror = 0.03
        else:
            seam = stripes(x - 0.30 * half, width, 0.0, 0.018, 0.46 * half) * between(
                x, width, -0.45 * half, 0.40 * half
            )
            seam *= 1.0 - below(z, width, low + 0.1)
            handle = between(z, width, belt - 0.16, belt - 0.12) * stripes(
                x - 0.30 * half, width, 0.06, 0.16, 0.46 * half
            )
            handle *= between(x, width, -0.45 * half, 0.30 * half)
            dark = max(0.75 * seam, 0.6 * handle)
            sill = 0.75 * below(z, width, low + 0.09)
            dark = max(dark, sill)
            r, g, b = r * (1 - dark), g * (1 - dark), b * (1 - dark)
            # tail lamps and head lamps reach around the corners
            tail = between(x, width, -half, -half + 0.16) * between(z, width, belt - 0.26, belt - 0.06)
            r, g, b = r + tail * (0.42 - r), g + tail * (0.02 - g), b + tail * (0.02 - b)
            lamp = between(x, width, half - 0.3, half) * between(z, width, nose - 0.2, nose - 0.06)
            r, g, b = r + lamp * (0.7 - r), g + lamp * (0.72 - g), b + lamp * (0.72 - b)
        arch = below(distance, width, 1.16 * radius)
        r, g, b = r + arch * (0.012 - r), g + arch * (0.012 - g), b + arch * (0.012 - b)
        mirror *= 1.0 - arch
        tyre = below(distance, width, radius)
        if tyre > 0.0:
            tone = wheel_colour(distance, np.arctan2(up, off), radius, width)
            r, g, b = r + tyre * (tone - r), g + tyre * (tone - g), b + tyre * (tone - b)
        return r, g, b, mirror, glow
    ahead = part in (FRONT, CHAMFER) or part == CHAMFER + 1
    behind = part == REAR or part == CHAMFER + 2 or part == CHAMFER + 3
    if ahead and bus:
        glass = between(z, width, 0.36 * height, 0.85 * height) * below(abs(y), width, wide - 0.1)
        r, g, b = r + glass * (GLASS - r), g + glass * (GLASS - g), b + glass * (1.2 * GLASS - b)
        mirror += glass * (0.4 - mirror)
        lamp = between(abs(y), width, wide - 0.45, wide - 0.12) * between(z, width, 0.5, 0.75)
        r, g, b = r + lamp * (0.8 - r), g + lamp * (0.8 - g), b + lamp * (0.76 - b)
        sign = between(z, width, 0.87 * height, 0.95 * height) * below(abs(y), width, 0.7 * wide)
        r, g, b = r + sign * (0.5 - r), g + sign * (0.3 - g), b + sign * (0.02 - b)
        return r, g, b, mirror, 0.3 * sign
    if ahead and not lorry:
        lamp = between(abs(y), width, 0.60 * wide, wide) * between(z, width, nose - 0.22, nose - 0.06)
        grille = below(abs(y), width, 0.52 * wide) * between(z, width, nose - 0.27, nose - 0.09)
        intake = below(abs(y), width, 0.78 * wide) * between(z, width, low + 0.06, low + 0.22)
        dark = max(grille, intake)
        r, g, b = r + dark * (0.015 - r), g + dark * (0.015 - g), b + dark * (0.016 - b)
        r, g, b = r + lamp * (0.75 - r), g + lamp * (0.77 - g), b + lamp * (0.78 - b)
        plate = below(abs(y), width, 0.26) * between(z, width, low + 0.22, low + 0.33)
        r, g, b = r + plate * (0.6 - r), g + plate * (0.6 - g), b + plate * (0.55 - b)
        return r, g, b, mirror * (1.0 - dark), 0.15 * lamp
    if behind:
        top = 0.45 * height if bus or lorry else belt
        base = low + 0.5 if bus or lorry else top - 0.27
        lamp = between(abs(y), width, 0.62 * wide, wide) * between(z, width, base, min(base + 0.21, top - 0.05))
        bumper = below(z, width, low + 0.14)
        r, g, b = r + bumper * (0.03 - r), g + bumper * (0.03 - g), b + bumper * (0.032 - b)
        seam = between(z, width, low + 0.30, low + 0.315)
        r, g, b = r * (1 - 0.6 * seam), g * (1 - 0.6 * seam), b * (1 - 0.6 * seam)
        plate = below(abs(y), width, 0.26) * between(z, width, low + 0.20, low + 0.31)
        r, g, b = r + plate * (0.62 - r), g + plate * (0.62 - g), b + plate * (0.55 - b)
        r, g, b = r + lamp * (0.50 - r), g + lamp * (0.015 - g), b + lamp * (0.012 - b)
        if bus:
            glass = between(z, width, 0.5 * height, 0.85 * height) * below(abs(y), width, wide - 0.3)
            r, g, b = r + glass * (GLASS - r), g + glass * (GLASS - g), b + glass * (1.2 * GLASS - b)
        elif lorry:
            doors = between(abs(y), width, 0.0, 0.02)
            box = between(z, width, 1.2, height)
            r, g, b = r + box * (0.5 - r), g + box * (0.5 - g), b + box * (0.5 - b)
            r, g, b = r * (1 - 0.6 * doors), g * (1 - 0.6 * doors), b * (1 - 0.6 * doors)
        return r, g, b, mirror, 0.22 * lamp
    if part == TOP and lorry:
        return 0.5, 0.5, 0.5, 0.02, 0.0
    return r, g, b, mirror, glow


@inner
@no_type_check
def person_colour(seed, part):
    """Clothes by limb."""
    if part < 2:
        k = seed % 4
        return TROUSERS[k, 0], TROUSERS[k, 1], TROUSERS[k, 2]
    if part < 5:
        k = (seed // 4) % 8
        return JACKETS[k, 0], JACKETS[k, 1], JACKETS[k, 2]
    k = (seed // 32) % 4
    return SKINS[k, 0], SKINS[k, 1], SKINS[k, 2]


@inner
@no_type_check
def rider_colour(seed, part):
    """Clothes, helmet, frame and tyres of a cyclist."""
    if part == 20:
        return 0.02, 0.02, 0.02
    if part >= 8:
        k = seed % 16
        return PAINTS[k, 0], PAINTS[k, 1], PAINTS[k, 2]
    if part == 7:
        return 0.45, 0.45, 0.42
    if part == 0 or part == 5 or part == 6:
        k = (seed // 4) % 8
        return JACKETS[k, 0], JACKETS[k, 1], JACKETS[k, 2]
    k = seed % 4
    return TROUSERS[k, 0], TROUSERS[k, 1], TROUSERS[k, 2]
