"""How a car can move."""

from simscale.dynamics.simulate import coast, reference_of, simulate, track
from simscale.dynamics.steering import with_steering

__all__ = ["coast", "reference_of", "simulate", "track", "with_steering"]
