"""The car inside a box: where its axles are when only its dimensions are known."""

from simscale.scene import EgoVehicle

WHEEL_BASE_SHARE = 0.6
"""Wheel base as a share of the length (ours; 0.58 to 0.63 for the cars of the public datasets)."""
AXLE_SHARE = 0.3
"""Rear axle to centre as a share of the length (ours; 0.28 to 0.34 there)."""


def vehicle_of_box(length: float, width: float, height: float, *, name: str = "recorded") -> EgoVehicle:
    """A car of these dimensions, m, with axles where cars usually have them."""
    return EgoVehicle(
        name=name,
        length=float(length),
        width=float(width),
        height=float(height),
        wheel_base=WHEEL_BASE_SHARE * float(length),
        rear_axle_to_centre=AXLE_SHARE * float(length),
    )
