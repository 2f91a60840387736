"""Points from photographs alone, whose poses are known: planes are swept through space until the pictures agree.

For pixels of a grid in some photographs, a small patch is carried to the neighbouring photographs at many depths, and
the depth at which it looks most alike there (zero-mean normalised cross-correlation over the better half of the
neighbours) is believed where it clearly beats all others. Sky and blank walls have no such depth and give no points;
what lies beyond the last plane is left to the sky. A stereo pair, a moving car and a walk around a house are one case.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import no_type_check

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8
from numba import njit

from simscale.geometry.se3 import inverse
from simscale.splats.capture import Capture
from simscale.splats.capture_images import Photograph, photograph

Array = np.ndarray

THREADS = 2
"""Photographs that are searched at the same time; the kernel releases the interpreter."""


@dataclass(frozen=True, kw_only=True)
class StereoSettings:
    """How carefully planes are swept; all ours."""

    width: int = 640
    """Of the photographs, pixels."""
    photographs: int = 24
    """In which points are looked for, evenly chosen."""
    neighbours: int = 4
    """Photographs that each is compared with."""
    planes: int = 128
    """Depths that are tried, evenly spaced in inverse depth."""
    nearest: float = 3.0
    """First depth, in typical distances between neighbouring cameras."""
    farthest: float = 200.0
    """Last depth, likewise."""
    stride: int = 4
    """Pixels from one point of the grid to the next."""
    most_turned: float = 0.5
    """Neighbours look in the same direction up to this angle, rad."""
    least_contrast: float = 1.5
    """Standard deviation of a patch that can be recognised, grey levels of 255."""
    least_alike: float = 0.75
    """Correlation of a depth that is believed."""
    least_lead: float = 0.05
    """By which it beats every depth that is not beside it."""


def triangulated(capture: Capture, settings: StereoSettings) -> tuple[Float32[Array, "p 3"], UInt8[Array, "p 3"]]:
    """Coloured points of the photographs that train, in the world frame.

    Raises:
        BadInput: A photograph is missing or damaged.
    """
    frames = capture.frames
    usable = np.flatnonzero(~frames.held_out)
    if len(usable) < 2:
        return np.zeros((0, 3), dtype=np.float32), np.zeros((0, 3), dtype=np.uint8)
    neighbours, apart = neighbours_of(frames.world_from_camera[usable], settings)
    chosen = np.unique(np.linspace(0, len(usable) - 1, min(settings.photographs, len(usable))).round().astype(int))
    chosen = [int(i) for i in chosen if len(neighbours[i])]
    images: dict[int, Photograph] = {}
    for i in sorted({*chosen, *(int(n) for own in chosen for n in neighbours[own])}):
        images[i] = photograph(frames, int(usable[i]), width=settings.width)
    grey = {i: (image.rgb @ GREY_OF_RGB).astype(np.float32) for i, image in images.items()}
    poses = frames.world_from_camera[usable]

    def one(i: int) -> tuple[Array, Array]:
        others = [int(n) for n in neighbours[i]]
        return _points_of(i, others, images, grey, poses, apart, settings)

    with ThreadPoolExecutor(THREADS) as pool:
        parts = list(pool.map(one, chosen))
    if not parts:
        return np.zeros((0, 3), dtype=np.float32), np.zeros((0, 3), dtype=np.uint8)
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


GREY_OF_RGB = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Luma of ITU-R BT.601."""


def neighbours_of(
    world_from_camera: Float[Array, "f 4 4"], settings: StereoSettings
) -> tuple[list[Int[Array, " n"]], float]:
    """Which photographs each is compared with, and the typical distance from one camera to the next."""
    place, ahead = world_from_camera[:, :3, 3], world_from_camera[:, :3, 2]
    apart = np.linalg.norm(place[:, None] - place, axis=-1)
    alike = ahead @ ahead.T > np.cos(settings.most_turned)
    apart[~alike | (apart < 1e-9 + 1e-6 * apart.max())] = np.inf
    nearest = apart.min(axis=1)
    typical = float(np.median(nearest[np.isfinite(nearest)])) if np.isfinite(nearest).any() else 1.0
    # a camera that stood still tells nothing: neighbours are at least half a typical step away
    apart[apart < 0.5 * typical] = np.inf
    order = np.argsort(apart, axis=1, kind="stable")[:, : settings.neighbours]
    return [row[np.isfinite(apart[i, row])] for i, row in enumerate(order)], typical


def _points_of(
    i: int,
    others: list[int],
    images: dict[int, Photograph],
    grey: dict[int, Array],
    poses: Array,
    apart: float,
    settings: StereoSettings,
) -> tuple[Float32[Array, "p 3"], UInt8[Array, "p 3"]]:
    lens, (height, width) = images[i].intrinsics, grey[i].shape
    warp, shift = np.zeros((len(others), 3, 3)), np.zeros((len(others), 3))
    for n, other in enumerate(others):
        motion = inverse(poses[other]) @ poses[i]
        warp[n] = images[other].intrinsics @ motion[:3, :3] @ np.linalg.inv(lens)
        shift[n] = images[other].intrinsics @ motion[:3, 3]
    # all of one size for the kernel; what lies outside an image is NaN and agrees with nothing
    rows, columns = (max(grey[o].shape[axis] for o in others) for axis in (0, 1))
    stack = np.full((len(others), rows, columns), np.nan, dtype=np.float32)
    for n, other in enumerate(others):
        stack[n, : grey[other].shape[0], : grey[other].shape[1]] = np.where(images[other].valid, grey[other], np.nan)
    edge = settings.stride + REACH
    u, v = np.meshgrid(np.arange(edge, width - edge, settings.stride), np.arange(edge, height - edge, settings.stride))
    at = np.stack([u.ravel(), v.ravel()], axis=-1)
    at = at[images[i].valid[at[:, 1], at[:, 0]]]
    planes = np.linspace(1 / (settings.farthest * apart), 1 / (settings.nearest * apart), settings.planes)
    found = np.empty(len(at))
    limits = np.array([settings.least_contrast, settings.least_alike, settings.least_lead])
    search(grey[i], stack, warp, shift, at.astype(np.int64), planes, limits, found)
    good = np.flatnonzero(found > 0)
    pixel = np.concatenate([at[good], np.ones((len(good), 1))], axis=1)
    seen = pixel @ np.linalg.inv(lens).T / found[good, None]
    xyz = seen @ poses[i][:3, :3].T + poses[i][:3, 3]
    return xyz.astype(np.float32), images[i].rgb[at[good, 1], at[good, 0]]


REACH = 3
"""Half the side of a patch, pixels."""


@njit(cache=True, nogil=True)
@no_type_check
def search(image, others, warp, shift, at, planes, limits, found):  # pragma: no cover - compiled
    """Inverse depth of each pixel, or 0 where none is believed.

    Every second pixel of a patch of 7 x 7 is compared. The best depth is refined by the parabola through it and the
    two beside it.
    """
    count, rows, columns = others.shape
    side = 2 * REACH // 2 + 1
    patch = np.empty(side * side, dtype=np.float32)
    alike = np.empty(planes.size, dtype=np.float32)
    scores = np.empty(count, dtype=np.float32)
    for p in range(at.shape[0]):
        found[p] = 0.0
        mean = np.float32(0)
        k = 0
        for dv in range(-REACH, REACH + 1, 2):
            for du in range(-REACH, REACH + 1, 2):
                patch[k] = image[at[p, 1] + dv, at[p, 0] + du]
                mean += patch[k]
                k += 1
        mean /= np.float32(k)
        own = np.float32(0)
        for j in range(k):
            patch[j] -= mean
            own += patch[j] * patch[j]
        if own < k * limits[0] * limits[0]:
            continue
        for d in range(planes.size):
            for n in range(count):
                scores[n] = _agreement(others[n], warp[n], shift[n], at[p], planes[d], patch, own, rows, columns)
            scores.sort()
            half = (count + 1) // 2
            total = np.float32(0)
            for n in range(count - half, count):
                total += scores[n]
            alike[d] = total / np.float32(half)
        best = int(np.argmax(alike))
        if best < 1 or best > planes.size - 2 or alike[best] < limits[1]:
            continue
        second = np.float32(-1)
        for d in range(planes.size):
            if abs(d - best) > 3 and alike[d] > second:
                second = alike[d]
        if alike[best] - second < limits[2]:
            continue
        low, high = alike[best - 1], alike[best + 1]
        bend = low - np.float32(2) * alike[best] + high
        step = np.float32(0.5) * (low - high) / bend if bend < np.float32(-1e-6) else np.float32(0)
        found[p] = planes[best] + step * (planes[1] - planes[0])


@njit(cache=True, nogil=True)
@no_type_check
def _agreement(other, warp, shift, at, plane, patch, own, rows, columns):  # pragma: no cover - compiled
    """Correlation of a patch with where it would appear in another photograph, -1 where it would not."""
    total = np.float32(0)
    squares = np.float32(0)
    both = np.float32(0)
    k = 0
    for dv in range(-REACH, REACH + 1, 2):
        for du in range(-REACH, REACH + 1, 2):
            u = at[0] + du
            v = at[1] + dv
            z = warp[2, 0] * u + warp[2, 1] * v + warp[2, 2] + shift[2] * plane
            if z <= 1e-6:
                return np.float32(-1)
            x = (warp[0, 0] * u + warp[0, 1] * v + warp[0, 2] + shift[0] * plane) / z
            y = (warp[1, 0] * u + warp[1, 1] * v + warp[1, 2] + shift[1] * plane) / z
            if not (x >= 0.0 and y >= 0.0 and x < columns - 1 and y < rows - 1):
                return np.float32(-1)
            i = int(x)
            j = int(y)
            a = np.float32(x - i)
            b = np.float32(y - j)
            top = other[j, i] + a * (other[j, i + 1] - other[j, i])
            low = other[j + 1, i] + a * (other[j + 1, i + 1] - other[j + 1, i])
            value = top + b * (low - top)
            total += value
            squares += value * value
            both += value * patch[k]
            k += 1
    spread = squares - total * total / np.float32(k)
    if not spread > np.float32(1e-3) * np.float32(k):
        return np.float32(-1)
    return both / np.sqrt(spread * own)
