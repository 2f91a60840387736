"""Who moves on the town's lanes, cars, vans, trucks, buses and cyclists, and how differently people drive."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from simscale.scene import PACIFICA, TrackKind

Array = np.ndarray

CAR_SIZES = np.array(
    [
        [3.7, 1.65, 1.50],  # small car
        [4.1, 1.78, 1.46],  # hatchback
        [4.6, 1.84, 1.45],  # saloon
        [4.7, 1.90, 1.68],  # off-road car
        [5.3, 2.02, 2.30],  # van
    ]
)
"""Length, width, height, m."""
LONG_SIZES = np.array(
    [
        [6.6, 2.20, 2.75],  # delivery van
        [7.8, 2.40, 3.30],  # truck
        [10.4, 2.50, 3.05],  # bus
    ]
)
"""Of vehicles that need more room in a bend than a lane has, m."""
LONG = 6.0
"""Vehicles longer than this do not turn right at crossings, m."""
LONG_SHARE = 0.1
"""Share of the moving motor vehicles that are long."""
BICYCLE_SIZE = (1.8, 0.65, 1.75)
"""With its rider, m."""
REAR_AXLE_SHARE = PACIFICA.rear_axle_to_centre / PACIFICA.length
"""From the rear axle to the middle of a car, as a share of its length."""
EGO_SHARE = 0.4
"""Share of the moving cars that are Pacificas, from which the drives' egos are chosen."""


@dataclass(frozen=True, kw_only=True)
class Drivers:
    """`a` moving vehicles and the habits of those who drive them."""

    kind: Int[Array, " a"]  # TrackKind: vehicle or bicycle
    size: Float[Array, "a 3"]  # length, width, height, m
    rear_axle_to_centre: Float[Array, " a"]  # m
    can_be_ego: Bool[Array, " a"]  # a Pacifica
    speed_share: Float[Array, " a"]  # desired speed as a share of the limit
    top_speed: Float[Array, " a"]  # never faster, m/s
    headway: Float[Array, " a"]  # s
    standing_gap: Float[Array, " a"]  # m
    acceleration: Float[Array, " a"]  # m/s^2
    braking: Float[Array, " a"]  # comfortable, m/s^2
    side_acceleration: Float[Array, " a"]  # accepted in turns, m/s^2
    patience: Float[Array, " a"]  # gap wanted beyond the time a manoeuvre takes, s
    offset: Float[Array, " a"]  # usual place in the lane, m to the left of its middle
    weave: Float[Array, " a"]  # how far the car wanders about it, m
    weave_length: Float[Array, " a"]  # m of road to one swing
    weave_phase: Float[Array, " a"]  # rad

    @property
    def front(self) -> Float[Array, " a"]:
        """From the rear axle to the front bumper, m."""
        return self.rear_axle_to_centre + self.size[:, 0] / 2

    @property
    def rear(self) -> Float[Array, " a"]:
        """From the rear axle back to the rear bumper, m."""
        return self.size[:, 0] / 2 - self.rear_axle_to_centre


def drivers_of(rng: np.random.Generator, cars: int, cyclists: int) -> Drivers:
    """Draws vehicles and habits, cars first; after the intelligent driver model's usual values (Treiber 2000)."""
    count = cars + cyclists
    ego, rides = np.zeros(count, dtype=bool), np.arange(count) >= cars
    ego[: max(round(EGO_SHARE * cars), 1)] = True
    long = ~ego & ~rides & (np.arange(count) >= cars - round(LONG_SHARE * cars))
    size = CAR_SIZES[rng.integers(len(CAR_SIZES), size=count)]
    size = np.where(long[:, None], LONG_SIZES[rng.integers(len(LONG_SIZES), size=count)], size)
    size = np.where(ego[:, None], [[PACIFICA.length, PACIFICA.width, PACIFICA.height]], size)
    size = np.where(rides[:, None], [BICYCLE_SIZE], size)
    slow = np.where(long | rides, 0.7, 1.0)
    return Drivers(
        kind=np.where(rides, int(TrackKind.BICYCLE), int(TrackKind.VEHICLE)),
        size=size,
        rear_axle_to_centre=REAR_AXLE_SHARE * size[:, 0],
        can_be_ego=ego,
        speed_share=rng.normal(0.97, 0.08, count).clip(0.8, 1.15),
        top_speed=np.where(rides, rng.uniform(3.8, 6.2, count), np.inf),
        headway=rng.uniform(1.0, 2.3, count),
        standing_gap=rng.uniform(1.6, 3.5, count),
        acceleration=np.where(rides, rng.uniform(0.7, 1.1, count), slow * rng.uniform(1.1, 1.9, count)),
        braking=rng.uniform(1.4, 2.2, count),
        side_acceleration=slow * rng.uniform(1.5, 2.3, count),
        patience=rng.uniform(1.2, 2.5, count),
        offset=np.where(rides, 0.0, rng.normal(0.0, 0.13, count).clip(-0.25, 0.2)),
        weave=np.where(rides, 0.03, rng.uniform(0.02, 0.1, count)),
        weave_length=rng.uniform(60.0, 140.0, count),
        weave_phase=rng.uniform(0.0, 2 * np.pi, count),
    )
