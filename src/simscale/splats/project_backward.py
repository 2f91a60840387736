"""From gradients by records to gradients by the raw parameters of Gaussians and by the camera's pose.

Everything of the projection that gradients need is computed again: reading it back would cost more. Chunks of
Gaussians write rows of their own; a pose's gradient is summed within chunks and then over chunks, always in one order.
"""

import math
from typing import no_type_check

import numpy as np
from numba import njit, prange

from simscale.splats import records as rec
from simscale.splats.harmonics import harmonics, harmonics_slope
from simscale.splats.lanes import take_ticket
from simscale.splats.project import (
    LOOPS,
    PLAIN,
    SPAN,
    camera_point,
    compensation_of,
    footprint,
    perspective,
    scale_of,
    spread_of,
    unit_quat,
)
from simscale.splats.records import EXTRAS, WORDS
from simscale.splats.vectors import by_parts, cross, dot, into, rotation_of, row, weighted

POSE = 15
"""Numbers of a camera's gradient: rotation by rows, translation, and centre as the colours see it."""


@njit(cache=True, error_model="numpy")
@no_type_check
def _by_spread(record, sums, xx, xy, yy, det, sharp, sigmoid, eye):
    """Gradients by the covariance's xx, xy and yy, by the area's square `sharp` alone, and by sigmoid(logit)."""
    slope, root = record[rec.SLOPE], record[rec.ROOT]
    by_root, by_slope, by_flat = 2 * sums[rec.SUM_QQ] / root, -2 * root * sums[rec.SUM_QY], sums[rec.SUM_YY]
    # root = (2 w)^-1/2 with w = xx - xy^2 / yy, slope = xy / yy, flat = 1 / (2 yy)
    by_w = -by_root * root * root * root
    by_xy = by_slope / yy - 2 * slope * by_w
    by_yy = slope * slope * by_w - by_slope * slope / yy - by_flat * 0.5 / (yy * yy)
    by_opacity = -sums[rec.SUM] / record[rec.OPACITY]
    factor = compensation_of(eye, det, sharp)
    by_sharp, by_trace = 0.0, 0.0
    if eye.antialiased and factor > eye.min_compensation and sharp > 0:
        by_ratio = by_opacity * sigmoid * 0.5 / factor
        by_sharp = by_ratio * (det - sharp) / (det * det)
        by_trace = -by_ratio * sharp * eye.eps2d / (det * det)
    return by_w + by_trace, by_xy, by_yy + by_trace, by_sharp, by_opacity * factor


@njit(cache=True, error_model="numpy")
@no_type_check
def _by_colour(degree, x, y, z, sh_rest, g_rest, i, red, green, blue, basis, share):
    """Adds the gradients by the harmonics' coefficients; returns that by the direction (x, y, z)."""
    harmonics(degree, x, y, z, basis)
    for k in range((degree + 1) ** 2 - 1):
        share[k] = sh_rest[i, k, 0] * red + sh_rest[i, k, 1] * green + sh_rest[i, k, 2] * blue
        g_rest[i, k, 0] += basis[k] * red
        g_rest[i, k, 1] += basis[k] * green
        g_rest[i, k, 2] += basis[k] * blue
    return harmonics_slope(degree, x, y, z, share)


@njit(cache=True, error_model="numpy")
@no_type_check
def _by_quat(w, x, y, z, length, g):
    """Gradient by the unnormalised quaternion, from the gradient `g` by the rotation's rows."""
    gw = 2 * (x * (g[2][1] - g[1][2]) + y * (g[0][2] - g[2][0]) + z * (g[1][0] - g[0][1]))
    gx = 2 * (w * (g[2][1] - g[1][2]) + y * (g[0][1] + g[1][0]) + z * (g[0][2] + g[2][0]) - 2 * x * (g[1][1] + g[2][2]))
    gy = 2 * (w * (g[0][2] - g[2][0]) + x * (g[0][1] + g[1][0]) + z * (g[1][2] + g[2][1]) - 2 * y * (g[0][0] + g[2][2]))
    gz = 2 * (w * (g[1][0] - g[0][1]) + x * (g[0][2] + g[2][0]) + y * (g[1][2] + g[2][1]) - 2 * z * (g[0][0] + g[1][1]))
    along = gw * w + gx * x + gy * y + gz * z
    return (gw - along * w) / length, (gx - along * x) / length, (gy - along * y) / length, (gz - along * z) / length


@njit(cache=True, error_model="numpy")
@no_type_check
def _turn_one(i, record, sums, means, log_scales, quats, logit_opacity, sh_rest, eye, basis, share, grads, pose):
    """Adds one Gaussian's gradients to its rows of `grads` and to `pose`; returns those by its centre in the image."""
    g_means, g_scales, g_quats, g_opacity, g_dc, g_rest = grads
    R = eye.rotation
    mean = row(means, i)
    p = camera_point(eye, mean)
    w, x, y, z, length = unit_quat(quats, i)
    axes, scale = rotation_of(w, x, y, z), scale_of(log_scales, i)
    right, down = footprint(eye, p, scale, axes)
    xx, xy, yy, det, sharp = spread_of(right, down, eye.eps2d)
    sigmoid = 1 / (1 + math.exp(-logit_opacity[i]))

    # centre, covariance and opacity
    slope, root = float(record[rec.SLOPE]), float(record[rec.ROOT])
    by_u = -2 * root * sums[rec.SUM_Q]
    by_v = 2 * root * slope * sums[rec.SUM_Q] - 2 * record[rec.FLAT] * sums[rec.SUM_Y]
    by_xx, by_xy, by_yy, by_sharp, by_sigmoid = _by_spread(record, sums, xx, xy, yy, det, sharp, sigmoid, eye)
    g_opacity[i] += by_sigmoid * sigmoid * (1 - sigmoid)

    # the footprint's rows: xx = |right|^2, xy = right . down, yy = |down|^2, sharp = |right x down|^2
    area = cross(right, down)
    by_right = weighted(2 * by_xx, right, by_xy, down)
    by_right = weighted(1, by_right, 2 * by_sharp, cross(down, area))
    by_down = weighted(2 * by_yy, down, by_xy, right)
    by_down = weighted(1, by_down, 2 * by_sharp, cross(area, right))
    for axis in range(3):
        g_scales[i, axis] += by_right[axis] * right[axis] + by_down[axis] * down[axis]

    # footprint = jacobian rotation axes scale
    by_right, by_down = by_parts(by_right, scale), by_parts(by_down, scale)
    j00, j02, j11, j12, held_x, held_y = perspective(eye, p)
    to_right, to_down = weighted(j00, row(R, 0), j02, row(R, 2)), weighted(j11, row(R, 1), j12, row(R, 2))
    by_axes = (
        weighted(to_right[0], by_right, to_down[0], by_down),
        weighted(to_right[1], by_right, to_down[1], by_down),
        weighted(to_right[2], by_right, to_down[2], by_down),
    )
    by_quat = _by_quat(w, x, y, z, length, by_axes)
    for part in range(4):
        g_quats[i, part] += by_quat[part]
    by_to_right = (dot(axes[0], by_right), dot(axes[1], by_right), dot(axes[2], by_right))
    by_to_down = (dot(axes[0], by_down), dot(axes[1], by_down), dot(axes[2], by_down))
    by_j00, by_j02 = dot(by_to_right, row(R, 0)), dot(by_to_right, row(R, 2))
    by_j11, by_j12 = dot(by_to_down, row(R, 1)), dot(by_to_down, row(R, 2))

    # the point in the camera's frame
    near = 1 / p[2]
    by_x = by_u * eye.fx * near
    by_y = by_v * eye.fy * near
    by_z = -(by_x * p[0] + by_y * p[1]) * near + sums[rec.SUM_DEPTH]
    by_z -= (by_j00 * j00 + by_j11 * j11 + by_j02 * j02 + by_j12 * j12) * near
    if not held_x:
        by_x -= by_j02 * eye.fx * near * near
        by_z -= by_j02 * j02 * near
    if not held_y:
        by_y -= by_j12 * eye.fy * near * near
        by_z -= by_j12 * j12 * near
    by_p = (by_x, by_y, by_z)
    by_mean = into(by_p, (row(R, 0), row(R, 1), row(R, 2)))

    # colour; what was clamped at 0 does not move
    red = sums[rec.SUM_RED] if record[rec.RED] > 0 else np.float32(0)
    green = sums[rec.SUM_GREEN] if record[rec.GREEN] > 0 else np.float32(0)
    blue = sums[rec.SUM_BLUE] if record[rec.BLUE] > 0 else np.float32(0)
    g_dc[i, 0] += PLAIN * red
    g_dc[i, 1] += PLAIN * green
    g_dc[i, 2] += PLAIN * blue
    dx, dy, dz = mean[0] - eye.centre[0], mean[1] - eye.centre[1], mean[2] - eye.centre[2]
    close = 1 / math.sqrt(dx * dx + dy * dy + dz * dz)
    toward = (dx * close, dy * close, dz * close)
    by_toward = _by_colour(
        eye.sh_degree, toward[0], toward[1], toward[2], sh_rest, g_rest, i, red, green, blue, basis, share
    )
    by_colour = weighted(close, by_toward, -close * dot(toward, by_toward), toward)
    for axis in range(3):
        g_means[i, axis] += by_mean[axis] + by_colour[axis]

    # the pose: p = rotation mean + translation, and the rotation inside the footprint
    for axis in range(3):
        pose[axis] += j00 * by_to_right[axis] + by_x * mean[axis]
        pose[3 + axis] += j11 * by_to_down[axis] + by_y * mean[axis]
        pose[6 + axis] += j02 * by_to_right[axis] + j12 * by_to_down[axis] + by_z * mean[axis]
        pose[9 + axis] += by_p[axis]
        pose[12 + axis] -= by_colour[axis]
    return by_u, by_v


@njit(cache=True, error_model="numpy")
@no_type_check
def _turn_chunk(chunk, seen, rows, sums, raw, eye, grads, by_extra, by_centre, by_centre_abs, pose):
    """Gradients of the Gaussians of one chunk."""
    means, log_scales, quats, logit_opacity, sh_rest = raw
    basis, share, total = np.zeros(15, np.float32), np.zeros(15, np.float32), np.empty(WORDS, np.float32)
    for r in range(seen.starts[chunk], seen.ends[chunk]):
        total[:] = 0
        for tile_row in range(rows[r] & 0xFFFF, (rows[r] >> SPAN) + 1):
            total += sums[seen.slot[r] + tile_row]
        record = seen.records[r]
        by_u, by_v = _turn_one(
            seen.gaussian[r],
            record,
            total,
            means,
            log_scales,
            quats,
            logit_opacity,
            sh_rest,
            eye,
            basis,
            share,
            grads,
            pose,
        )
        by_centre[r, 0], by_centre[r, 1] = by_u, by_v
        by_centre_abs[r, 0], by_centre_abs[r, 1] = 2 * record[rec.ROOT] * total[rec.ABS_U], 2 * total[rec.ABS_V]
        if by_extra is not None:
            for channel in range(EXTRAS):
                by_extra[seen.gaussian[r], channel] += total[rec.SUM_EXTRA + channel]


@njit(cache=True, error_model="numpy", parallel=LOOPS)
@no_type_check
def see_backward(seen, rows, sums, raw, eye, grads, by_extra, by_centre, by_centre_abs, threads):
    """Adds the gradients by the raw parameters.

    Args:
        seen: From `see`.
        rows: From `see`.
        sums: From `blend_backward`.
        raw: Means, log-scales, quaternions, logit opacities and the harmonics' coefficients beyond the constant one.
        eye: As given to `see`.
        grads: Arrays to add to: those of `raw`, with the constant coefficients before the last.
        by_extra: Array [n 4] to add the gradients by the extra channels to, or None.
        by_centre: Array [m 2] for the gradients by the centres in the image.
        by_centre_abs: Array [m 2] for the same with absolute values.
        threads: That share the work.

    Returns:
        The gradient by the camera: rotation (9), translation (3), and centre (3) as far as colours depend on it.
    """
    chunks = seen.ends.size
    poses = np.zeros((chunks, POSE))
    ticket = np.zeros(1, np.int64)
    for _ in prange(threads):
        while True:
            chunk = take_ticket(ticket)
            if chunk >= chunks:
                break
            _turn_chunk(chunk, seen, rows, sums, raw, eye, grads, by_extra, by_centre, by_centre_abs, poses[chunk])
    pose = np.zeros(POSE)
    for chunk in range(chunks):
        pose += poses[chunk]
    return pose
