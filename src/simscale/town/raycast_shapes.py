"""Where a ray enters a thing: each thing in its own frame, first its box, then what is in the box.

A ray is an origin and a unit direction; `t` is the distance along it. The caller has clipped the ray to the thing's box
(`near`, `far`, and the face by which it enters); a shape answers with the distance of its first surface and a number
for the part that was hit, or with `MISS`. Parts of vehicles tell glass from doors, and their normals, to the shader.

Rows of `item` (all in m): centre x, y, cosine and sine of the yaw, half length, half width, bottom, top, then the
shape's own numbers as `raycast_solids` lays them down.
"""

from typing import no_type_check

import numpy as np

from simscale.town.raycast_jit import inner

BUILDING, BOX, BAR, CROWN, VEHICLE, PERSON, CYCLIST, CONE, SIGN, HEAD = range(10)
"""Kinds of shapes."""
MISS = 1e30
REAR, FRONT, RIGHT, LEFT, BOTTOM, TOP = 1, 2, 3, 4, 5, 6
"""Faces of a box, by where they look in its own frame."""
HOOD, CHAMFER = 7, 8
"""Of a vehicle's body: the bonnet, and the four bevelled corners from CHAMFER on (front left, front right, rear left,
rear right)."""
CABIN = 20
"""Faces of a vehicle's upper part follow, numbered as those of a box."""
WHEEL_SIDE, WHEEL_TREAD = 30, 31
ROOF_RIGHT, ROOF_LEFT = 7, 8
"""Of a building: the two sides of its gable."""

LUMPS = np.array(
    [
        [0.0, 0.0, 0.22, 0.74],
        [0.44, 0.05, -0.1, 0.54],
        [-0.4, 0.2, -0.02, 0.56],
        [0.02, -0.45, -0.16, 0.53],
        [-0.05, 0.4, -0.3, 0.5],
        [-0.2, -0.25, 0.45, 0.45],
    ]
)
"""A crown is six balls in the unit ball: centre and radius."""
_PEOPLE = np.array(
    [
        [0.0, 0.05, 0.50, 1.0, 0.05, 0.05, 0.048],  # left leg: hip, foot; columns: x0 y z0, x1 y z1, radius
        [0.0, -0.05, 0.50, -1.0, -0.05, 0.05, 0.048],
        [0.0, 0.0, 0.53, 0.02, 0.0, 0.77, 0.095],  # torso
        [0.0, 0.125, 0.77, -0.8, 0.14, 0.48, 0.030],  # arms
        [0.0, -0.125, 0.77, 0.8, -0.14, 0.48, 0.030],
        [0.03, 0.0, 0.925, 0.03, 0.0, 0.935, 0.066],  # head
    ]
)
"""Capsules of a walking person in shares of the height; an end at x of 1 swings with the step."""
_RIDER = np.array(
    [
        [-0.14, 0.0, 0.56, 0.10, 0.0, 0.82, 0.088],  # torso
        [-0.12, 0.06, 0.54, 0.10, 0.07, 0.40, 0.048],  # thighs
        [-0.12, -0.06, 0.54, 0.06, -0.07, 0.34, 0.048],
        [0.10, 0.07, 0.40, 0.0, 0.07, 0.14, 0.036],  # shins
        [0.06, -0.07, 0.34, 0.04, -0.07, 0.22, 0.036],
        [0.10, 0.12, 0.79, 0.27, 0.13, 0.62, 0.028],  # arms
        [0.10, -0.12, 0.79, 0.27, -0.13, 0.62, 0.028],
        [0.17, 0.0, 0.915, 0.175, 0.0, 0.925, 0.066],  # head
        [-0.30, 0.0, 0.20, -0.12, 0.0, 0.50, 0.014],  # frame
        [-0.12, 0.0, 0.50, 0.26, 0.0, 0.56, 0.014],
        [0.26, 0.0, 0.62, 0.33, 0.0, 0.20, 0.014],
        [0.26, -0.14, 0.62, 0.26, 0.14, 0.62, 0.012],
    ]
)


@inner
@no_type_check
def clip(limit, position, slope, near, far, face, new):
    """Cuts a ray's span by a half space `position + slope t <= limit`; an empty span has near > far."""
    if slope > 1e-12:
        t = (limit - position) / slope
        return near, min(far, t), face
    if slope < -1e-12:
        t = (limit - position) / slope
        if t > near:
            return t, far, new
        return near, far, face
    if position > limit:
        return 1.0, 0.0, face
    return near, far, face


@inner
@no_type_check
def enter_box(ox, oy, oz, dx, dy, dz, x0, x1, y0, y1, z0, z1):
    """Span of a ray in an axis-aligned box, and the face by which it enters."""
    ix, iy, iz = 1.0 / dx, 1.0 / dy, 1.0 / dz
    near_x, far_x = (x0 - ox) * ix, (x1 - ox) * ix
    face_x = REAR
    if near_x > far_x:
        near_x, far_x, face_x = far_x, near_x, FRONT
    near_y, far_y = (y0 - oy) * iy, (y1 - oy) * iy
    face_y = RIGHT
    if near_y > far_y:
        near_y, far_y, face_y = far_y, near_y, LEFT
    near_z, far_z = (z0 - oz) * iz, (z1 - oz) * iz
    face_z = BOTTOM
    if near_z > far_z:
        near_z, far_z, face_z = far_z, near_z, TOP
    near, face = near_x, face_x
    if near_y > near:
        near, face = near_y, face_y
    if near_z > near:
        near, face = near_z, face_z
    return near, min(far_x, far_y, far_z), face


@inner
@no_type_check
def hit_capsule(ox, oy, oz, dx, dy, dz, ax, ay, az, bx, by, bz, radius):
    """First surface of a round bar with round ends (after Quilez, "capsule intersection")."""
    wx, wy, wz = bx - ax, by - ay, bz - az
    px, py, pz = ox - ax, oy - ay, oz - az
    ww = wx * wx + wy * wy + wz * wz
    wd = wx * dx + wy * dy + wz * dz
    wp = wx * px + wy * py + wz * pz
    dp = dx * px + dy * py + dz * pz
    pp = px * px + py * py + pz * pz
    a = ww - wd * wd
    b = ww * dp - wp * wd
    c = ww * pp - wp * wp - radius * radius * ww
    h = b * b - a * c
    if h < 0.0:
        return MISS
    t = (-b - np.sqrt(h)) / a
    along = wp + t * wd
    if 0.0 < along < ww:
        return t if t > 0.0 else MISS
    if along > 0.0:
        px, py, pz = ox - bx, oy - by, oz - bz
        dp = dx * px + dy * py + dz * pz
        pp = px * px + py * py + pz * pz
    h = dp * dp - pp + radius * radius
    if h < 0.0:
        return MISS
    t = -dp - np.sqrt(h)
    return t if t > 0.0 else MISS


@inner
@no_type_check
def hit_building(item, i, oy, oz, dy, dz, near, far, face):
    """A box under a gable whose ridge runs along x."""
    wall, top, half = item[i, 8], item[i, 7], item[i, 5]
    if top > wall:
        # on either slope z / rise + |y| / half = top / rise
        steep = (top - wall) / half
        near, far, face = clip(top, oz + steep * oy, dz + steep * dy, near, far, face, ROOF_LEFT)
        near, far, face = clip(top, oz - steep * oy, dz - steep * dy, near, far, face, ROOF_RIGHT)
        if near > far:
            return MISS, 0
    return near, face


@inner
@no_type_check
def hit_bar(item, i, ox, oy, oz, dx, dy, dz, near):
    """A bar in the plane y = 0; one that stands upright is a cylinder."""
    radius = item[i, 12]
    if item[i, 8] == item[i, 10]:
        a = dx * dx + dy * dy
        b = ox * dx + oy * dy
        h = b * b - a * (ox * ox + oy * oy - radius * radius)
        if h < 0.0:
            return MISS
        t = (-b - np.sqrt(h)) / a
        z = oz + t * dz
        if item[i, 6] <= z <= item[i, 7]:
            return t if t > 0.0 else MISS
        # seen from above: the lid
        x, y = ox + near * dx, oy + near * dy
        return near if x * x + y * y <= radius * radius and near > 0.0 else MISS
    return hit_capsule(ox, oy, oz, dx, dy, dz, item[i, 8], 0.0, item[i, 9], item[i, 10], 0.0, item[i, 11], radius)


@inner
@no_type_check
def hit_crown(item, i, ox, oy, oz, dx, dy, dz):
    """Balls in a squeezed unit ball, with ragged rims; the part is the ball."""
    rx, rz = 1.0 / item[i, 4], 2.0 / (item[i, 7] - item[i, 6])
    zc = 0.5 * (item[i, 6] + item[i, 7])
    ox, oy, oz, dx, dy, dz = ox * rx, oy * rx, (oz - zc) * rz, dx * rx, dy * rx, dz * rz
    a = dx * dx + dy * dy + dz * dz
    b = ox * dx + oy * dy + oz * dz
    if b * b - a * (ox * ox + oy * oy + oz * oz - 1.0) < 0.0:
        return MISS, 0
    best, part = MISS, 0
    for k in range(6):
        px, py, pz = ox - LUMPS[k, 0], oy - LUMPS[k, 1], oz - LUMPS[k, 2]
        r = LUMPS[k, 3]
        b = px * dx + py * dy + pz * dz
        h = b * b - a * (px * px + py * py + pz * pz - r * r)
        if h > 0.0:
            root = np.sqrt(h)
            t = (-b - root) / a
            if 0.0 < t < best:
                # leaves: near its rim a ball is seen through in places
                graze = root / (r * np.sqrt(a))
                if graze < 0.5:
                    u = (ox + t * dx) * 9.0 + (oz + t * dz) * 5.0
                    v = (oy + t * dy) * 9.0 - (oz + t * dz) * 7.0
                    ragged = (
                        0.5 + 0.25 * np.sin(u + 1.7 * np.sin(1.9 * v)) + 0.25 * np.sin(1.31 * v + 2.0 * np.sin(1.3 * u))
                    )
                    if graze < 0.5 * ragged:
                        continue
                best, part = t, k
    return best, part


@inner
@no_type_check
def hit_vehicle(item, i, ox, oy, oz, dx, dy, dz):
    """A body, an upper part and four wheels; numbers of the row as in `raycast_bodies.COLUMNS`."""
    half, wide, low, height = item[i, 4], item[i, 5], item[i, 6], item[i, 7]
    oz -= low
    height -= low
    clearance, belt, nose = item[i, 8], item[i, 9], item[i, 10]
    cowl, shield, tail, deck = item[i, 11], item[i, 12], item[i, 13], item[i, 14]
    radius, front_axle, rear_axle = item[i, 15], item[i, 16], item[i, 17]
    inset, body_front, cabin_low, cabin_high = item[i, 18], item[i, 19], item[i, 20], item[i, 21]
    best, part = MISS, 0
    # body
    near, far, face = enter_box(ox, oy, oz, dx, dy, dz, -half, body_front, -wide, wide, clearance, belt)
    if nose < belt and near <= far:
        steep = (belt - nose) / (half - cowl)
        near, far, face = clip(belt + steep * cowl, oz + steep * ox, dz + steep * dx, near, far, face, HOOD)
    if near <= far and body_front == half:
        # corners bevelled seen from above: 0.45 of the side's depth, 0.16 m off the corner
        k = 0.45
        limit = half + k * wide - 0.17
        near, far, face = clip(limit, ox + k * oy, dx + k * dy, near, far, face, CHAMFER)
        near, far, face = clip(limit, ox - k * oy, dx - k * dy, near, far, face, CHAMFER + 1)
        near, far, face = clip(limit + 0.06, -ox + k * oy, -dx + k * dy, near, far, face, CHAMFER + 2)
        near, far, face = clip(limit + 0.06, -ox - k * oy, -dx - k * dy, near, far, face, CHAMFER + 3)
    if near <= far and near > 0.0:
        best, part = near, face
    # upper part
    if cabin_high > cabin_low:
        top_wide = wide - 0.003
        rear, ahead = min(tail, deck), max(cowl, shield)
        near, far, face = enter_box(ox, oy, oz, dx, dy, dz, rear, ahead, -top_wide, top_wide, cabin_low, cabin_high)
        tall = cabin_high - cabin_low
        if near <= far and near < best:
            s = (cowl - shield) / tall
            near, far, face = clip(cowl + s * cabin_low, ox + s * oz, dx + s * dz, near, far, face, FRONT)
            s = (deck - tail) / tall
            near, far, face = clip(-tail + s * cabin_low, -ox + s * oz, -dx + s * dz, near, far, face, REAR)
            s = inset / tall
            near, far, face = clip(top_wide + s * cabin_low, oy + s * oz, dy + s * dz, near, far, face, LEFT)
            near, far, face = clip(top_wide + s * cabin_low, -oy + s * oz, -dy + s * dz, near, far, face, RIGHT)
            if near <= far and 0.0 < near < best:
                best, part = near, CABIN + face
    # wheels: what shows below the body
    near, far, face = enter_box(ox, oy, oz, dx, dy, dz, -half, half, -wide, wide, 0.0, 2.0 * radius)
    if near <= far and near < best:
        for k in range(2):
            x = ox - (front_axle if k == 0 else rear_axle)
            z = oz - radius
            a = dx * dx + dz * dz
            b = x * dx + z * dz
            h = b * b - a * (x * x + z * z - radius * radius)
            if h < 0.0:
                continue
            root = np.sqrt(h)
            enter, leave = (-b - root) / a, (-b + root) / a
            for side in range(2):
                y0 = wide - 0.24 if side == 0 else -wide + 0.02
                s0, s1 = (y0 - oy) / dy, (y0 + 0.22 - oy) / dy
                if s0 > s1:
                    s0, s1 = s1, s0
                t = max(enter, s0)
                if t < min(leave, s1) and 0.0 < t < best:
                    best, part = t, WHEEL_SIDE if s0 > enter else WHEEL_TREAD
    return best, part


@inner
@no_type_check
def hit_person(item, i, ox, oy, oz, dx, dy, dz):
    """Six capsules; the part is the limb."""
    tall, swing = item[i, 7] - item[i, 6], item[i, 8]
    oz -= item[i, 6]
    best, part = MISS, 0
    for k in range(6):
        x0, y0, z0, x1, y1, z1, r = _PEOPLE[k]
        if x1 > 0.5 or x1 < -0.5:
            x1 *= swing
        t = hit_capsule(
            ox, oy, oz, dx, dy, dz, x0 * tall, y0 * tall, z0 * tall, x1 * tall, y1 * tall, z1 * tall, r * tall
        )
        if t < best:
            best, part = t, k
    return best, part


@inner
@no_type_check
def hit_cyclist(item, i, ox, oy, oz, dx, dy, dz):
    """A rider and a frame of capsules, and two rings; the part is the capsule, 20 for a tyre."""
    tall, long = item[i, 7] - item[i, 6], 2.0 * item[i, 4]
    oz -= item[i, 6]
    best, part = MISS, 0
    for k in range(12):
        x0, y0, z0, x1, y1, z1, r = _RIDER[k]
        t = hit_capsule(
            ox, oy, oz, dx, dy, dz, x0 * long, y0 * tall, z0 * tall, x1 * long, y1 * tall, z1 * tall, r * tall
        )
        if t < best:
            best, part = t, k
    r = 0.2 * tall
    for k in range(2):
        x = (0.5 * long - r) * (1 - 2 * k)
        px, pz = ox - x, oz - r
        a, b = dx * dx + dz * dz, px * dx + pz * dz
        h = b * b - a * (px * px + pz * pz - r * r)
        if h < 0.0:
            continue
        root = np.sqrt(h)
        # the tread, where the ray comes in over the rim, then the flat side
        t = (-b - root) / a
        if abs(oy + t * dy) < 0.03 and 0.0 < t < best:
            best, part = t, 20
        t = -oy / dy
        u, w = px + t * dx, pz + t * dz
        if 0.0 < t < best and (0.84 * r) ** 2 < u * u + w * w < r * r:
            best, part = t, 20
    return best, part


@inner
@no_type_check
def hit_cone(item, i, ox, oy, oz, dx, dy, dz):
    """A cone on a flat foot."""
    tall, r = item[i, 7] - item[i, 6], 0.8 * min(item[i, 4], item[i, 5])
    z = oz - item[i, 7]
    k = (r / tall) ** 2
    a = dx * dx + dy * dy - k * dz * dz
    b = ox * dx + oy * dy - k * z * dz
    h = b * b - a * (ox * ox + oy * oy - k * z * z)
    best, part = MISS, 0
    if h > 0.0:
        root = np.sqrt(h)
        for t in ((-b - root) / a, (-b + root) / a):
            if 0.0 < t < best and -tall <= z + t * dz <= 0.0:
                best, part = t, 1
    near, far, _face = enter_box(
        ox, oy, oz, dx, dy, dz, -item[i, 4], item[i, 4], -item[i, 5], item[i, 5], item[i, 6], item[i, 6] + 0.05 * tall
    )
    if near <= far and 0.0 < near < best:
        best, part = near, 2
    return best, part


@inner
@no_type_check
def on_sign(kind, u, v):
    """Whether a point of a sign's plate, in -1..1 both ways, is on the sign."""
    u = abs(u)
    if kind == 0:  # octagon
        return u + abs(v) <= 1.4142
    if kind == 1:  # triangle that stands on its point
        return u <= 0.5 * (v + 1.0)
    if kind == 2 or kind == 5:
        return u * u + v * v <= 1.0
    return True
