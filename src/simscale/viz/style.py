"""Colours of everything that is drawn, in one place: a muted map, boxes by kind, one strong colour a role."""

from simscale.scene import RoadKind, TrackKind

PAPER = "#f7f5f0"
INK = "#2b2b2b"
FAINT = "#8a8a85"

ROAD_FILL = {
    RoadKind.WALKWAY: "#ece6da",
    RoadKind.DRIVABLE: "#d9d9d6",
    RoadKind.CAR_PARK: "#ddd6c6",
    RoadKind.ROAD_BLOCK: "#d9d9d6",
    RoadKind.ROAD_BLOCK_CONNECTOR: "#d9d9d6",
    RoadKind.INTERSECTION: "#d6d6d3",
    RoadKind.LANE: "#d2d2cf",
    RoadKind.CONNECTOR: "#d2d2cf",
    RoadKind.BICYCLE_LANE: "#d5ddcf",
    RoadKind.CROSSING: "#f1efe9",
    RoadKind.STOP_LINE: "#ffffff",
}
"""Fill of each kind, in the order in which they are painted."""
LANE_EDGE = "#ffffff"
CENTRE_LINE = "#aeb4ba"
ROUTE = "#9cc3e6"

BOX = {
    TrackKind.VEHICLE: "#5b7fa6",
    TrackKind.PEDESTRIAN: "#d98032",
    TrackKind.BICYCLE: "#3f9a76",
    TrackKind.TRAFFIC_CONE: "#c9a227",
    TrackKind.BARRIER: "#8d7b68",
    TrackKind.CZONE_SIGN: "#c9a227",
    TrackKind.GENERIC_OBJECT: "#9a948c",
}
KIND_NAMES = {
    TrackKind.VEHICLE: "vehicle",
    TrackKind.PEDESTRIAN: "pedestrian",
    TrackKind.BICYCLE: "bicycle",
    TrackKind.TRAFFIC_CONE: "cone",
    TrackKind.BARRIER: "barrier",
    TrackKind.CZONE_SIGN: "construction sign",
    TrackKind.GENERIC_OBJECT: "other object",
}
REACTING = "#7b5ea7"

EGO = "#c4373a"
HUMAN = "#1f1f1f"
PERTURBED = "#e07b00"
EXPERT = {"planner": "#b0177f", "recovery": "#0b8457"}
OTHER_EXPERT = "#1660c2"
REFUSED = "#8f8f8f"

LIGHT = {1: "#2fa84f", 2: "#e5b700", 3: "#d22f2f"}
"""By LightState; an unknown one is not drawn."""


def expert_colour(name: str) -> str:
    """Colour of an expert's rollout."""
    return EXPERT.get(name, OTHER_EXPERT)
