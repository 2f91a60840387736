"""From poses to images, whoever draws them."""

from simscale.render.renderer import CHANNELS, Image, Renderer, SemanticClass
from simscale.render.rigs import cropped, navsim_rig, planner_view, scaled, stitched

__all__ = [
    "CHANNELS",
    "Image",
    "Renderer",
    "SemanticClass",
    "cropped",
    "navsim_rig",
    "planner_view",
    "scaled",
    "stitched",
]
