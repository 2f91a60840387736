"""From Gaussians to what one camera sees of them: the records that blending reads.

The mathematics is gsplat's (EWA splatting): the covariance goes through the camera's rotation and the Jacobian of the
perspective, `eps2d` is added, and with antialiasing the opacity shrinks by what the addition widened. Three passes run
over chunks of neighbouring Gaussians: a rough test by bounding spheres, the projection of those that remain, and the
columns of tiles that each touches in each row of tiles.
"""

import math
from typing import no_type_check

import numpy as np
from numba import njit, prange

from simscale.splats import records as rec
from simscale.splats.harmonics import CONSTANT, harmonics
from simscale.splats.lanes import take_ticket
from simscale.splats.records import CHUNK, TILE, WORDS, Seen
from simscale.splats.vectors import by_parts, cross, dot, into, rotation_of, row, weighted

LOOPS = {"prange": True, "reduction": False, "setitem": False, "numpy": False, "comprehension": False, "fusion": False}
"""What Numba runs in parallel: loops that say so, and nothing else."""
VISIBLE = 1 / 255
"""Smallest opacity that shows, as in gsplat."""
REACH = 3.3291
"""Standard deviations within which an opaque Gaussian shows: sqrt(2 ln 255)."""
MARGIN = 0.3
"""Of half the field of view by which the Jacobian's place may lie outside the image (gsplat, and INRIA before it)."""
PLAIN, HALF = np.float32(CONSTANT), np.float32(0.5)
"""Weight and offset of the colour that does not depend on the view."""
SPAN = 16
"""Bits of each end of a span of rows or columns of tiles, two of which make one integer."""


@njit(cache=True, error_model="numpy")
@no_type_check
def perspective(eye, p):
    """Jacobian of the pinhole at a point of the camera's frame: its four non-zero entries, and which are clamped."""
    reciprocal = 1 / p[2]
    x, y = p[0] * reciprocal, p[1] * reciprocal
    spare_x, spare_y = MARGIN * 0.5 * eye.width / eye.fx, MARGIN * 0.5 * eye.height / eye.fy
    tx = min(max(x, -eye.cx / eye.fx - spare_x), (eye.width - eye.cx) / eye.fx + spare_x)
    ty = min(max(y, -eye.cy / eye.fy - spare_y), (eye.height - eye.cy) / eye.fy + spare_y)
    fx, fy = eye.fx * reciprocal, eye.fy * reciprocal
    return fx, -fx * tx, fy, -fy * ty, tx != x, ty != y


@njit(cache=True, error_model="numpy")
@no_type_check
def camera_point(eye, mean):
    """A point of the world in the camera's frame."""
    R, t = eye.rotation, eye.translation
    return dot(row(R, 0), mean) + t[0], dot(row(R, 1), mean) + t[1], dot(row(R, 2), mean) + t[2]


@njit(cache=True, error_model="numpy")
@no_type_check
def footprint(eye, p, scale, axes):
    """The 2x3 matrix from a Gaussian's own frame, in standard deviations, to pixels: its two rows."""
    j00, j02, j11, j12, _, _ = perspective(eye, p)
    R = eye.rotation
    right = into(weighted(j00, row(R, 0), j02, row(R, 2)), axes)
    down = into(weighted(j11, row(R, 1), j12, row(R, 2)), axes)
    return by_parts(right, scale), by_parts(down, scale)


@njit(cache=True, error_model="numpy")
@no_type_check
def spread_of(right, down, eps2d):
    """Covariance in the image (xx, xy, yy with `eps2d`), its determinant, and the determinant without `eps2d`.

    Determinants come from a vector product and sums of positive numbers, so that needles keep theirs.
    """
    xx, xy, yy = dot(right, right), dot(right, down), dot(down, down)
    area = cross(right, down)
    sharp = dot(area, area)
    return xx + eps2d, xy, yy + eps2d, sharp + eps2d * (xx + yy + eps2d), sharp


@njit(cache=True, error_model="numpy")
@no_type_check
def compensation_of(eye, det, sharp):
    """What antialiasing leaves of the opacity."""
    if not eye.antialiased:
        return 1.0
    return math.sqrt(max(sharp / det, eye.min_compensation * eye.min_compensation))


@njit(cache=True, error_model="numpy")
@no_type_check
def unit_quat(quats, i):
    """Normalised quaternion, and the length that it had."""
    w, x, y, z = float(quats[i, 0]), float(quats[i, 1]), float(quats[i, 2]), float(quats[i, 3])
    length = math.sqrt(w * w + x * x + y * y + z * z)
    return w / length, x / length, y / length, z / length, length


@njit(cache=True, error_model="numpy")
@no_type_check
def scale_of(log_scales, i):
    """Standard deviations, m."""
    return math.exp(log_scales[i, 0]), math.exp(log_scales[i, 1]), math.exp(log_scales[i, 2])


@njit(cache=True, error_model="numpy")
@no_type_check
def _project(i, means, log_scales, quats, logit_opacity, eye, record):
    """Fills the geometry of a record; False where nothing of the Gaussian shows."""
    p = camera_point(eye, row(means, i))
    if not eye.near <= p[2] <= eye.far:
        return False
    w, x, y, z, length = unit_quat(quats, i)
    if not length > 0:
        return False
    right, down = footprint(eye, p, scale_of(log_scales, i), rotation_of(w, x, y, z))
    xx, xy, yy, det, sharp = spread_of(right, down, eye.eps2d)
    opacity = compensation_of(eye, det, sharp) / (1 + math.exp(-logit_opacity[i]))
    if not (opacity >= VISIBLE and det > 0):
        return False
    cut = math.log(255 * opacity)
    u, v = eye.fx * p[0] / p[2] + eye.cx, eye.fy * p[1] / p[2] + eye.cy
    wide, high = math.sqrt(2 * cut * xx), math.sqrt(2 * cut * yy)
    if wide <= eye.radius_clip and high <= eye.radius_clip:
        return False
    top, bottom = max(math.ceil(v - high - 0.5), 0), min(math.floor(v + high - 0.5), eye.height - 1)
    first, last = max(math.ceil(u - wide - 0.5), 0), min(math.floor(u + wide - 0.5), eye.width - 1)
    if top > bottom or first > last:
        return False
    record[rec.U], record[rec.V], record[rec.DEPTH] = u, v, p[2]
    record[rec.SLOPE], record[rec.ROOT], record[rec.FLAT] = xy / yy, math.sqrt(0.5 * yy / det), 0.5 / yy
    record[rec.CUT], record[rec.OPACITY] = cut, opacity
    record[rec.TOP], record[rec.BOTTOM] = top, bottom
    record[rec.WIDE], record[rec.LEAN], record[rec.HIGH] = wide, wide * xy / xx, high
    return True


@njit(cache=True, error_model="numpy")
@no_type_check
def _colour(i, means, sh_dc, sh_rest, eye, basis, record):
    """Fills the colour of a record."""
    mean = row(means, i)
    c = eye.centre
    x, y, z = mean[0] - c[0], mean[1] - c[1], mean[2] - c[2]
    scale = 1 / math.sqrt(x * x + y * y + z * z)
    harmonics(eye.sh_degree, np.float32(x * scale), np.float32(y * scale), np.float32(z * scale), basis)
    red, green, blue = sh_dc[i, 0] * PLAIN + HALF, sh_dc[i, 1] * PLAIN + HALF, sh_dc[i, 2] * PLAIN + HALF
    for k in range((eye.sh_degree + 1) ** 2 - 1):
        red += basis[k] * sh_rest[i, k, 0]
        green += basis[k] * sh_rest[i, k, 1]
        blue += basis[k] * sh_rest[i, k, 2]
    zero = np.float32(0)
    record[rec.RED], record[rec.GREEN], record[rec.BLUE] = max(red, zero), max(green, zero), max(blue, zero)


@njit(cache=True, error_model="numpy")
@no_type_check
def _cull(first, last, means, log_scales, logit_opacity, eye, candidates):
    """Writes which of the Gaussians `first` to `last` may show, by spheres around them; returns how many."""
    R, t = eye.rotation, eye.translation
    half_w, half_h = 0.5 * eye.width, 0.5 * eye.height
    off_x, off_y = eye.cx - half_w, eye.cy - half_h
    # no Jacobian widens a sphere by more than this over its depth
    tan_x, tan_y = (1 + MARGIN) * eye.width / eye.fx, (1 + MARGIN) * eye.height / eye.fy
    widest = REACH * max(eye.fx, eye.fy) * math.sqrt(1 + tan_x * tan_x + tan_y * tan_y)
    blur = REACH * math.sqrt(eye.eps2d) + 1
    faintest = math.log(VISIBLE / (1 - VISIBLE)) - 1e-6
    count = 0
    for i in range(first, last):
        x, y, z = row(means, i)
        depth = R[2, 0] * x + R[2, 1] * y + R[2, 2] * z + t[2]
        candidates[count] = i
        if not (depth >= eye.near and depth <= eye.far and logit_opacity[i] >= faintest):
            continue
        reach = blur * depth + widest * math.exp(max(log_scales[i, 0], log_scales[i, 1], log_scales[i, 2]))
        across = eye.fx * (R[0, 0] * x + R[0, 1] * y + R[0, 2] * z + t[0]) + off_x * depth
        down = eye.fy * (R[1, 0] * x + R[1, 1] * y + R[1, 2] * z + t[1]) + off_y * depth
        count += abs(across) <= half_w * depth + reach and abs(down) <= half_h * depth + reach
    return count


@njit(cache=True, error_model="numpy")
@no_type_check
def _project_chunk(candidates, at, means, log_scales, quats, logit_opacity, sh_dc, sh_rest, eye, seen, rows):
    """Records of the candidates that show, from place `at` on; returns where they end and how many slots they need."""
    basis = np.empty(15, np.float32)
    slots, end = 0, at
    for i in candidates:
        record = seen.records[end]
        if not _project(i, means, log_scales, quats, logit_opacity, eye, record):
            continue
        _colour(i, means, sh_dc, sh_rest, eye, basis, record)
        upper, lower = int(record[rec.TOP]) // TILE, int(record[rec.BOTTOM]) // TILE
        seen.gaussian[end] = i
        seen.slot[end] = slots - upper
        rows[end] = upper | lower << SPAN
        slots += lower - upper + 1
        end += 1
    seen.gaussian[end : at + candidates.size] = -1
    return end, slots


@njit(cache=True, error_model="numpy")
@no_type_check
def _span_chunk(start, end, base, eye, seen, rows, spans):
    """Settles the slots of a chunk and writes the columns of tiles that each record touches in each row of tiles."""
    for r in range(start, end):
        record = seen.records[r]
        seen.slot[r] += base
        upper, lower = rows[r] & 0xFFFF, rows[r] >> SPAN
        u, v, cut, flat, lean = record[rec.U], record[rec.V], record[rec.CUT], record[rec.FLAT], record[rec.LEAN]
        for tile_row in range(upper, lower + 1):
            above = max(tile_row * TILE + 0.5 - v, -record[rec.HIGH])
            below = min(tile_row * TILE + TILE - 0.5 - v, record[rec.HIGH])
            # the outline is widest at +-lean; where that lies outside the row of tiles, at the nearer edge
            right, left = min(max(lean, above), below), min(max(-lean, above), below)
            root = record[rec.ROOT]
            first = u + record[rec.SLOPE] * left - math.sqrt(max(cut - flat * left * left, 0)) / root
            last = u + record[rec.SLOPE] * right + math.sqrt(max(cut - flat * right * right, 0)) / root
            # a pixel's thousandth of slack: rounding must not lose what blending would draw
            column = max(math.ceil(first - 0.501), 0) // TILE
            ending = min(math.floor(last - 0.499), eye.width - 1) // TILE
            spans[seen.slot[r] + tile_row] = column | ending << SPAN if ending >= column else 1


@njit(cache=True, error_model="numpy", parallel=LOOPS)
@no_type_check
def see(means, log_scales, quats, logit_opacity, sh_dc, sh_rest, eye, threads):
    """All that one camera sees.

    Returns:
        The records (`Seen`), first and last row of tiles of each record, and first and last column of tiles of each
        slot; a span whose last is before its first is empty.
    """
    n = means.shape[0]
    chunks = (n + CHUNK - 1) // CHUNK
    candidates = np.empty(n, np.int32)
    counts = np.zeros(chunks + 1, np.int64)
    tickets = np.zeros(3, np.int64)
    for _ in prange(threads):
        while True:
            chunk = take_ticket(tickets[0:])
            if chunk >= chunks:
                break
            first, last = chunk * CHUNK, min((chunk + 1) * CHUNK, n)
            counts[chunk + 1] = _cull(first, last, means, log_scales, logit_opacity, eye, candidates[first:last])
    starts = np.cumsum(counts)
    m = starts[chunks]
    records, gaussian = np.empty((m + 1, WORDS), np.float32), np.empty(m, np.int32)
    slot, rows, ends = np.empty(m, np.int32), np.empty(m, np.int32), np.empty(chunks, np.int64)
    seen = Seen(records, gaussian, starts, ends, slot, 0)
    bases = np.zeros(chunks + 1, np.int64)
    for _ in prange(threads):
        while True:
            chunk = take_ticket(tickets[1:])
            if chunk >= chunks:
                break
            mine = candidates[chunk * CHUNK : chunk * CHUNK + counts[chunk + 1]]
            ends[chunk], bases[chunk + 1] = _project_chunk(
                mine, starts[chunk], means, log_scales, quats, logit_opacity, sh_dc, sh_rest, eye, seen, rows
            )
    bases = np.cumsum(bases)
    spans = np.empty(bases[chunks], np.int32)
    for _ in prange(threads):
        while True:
            chunk = take_ticket(tickets[2:])
            if chunk >= chunks:
                break
            _span_chunk(starts[chunk], ends[chunk], bases[chunk], eye, seen, rows, spans)
    return Seen(records, gaussian, starts, ends, slot, bases[chunks]), rows, spans
