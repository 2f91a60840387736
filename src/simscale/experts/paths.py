"""Paths that the proposals drive along: lines beside the centre line of the route.

The reference moves every vertex of the centre line to the side, so a proposal starts where its line is nearest to
the car, not where the car is: it steps sideways. Ours start at the car, with its heading and curvature, and merge
onto their line by a quintic of the lateral offset; they live on a smoothed, evenly spaced centre line, and share its
stations, so that objects need to be projected once for all paths.
"""

from dataclasses import dataclass
from typing import no_type_check

import numpy as np
from jaxtyping import Float, Int
from numba import njit
from scipy.ndimage import gaussian_filter1d

from simscale.experts.rules import MergeRules, PdmClosedRules
from simscale.geometry.angles import direction, wrap
from simscale.geometry.polylines import at_station, project, stations_of, without_repeats
from simscale.scene import CarState, EgoVehicle

Array = np.ndarray

SPACING = 1.0
"""Distance between the points of a smoothed centre line, m (ours)."""
SEAM = 0.01
"""Vertices closer than this are the end of one lane and the start of the next, m (ours)."""
STEEPEST = np.radians(60)
"""A start heading farther than this from the road's is taken as this (ours)."""
SHARPEST = 0.2
"""Start curvature beyond this is cut off, 1/m (ours; a car turns at most at about this)."""


@dataclass(frozen=True, kw_only=True)
class Paths:
    """`q` lines with `n` vertices each."""

    xy: Float[Array, "q n 2"]
    yaw: Float[Array, "q n"]  # unwrapped along the line
    station: Float[Array, "q n"]  # arc length along the line itself, m

    def poses(self, path: int, station: Float[Array, "*s"]) -> tuple[Float[Array, "*s 2"], Float[Array, "*s"]]:
        """Poses at arc lengths along one path, held at its ends (`PDMPath.interpolate`)."""
        xy, yaw = self.poses_of(np.array([path]), station.reshape(1, -1))
        return xy.reshape(*station.shape, 2), yaw.reshape(station.shape)

    def with_run_up(self, length: float) -> "Paths":
        """The same paths with a straight piece before their starts, at negative stations."""
        before = self.xy[:, :1] - length * direction(self.yaw[:, :1])
        return Paths(
            xy=np.concatenate([before, self.xy], axis=1),
            yaw=np.concatenate([self.yaw[:, :1], self.yaw], axis=1),
            station=np.concatenate([np.full((len(self.yaw), 1), -length), self.station], axis=1),
        )

    def poses_of(
        self, which: Int[Array, " p"], station: Float[Array, "p t"]
    ) -> tuple[Float[Array, "p t 2"], Float[Array, "p t"]]:
        """Poses of proposals, each along its own path."""
        line = np.concatenate([self.xy, self.yaw[..., None]], axis=-1)
        pose = _poses_along(line, np.ascontiguousarray(self.station), which, np.ascontiguousarray(station))
        return pose[..., :2], pose[..., 2]


@njit(cache=True)
@no_type_check
def pose_at(line, own, station):
    """x, y and yaw at an arc length; `line [n 3]` has its vertices at the arc lengths `own [n]`."""
    at = min(max(station, own[0] + 1e-5), own[-1])
    j, beyond = 0, len(own)
    while beyond - j > 1:  # the last vertex that is not past `at`
        middle = (j + beyond) // 2
        if own[middle] <= at:
            j = middle
        else:
            beyond = middle
    if j >= len(own) - 1:
        return line[-1, 0], line[-1, 1], line[-1, 2]
    gone, step = at - own[j], own[j + 1] - own[j]
    x = (line[j + 1, 0] - line[j, 0]) / step * gone + line[j, 0]
    y = (line[j + 1, 1] - line[j, 1]) / step * gone + line[j, 1]
    return x, y, (line[j + 1, 2] - line[j, 2]) / step * gone + line[j, 2]


@njit(cache=True)
@no_type_check
def _poses_along(line, own, which, station):
    pose = np.empty((*station.shape, 3))
    for p in range(station.shape[0]):
        for t in range(station.shape[1]):
            x, y, yaw = pose_at(line[which[p]], own[which[p]], station[p, t])
            pose[p, t, 0], pose[p, t, 1], pose[p, t, 2] = x, y, yaw
    return pose


def headings_of(xy: Float[Array, "n 2"]) -> Float[Array, " n"]:
    """Direction to the next vertex, unwrapped; the last vertex of each lane keeps the heading before it."""
    step = np.diff(xy, axis=0)
    moves = np.hypot(*step.T) > SEAM
    last = np.maximum.accumulate(np.where(moves, np.arange(len(step)), -1))
    last = np.append(last, last[-1])
    last = np.where(last < 0, np.argmax(moves), last)
    return np.unwrap(np.arctan2(step[last, 1], step[last, 0]))


def parallel_paths(centre_line: Float[Array, "n 2"], *, offsets: tuple[float, ...]) -> Paths:
    """The reference's paths: vertices moved to the left by each offset, headings kept (`parallel_discrete_path`)."""
    yaw = headings_of(centre_line)
    aside = np.array(offsets)[:, None, None] * direction(yaw + np.pi / 2)
    xy = centre_line + aside
    return Paths(
        xy=xy, yaw=np.broadcast_to(yaw, xy.shape[:2]).copy(), station=np.stack([stations_of(line) for line in xy])
    )


@dataclass(frozen=True, kw_only=True)
class Road:
    """The smoothed centre line from beside the car on; vertex `i` is at station `i * SPACING`."""

    xy: Float[Array, "n 2"]
    yaw: Float[Array, " n"]  # unwrapped
    curvature: Float[Array, " n"]  # 1/m
    offset: float  # of the car's rear axle, positive to the left, m


def road_from(centre_line: Float[Array, "n 2"], state: CarState, *, reach: float, smoothing: float) -> Road:
    """Smooths the centre line and cuts out what lies ahead; past its end the road goes straight on.

    Args:
        centre_line: Path of the route, from at least 20 m behind the car on where the map has it, m.
        state: The car now (no batch axes).
        reach: Length wanted, m.
        smoothing: Standard deviation of the Gaussian, m.
    """
    line = without_repeats(centre_line, closer_than=1e-3)
    line = _straight_on(line, length=reach + 10.0)
    here = float(project(line, state.xy)[0])
    behind = min(here, 10.0)
    even = at_station(line, here - behind + np.arange(0.0, behind + reach + 8.0, SPACING))
    even = gaussian_filter1d(even, smoothing / SPACING, axis=0, mode="nearest", truncate=3.0)[: -int(6 / SPACING)]
    start, offset = (float(value) for value in project(even, state.xy))
    xy = at_station(even, start + np.arange(-SPACING, reach, SPACING))  # one vertex more for the slope beside the car
    yaw = np.unwrap(np.arctan2(*np.gradient(xy, axis=0).T[::-1]))
    return Road(xy=xy[1:], yaw=yaw[1:], curvature=np.gradient(yaw)[1:] / SPACING, offset=offset)


def _straight_on(line: Float[Array, "n 2"], *, length: float) -> Float[Array, "m 2"]:
    """The line with straight pieces added at both ends."""
    first, last = line[1] - line[0], line[-1] - line[-2]
    before = line[0] - first / np.hypot(*first) * 15.0
    after = line[-1] + last / np.hypot(*last) * length
    return np.concatenate([before[None], line, after[None]])


def merging_paths(
    road: Road, state: CarState, *, vehicle: EgoVehicle, rules: PdmClosedRules
) -> tuple[Paths, Float[Array, "q n"]]:
    """Paths from the car onto each offset line.

    Returns:
        The paths, in the order of `merge_targets`, and their offsets from the road at each of its vertices, m.
    """
    assert rules.merge is not None
    slope, bend = _start_of(road, state, vehicle)
    offset = np.stack(
        [
            _quintic(len(road.yaw), length, (road.offset, slope, bend), target)
            for target, length in merge_targets(
                road.offset, float(state.velocity[0]), rules.lateral_offsets, rules.merge
            )
        ]
    )
    xy = road.xy + offset[..., None] * direction(road.yaw + np.pi / 2)
    drift = np.gradient(offset, SPACING, axis=-1)
    drift[:, 0] = slope
    stretch = np.maximum(1 - offset * road.curvature, 0.1)
    yaw = road.yaw + np.arctan2(drift, stretch)
    return Paths(xy=xy, yaw=yaw, station=np.stack([stations_of(line) for line in xy])), offset


def merge_targets(
    offset: float, speed: float, offsets: tuple[float, ...], merge: MergeRules
) -> list[tuple[float, float]]:
    """Each path's lateral offset at its end and the length of its merge, m; gentle merges come first."""
    lengths = [
        max(shortest, duration * speed) for duration, shortest in zip(merge.durations, merge.shortest, strict=True)
    ]
    targets = [(target, lengths[i]) for i in range(merge.every_offset) for target in offsets]
    targets += [(0.0, length) for length in lengths[merge.every_offset :]]
    held = float(np.clip(offset, -merge.hold_offset, merge.hold_offset))
    return [*targets, (held, lengths[-1])] if merge.hold_offset > 0 else targets


def _start_of(road: Road, state: CarState, vehicle: EgoVehicle) -> tuple[float, float]:
    """First and second derivative of the lateral offset at the car, from its heading and steering (Frenet frame)."""
    off = wrap(np.array([float(state.yaw) - road.yaw[0]]))[0]
    angle = float(np.clip(off, -STEEPEST, STEEPEST))
    stretch = max(1 - road.offset * road.curvature[0], 0.1)
    curvature = float(np.clip(np.tan(state.steer) / vehicle.wheel_base, -SHARPEST, SHARPEST))
    slope = stretch * np.tan(angle)
    bend = -road.curvature[0] * slope * np.tan(angle)
    bend += stretch / np.cos(angle) ** 2 * (curvature * stretch / np.cos(angle) - road.curvature[0])
    return float(slope), float(bend)


def _quintic(count: int, length: float, start: tuple[float, float, float], target: float) -> Float[Array, " n"]:
    """Offset at each vertex: from `start` (value, slope, bend) to `target`, which it reaches level and unbent."""
    value, slope, bend = start
    u = np.minimum(np.arange(count) * SPACING / length, 1.0)
    rest = (1 - u) ** 3
    above = value - target
    return target + rest * (
        above * (1 + 3 * u + 6 * u**2) + slope * length * (u + 3 * u**2) + bend * length**2 / 2 * u**2
    )
