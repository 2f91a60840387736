"""The town's cars and their drivers: how large they are, and how differently people drive."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from simscale.scene import PACIFICA

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
REAR_AXLE_SHARE = PACIFICA.rear_axle_to_centre / PACIFICA.length
"""From the rear axle to the middle of a car, as a share of its length."""
EGO_SHARE = 0.4
"""Share of the moving cars that are Pacificas, from which the drives' egos are chosen."""


@dataclass(frozen=True, kw_only=True)
class Drivers:
    """`a` moving cars and the habits of those who drive them."""

    size: Float[Array, "a 3"]  # length, width, height, m
    rear_axle_to_centre: Float[Array, " a"]  # m
    can_be_ego: Bool[Array, " a"]  # a Pacifica
    speed_share: Float[Array, " a"]  # desired speed as a share of the limit
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


def drivers_of(rng: np.random.Generator, count: int) -> Drivers:
    """Draws cars and habits; ranges after the usual values of the intelligent driver model (Treiber 2000)."""
    ego = np.zeros(count, dtype=bool)
    ego[: max(round(EGO_SHARE * count), 1)] = True
    size = CAR_SIZES[rng.integers(len(CAR_SIZES), size=count)]
    size = np.where(ego[:, None], [[PACIFICA.length, PACIFICA.width, PACIFICA.height]], size)
    return Drivers(
        size=size,
        rear_axle_to_centre=REAR_AXLE_SHARE * size[:, 0],
        can_be_ego=ego,
        speed_share=rng.normal(0.97, 0.08, count).clip(0.8, 1.15),
        headway=rng.uniform(1.1, 2.0, count),
        standing_gap=rng.uniform(1.8, 3.2, count),
        acceleration=rng.uniform(1.1, 1.9, count),
        braking=rng.uniform(1.4, 2.2, count),
        side_acceleration=rng.uniform(1.5, 2.3, count),
        patience=rng.uniform(1.2, 2.5, count),
        offset=rng.normal(0.0, 0.1, count).clip(-0.18, 0.18),
        weave=rng.uniform(0.02, 0.1, count),
        weave_length=rng.uniform(60.0, 140.0, count),
        weave_phase=rng.uniform(0.0, 2 * np.pi, count),
    )
