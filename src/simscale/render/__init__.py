"""From poses to images, whoever draws them."""

from simscale.render.renderer import CHANNELS, Image, Renderer, SemanticClass
from simscale.render.rigs import cropped, navsim_rig, planner_view, scaled, stitched
from simscale.render.trust import Trust, joined_trust

__all__ = [
    "CHANNELS",
    "Image",
    "Renderer",
    "SemanticClass",
    "Trust",
    "cropped",
    "joined_trust",
    "navsim_rig",
    "planner_view",
    "scaled",
    "stitched",
]
