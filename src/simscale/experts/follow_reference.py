"""The reference's way along its paths: its leading objects, its order of ties, its slips (`PDMGenerator`).

Three slips are copied on purpose (scoring.md, 6.4): the first step looks at a lead of zeros, so every proposal of a
moving car brakes hard for 0.1 s; one lead vector is reused over the proposals of a path, so that a red light or the
path's end inherits the speed of an earlier proposal's lead; the speed may fall below 0.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from simscale.experts.leading import drive_path
from simscale.experts.leading_exact import drive_path_exact
from simscale.experts.way import Way

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Unrolled:
    """How each of `p` proposals goes along its path; proposal `q * v + i` drives path `q` with target speed `i`."""

    station: Float[Array, "p t"]  # of the rear axle, m
    speed: Float[Array, "p t"]
    lead: Float[Array, "p t 3"]  # station of the leading object, its speed, its own rear length


def follow_reference(way: Way, *, start_speed: float, steps: int) -> Unrolled:
    """Unrolls a proposal for each path and target speed.

    Args:
        way: Paths, objects, target speeds.
        start_speed: Forward, m/s.
        steps: Of 0.1 s.
    """
    paths, targets = len(way.start), len(way.targets)
    going = _room(paths * targets, steps)
    going.station[:, 0] = np.repeat(way.start, targets)
    going.speed[:, 0] = start_speed
    for path in range(paths):
        rows = slice(path * targets, (path + 1) * targets)
        _drive(way, path, way.targets, 0, _rows(going, rows))
    return going


def extended_reference(way: Way, unrolled: Unrolled, proposal: int, *, steps: int) -> Unrolled:
    """One proposal alone, driven on to `steps`: the reference's output is 10 steps longer than what it scores.

    Returns:
        One row.
    """
    path, target = divmod(proposal, len(way.targets))
    done = unrolled.speed.shape[1] - 1
    going = _room(1, steps)
    for ours, begun in zip(_arrays(going), _arrays(unrolled), strict=True):
        ours[:, : done + 1] = begun[proposal]
    _drive(way, path, way.targets[target : target + 1], done, going)
    return going


def _drive(way: Way, path: int, targets: Array, done: int, going: Unrolled) -> None:
    if way.exact:
        drive_path_exact(way, path, targets, done, *_arrays(going))
    else:
        drive_path(way.lines, path, way.objects, way.car, way.driver, targets, done, *_arrays(going))


def _room(proposals: int, steps: int) -> Unrolled:
    samples = (proposals, steps + 1)
    return Unrolled(station=np.zeros(samples), speed=np.zeros(samples), lead=np.zeros((*samples, 3)))


def _rows(going: Unrolled, rows: slice) -> Unrolled:
    """Some proposals, as views."""
    return Unrolled(station=going.station[rows], speed=going.speed[rows], lead=going.lead[rows])


def _arrays(going: Unrolled) -> tuple[Array, Array, Array]:
    return going.station, going.speed, going.lead
