"""Planners: from images and status to a plan; one file a planner."""

from simscale.planners.ltf import (
    NANO,
    PUBLISHED_NAVSIM,
    PUBLISHED_SIMSCALE,
    PUBLISHED_TRANSFUSER,
    Ltf,
    LtfConfig,
    LtfOutput,
)
from simscale.planners.ltf import build as build_ltf
from simscale.planners.ltf_loss import LtfLoss, LtfLossConfig, LtfTargets, ltf_loss

__all__ = [
    "NANO",
    "PUBLISHED_NAVSIM",
    "PUBLISHED_SIMSCALE",
    "PUBLISHED_TRANSFUSER",
    "Ltf",
    "LtfConfig",
    "LtfLoss",
    "LtfLossConfig",
    "LtfOutput",
    "LtfTargets",
    "build_ltf",
    "ltf_loss",
]
