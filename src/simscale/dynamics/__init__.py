"""How a car can move."""

from simscale.dynamics.simulate import coast, reference_of, simulate, track

__all__ = ["coast", "reference_of", "simulate", "track"]
