"""Where exactly a driver puts the car: the trip's middle line, shifted by habit, by chance and away from parked cars.

The rear axle follows the shifted line and the car points along it, as a car that does not slide must.
"""

import numpy as np
from jaxtyping import Float
from scipy.interpolate import CubicSpline

from simscale.geometry.angles import wrap
from simscale.town.cars import Drivers
from simscale.town.curves import SPACING, beside, headings_of
from simscale.town.parking import Bay
from simscale.town.trips import Trip

Array = np.ndarray

PARKED_SHIFT = 0.2
"""How far drivers keep away from parked cars, m."""
SHIFT_LENGTH = 24.0
"""Length of road over which they move over, m."""


def offset_along(trip: Trip, drivers: Drivers, driver: int, bays: list[Bay]) -> Float[Array, " n"]:
    """The driver's place in the lane at each point of the trip, m to the left of its middle."""
    swing = 2 * np.pi * trip.station / drivers.weave_length[driver] + drivers.weave_phase[driver]
    beside_bay = np.zeros(len(trip.station))
    begins = {element: [b for b in bays if b.lane == element] for element in set(trip.elements)}
    for element, begin in zip(trip.elements, trip.begin, strict=True):
        for bay in begins[element]:
            beside_bay[(trip.station > begin + bay.begin) & (trip.station < begin + bay.end)] = 1.0
    window = np.hanning(round(SHIFT_LENGTH / SPACING))
    shift = PARKED_SHIFT * np.convolve(beside_bay, window / window.sum(), mode="same")
    return drivers.offset[driver] + drivers.weave[driver] * np.sin(swing) + shift


def poses_along(
    trip: Trip, offset: Float[Array, " n"], station: Float[Array, " t"], speed: Float[Array, " t"]
) -> tuple[Float[Array, "t 2"], Float[Array, " t"], Float[Array, "t 2"]]:
    """Rear axle, yaw and velocity in the town's frame of a car at stations of its trip."""
    line = CubicSpline(trip.station, beside(trip.xy, headings_of(trip.xy), offset))
    tangent = line(station, 1)
    return line(station), wrap(np.arctan2(tangent[:, 1], tangent[:, 0])), speed[:, None] * tangent
