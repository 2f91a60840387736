"""Roundabout: a ring that everybody drives counter-clockwise, and the rule that who wants in waits for a gap.

All ways through it share the ring, so two vehicles on different ways are compared by how far each is along it, with
the way in counted as a piece of ring before the place where it joins: whoever is ahead leads, the other follows, as if
both were on one lane. A vehicle is let in when that leaves enough room to the next ahead and the next behind.
"""

import numpy as np
from jaxtyping import Float
from scipy.ndimage import convolve1d

from simscale.geometry.angles import direction
from simscale.geometry.polylines import resample
from simscale.town.curves import SPACING, join

Array = np.ndarray

RADIUS = 16.0
"""Of the ring's middle line, m."""
REACH = 27.0
"""From the middle of a roundabout to where its streets begin, m."""
HOLD = 0.6
"""From the line at which drivers wait to the end of their lane, m."""
JOIN = np.deg2rad(30.0)
"""A way in reaches the ring this far beyond the arm, and a way out leaves it this far before, rad."""
ROUNDING = 7.0
"""Length over which ring and ways in and out pass into each other, m."""
BEHIND, BEHIND_TIME, BEHIND_BRAKING = 9.0, 1.5, 1.2
"""Room for the next behind: m, s at its speed, and braking this hard, m/s^2, to a stop."""
AHEAD = 3.0
"""Room between bumpers to the next ahead, m."""
LEFT_RING = 7.0
"""Who has left the ring matters no more after so many metres."""


def ring_angles(start_yaw: float, end_yaw: float) -> tuple[float, float]:
    """Where on the ring a way from one arm to another joins it, and how far it stays on it, rad."""
    enter = start_yaw + np.pi + JOIN
    return enter, float((end_yaw - JOIN - enter) % (2 * np.pi))


def round_line(
    centre: Float[Array, "2"], start: Float[Array, "2"], start_yaw: float, end: Float[Array, "2"], end_yaw: float
) -> Float[Array, "n 2"]:
    """The middle line of a way through a roundabout."""
    enter, span = ring_angles(start_yaw, end_yaw)
    angle = enter + np.linspace(0.0, span, max(int(span * RADIUS / SPACING), 2) + 1)
    ring = centre + RADIUS * direction(angle)
    way_in = join(start, start_yaw, ring[0], float(angle[0] + np.pi / 2))
    way_out = join(ring[-1], float(angle[-1] + np.pi / 2), end, end_yaw)
    line = resample(np.concatenate([way_in[:-1], ring, way_out[1:]]), spacing=SPACING)
    half = round(ROUNDING / 2 / SPACING)
    before = start + np.arange(-half, 0)[:, None] * SPACING * direction(np.float64(start_yaw))
    after = end + np.arange(1, half + 1)[:, None] * SPACING * direction(np.float64(end_yaw))
    window = np.hanning(2 * half + 3)[1:-1]
    rounded = convolve1d(np.concatenate([before, line, after]), window / window.sum(), axis=0)[half:-half]
    rounded[0], rounded[-1] = start, end
    return resample(rounded, spacing=SPACING)


class Rings:
    """Who is ahead of whom on the rings of a town."""

    def __init__(
        self, before: list[int], enter: dict[int, float], span: dict[int, float], length: Array, crossing: Array
    ):
        """Prepares all pairs of ways through each roundabout; the arguments are by connector.

        Args:
            before: Lane before each element.
            enter: Where a connector joins the ring, rad.
            span: How far it stays on it, rad.
            length: Of every element, m.
            crossing: Of every element.
        """
        self.before = before
        self.joins = {c: float(length[c] - RADIUS * span[c]) / 2 for c in enter}
        self.leaves = {c: self.joins[c] + RADIUS * span[c] for c in enter}
        self.pairs: dict[int, list[tuple[int, float]]] = {a: [] for a in enter}
        for a in enter:
            for b in (b for b in enter if crossing[b] == crossing[a] and b != a):
                behind = -((enter[a] - enter[b]) % (2 * np.pi))
                behind = 0.0 if before[a] == before[b] else behind
                for turn in (behind, behind + 2 * np.pi):
                    meet = max(turn, 0.0) < min(span[a], turn + span[b])
                    if meet:
                        self.pairs[a].append((b, self.joins[a] + RADIUS * turn - self.joins[b]))

    def ahead(self, a: int, station: float, places: dict[int, list[tuple[float, int]]]) -> list[tuple[float, int]]:
        """Who is on another way and ahead of `station` on way `a`.

        Args:
            a: Connector.
            station: On it; negative on the lane before.
            places: Connector -> (station on it, who).

        Returns:
            Station on `a`, who.
        """
        found = []
        for b, shift in self.pairs.get(a, ()):
            for s, j in places.get(b, ()):
                if s < self.leaves[b] + LEFT_RING and station < s + shift < self.leaves[a] + LEFT_RING:
                    found.append((s + shift, j))
        return found

    def has_gap(
        self,
        a: int,
        station: float,
        front: float,
        rear: float,
        places: dict[int, list[tuple[float, int]]],
        others: dict[int, tuple[float, float, float]],
    ) -> bool:
        """Whether somebody may enter way `a`.

        Args:
            a: Connector.
            station: Of the rear axle on it; negative on the lane before.
            front: From there to the front bumper, m.
            rear: And to the rear bumper, m.
            places: Connector -> (station on it, who), of those who have been let in.
            others: Who -> front, rear, speed.
        """
        for b, shift in self.pairs.get(a, ()):
            if self.before[b] == self.before[a]:
                continue
            for s, j in places.get(b, ()):
                j_front, j_rear, speed = others[j]
                gap = s + shift - station
                room_behind = rear + j_front + BEHIND + BEHIND_TIME * speed + speed**2 / (2 * BEHIND_BRAKING)
                if s < self.leaves[b] + LEFT_RING and -room_behind < gap < front + j_rear + AHEAD:
                    return False
        return True
