"""The mathematics of projection for sixteen Gaussians at once; forward and backward share it.

It is gsplat's (EWA splatting): a Gaussian's covariance goes through the camera's rotation and the Jacobian of the
perspective, `eps2d` is added, and with antialiasing the opacity shrinks by what the addition widened.
"""

from typing import no_type_check

import numpy as np

from simscale.splats.kernels import part
from simscale.splats.lane_functions import exp_of
from simscale.splats.lanes import LANES, lanes_of, larger, load, root_of, smaller
from simscale.splats.vectors import by_parts, cross, dot, into, row, weighted

f32 = np.float32
ONE, HALF, NONE = f32(1), f32(0.5), f32(0)
FIELDS = 11
"""Raw numbers of a Gaussian's shape: mean, log-scales, quaternion, logit of the opacity."""


@part
@no_type_check
def gather(raw, ids, block):
    """Lays the shapes of up to sixteen Gaussians into `block` [11 16], field by field; lanes left over get the last."""
    for lane in range(LANES):
        i = ids[min(lane, ids.size - 1)]
        for axis in range(3):
            block[axis * LANES + lane] = raw.means[i, axis]
            block[(3 + axis) * LANES + lane] = raw.log_scales[i, axis]
        for axis in range(4):
            block[(6 + axis) * LANES + lane] = raw.quats[i, axis]
        block[10 * LANES + lane] = raw.logit_opacity[i]


@part
@no_type_check
def shape_of(block):
    """Mean, scales, unit quaternion, reciprocal of the length that it had, and logit of the opacity."""
    mean = load(block, 0), load(block, LANES), load(block, 2 * LANES)
    scale = exp_of(load(block, 3 * LANES)), exp_of(load(block, 4 * LANES)), exp_of(load(block, 5 * LANES))
    w, x, y, z = load(block, 6 * LANES), load(block, 7 * LANES), load(block, 8 * LANES), load(block, 9 * LANES)
    per_length = ONE / root_of(w * w + x * x + y * y + z * z)
    quat = w * per_length, x * per_length, y * per_length, z * per_length
    return mean, scale, quat, per_length, load(block, 10 * LANES)


@part
@no_type_check
def offset_of(eye, mean):
    """From the camera to a point, along the world's axes; exact even far from the origin."""
    c, rest = eye.centre, eye.centre_rest
    return mean[0] - c[0] - rest[0], mean[1] - c[1] - rest[1], mean[2] - c[2] - rest[2]


@part
@no_type_check
def camera_point(eye, offset):
    """The same along the camera's axes."""
    R = eye.rotation
    return dot(row(R, 0), offset), dot(row(R, 1), offset), dot(row(R, 2), offset)


@part
@no_type_check
def perspective(eye, p):
    """Jacobian of the pinhole at a point of the camera's frame: its four non-zero entries.

    Far outside the image it is taken at a place nearer by.
    """
    near, limits = ONE / p[2], eye.tangents
    x = smaller(larger(p[0] * near, limits[0]), limits[1])
    y = smaller(larger(p[1] * near, limits[2]), limits[3])
    across, down = near * eye.fx, near * eye.fy
    return across, x * across * -ONE, down, y * down * -ONE


@part
@no_type_check
def footprint(eye, jacobian, axes, scale):
    """Rows of the 2x3 matrix from a Gaussian's own frame, in standard deviations, to pixels."""
    j00, j02, j11, j12 = jacobian
    R = eye.rotation
    right = into(weighted(j00, row(R, 0), j02, row(R, 2)), axes)
    down = into(weighted(j11, row(R, 1), j12, row(R, 2)), axes)
    return by_parts(right, scale), by_parts(down, scale)


@part
@no_type_check
def spread_of(eye, right, down):
    """Covariance in the image (xx, xy, yy with `eps2d`), its determinant, and the determinant without `eps2d`.

    Determinants come from a vector product and sums of positive numbers, so that needles keep theirs.
    """
    xx, xy, yy = dot(right, right), dot(right, down), dot(down, down)
    area = cross(right, down)
    sharp = dot(area, area)
    return xx + eye.eps2d, xy, yy + eye.eps2d, sharp + (xx + yy + eye.eps2d) * eye.eps2d, sharp


@part
@no_type_check
def compensation_of(eye, det, sharp):
    """What antialiasing leaves of the opacity."""
    if not eye.antialiased:
        return lanes_of(ONE)
    return root_of(larger(sharp / det, eye.min_compensation * eye.min_compensation))
