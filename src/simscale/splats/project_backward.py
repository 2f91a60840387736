"""From gradients by records to gradients by the raw parameters of Gaussians and by the camera's pose.

Sixteen records at a time. What gradients need of the projection is computed again: reading it back would cost more.
Gradients come as one row for each Gaussian that was seen, without gaps, so that none has to be cleared first. Chunks of
Gaussians write rows of their own; a pose's gradient is summed within chunks and then over chunks, always in one order.
"""

from typing import no_type_check

import numpy as np
from numba import prange

from simscale.splats import records as rec
from simscale.splats.harmonics import CONSTANT, harmonics, harmonics_slope
from simscale.splats.kernels import kernel, part
from simscale.splats.lane_functions import sigmoid_of
from simscale.splats.lane_moves import transposed
from simscale.splats.lanes import LANES, lanes_of, load, root_of, scratch, store, take_ticket, where
from simscale.splats.project import put
from simscale.splats.projection import (
    FIELDS,
    camera_point,
    compensation_of,
    footprint,
    gather,
    offset_of,
    perspective,
    shape_of,
    spread_of,
)
from simscale.splats.records import EXTRAS, SPAN, WORDS
from simscale.splats.sh_rows import pull_colour
from simscale.splats.vectors import by_parts, cross, dot, into, quat_pull, rotation_of, row, weighted

f32 = np.float32
NONE, HALF, ONE, TWO = f32(0), f32(0.5), f32(1), f32(2)
POSE = 15
"""Numbers of a camera's gradient: rotation by rows, translation, and centre as the colours see it."""


@part
@no_type_check
def _read(block):
    """Sixteen vectors that lie one after another, transposed: from records to their fields, or back."""
    return transposed(
        load(block, 0),
        load(block, 16),
        load(block, 32),
        load(block, 48),
        load(block, 64),
        load(block, 80),
        load(block, 96),
        load(block, 112),
        load(block, 128),
        load(block, 144),
        load(block, 160),
        load(block, 176),
        load(block, 192),
        load(block, 208),
        load(block, 224),
        load(block, 240),
    )


@part
@no_type_check
def _by_spread(eye, record, sums, spread, sigmoid):
    """Gradients by the covariance's xx, xy and yy, by the area's square `sharp` alone, and by sigmoid(logit)."""
    _, _, yy, det, sharp = spread
    slope, root, per_yy = record[rec.SLOPE], record[rec.ROOT], ONE / yy
    by_slope = root * sums[rec.SUM_QY] * -TWO
    # root = (2 w)^-1/2 with w = xx - xy^2 / yy, slope = xy / yy, flat = 1 / (2 yy)
    by_w = root * root * sums[rec.SUM_QQ] * -TWO
    by_xy = by_slope * per_yy - TWO * slope * by_w
    by_yy = slope * slope * by_w - (by_slope * slope + HALF * sums[rec.SUM_YY] * per_yy) * per_yy
    factor = compensation_of(eye, det, sharp)
    by_opacity = NONE - sums[rec.SUM] / record[rec.OPACITY]
    if not eye.antialiased:
        return by_w, by_xy, by_yy, lanes_of(NONE), by_opacity
    # factor^2 = sharp / det with det = sharp + eps2d (trace + eps2d)
    free = (eye.min_compensation < factor) & (sharp > NONE)
    by_ratio = where(free, by_opacity * sigmoid * HALF / factor, lanes_of(NONE)) / det
    by_sharp = by_ratio * (det - sharp) / det
    by_trace = NONE - by_ratio * sharp / det * eye.eps2d
    return by_w + by_trace, by_xy, by_yy + by_trace, by_sharp, by_opacity * factor


@part
@no_type_check
def _by_footprint(right, down, by_xx, by_xy, by_yy, by_sharp):
    """Gradients by the footprint's rows: xx = |right|^2, xy = right . down, yy = |down|^2, sharp = |right x down|^2."""
    area = cross(right, down)
    by_right = weighted(TWO * by_xx, right, by_xy, down)
    by_down = weighted(TWO * by_yy, down, by_xy, right)
    twice = TWO * by_sharp
    return weighted(ONE, by_right, twice, cross(down, area)), weighted(ONE, by_down, twice, cross(area, right))


@part
@no_type_check
def _by_point(eye, p, jacobian, by_jacobian, by_u, by_v, by_depth):
    """Gradient by the point in the camera's frame, from those by the Jacobian, the image's centre and the depth."""
    j00, j02, j11, j12 = jacobian
    by_j00, by_j02, by_j11, by_j12 = by_jacobian
    near, limits, none = ONE / p[2], eye.tangents, lanes_of(NONE)
    by_x, by_y = by_u * eye.fx * near, by_v * eye.fy * near
    by_z = by_depth - (by_x * p[0] + by_y * p[1] + by_j00 * j00 + by_j02 * j02 + by_j11 * j11 + by_j12 * j12) * near
    # where the Jacobian's place is clamped, it does not move with the point
    x, y = p[0] * near, p[1] * near
    by_j02 = where((limits[0] < x) & (x < limits[1]), by_j02, none) * near
    by_j12 = where((limits[2] < y) & (y < limits[3]), by_j12, none) * near
    by_z = by_z - by_j02 * j02 - by_j12 * j12
    return by_x - by_j02 * eye.fx * near, by_y - by_j12 * eye.fy * near, by_z


@part
@no_type_check
def _add_pose(pose, eye, jacobian, by_right, by_down, by_p, mean, by_toward):
    """Adds to the pose's gradient [15 16]: point = rotation mean + translation, and the rotation in the footprint."""
    j00, j02, j11, j12 = jacobian
    for axis in range(3):
        first = j00 * by_right[axis] + by_p[0] * mean[axis]
        second = j11 * by_down[axis] + by_p[1] * mean[axis]
        third = j02 * by_right[axis] + j12 * by_down[axis] + by_p[2] * mean[axis]
        at = axis * LANES
        store(pose, at, load(pose, at) + first)
        store(pose, at + 3 * LANES, load(pose, at + 3 * LANES) + second)
        store(pose, at + 6 * LANES, load(pose, at + 6 * LANES) + third)
        store(pose, at + 9 * LANES, load(pose, at + 9 * LANES) + by_p[axis])
        store(pose, at + 12 * LANES, load(pose, at + 12 * LANES) - by_toward[axis])


@part
@no_type_check
def _pull_shapes(eye, shapes, record, sums, by_offset, pose, out):
    """Gradients of sixteen Gaussians but for their colours.

    Args:
        eye: The camera.
        shapes: From `gather`.
        record: Their records' fields.
        sums: Their records' gradients.
        by_offset: Gradient by the offset from the camera that colours have.
        pose: To add the pose's gradient to.
        out: Room for the gradients [16 16]: mean, log-scales, quaternion, logit, colour (as it comes), centre in the
            image.
    """
    mean, scale, quat, per_length, logit = shape_of(shapes)
    p = camera_point(eye, offset_of(eye, mean))
    R, axes, jacobian = eye.rotation, rotation_of(*quat), perspective(eye, p)
    right, down = footprint(eye, jacobian, axes, scale)
    sigmoid = sigmoid_of(logit)
    spread = spread_of(eye, right, down)
    by_xx, by_xy, by_yy, by_sharp, by_sigmoid = _by_spread(eye, record, sums, spread, sigmoid)
    by_right, by_down = _by_footprint(right, down, by_xx, by_xy, by_yy, by_sharp)
    by_log = weighted(ONE, by_parts(by_right, right), ONE, by_parts(by_down, down))

    # footprint = jacobian rotation axes scale
    by_right, by_down = by_parts(by_right, scale), by_parts(by_down, scale)
    j00, j02, j11, j12 = jacobian
    to_right, to_down = weighted(j00, row(R, 0), j02, row(R, 2)), weighted(j11, row(R, 1), j12, row(R, 2))
    by_axes = (
        weighted(to_right[0], by_right, to_down[0], by_down),
        weighted(to_right[1], by_right, to_down[1], by_down),
        weighted(to_right[2], by_right, to_down[2], by_down),
    )
    by_quat = quat_pull(*quat, by_axes)
    along = by_quat[0] * quat[0] + by_quat[1] * quat[1] + by_quat[2] * quat[2] + by_quat[3] * quat[3]
    by_right = dot(axes[0], by_right), dot(axes[1], by_right), dot(axes[2], by_right)
    by_down = dot(axes[0], by_down), dot(axes[1], by_down), dot(axes[2], by_down)
    by_jacobian = dot(row(R, 0), by_right), dot(row(R, 2), by_right), dot(row(R, 1), by_down), dot(row(R, 2), by_down)

    root, slope = record[rec.ROOT] * TWO, record[rec.SLOPE]
    by_u = NONE - root * sums[rec.SUM_Q]
    by_v = NONE - by_u * slope - record[rec.FLAT] * sums[rec.SUM_Y] * TWO
    by_p = _by_point(eye, p, jacobian, by_jacobian, by_u, by_v, sums[rec.SUM_DEPTH])
    _add_pose(pose, eye, jacobian, by_right, by_down, by_p, mean, by_offset)
    by_mean = weighted(ONE, into(by_p, (row(R, 0), row(R, 1), row(R, 2))), ONE, by_offset)
    fields = (
        *by_mean,
        *by_log,
        (by_quat[0] - along * quat[0]) * per_length,
        (by_quat[1] - along * quat[1]) * per_length,
        (by_quat[2] - along * quat[2]) * per_length,
        (by_quat[3] - along * quat[3]) * per_length,
        by_sigmoid * sigmoid * (ONE - sigmoid),
        *_colour_pull(record, sums),
        by_u,
        by_v,
    )
    put(transposed(*fields), out)


@part
@no_type_check
def _colour_pull(record, sums):
    """Gradients by red, green and blue; what was clamped at 0 does not move."""
    none = lanes_of(NONE)
    return (
        where(record[rec.RED] > NONE, sums[rec.SUM_RED], none),
        where(record[rec.GREEN] > NONE, sums[rec.SUM_GREEN], none),
        where(record[rec.BLUE] > NONE, sums[rec.SUM_BLUE], none),
    )


@part
@no_type_check
def _pull_colours(ids, eye, shapes, record, sums, sh_rest, each, place, g_rest, bases, pulls):
    """Writes gradients by the coefficients beyond the constant ones; returns those by the offset from the camera."""
    offset = offset_of(eye, (load(shapes, 0), load(shapes, LANES), load(shapes, 2 * LANES)))
    per_length = ONE / root_of(dot(offset, offset))
    toward = offset[0] * per_length, offset[1] * per_length, offset[2] * per_length
    put(transposed(lanes_of(CONSTANT), *harmonics(eye.sh_degree, toward)), bases)
    put(transposed(*_colour_pull(record, sums)), pulls)
    for lane in range(ids.size):
        at = lane * LANES
        basis, pull = load(bases, at), load(pulls, at)
        store(bases, at, pull_colour(ids[lane], basis, pull, sh_rest, each, place + lane, g_rest))
    for lane in range(ids.size, LANES):
        store(bases, lane * LANES, lanes_of(NONE))
    by_toward = harmonics_slope(eye.sh_degree, toward, _read(bases)[1:])
    return weighted(per_length, by_toward, NONE - per_length * dot(toward, by_toward), toward)


@part
@no_type_check
def _collect(seen, first, count, sums, records, totals):
    """Copies sixteen records and the sums over their slots; lanes left over get the last record and no gradient."""
    flat_records, flat_sums = seen.records.reshape(-1), sums.reshape(-1)
    for lane in range(LANES):
        r = first + min(lane, count - 1)
        store(records, lane * LANES, load(flat_records, r * WORDS))
        total = lanes_of(NONE)
        if lane < count:
            for slot in range(seen.slot[r] + (seen.rows[r] & 0xFFFF), seen.slot[r] + (seen.rows[r] >> SPAN) + 1):
                total = total + load(flat_sums, slot * WORDS)
        store(totals, lane * LANES, total)


@part
@no_type_check
def _hand_out(i, out, record, total, rows, by_extra, by_centre):
    """Writes row `i` of the gradients."""
    for axis in range(3):
        rows.means[i, axis] = out[axis]
        rows.log_scales[i, axis] = out[3 + axis]
        rows.sh_dc[i, axis] = out[11 + axis] * CONSTANT
    for axis in range(4):
        rows.quats[i, axis] = out[6 + axis]
    rows.logit_opacity[i] = out[10]
    by_centre[i, 0], by_centre[i, 1] = out[14], out[15]
    by_centre[i, 2], by_centre[i, 3] = TWO * record[rec.ROOT] * total[rec.ABS_U], TWO * total[rec.ABS_V]
    if by_extra is not None:
        for channel in range(EXTRAS):
            by_extra[i, channel] = total[rec.SUM_EXTRA + channel]


@part
@no_type_check
def _pull_chunk(start, end, place, seen, sums, raw, eye, rows, by_extra, by_centre, pose):
    """Gradients of the records `start` to `end`, from row `place` on; adds the pose's to `pose`, lane by lane."""
    shapes, records, totals = scratch(FIELDS * LANES), scratch(LANES * WORDS), scratch(LANES * WORDS)
    bases, out = scratch(LANES * LANES), scratch(LANES * LANES)
    sh_rest, each = raw.sh_rest.reshape(-1), 3 * raw.sh_rest.shape[1]
    g_rest = rows.sh_rest.reshape(-1)[: (place + end - start) * each]
    for first in range(start, end, LANES):
        ids = seen.gaussian[first : min(first + LANES, end)]
        gather(raw, ids, shapes)
        _collect(seen, first, ids.size, sums, records, totals)
        record, total = _read(records), _read(totals)
        by_offset = _pull_colours(ids, eye, shapes, record, total, sh_rest, each, place, g_rest, bases, out)
        _pull_shapes(eye, shapes, record, total, by_offset, pose, out)
        for lane in range(ids.size):
            mine = slice(lane * LANES, (lane + 1) * LANES)
            _hand_out(place + lane, out[mine], records[mine], totals[mine], rows, by_extra, by_centre)
        place += LANES


@part
@no_type_check
def _pull_share(places, seen, sums, raw, eye, rows, by_extra, by_centre, poses, ticket):
    """One thread's share of the chunks."""
    while True:
        chunk = take_ticket(ticket)
        if chunk >= seen.ends.size:
            break
        start, end = seen.starts[chunk], seen.ends[chunk]
        _pull_chunk(start, end, places[chunk], seen, sums, raw, eye, rows, by_extra, by_centre, poses[chunk])


@kernel
@no_type_check
def project_backward(seen, sums, raw, eye, rows, by_extra, by_centre, threads):
    """Finds the gradients by the raw parameters of the `v` Gaussians that were seen, in the order of their records.

    Args:
        seen: From `project`.
        sums: From `blend_backward`.
        raw: As given to `project`.
        eye: As given to `project`.
        rows: Arrays like `raw`, but of `v` rows, to write to.
        by_extra: Array [v 4] for the gradients by the extra channels, or None.
        by_centre: Array [v 4] for the gradients by the centres in the image, and the same with absolute values.
        threads: That share the work.

    Returns:
        The gradient by the camera: rotation (9), translation (3), and centre (3) as far as colours depend on it.
    """
    chunks = seen.ends.size
    poses, places = np.zeros((chunks, POSE * LANES), f32), np.zeros(chunks, np.int64)
    for chunk in range(1, chunks):
        places[chunk] = places[chunk - 1] + seen.ends[chunk - 1] - seen.starts[chunk - 1]
    ticket = np.zeros(1, np.int64)
    for _ in prange(threads):
        _pull_share(places, seen, sums, raw, eye, rows, by_extra, by_centre, poses, ticket)
    pose = np.zeros(POSE)
    for chunk in range(chunks):
        for entry in range(POSE):
            for lane in range(LANES):
                pose[entry] += poses[chunk, entry * LANES + lane]
    return pose
