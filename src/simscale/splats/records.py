"""What kernels hand to each other: a camera, and one record of 64 bytes for each Gaussian that it sees.

A record is one cache line, so that whoever meets a Gaussian in depth order, far from its neighbours in memory, waits
once. It describes the Gaussian in the image by its rows. At `dy` pixels below the centre the Gaussian is a bell curve
around `u + slope dy`, and its exponent is

    sigma = (root (x - u - slope dy))^2 + flat dy^2

which is the usual quadratic form completed to squares. Unlike the conic A x^2 + 2 B x y + C y^2 it does not cancel for
long diagonal Gaussians, and the pixels of a row that it covers follow from one square root.
"""

from typing import NamedTuple, no_type_check

import numpy as np

from simscale.splats.kernels import part

Array = np.ndarray

WORDS = 16
"""float32 numbers of a record."""
U, V, SLOPE, ROOT, FLAT, CUT, OPACITY, RED, GREEN, BLUE, DEPTH, TOP, BOTTOM, WIDE, LEAN, HIGH = range(WORDS)
"""Fields of a record: centre (px), the three numbers above, the exponent `ln(255 opacity)` up to which it counts,
opacity, colour, depth (m), first and last row of pixels (inclusive), then half the width of its box (px), `dy` at the
box's right edge, and half the height of the box (px)."""

SUM, SUM_Q, SUM_QQ, SUM_QY, SUM_Y, SUM_YY, SUM_RED, SUM_GREEN, SUM_BLUE, SUM_DEPTH, ABS_U, ABS_V, SUM_EXTRA = range(13)
"""Fields of a record of gradients. With s the loss's gradient by sigma at a pixel and q = root (x - u - slope dy): the
sums over pixels of s, s q, s q^2, s q dy, s dy, s dy^2, the gradients by colour and depth, the sums of absolute values
|s q| and of |the gradient by v| / 2, and the gradients by up to four extra channels."""

EXTRAS = 4
"""Most extra channels that one pass blends."""
TILE = 16
"""Pixels along the side of a tile: one row is one vector."""
SPAN = 16
"""Bits of each end of a span of rows or columns of tiles, two of which make one integer."""
CHUNK = 4096
"""Gaussians that one thread takes at a time; part of what fixes the order of sums."""


class Raw(NamedTuple):
    """The parameters of `Gaussians` as contiguous float32 arrays."""

    means: Array  # [n 3]
    log_scales: Array  # [n 3]
    quats: Array  # [n 4]
    logit_opacity: Array  # [n]
    sh_dc: Array  # [n 3]
    sh_rest: Array  # [n k 3]


class Eye(NamedTuple):
    """One camera and the limits of drawing, as kernels read them; numbers are float32 but for the last four."""

    rotation: Array  # [3 3], camera_from_world
    centre: Array  # [3], of the camera in the world, m
    centre_rest: Array  # [3], what float32 could not hold of it
    fx: np.float32
    fy: np.float32
    cx: np.float32
    cy: np.float32
    tangents: Array  # [4], left, right, upper and lower limit of the place where the Jacobian is taken
    near: np.float32
    far: np.float32
    eps2d: np.float32
    radius_clip: np.float32
    min_compensation: np.float32
    antialiased: bool
    sh_degree: int
    width: int
    height: int


class Seen(NamedTuple):
    """The Gaussians that a camera sees; `m` counts places for records, of which some stay unused.

    Records stand in the order of the Gaussians. Those of one chunk are together, and end at `ends`.
    """

    records: Array  # [m 16]
    gaussian: Array  # [m], which Gaussian; -1 unused
    starts: Array  # [chunks], first record of each chunk of Gaussians
    ends: Array  # [chunks]
    slot: Array  # [m], place of the record's first row of tiles among all (record, row of tiles), less that row
    rows: Array  # [m], first and last row of tiles
    radius: Array  # [m], longer half of the box, px
    slots: int


class Tiles(NamedTuple):
    """Which records touch a tile, front to back; tiles are numbered row by row."""

    pairs: Array  # [p], records
    starts: Array  # [tiles + 1], into pairs


class Patch(NamedTuple):
    """The pixels of one tile in flat planes: that of column x and row y is element y * stride + x."""

    left: int
    upper: int
    lowest: int  # last row within the image
    stride: int


@part
@no_type_check
def patch_of(tile, width, height):
    """The pixels of a tile."""
    across = (width + TILE - 1) // TILE
    upper = tile // across * TILE
    return Patch(tile % across * TILE, upper, min(upper + TILE, height) - 1, across * TILE)


@part
@no_type_check
def outline_of(records, r):
    """Centre, `root`, `root` times `slope`, `flat` and cut of a record."""
    root = records[r, ROOT]
    return records[r, U], records[r, V], root, root * records[r, SLOPE], records[r, FLAT], records[r, CUT]


@part
@no_type_check
def colour_of(records, r):
    """Red, green, blue and depth of a record."""
    return records[r, RED], records[r, GREEN], records[r, BLUE], records[r, DEPTH]


@part
@no_type_check
def rows_of(records, r, patch):
    """The rows of a patch that a record may touch."""
    return range(max(int(records[r, TOP]), patch.upper), min(int(records[r, BOTTOM]), patch.lowest) + 1)
