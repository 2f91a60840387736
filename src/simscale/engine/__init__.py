"""Runs a function over many units, with resume; knows nothing of driving."""

from simscale.engine.failures import Failure, during
from simscale.engine.run import Progress, RunReport, RunSettings, run
from simscale.engine.units import Finished, Unit, key_of, units_of

__all__ = [
    "Failure",
    "Finished",
    "Progress",
    "RunReport",
    "RunSettings",
    "Unit",
    "during",
    "key_of",
    "run",
    "units_of",
]
