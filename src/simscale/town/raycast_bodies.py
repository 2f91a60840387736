"""Body shapes of vehicles from the size of their box: saloons, hatchbacks, off-road cars, vans, lorries and buses.

A vehicle is a body with wheels and, upon or before it, an upper part with the windows; fourteen lengths in its own
frame (x ahead from the middle, z from the ground) say where both begin and end. `raycast_shapes.hit_vehicle` cuts
them out of the box, `raycast_vehicles` draws on their faces.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

Array = np.ndarray

COLUMNS = (
    "clearance",  # bottom of the body
    "belt",  # top of the body, where the windows begin
    "nose",  # front edge of the bonnet, which rises from there to the belt
    "cowl",  # x of the windscreen's foot
    "shield",  # x of the windscreen's head
    "tail",  # x of the rear window's foot
    "deck",  # x of the rear window's head
    "wheel",  # radius
    "front_axle",  # x
    "rear_axle",  # x
    "inset",  # how far the upper part's sides lean in
    "body_front",  # x of the body's front
    "cabin_low",  # bottom of the upper part; above `cabin_high` where there is none
    "cabin_high",  # top of the upper part
)
LONG, TALL = 7.0, 2.6
"""Longer or higher vehicles are lorries and buses, m."""
LONGEST_LORRY = 11.0
"""Longer ones are buses, m."""
VAN = 1.95
"""Higher cars are vans, m."""
SALOON, LOW = 3.0, 1.6
"""Cars at least so many times as long as high, and lower than this (m), have a boot."""
CAB = 2.1
"""Length of a lorry's cab, m."""


def vehicle_rows(size: Float[Array, "n 3"], seed: Int[Array, " n"]) -> Float[Array, "n 14"]:
    """One row of `COLUMNS` for each length, width and height; large vehicles are buses or lorries by their seed."""
    length, _, height = size.T
    large = (height > TALL) | (length > LONG)
    bus = large & ((seed % 2 == 0) | (length > LONGEST_LORRY))
    rows = np.where(bus[:, None], _buses(size), _lorries(size))
    return np.where(large[:, None], rows, _cars(size))


def _cars(size: Array) -> Array:
    length, width, height = size.T
    half = length / 2
    van: Bool[Array, " n"] = height > VAN
    saloon = (length / height > SALOON) & (height < LOW)
    belt = np.where(van, 0.5, 0.6) * height
    return _table(
        len(size),
        clearance=0.115 * height,
        belt=belt,
        nose=np.where(van, 0.44, 0.51) * height,
        cowl=half - np.where(van, 0.13, 0.215) * length,
        shield=half - np.where(van, 0.24, 0.385) * length,
        tail=-half + np.where(saloon, 0.13, 0.003) * length,
        deck=-half + np.where(saloon, 0.24, np.where(van, 0.02, 0.07)) * length,
        wheel=np.clip(0.215 * height, 0.28, 0.36),
        front_axle=half - 0.185 * length,
        rear_axle=-half + 0.195 * length,
        inset=np.where(van, 0.05, 0.1) * width,
        body_front=half,
        cabin_low=belt,
        cabin_high=height,
    )


def _buses(size: Array) -> Array:
    length, _, height = size.T
    half = length / 2
    return _table(
        len(size),
        clearance=0.32,
        belt=height,
        nose=height,
        cowl=half,
        shield=half,
        tail=-half,
        deck=-half,
        wheel=0.48,
        front_axle=half - 0.2 * length,
        rear_axle=-half + 0.22 * length,
        inset=0.0,
        body_front=half,
        cabin_low=1.0,
        cabin_high=0.0,
    )


def _lorries(size: Array) -> Array:
    length, width, height = size.T
    half = length / 2
    return _table(
        len(size),
        clearance=0.6,
        belt=height,
        nose=height,
        cowl=half,
        shield=half - 0.25,
        tail=half - CAB,
        deck=half - CAB,
        wheel=0.48,
        front_axle=half - 0.17 * length,
        rear_axle=-half + 0.22 * length,
        inset=0.05 * width,
        body_front=half - CAB - 0.1,
        cabin_low=0.35,
        cabin_high=0.88 * height,
    )


def _table(count: int, **columns: Array | float) -> Array:
    return np.column_stack([np.broadcast_to(np.asarray(columns[name], dtype=np.float64), count) for name in COLUMNS])
