"""One image: every pixel's rays meet something, which is lit by the sun and the sky and fades with distance.

What stands still throws its shadow on the ground once, beforehand; agents throw theirs by a second ray, and so does
everything on walls and vehicles. Ground beside an agent is darker, because the agent hides a part of the sky.
"""

from typing import no_type_check

import numpy as np

from simscale.town.raycast_facade import crown_colour, facade_colour, head_colour, prop_colour, sign_colour
from simscale.town.raycast_jit import inner, kernel
from simscale.town.raycast_shapes import (
    _PEOPLE,
    _RIDER,
    BAR,
    BOTTOM,
    BOX,
    BUILDING,
    CONE,
    CROWN,
    CYCLIST,
    FRONT,
    HEAD,
    LEFT,
    LUMPS,
    MISS,
    PERSON,
    REAR,
    RIGHT,
    ROOF_LEFT,
    ROOF_RIGHT,
    SIGN,
    VEHICLE,
)
from simscale.town.raycast_street import shade_at, street_colour
from simscale.town.raycast_texture import noise_at, sky_colour, sky_seen, stripes
from simscale.town.raycast_trace import NOTHING, ON_KERB, meet, walk
from simscale.town.raycast_vehicles import person_colour, rider_colour, vehicle_colour, vehicle_normal

SUN = (1.38, 1.27, 1.10)
"""Light of the sun on a surface that faces it; white in the sun at noon is about 1.6 with the sky's."""
ABOVE = (0.47, 0.53, 0.66)
"""Light of the sky on a surface that faces up."""
AROUND = (0.27, 0.27, 0.27)
"""Light that comes back from the ground on a surface that faces down."""
SKY, ROAD, MARKING, PAVEMENT, TERRAIN = 0, 1, 2, 3, 4
"""Of `SemanticClass`."""
LIFT = 0.03
"""A second ray starts this far off the surface, m."""


@inner
@no_type_check
def _capsule_normal(x0, y0, z0, x1, y1, z1, x, y, z):
    wx, wy, wz = x1 - x0, y1 - y0, z1 - z0
    u = ((x - x0) * wx + (y - y0) * wy + (z - z0) * wz) / (wx * wx + wy * wy + wz * wz)
    u = min(max(u, 0.0), 1.0)
    nx, ny, nz = x - x0 - u * wx, y - y0 - u * wy, z - z0 - u * wz
    n = 1.0 / max(np.sqrt(nx * nx + ny * ny + nz * nz), 1e-9)
    return nx * n, ny * n, nz * n


@inner
@no_type_check
def normal_at(item, tag, i, part, x, y, z):
    """Unit normal of a thing in its own frame, at a point of its surface (z from the ground)."""
    kind = tag[i, 0]
    low = item[i, 6]
    tall = item[i, 7] - low
    if kind == VEHICLE:
        return vehicle_normal(item, i, part, x, y, z - low)
    if kind == CROWN:
        r, h = item[i, 4], 0.5 * tall
        nx, ny, nz = x / r - LUMPS[part, 0], y / r - LUMPS[part, 1], (z - low - h) / h - LUMPS[part, 2]
        nx, ny, nz = nx / r, ny / r, nz / h
        n = 1.0 / max(np.sqrt(nx * nx + ny * ny + nz * nz), 1e-9)
        return nx * n, ny * n, nz * n
    if kind == BAR:
        return _capsule_normal(item[i, 8], 0.0, item[i, 9], item[i, 10], 0.0, item[i, 11], x, y, z)
    if kind == PERSON:
        x0, y0, z0, x1, y1, z1, _ = _PEOPLE[part]
        if x1 > 0.5 or x1 < -0.5:
            x1 *= item[i, 8]
        return _capsule_normal(x0 * tall, y0 * tall, z0 * tall, x1 * tall, y1 * tall, z1 * tall, x, y, z - low)
    if kind == CYCLIST:
        if part == 20:
            return 0.0, 1.0 if y > 0 else -1.0, 0.0
        long = 2.0 * item[i, 4]
        x0, y0, z0, x1, y1, z1, _ = _RIDER[part]
        return _capsule_normal(x0 * long, y0 * tall, z0 * tall, x1 * long, y1 * tall, z1 * tall, x, y, z - low)
    if kind == CONE and part == 1:
        n = 1.0 / max(np.sqrt(x * x + y * y), 1e-6)
        return 0.95 * x * n, 0.95 * y * n, 0.31
    if part == REAR:
        return -1.0, 0.0, 0.0
    if part == FRONT:
        return 1.0, 0.0, 0.0
    if part == RIGHT:
        return 0.0, -1.0, 0.0
    if part == LEFT:
        return 0.0, 1.0, 0.0
    if part == BOTTOM:
        return 0.0, 0.0, -1.0
    if kind == BUILDING and (part in (ROOF_LEFT, ROOF_RIGHT)):
        steep = (item[i, 7] - item[i, 8]) / item[i, 5]
        n = 1.0 / np.sqrt(1.0 + steep * steep)
        return 0.0, (steep if part == ROOF_LEFT else -steep) * n, n
    return 0.0, 0.0, 1.0


@inner
@no_type_check
def _thing_colour(item, tag, lights, noise, i, part, x, y, z, nx, ny, wide, tall):
    """Linear colour, mirror share and glow of a thing at a point of its own frame."""
    kind, seed, style = tag[i, 0], tag[i, 1], tag[i, 3]
    if kind == BUILDING:
        return facade_colour(item, i, style, seed, noise, part, x, y, z, wide, tall)
    if kind == VEHICLE:
        return vehicle_colour(item, i, seed, part, x, y, z - item[i, 6], max(tall, 0.004))
    if kind == CROWN:
        return crown_colour(seed, noise, part, x, y, z, tall)
    if kind == BAR:
        if style == 1:
            tone = 1.0 + 0.35 * noise_at(noise, (x + y) * 40.0, z * 9.0, tall * 40.0)
            return 0.095 * tone, 0.068 * tone, 0.046 * tone, 0.0, 0.0
        return 0.20, 0.205, 0.21, 0.06, 0.0
    if kind in (SIGN, HEAD):
        high = item[i, 7] - item[i, 6]
        v = z - 0.5 * (item[i, 6] + item[i, 7])
        if kind == SIGN:
            scale = 0.5 * high
            return sign_colour(style, seed, part, y / item[i, 5], v / scale, tall / scale)
        state = lights[style] if 0 <= style < len(lights) else 0
        return head_colour(state, part, y / high, v / high, tall / high)
    if kind == PERSON:
        r, g, b = person_colour(seed, part)
        return r, g, b, 0.0, 0.0
    if kind == CYCLIST:
        r, g, b = rider_colour(seed, part)
        return r, g, b, 0.0, 0.0
    if kind == CONE:
        band = stripes(z - item[i, 6], tall, 0.35, 0.3, 2.0) if part == 1 else 0.0
        return 0.60 + 0.05 * band, 0.14 + 0.5 * band, 0.02 + 0.6 * band, 0.0, 0.0
    return prop_colour(style & 255, seed, noise, part, x, y, z, tall)


@inner
@no_type_check
def _hidden_sky(head, after, which, grid, top, item, first_agent, x, y):
    """How much darker the ground is beside agents."""
    rows, columns = top.shape
    column, row = int((x - grid[0]) / grid[2]), int((y - grid[1]) / grid[2])
    if not (0 <= column < columns and 0 <= row < rows):
        return 1.0
    light = 1.0
    n = head[row * columns + column]
    while n >= 0:
        i = which[n]
        c, s = item[i, 2], item[i, 3]
        px, py = x - item[i, 0], y - item[i, 1]
        u, v = abs(c * px + s * py) - item[i, 4], abs(c * py - s * px) - item[i, 5]
        out = np.sqrt(max(u, 0.0) ** 2 + max(v, 0.0) ** 2) + min(max(u, v), 0.0)
        reach = min(item[i, 5], 0.9)
        if out < 0.5 * reach:
            share = min(max((0.5 * reach - out) / (1.1 * reach), 0.0), 1.0)
            light = min(light, 1.0 - 0.72 * share * (2.0 - share))
        n = after[n]
    return light


@inner
@no_type_check
def look(world, agents, ox, oy, oz, dx, dy, dz, angle, t, i, part):
    """Linear colour of what a ray met, and its semantic class.

    Args:
        world: Arrays of the scenery, in the order of `raycast.RayCaster`.
        agents: Arrays of this instant: head, after, which, top, item, tag, lights.
        ox: Origin, with oy, oz.
        oy: See `ox`.
        oz: See `ox`.
        dx: Unit direction, with dy, dz.
        dy: See `dx`.
        dz: See `dx`.
        angle: Between neighbouring rays, rad.
        t: Distance to what was met.
        i: Its row, or `NOTHING`.
        part: Its part.
    """
    border, place, grid, start, thing, top, index, first, texel, near, cover, noise, sky, air = world
    head, after, which, agent_top, item, tag, lights = agents
    if t >= MISS:
        r, g, b = sky_seen(sky, air[0], noise, air[2], dx, dy, dz, angle)
        return r, g, b, SKY
    x, y, z = ox + t * dx, oy + t * dy, oz + t * dz
    size = t * angle
    mirror, glow, sunny, dim = 0.0, 0.0, 1.0, 1.0
    if i == NOTHING:
        flat = np.sqrt(dx * dx + dy * dy)
        ux, uy = dx / max(flat, 1e-9), dy / max(flat, 1e-9)
        long = min(size / max(-dz, 1e-4), 60.0)
        r, g, b, paint, on_road, grass = street_colour(
            border, place, index, first, texel, near, noise, x, y, part, ux, uy, size, long
        )
        nx, ny, nz = 0.0, 0.0, 1.0
        if part == ON_KERB:
            nx, ny, nz = -ux, -uy, 0.0
        slide = z / sky[2]
        sunny = 1.0 - shade_at(cover, place[0], place[1], x - slide * sky[0], y - slide * sky[1], np.sqrt(size * long))
        if sunny > 0.02:
            _, k, _ = walk(
                grid, start, thing, top, head, after, which, agent_top, item, tag,
                x, y, z + LIFT, sky[0], sky[1], sky[2], 60.0, 1.0, 1.0,
            )  # fmt: skip
            if k >= 0:
                sunny = 0.0
        dim = _hidden_sky(head, after, which, grid, top, item, 0, x, y)
        if paint > 0.5:
            semantic = MARKING
        elif on_road > 0.5:
            semantic = ROAD
        elif grass > 0.5:
            semantic = TERRAIN
        else:
            semantic = PAVEMENT
    else:
        c, s = item[i, 2], item[i, 3]
        px, py = x - item[i, 0], y - item[i, 1]
        lx, ly = c * px + s * py, c * py - s * px
        lnx, lny, lnz = normal_at(item, tag, i, part, lx, ly, z)
        nx, ny, nz = c * lnx - s * lny, s * lnx + c * lny, lnz
        facing = abs(nx * dx + ny * dy + nz * dz)
        wide = size / max(facing, 0.05)
        kind = tag[i, 0]
        r, g, b, mirror, glow = _thing_colour(
            item, tag, lights, noise, i, part, lx, ly, z, lnx, lny, wide,
            wide if abs(nz) > 0.7 else (size if kind == BUILDING else 0.5 * (size + wide)),
        )  # fmt: skip
        semantic = tag[i, 2]
        lit = nx * sky[0] + ny * sky[1] + nz * sky[2]
        if kind == CROWN:
            # leaves let light through, and hang in each other's shade below
            share = (z - item[i, 6]) / (item[i, 7] - item[i, 6])
            dim = 0.55 + 0.45 * share
            sunny = 0.30 + 0.70 * min(max(0.5 + lit, 0.0), 1.0) * (0.45 + 0.55 * share)
            nx, ny, nz = sky[0], sky[1], sky[2]
        elif lit > 0.0:
            _h, k, _ = walk(
                grid, start, thing, top, head, after, which, agent_top, item, tag,
                x + LIFT * nx, y + LIFT * ny, z + LIFT * nz, sky[0], sky[1], sky[2], 150.0, 1.0, 0.0,
            )  # fmt: skip
            if k >= 0:
                sunny = 0.0
        if kind in (BUILDING, BAR, BOX):
            dim *= 0.72 + 0.28 * min(z / 2.5, 1.0)
    lit = max(nx * sky[0] + ny * sky[1] + nz * sky[2], 0.0) * sunny
    up = 0.5 + 0.5 * nz
    r1 = r * (lit * SUN[0] + dim * (AROUND[0] + up * (ABOVE[0] - AROUND[0])))
    g1 = g * (lit * SUN[1] + dim * (AROUND[1] + up * (ABOVE[1] - AROUND[1])))
    b1 = b * (lit * SUN[2] + dim * (AROUND[2] + up * (ABOVE[2] - AROUND[2])))
    if mirror > 0.0:
        dot = nx * dx + ny * dy + nz * dz
        grazing = 1.0 - min(abs(dot), 1.0)
        share = mirror * (0.35 + 0.65 * grazing * grazing * grazing)
        rx, ry, rz = dx - 2.0 * dot * nx, dy - 2.0 * dot * ny, dz - 2.0 * dot * nz
        mr, mg, mb = sky_colour(sky, rx, ry, rz)
        if sunny > 0.0 and lit > 0.0:
            hot = rx * sky[0] + ry * sky[1] + rz * sky[2]
            if hot > 0.9:
                hot = (hot - 0.9) * 10.0
                flash = 2.5 * hot * hot * hot * hot
                mr, mg, mb = mr + flash, mg + flash, mb + flash
        if semantic == 5 and rz < 0.35:
            # streets mirror other houses more than sky
            dark = min((0.35 - rz) * 2.2, 0.7)
            mr, mg, mb = mr * (1.0 - dark), mg * (1.0 - dark), mb * (1.0 - dark)
        r1, g1, b1 = r1 + share * mr, g1 + share * mg, b1 + share * mb
    if glow > 0.0:
        r1, g1, b1 = max(r1, glow * r), max(g1, glow * g), max(b1, glow * b)
    clear = np.exp(-t * air[1])
    fr, fg, fb = 0.62, 0.70, 0.80
    return fr + clear * (r1 - fr), fg + clear * (g1 - fg), fb + clear * (b1 - fb), semantic


@kernel
@no_type_check
def draw(world, agents, ray, turn, origin, angle, side, table, met, rgb):
    """Colour of every pixel, as the mean of its `side` x `side` rays.

    Rays of a pixel that meet the same face share one colour: patterns are filtered by the width of the whole pixel, so
    only outlines gain from more rays.

    Args:
        world: See `look`.
        agents: See `look`.
        ray: Unit directions in the camera's frame, [h side, w side, 3].
        turn: `world_from_camera` without its translation.
        origin: Place of the camera.
        angle: Between neighbouring pixels, rad.
        side: Rays along the side of a pixel.
        table: sRGB bytes of linear values in steps of 1 / 2048.
        met: Room for the rays of one pixel: direction, distance, thing and part, [side^2, 6].
        rgb: Is filled, [h w 3].
    """
    border, place, grid, start, thing, top = world[0], world[1], world[2], world[3], world[4], world[5]
    head, after, which, agent_top, item, tag = agents[0], agents[1], agents[2], agents[3], agents[4], agents[5]
    ox, oy, oz = origin[0], origin[1], origin[2]
    count = side * side
    for row in range(rgb.shape[0]):
        for column in range(rgb.shape[1]):
            for k in range(count):
                a = ray[row * side + k // side, column * side + k % side]
                dx = turn[0, 0] * a[0] + turn[0, 1] * a[1] + turn[0, 2] * a[2]
                dy = turn[1, 0] * a[0] + turn[1, 1] * a[1] + turn[1, 2] * a[2]
                dz = turn[2, 0] * a[0] + turn[2, 1] * a[1] + turn[2, 2] * a[2]
                t, i, part = meet(
                    border, place, grid, start, thing, top, head, after, which, agent_top, item, tag,
                    ox, oy, oz, dx, dy, dz, MISS,
                )  # fmt: skip
                met[k, 0], met[k, 1], met[k, 2], met[k, 3], met[k, 4], met[k, 5] = dx, dy, dz, t, i, part
            red, green, blue = 0.0, 0.0, 0.0
            for k in range(count):
                if met[k, 3] < 0.0:
                    continue  # had its colour from an earlier ray
                dx, dy, dz, t, alike = met[k, 0], met[k, 1], met[k, 2], met[k, 3], 1
                for m in range(k + 1, count):
                    same = met[m, 4] == met[k, 4] and met[m, 5] == met[k, 5] and met[m, 3] >= 0.0
                    if same and (met[m, 3] >= MISS) == (met[k, 3] >= MISS):
                        dx += met[m, 0]
                        dy += met[m, 1]
                        dz += met[m, 2]
                        t += met[m, 3]
                        alike += 1
                        met[m, 3] = -1.0
                if alike > 1:
                    t = MISS if met[k, 3] >= MISS else t / alike
                    length = 1.0 / np.sqrt(dx * dx + dy * dy + dz * dz)
                    dx, dy, dz = dx * length, dy * length, dz * length
                r, g, b, _ = look(world, agents, ox, oy, oz, dx, dy, dz, angle, t, int(met[k, 4]), int(met[k, 5]))
                red += alike * r
                green += alike * g
                blue += alike * b
            share = 2048.0 / count
            rgb[row, column, 0] = table[min(int(max(red, 0.0) * share), 4095)]
            rgb[row, column, 1] = table[min(int(max(green, 0.0) * share), 4095)]
            rgb[row, column, 2] = table[min(int(max(blue, 0.0) * share), 4095)]


@kernel
@no_type_check
def measure(world, agents, first_agent, ray, turn, origin, angle, depth, instance, semantic):
    """Depth, track and class along the ray through the middle of every pixel; arguments as for `draw`."""
    border, place, grid, start, thing, top = world[0], world[1], world[2], world[3], world[4], world[5]
    index, first, texel, near, noise = world[6], world[7], world[8], world[9], world[11]
    head, after, which, agent_top, item, tag = agents[0], agents[1], agents[2], agents[3], agents[4], agents[5]
    ox, oy, oz = origin[0], origin[1], origin[2]
    for row in range(depth.shape[0]):
        for column in range(depth.shape[1]):
            a = ray[row, column]
            dx = turn[0, 0] * a[0] + turn[0, 1] * a[1] + turn[0, 2] * a[2]
            dy = turn[1, 0] * a[0] + turn[1, 1] * a[1] + turn[1, 2] * a[2]
            dz = turn[2, 0] * a[0] + turn[2, 1] * a[1] + turn[2, 2] * a[2]
            t, i, part = meet(
                border, place, grid, start, thing, top, head, after, which, agent_top, item, tag,
                ox, oy, oz, dx, dy, dz, MISS,
            )  # fmt: skip
            depth[row, column] = t * a[2] if t < MISS else np.inf
            instance[row, column] = tag[i, 3] >> 8 if i >= first_agent else -1
            if t >= MISS:
                semantic[row, column] = SKY
            elif i >= 0:
                semantic[row, column] = tag[i, 2]
            else:
                flat = np.sqrt(dx * dx + dy * dy)
                ux, uy = dx / max(flat, 1e-9), dy / max(flat, 1e-9)
                _, _, _, paint, on_road, grass = street_colour(
                    border, place, index, first, texel, near, noise, ox + t * dx, oy + t * dy, part, ux, uy,
                    t * angle, min(t * angle / max(-dz, 1e-4), 60.0),
                )  # fmt: skip
                semantic[row, column] = (
                    MARKING if paint > 0.5 else ROAD if on_road > 0.5 else TERRAIN if grass > 0.5 else PAVEMENT
                )


@kernel
@no_type_check
def range_all(world, agents, first_agent, origin, direction, limit, distance, instance, semantic):
    """Distance, track and class along rays of the world frame from one point; beyond `limit` nothing is met."""
    border, place, grid, start, thing, top = world[0], world[1], world[2], world[3], world[4], world[5]
    head, after, which, agent_top, item, tag = agents[0], agents[1], agents[2], agents[3], agents[4], agents[5]
    for k in range(len(direction)):
        t, i, part = meet(
            border, place, grid, start, thing, top, head, after, which, agent_top, item, tag,
            origin[0], origin[1], origin[2], direction[k, 0], direction[k, 1], direction[k, 2], limit,
        )  # fmt: skip
        distance[k] = t if t < limit else np.inf
        instance[k] = tag[i, 3] >> 8 if i >= first_agent else -1
        if t >= limit:
            semantic[k] = SKY
        elif i >= 0:
            semantic[k] = tag[i, 2]
        else:
            semantic[k] = ROAD if part == 0 else PAVEMENT
