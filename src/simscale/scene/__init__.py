"""What happened, as arrays."""

from simscale.scene.car import FORD_FUSION, PACIFICA, RENAULT_ZOE, CarState, EgoVehicle
from simscale.scene.errors import BadInput
from simscale.scene.plan import Plan
from simscale.scene.road import Lights, LightState, RoadKind, RoadMap
from simscale.scene.scene import DT, Scene
from simscale.scene.sensors import NO_CAMERAS, NO_RECORDINGS, Cameras, Ground, Recordings
from simscale.scene.tracks import AGENT_KINDS, TrackKind, Tracks

__all__ = [
    "AGENT_KINDS",
    "DT",
    "FORD_FUSION",
    "NO_CAMERAS",
    "NO_RECORDINGS",
    "PACIFICA",
    "RENAULT_ZOE",
    "BadInput",
    "Cameras",
    "CarState",
    "EgoVehicle",
    "Ground",
    "LightState",
    "Lights",
    "Plan",
    "Recordings",
    "RoadKind",
    "RoadMap",
    "Scene",
    "TrackKind",
    "Tracks",
]
