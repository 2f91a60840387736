"""LiDAR points on photographs: where they appear, which of them a camera really sees, and what colour they have.

A sweep and an image are up to a tenth of a second apart. What stands still does not mind; a point in the box of an
agent goes with the box to where it is when the image is taken. A LiDAR on the roof sees over what hides the view of a
camera, so a point counts as seen only where no nearer point of its sweep lies in the same small patch of the image.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int32, UInt8

from simscale.geometry.se3 import inverse
from simscale.splats.capture import Agents, Capture
from simscale.splats.capture_images import Photograph, lens_at, photograph, size_at

Array = np.ndarray

BOX_MARGIN = 0.15
"""Points this far outside a box still belong to its agent, m (ours: boxes are drawn tight)."""
FLOOR = 0.15
"""The lowest part of a box belongs to the road, m (ours)."""
PATCHES = 64
"""Patches of the image side by side, in which the nearest point hides others (ours: one degree of a 64-degree view,
which is as far apart as the beams of a LiDAR are)."""
HIDDEN_BEHIND = (0.5, 0.06)
"""A point is hidden when it lies farther behind the nearest one: m, and share of the distance (ours)."""
NEAREST = 0.5
"""Points nearer to a camera are the car itself, m."""
APART_US = 250_000
"""An image tells the colour of a sweep at most this much older or younger than it."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Points of one sweep that one camera sees."""

    index: Int[Array, " m"]  # among all points of the sweeps
    pixel: Float32[Array, "m 2"]  # u, v at the image's size, centres at whole numbers
    depth: Float32[Array, " m"]  # along the camera's axis, m
    xyz: Float32[Array, "m 3"]  # world frame, at the image's time


def owners_of(xyz: Float[Array, "p 3"], agents: Agents, timestamp_us: int) -> Int32[Array, " p"]:
    """Whose box each point lies in at a time; -1 for the street."""
    owner = np.full(len(xyz), -1, dtype=np.int32)
    pose, known = agents.at(timestamp_us)
    for agent in np.flatnonzero(known):
        reach = np.linalg.norm(agents.size[agent]) / 2 + BOX_MARGIN
        near = np.flatnonzero((np.abs(xyz - pose[agent, :3, 3]) < reach).all(axis=1))
        own = (xyz[near] - pose[agent, :3, 3]) @ pose[agent, :3, :3]
        half = agents.size[agent] / 2
        held = (np.abs(own) < half + BOX_MARGIN).all(axis=1) & (own[:, 2] > FLOOR - half[2])
        owner[near[held]] = agent
    return owner


def moved(
    xyz: Float[Array, "p 3"], owner: Int32[Array, " p"], agents: Agents, *, from_us: int, to_us: int
) -> tuple[Float[Array, "p 3"], Bool[Array, " p"]]:
    """Points at another time: those of agents go with their boxes.

    Returns:
        The points, and which of them are known then: an agent may have no box.
    """
    there, known = np.array(xyz, dtype=np.float64), np.ones(len(xyz), dtype=bool)
    if from_us == to_us or not (owner >= 0).any():
        return there, known
    before, _ = agents.at(from_us)
    after, valid = agents.at(to_us)
    for agent in np.unique(owner[owner >= 0]):
        own = owner == agent
        motion = after[agent] @ inverse(before[agent])
        there[own] = there[own] @ motion[:3, :3].T + motion[:3, 3]
        known[own] = valid[agent]
    return there, known


def projected(
    xyz: Float[Array, "p 3"], world_from_camera: Float[Array, "4 4"], lens: Float[Array, "3 3"]
) -> tuple[Float[Array, "p 2"], Float[Array, " p"]]:
    """Pixels and depths of points; pixels of points behind the camera are arbitrary."""
    seen = (xyz - world_from_camera[:3, 3]) @ world_from_camera[:3, :3]
    depth = seen[:, 2]
    safe = np.where(depth > 1e-6, depth, 1.0)
    return (seen @ lens.T)[:, :2] / safe[:, None], depth


def seen_points(
    capture: Capture, sweep: int, frame: int, *, width: int | None = None, owner: Int32[Array, " p"] | None = None
) -> Seen:
    """What one camera sees of one sweep, as a pinhole.

    Args:
        capture: With sweeps.
        sweep: Which one.
        frame: Which photograph.
        width: Of the image, pixels.
        owner: Of the sweep's points, if known already (`owners_of`).
    """
    span = capture.sweeps.of(sweep)
    when, then = int(capture.sweeps.timestamp_us[sweep]), int(capture.frames.timestamp_us[frame])
    measured = capture.sweeps.xyz[span].astype(np.float64)
    whose = owners_of(measured, capture.agents, when) if owner is None else owner
    xyz, known = moved(measured, whose, capture.agents, from_us=when, to_us=then)
    lens, (w, h) = lens_at(capture.frames, frame, width), size_at(capture.frames, frame, width)
    pixel, depth = projected(xyz, capture.frames.world_from_camera[frame], lens)
    pixel = pixel.astype(np.float32)  # before the test: what is inside must still be when it is rounded
    inside = known & (depth > NEAREST) & (pixel > -0.5).all(1) & (pixel[:, 0] < w - 0.5) & (pixel[:, 1] < h - 0.5)
    index = np.flatnonzero(inside)
    index = index[~_hidden(pixel[index], depth[index], w, h)]
    return Seen(
        index=index + span.start,
        pixel=pixel[index],
        depth=depth[index].astype(np.float32),
        xyz=xyz[index].astype(np.float32),
    )


def _hidden(pixel: Float32[Array, "m 2"], depth: Float[Array, " m"], width: int, height: int) -> Bool[Array, " m"]:
    """Which points lie clearly behind the nearest one in their patch or in one beside it."""
    side = width / PATCHES
    rows = int(np.ceil(height / side))
    column = np.clip(((pixel[:, 0] + 0.5) / side).astype(np.int64), 0, PATCHES - 1)
    row = np.clip(((pixel[:, 1] + 0.5) / side).astype(np.int64), 0, rows - 1)
    near = np.full((rows + 2, PATCHES + 2), np.inf)
    np.minimum.at(near, (row + 1, column + 1), depth)
    least = near[1:-1, 1:-1]
    metres, share = HIDDEN_BEHIND
    return depth > least[row, column] * (1 + share) + metres


def nearest_frames(capture: Capture, timestamp_us: int, *, training_only: bool = True) -> list[int]:
    """The frame of each camera nearest to a time, if it is near enough; held-out ones are not told of."""
    frames = capture.frames
    usable = ~frames.held_out if training_only else np.ones(len(frames), dtype=bool)
    found = []
    names = np.array(frames.camera)
    for name in capture.camera_names:
        own = np.flatnonzero((names == name) & usable)
        if len(own):
            best = own[np.argmin(np.abs(frames.timestamp_us[own] - timestamp_us))]
            if abs(int(frames.timestamp_us[best]) - timestamp_us) <= APART_US:
                found.append(int(best))
    return found


def nearest_sweep(capture: Capture, frame: int) -> int | None:
    """The sweep nearest to a photograph's time, if it is near enough."""
    if not len(capture.sweeps):
        return None
    apart = np.abs(capture.sweeps.timestamp_us - capture.frames.timestamp_us[frame])
    best = int(np.argmin(apart))
    return best if apart[best] <= APART_US else None


def coloured(
    capture: Capture, *, width: int | None = None, owner: Int32[Array, " p"] | None = None
) -> tuple[UInt8[Array, "p 3"], Bool[Array, " p"]]:
    """Colours of all LiDAR points from the photographs that train, and which points have one.

    Where several cameras see a point, the one nearest to it tells.

    Args:
        capture: With sweeps and photographs.
        width: Of the photographs that are read, pixels.
        owner: Of all points, if known already.
    """
    count = len(capture.sweeps.xyz)
    rgb, nearest = np.zeros((count, 3), dtype=np.uint8), np.full(count, np.inf, dtype=np.float32)
    kept: dict[int, Photograph] = {}
    for sweep in range(len(capture.sweeps)):
        span = capture.sweeps.of(sweep)
        frames = nearest_frames(capture, int(capture.sweeps.timestamp_us[sweep]))
        kept = {frame: kept.get(frame) or photograph(capture.frames, frame, width=width) for frame in frames}
        for frame, image in kept.items():
            own = None if owner is None else owner[span]
            seen = seen_points(capture, sweep, frame, width=width, owner=own)
            at = np.round(seen.pixel).astype(np.int64)
            better = image.valid[at[:, 1], at[:, 0]] & (seen.depth < nearest[seen.index])
            index = seen.index[better]
            rgb[index] = image.rgb[at[better, 1], at[better, 0]]
            nearest[index] = seen.depth[better]
    return rgb, np.isfinite(nearest)


def owners(capture: Capture) -> Int32[Array, " p"]:
    """Whose box each LiDAR point lies in when it is measured; -1 for the street."""
    parts = [
        owners_of(capture.sweeps.xyz[capture.sweeps.of(i)].astype(np.float64), capture.agents, int(when))
        for i, when in enumerate(capture.sweeps.timestamp_us)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32)
