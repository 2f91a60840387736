"""Where exactly a driver puts the car: the trip's middle line, shifted by habit, by chance and away from parked cars.

Long vehicles keep to the right in right-hand bends, where their fronts swing out; cyclists ride at the lane's edge,
and beside it where there is room (`riders.py`).

The rear axle follows the shifted line and the car points along it, as a car that does not slide must.
"""

import numpy as np
from jaxtyping import Float
from scipy.interpolate import CubicSpline
from scipy.ndimage import maximum_filter1d

from simscale.geometry.angles import wrap
from simscale.scene import TrackKind
from simscale.town.cars import LONG, Drivers
from simscale.town.curves import SPACING, beside, curvature_of, headings_of
from simscale.town.parking import Bay
from simscale.town.riders import ASIDE, AT_EDGE, WINDOW, Zones
from simscale.town.roads import LANE_WIDTH
from simscale.town.trips import Trip

Array = np.ndarray

PARKED_SHIFT = 0.2
"""How far drivers keep away from parked cars, m."""
SHIFT_LENGTH = 24.0
"""Length of road over which they move over, m."""
SWING_SPARE, SWING_REACH = 0.35, 26.0
"""A long vehicle's front stays this far inside its lane, m; it begins to keep right so much before a bend, m."""
CLEAR_OF_BAY = 48.0
"""Twice the distance from parked cars at which it goes back to its usual place, m."""


def offset_along(trip: Trip, drivers: Drivers, driver: int, bays: list[Bay], zones: Zones) -> Float[Array, " n"]:
    """The driver's place in the lane at each point of the trip, m to the left of its middle."""
    swing = 2 * np.pi * trip.station / drivers.weave_length[driver] + drivers.weave_phase[driver]
    habit = drivers.offset[driver] + drivers.weave[driver] * np.sin(swing)
    if drivers.kind[driver] == TrackKind.BICYCLE:
        aside = np.zeros(len(trip.station))
        for begin, end in zones:
            aside[(trip.station > begin) & (trip.station < end)] = 1.0
        return habit + AT_EDGE + (ASIDE - AT_EDGE) * _smooth(aside, WINDOW)
    beside_bay = np.zeros(len(trip.station))
    begins = {element: [b for b in bays if b.lane == element] for element in set(trip.elements)}
    for element, begin in zip(trip.elements, trip.begin, strict=True):
        for bay in begins[element]:
            beside_bay[(trip.station > begin + bay.begin) & (trip.station < begin + bay.end)] = 1.0
    shift = PARKED_SHIFT * _smooth(beside_bay, SHIFT_LENGTH)
    beside_bay = maximum_filter1d(beside_bay, round(CLEAR_OF_BAY / SPACING))
    return habit + shift - _swing(trip, drivers, driver, 1.0 - beside_bay)


def _swing(trip: Trip, drivers: Drivers, driver: int, clear: Array) -> Array:
    """How far to the right a long vehicle keeps in right-hand bends, so that its front stays out of the next lane."""
    length, width, _ = drivers.size[driver]
    if length < LONG:
        return np.zeros(len(trip.station))
    bend = np.maximum(-curvature_of(trip.xy), 0.0)
    radius = 1.0 / np.maximum(bend, 1e-3)
    outside = np.hypot(radius + width / 2, drivers.front[driver]) - radius
    # the front is ahead of the rear axle, so the largest bend within a length counts
    excess = np.where(bend > 1e-3, np.maximum(outside - LANE_WIDTH / 2 + SWING_SPARE, 0.0), 0.0)
    return _smooth(clear * maximum_filter1d(excess, round(SWING_REACH / SPACING)), SHIFT_LENGTH)


def _smooth(profile: Array, length: float) -> Array:
    window = np.hanning(round(length / SPACING))
    return np.convolve(profile, window / window.sum(), mode="same")


def poses_along(
    trip: Trip, offset: Float[Array, " n"], station: Float[Array, " t"], speed: Float[Array, " t"]
) -> tuple[Float[Array, "t 2"], Float[Array, " t"], Float[Array, "t 2"]]:
    """Rear axle, yaw and velocity in the town's frame of a car at stations of its trip."""
    line = CubicSpline(trip.station, beside(trip.xy, headings_of(trip.xy), offset))
    tangent = line(station, 1)
    return line(station), wrap(np.arctan2(tangent[:, 1], tangent[:, 0])), speed[:, None] * tangent
